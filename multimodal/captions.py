"""Files of captions: which sentences belong to which image."""

import csv
import functools
import io
import os
import re
from pathlib import Path
from typing import NamedTuple

from semisup.cli.choices import SPLIT_ALIASES
from semisup.data.folder_walk import composed
from semisup.errors import UserError, shown
from semisup.files import csv_files

NAMES = ("captions.csv", "captions.txt", "*.token.txt", "*.token")
"""What a file of captions in a folder of images is called."""

_TOKEN = re.compile(r"(.+)#\d+\t(.*)")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SHOWN = 3


class Caption(NamedTuple):
    """A caption of an image.

    Attributes:
        image: path or name of the image, as the file has it.
        text: the sentence.
        split: "train", "test" or another name; empty where the file does not say.
    """

    image: str
    text: str
    split: str


def find(folder):
    """Return the file of captions in a folder of images.

    Args:
        folder: path of the folder.

    Raises:
        UserError: there is none, or more than one.
    """
    found = [path for name in NAMES for path in sorted(Path(folder).glob(name))]
    if len(found) == 1:
        return found[0]
    what = "no" if not found else "more than one"
    raise UserError(f"{folder} holds {what} file called {', '.join(NAMES)}: give --captions=FILE")


def read(path, image_column="image", caption_column="caption", split_column="split"):
    """Read a file of captions.

    Args:
        path: the file: a table with a line of headings, whose cells are separated by commas,
            semicolons, tabs or `|`; or lines `NAME#0`, a tab, and a caption.
        image_column: heading of the column of images.
        caption_column: heading of the column of captions.
        split_column: heading of the column of splits, which may be missing.

    Returns:
        List of `Caption`s, in the order of the file. A line break in a sentence is a space.

    Raises:
        UserError: the file cannot be read, or has no such columns, no captions, an empty cell in
            one of them, a line with more cells than headings, or a quotation mark that nothing
            closes.
    """
    text = csv_files.content("captions", path, newline=None)
    first = text.partition("\n")[0]
    if _TOKEN.fullmatch(first.rstrip("\r")):
        return _tokens(path, text)
    separator = max(_SEPARATORS, key=first.count)
    (_, headings), *rows = _rows(path, text, separator)
    headings = [heading.strip() for heading in headings]
    for flag, name in (("image_column", image_column), ("caption_column", caption_column)):
        if name not in headings:
            raise UserError(
                f"--{flag}={name}: {path} has no such column; it has {shown(', '.join(headings))}"
            )
    wanted = [headings.index(name) for name in (image_column, caption_column)]
    split = headings.index(split_column) if split_column in headings else None
    captions = []
    for number, row in rows:
        if len(row) > len(headings):
            raise UserError(
                f"--captions={path}: line {number} has {len(row)} cells, and the headings are "
                f"{len(headings)}: put captions with {_SEPARATORS[separator]} in quotes"
            )
        cells = [row[place].strip() if place < len(row) else "" for place in wanted]
        named = "" if split is None or split >= len(row) else row[split].strip().lower()
        if not all(cells) or (split is not None and not named):
            raise UserError(f"--captions={path}: line {number} of the table has an empty cell")
        captions.append(Caption(*cells, SPLIT_ALIASES.get(named, named)))
    if not captions:
        raise UserError(f"--captions={path} has headings, but no captions")
    return captions


def _rows(path, text, separator):
    """Return the rows of a table that are not empty, each with the number of its line."""
    lines = io.StringIO(text).readlines()
    read = functools.partial(csv.reader, delimiter=separator, skipinitialspace=True)
    reader = read(lines)
    rows, number = [], 1
    try:
        for row in reader:
            if any("\n" in cell for cell in row):
                _check_quotes(path, number, read(lines[number - 1 : reader.line_num], strict=True))
            if row:
                rows.append((number, [" ".join(cell.split("\n")) for cell in row]))
            number = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"--captions={path}: line {number}: {error}") from None
    if not rows:
        raise UserError(f"--captions={path} is empty")
    return rows


def _check_quotes(path, number, rows):
    """Raise `UserError` if a cell of several lines does not end as a cell in quotes does.

    A quotation mark that is never closed takes lines that follow into its cell.
    """
    try:
        list(rows)
    except csv.Error:
        raise UserError(
            f"--captions={path}: line {number} has a quotation mark that is not closed: close it, "
            "or leave it out"
        ) from None


def _tokens(path, text):
    captions = []
    # A name or a caption may hold what `splitlines` takes for further ends of lines.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        match = _TOKEN.fullmatch(line)
        if match is None or not match[2].strip():
            raise UserError(f"--captions={path}: line {number} is not NAME#0, a tab, and a caption")
        captions.append(Caption(match[1], match[2].strip(), ""))
    return captions


def located(captions, folder, files):
    """Find the file of each image.

    Paths in a file of captions may count from a folder above or below, and their folders may be in
    other letters: `images/1.jpg` is `Images/1.jpg`, `1.jpg` or `flickr/images/1.jpg`, but
    never `cats/1.jpg`.

    Args:
        captions: list of `Caption`s.
        folder: path of the folder of images.
        files: paths of the images in it.

    Returns:
        Dictionary from the images of the captions, in their order, to paths. Several may lead to
        one file, as `1.jpg` and `./images/1.jpg` do.

    Raises:
        UserError: if images are missing, or several files may be meant, or images in different
            folders lead to one file.
    """
    search = _Search(folder, files)
    found, missing, named = {}, [], {}
    for image in dict.fromkeys(caption.image for caption in captions):
        alike = search.find(image)
        if len(alike) > 1:
            raise UserError(f"{folder} has {len(alike)} images called {shown(image)}: give paths")
        if not alike:
            missing.append(image)
            continue
        (found[image],) = alike
        others = named.setdefault(found[image], [])
        for other in others:
            if not _agree(search.parts(image), search.parts(other)):
                raise UserError(
                    f"{shown(other)} and {shown(image)} would both be {found[image]}: give their "
                    f"paths in {folder}"
                )
        others.append(image)
    if missing:
        names = shown(", ".join(missing[:_SHOWN]))
        raise UserError(
            f"{folder} lacks {len(missing):,} of {len(found) + len(missing):,} images that have "
            f"captions, such as {names}"
        )
    return found


class _Search:
    """What images in a file of captions may mean among the files of a folder."""

    def __init__(self, folder, files):
        self._folder = os.path.normpath(folder)
        self._exact = {os.path.normpath(file): file for file in files}
        self._whole, self._by_end, self._folders = {}, {}, set()
        for file in files:
            parts = self.parts(file.relative_to(folder))
            self._whole.setdefault(parts, []).append(file)
            for start in range(len(parts)):
                self._by_end.setdefault(parts[start:], []).append(file)
            self._folders.update(parts[:depth] for depth in range(1, len(parts)))
        self._folder_names = {part for parts in self._folders for part in parts}

    def parts(self, path):
        """Return the folders in a path, in small letters, and its name; accents are composed."""
        path = os.path.normpath(os.path.join(self._folder, path))
        path = path.removeprefix(os.path.join(self._folder, ""))
        parts = [part for part in Path(composed(path)).parts if part not in ("/", "..")]
        return (*map(str.casefold, parts[:-1]), *parts[-1:])

    def find(self, image):
        """Return the files that an image may mean."""
        exact = self._exact.get(os.path.normpath(os.path.join(self._folder, image)))
        if exact is not None:
            return [exact]
        parts = self.parts(image)
        if parts in self._whole or parts[:-1] in self._folders:
            return self._whole.get(parts, [])
        below = self._by_end.get(parts, [])
        above = [
            file
            for start in range(1, len(parts))
            # A folder that is there, but not around the file, is another one.
            if self._folder_names.isdisjoint(parts[:start])
            for file in self._whole.get(parts[start:], [])
        ]
        return below + above


def _agree(parts, others):
    """Return whether one path is the end of the other."""
    return all(a == b for a, b in zip(reversed(parts), reversed(others), strict=False))
