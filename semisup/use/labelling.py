"""Images moved into the folders of the classes that somebody has written into a list."""

import collections
import csv
import functools
import io
import logging
import os
from pathlib import Path

from semisup.data import class_folders
from semisup.data.folder_walk import composed
from semisup.errors import UserError, shown
from semisup.files import csv_files
from semisup.files.csv_files import read_text
from semisup.files.names import printable

_logger = logging.getLogger(__name__)


def label_images(settings):
    """Move or copy the images of a list into class folders; nothing is overwritten.

    Args:
        settings: a `LabelConfig`.

    Raises:
        UserError: before anything is moved, if the list cannot be read, a label is no class, or an
            image has two.
    """
    root = Path(settings.into).expanduser()
    folders = class_folders.class_folders(root)
    labelled = _read(settings.list, folders)
    # Unlike `is_file`, `isfile` takes names that no system has.
    if labelled and not any(map(os.path.isfile, labelled)):
        raise UserError(
            f"--list={settings.list}: none of its {len(labelled)} labelled images is there; paths "
            "count from the current folder. Were they moved already?"
        )
    counts, lying = {}, 0
    for file, name in labelled.items():
        if not os.path.isfile(file):
            _logger.warning("not there: %s", printable(str(file)))
            continue
        if class_folders.place(file, folders[name], "copy" if settings.copy else "move") == file:
            lying += 1
        else:
            counts[name] = counts.get(name, 0) + 1
    what = "copied" if settings.copy else "moved"
    _logger.info("%s %d images into %s", what, sum(counts.values()), root)
    for name, count in sorted(counts.items()):
        _logger.info("  %s: %d", name, count)
    if lying:
        _logger.info("%d already in the folders of their classes", lying)


def _read(path, folders):
    """Return the label of each image of a list that has one, by its file."""
    try:
        return _labels(path, folders)
    except csv.Error as error:
        raise UserError(f"--list={path} is no table: {error}") from None


def _labels(path, folders):
    text = csv_files.content("list", path)
    # Spreadsheets of many countries separate by semicolons, and some by tabs.
    for delimiter in ",;\t":
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        if {"path", "label"} <= set(rows.fieldnames or ()):
            break
    else:
        raise UserError(f"--list={path}: its first line has to name the columns path and label")
    labelled, names_by_text = {}, functools.cache(_names_by_text)
    for row in rows:
        text = composed(row["label"] or "")
        label = text.strip()
        if not label:
            continue
        where = f"--list={path}, line {rows.line_num}"
        # The class may have been copied from a column that `write_rows` wrote, and its name may
        # begin or end with a space.
        label = next((name for name in (text, label) if name in folders), read_text(label))
        if label not in folders:
            raise UserError(
                f"{where}: {shown(label)} is none of the classes {shown(', '.join(folders))}; make "
                "a folder for it first if it is a new one"
            )
        if not row["path"]:
            raise UserError(
                f"{where}: {shown(label)} is the label of no image: the path is missing"
            )
        file = _file(row["path"], names_by_text)
        # Two lines may name it in two ways.
        file = Path(os.path.abspath(file))
        if labelled.setdefault(file, label) != label:
            raise UserError(
                f"{where}: {shown(row['path'])} has two labels, {shown(labelled[file])} and "
                f"{shown(label)}: leave one"
            )
    if not labelled:
        raise UserError(f"--list={path} has no label yet: fill in its column label")
    return labelled


def _file(cell, names_by_text):
    """Return the file that a cell names, as it is called or as `write_rows` writes its name.

    Args:
        cell: the text of the cell.
        names_by_text: `_names_by_text`, which may remember what it returned.
    """
    paths = [Path(cell), Path(read_text(cell))]
    paths += [_as_on_disk(path, names_by_text) for path in paths]
    return next((path for path in paths if os.path.isfile(path)), paths[-1])


def _as_on_disk(path, names_by_text):
    if path == path.parent or os.path.lexists(path):
        return path
    folder = _as_on_disk(path.parent, names_by_text)
    return folder / names_by_text(folder).get(path.name, path.name)


def _names_by_text(folder):
    """Return the names in a folder by how `printable` shows them.

    Where two look the same, it is not known which is meant.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    counts = collections.Counter(map(printable, names))
    return {text: name for name in names if counts[text := printable(name)] == 1}
