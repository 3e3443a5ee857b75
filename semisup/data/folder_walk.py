"""Looking through folders: what lies in them, in an order that no system changes.

macOS may hand out the accents of a name as characters of their own. Names are therefore sorted as
they are when composed (NFC).
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from semisup.data import image_files
from semisup.errors import UserError
from semisup.files import locking


class Found(NamedTuple):
    """What lies at any depth of a folder.

    Attributes:
        images: files that their names say are images, sorted by path; links that lead nowhere are
            among them.
        others: other files, pipes, sockets and devices.
        links: links to folders that were not followed.
    """

    images: list[Path]
    others: list[Path]
    links: list[Path]


def walk(folder: Path, places: Iterable[Path]) -> Found:
    """Look for images at any depth of a folder.

    Links to folders are followed, but for those that lead to a folder that holds them, or to one of
    the places, or into or around one. So every image is found once, and in no class but its own.

    Args:
        folder: where to look.
        places: real paths of folders that are looked through on their own account.

    Raises:
        UserError: a folder cannot be read.
    """
    found = Found([], [], [])
    pending, seen = [folder], set()
    while pending:
        parent = pending.pop()
        real = real_path(parent)
        if real in seen:
            continue
        seen.add(real)
        for entry in _visible(parent):
            path = Path(entry.path)
            if not _is_folder(entry):
                (found.images if _is_image(entry) else found.others).append(path)
            elif entry.is_symlink() and _overlaps(real_path(path), [real, *places]):
                found.links.append(path)
            else:
                pending.append(path)
    found.images.sort(key=_order)
    return found


def entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the visible folders and other entries of a folder, sorted by name.

    Raises:
        UserError: the folder cannot be read.
    """
    folders, files = [], []
    for entry in _visible(folder):
        (folders if _is_folder(entry) else files).append(Path(entry.path))
    return sorted(folders, key=_order), sorted(files, key=_order)


def composed(name: str) -> str:
    """Return a name with its accents composed (NFC), as it is compared and shown."""
    return unicodedata.normalize("NFC", name)


def real_path(path: Path) -> Path:
    """Return where a path leads, without links."""
    return Path(os.path.realpath(path))


def _order(path: Path) -> tuple[list[str], str]:
    return composed(str(path)).split(os.sep), str(path)


def _visible(folder: Path) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as found:
            # macOS puts such a folder, of files that are no images, into each of its archives.
            shown = [e for e in found if not e.name.startswith(".") and e.name != "__MACOSX"]
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be read: {error.strerror}") from error
    # A training begun in the folder of its images puts its run there, with figures of images.
    yield from (e for e in shown if not (_is_folder(e) and _holds_runs_alone(e.path)))


def _holds_runs_alone(folder: str) -> bool:
    """Return whether a folder is the run of a training, or has nothing but such."""
    if _is_run(folder):
        return True
    try:
        with os.scandir(folder) as found:
            # One after the other: the first image ends it, and a class may have very many.
            are_runs = (_is_run(entry.path) for entry in found if not entry.name.startswith("."))
            return next(are_runs, False) and all(are_runs)
    except OSError:
        return False


def _is_run(folder: str) -> bool:
    return os.path.lexists(os.path.join(folder, locking.OF_RUN))


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _is_image(entry: os.DirEntry) -> bool:
    """Return whether it is to be opened: reading from a pipe would never end."""
    if not image_files.is_image(entry.name):
        return False
    try:
        return entry.is_file() or not os.path.exists(entry.path)
    except OSError:
        return True


def _overlaps(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) or place.is_relative_to(path) for place in places)
