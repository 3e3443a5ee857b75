"""Image files in a folder for each class: links, copies or the files themselves."""

import contextlib
import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from semisup.data.folder_walk import composed
from semisup.errors import UserError
from semisup.files.names import printable
from semisup.files.replacing import replacing

_UNUSABLE = str.maketrans({"/": "_", "\\": "_", "\0": "_"})


def empty_folder(path: str) -> Path:
    """Return the folder of a path, which need not exist, and has to be empty if it does.

    Raises:
        UserError: there are files in it, or it is a file.
    """
    folder = Path(path).expanduser()
    with contextlib.suppress(FileNotFoundError):
        if not folder.is_dir() and folder.exists():
            raise UserError(f"{path} is a file: give the name of a folder")
        if any(folder.iterdir()):
            raise UserError(f"{path} is not empty, and nothing is overwritten: give another folder")
    return folder


def folder_names(class_names: Sequence[str]) -> list[str]:
    """Return a name for the folder of each class, in UTF-8 whatever the locale; no two are equal.

    A class whose name can be that of a folder has it.
    """
    taken = {name for name in class_names if _folder_name(name) == name}
    found = []
    for class_name in class_names:
        name = plain = _folder_name(class_name)
        number = 1
        while name != class_name and name in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name)
        found.append(os.fsdecode(name.encode()))
    return found


def _folder_name(class_name):
    name = class_name.translate(_UNUSABLE)
    return f"_{name}" if not name or name.startswith(".") else name


def class_folders(root: Path) -> dict[str, Path]:
    """Return the folders of classes in a folder, by the classes' names in Unicode's form NFC.

    Raises:
        UserError: there is no such folder, or none in it.
    """
    try:
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    except OSError as error:
        raise UserError(f"{root} cannot be read: {error.strerror}") from None
    found = {
        composed(printable(folder.name)): folder
        for folder in folders
        if not folder.name.startswith(".")
    }
    if not found:
        raise UserError(f"{root} has no folder of a class: make one for each class first")
    return found


def place(file: Path, folder: Path, how: str) -> Path:
    """Put a file into the folder of a class, under its own name or, if that is taken, a new one.

    Nothing is done to a file that lies there.

    Args:
        file: the file.
        folder: the folder of the class, which is made where it is missing.
        how: "link", "copy" or "move".

    Returns:
        Where it is now.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if file.parent.samefile(folder):
        return file
    put = {"link": _link, "copy": _copy, "move": _move}[how]
    number = 1
    while True:
        suffix = f"_{number}" if number > 1 else ""
        target = folder / f"{file.stem}{suffix}{file.suffix}"
        try:
            put(file, target)
        except FileExistsError:
            number += 1
        else:
            return target


def _link(file, target):
    target.symlink_to(file.resolve())


def _copy(file, target):
    with replacing(target, overwrites=False) as temporary:
        shutil.copyfile(file, temporary)
        shutil.copystat(file, temporary)


def _move(file, target):
    if file.is_symlink():
        _link(file, target)
        file.unlink()
        return
    try:
        # Unlike a renaming, a link never replaces what is there.
        os.link(file, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        _copy(file, target)
    file.unlink()
