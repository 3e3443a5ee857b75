"""How a folder of images is laid out: its splits, classes and files; no file is opened.

PATH/train/<class>/*        labelled images to train with
PATH/test/<class>/*         labelled images to test on
PATH/validation/<class>/*   the test images where there is no `test`; beside it, a further split
PATH/unlabelled/*           images without labels

The case of the names does not matter, `unlabeled` is `unlabelled`, `val` and `valid` are
`validation`; nor does the case of a class in `test` if one class alone has its letters in `train`.
Without any of these folders, PATH/<class>/* is to train with; and where there are no folders of
classes either, or nobody asks for classes, all images in PATH are those of `unlabelled`.
"""

import dataclasses
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from semisup.cli.choices import SPLIT_ALIASES
from semisup.data import image_files
from semisup.data.cache import UNLABELLED
from semisup.errors import UserError
from semisup.names import printable

EXAMPLE = "train/cat/1.jpg, train/dog/2.jpg, test/cat/3.jpg, test/dog/4.jpg"

_ENDINGS = ".jpg .png .tif .webp .bmp .gif"
_LABELLED = ("train", "test", "validation")
_SPLITS = (*_LABELLED, "unlabelled")
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Layout:
    """What lies where in a folder of images.

    Attributes:
        root: the folder.
        class_names: the names of the class folders, sorted; none if there are no labels.
        files: by split, the images, in the order of the examples.
        labels: by split, as many indices of `class_names`, or `UNLABELLED`.
        notes: lines on what may surprise: files that are skipped, folders that are not read, a
            split that stands in for another.
    """

    root: Path
    class_names: tuple[str, ...]
    files: dict[str, list[Path]]
    labels: dict[str, list[int]]
    notes: tuple[str, ...]


def find(path: str, *, labelled: bool = True) -> Layout:
    """Look through the names of files and folders.

    Args:
        path: the folder.
        labelled: whether folders at the top of PATH are classes where there are no folders of
            splits; else all their images are unlabelled.

    Returns:
        The layout. Images are sorted by class, then by path, and lie at any depth. Hidden files are
        left out without a note.

    Raises:
        UserError: there is no such folder; it has no images; two of its folders are one split; a
            split has no class folders; a class has no images, or training lacks it.
    """
    root = Path(path).expanduser().resolve()
    if not root.is_dir():
        raise UserError(f"there is no folder {path}; pass folder:PATH, with PATH/{EXAMPLE}")
    return _Search(root).layout(labelled)


def describe(root: Path) -> str:
    """Return what lies at the top of a folder, and what should, in one line."""
    folders, files = _entries(root)
    images = sum(image_files.is_image(file.name) for file in files)
    parts = []
    if folders:
        parts.append(f"the folder{'s' * (len(folders) > 1)} {_listed(folders)}")
    if images:
        parts.append(_count(images, "image"))
    if len(files) > images:
        parts.append(_count(len(files) - images, "other file"))
    holds = f"holds {' and '.join(parts)}" if parts else "is empty"
    return f"{root} {holds}; it should hold {EXAMPLE} and so on"


def images_below(folder: Path) -> list[Path]:
    """Return the images at any depth of a folder, sorted by path; hidden files are left out.

    Raises:
        UserError: a folder cannot be read.
    """
    return _walk(folder)[0]


class _Search:
    """One look through a folder."""

    def __init__(self, root: Path):
        self.root = root
        self.skipped = []
        self.notes = []

    def layout(self, labelled: bool) -> Layout:
        folders = self._split_folders()
        if not folders and labelled and self._has_classes():
            folders = {"train": self.root}
        class_names, files, labels = (), {}, {}
        for split in _LABELLED:
            if split in folders:
                found = self._class_folders(folders[split])
                # Who adapts to a domain may have labels to test on, and none to train with.
                class_names = class_names or tuple(found)
                files[split], labels[split] = self._labelled(folders[split], found, class_names)
        if "unlabelled" in folders or not folders:
            files["unlabelled"] = self._images(folders.get("unlabelled", self.root))
            labels["unlabelled"] = [UNLABELLED] * len(files["unlabelled"])
        if self.skipped:
            what = "file was" if len(self.skipped) == 1 else "files were"
            example = min(self.skipped).relative_to(self.root)
            self.notes.append(f"{len(self.skipped)} {what} skipped, such as {example}")
        notes = tuple(printable(f"{self.root}: {note}") for note in self.notes)
        return Layout(self.root, class_names, files, labels, notes)

    def _split_folders(self) -> dict[str, Path]:
        found, others = {}, []
        for folder in _entries(self.root)[0]:
            name = folder.name.lower()
            split = SPLIT_ALIASES.get(name, name)
            if split not in _SPLITS:
                others.append(folder)
            elif split in found:
                raise UserError(
                    f"{self.root} has the folders {found[split].name} and {folder.name}, and both "
                    f"are {split}: move one of them away, or merge them"
                )
            else:
                found[split] = folder
        if found and others:
            self.notes.append(f"not read: the folder{'s' * (len(others) > 1)} {_listed(others)}")
        if "validation" in found:
            name = found["validation"].name
            if "test" in found:
                self.notes.append(
                    f"{name} is the split 'validation', which is not read unless a flag names it"
                )
            else:
                found["test"] = found.pop("validation")
                self.notes.append(f"no test folder: {name} holds the test images")
        return found

    def _has_classes(self) -> bool:
        """Return whether the folder holds two folders with images or more, and no images beside."""
        folders, files = _entries(self.root)
        if any(image_files.is_image(file.name) for file in files):
            return False
        return sum(bool(_walk(folder)[0]) for folder in folders) > 1

    def _class_folders(self, folder: Path) -> dict[str, Path]:
        folders, files = _entries(folder)
        if not folders:
            raise UserError(
                f"{folder} has no class folders; put the images of each class into a folder of "
                "their own, or, for images without classes, pass the folder itself: "
                f"folder:{folder}; {describe(self.root)}"
            )
        self.skipped += files
        found = {}
        for entry in folders:
            name = printable(entry.name)
            if name in found:
                raise UserError(
                    f"{folder} has two class folders that are both shown as {name}: rename one"
                )
            found[name] = entry
        return found

    def _labelled(
        self, folder: Path, folders: dict[str, Path], class_names: Sequence[str]
    ) -> tuple[list[Path], list[int]]:
        files, labels = [], []
        for name, entry in folders.items():
            label = _label(name, class_names)
            if label is None:
                raise UserError(
                    f"{entry}: there is no class {name!r} in {self.root / 'train'}, whose classes "
                    f"are {', '.join(class_names)}"
                )
            class_files = self._images(entry)
            files += class_files
            labels += [label] * len(class_files)
        return files, labels

    def _images(self, folder: Path) -> list[Path]:
        images, others = _walk(folder)
        if not images:
            hint = f", only other files such as {min(others).name}" if others else ""
            layout = f"; {describe(self.root)}" if folder == self.root else ""
            raise UserError(
                f"{folder} has no images{hint}; {_ENDINGS} and other still images are read{layout}"
            )
        self.skipped += others
        return images


def _label(name: str, class_names: Sequence[str]) -> int | None:
    """Return the class that has a folder's name, or that alone has it in other letters, if any."""
    if name in class_names:
        return class_names.index(name)
    same = [label for label, other in enumerate(class_names) if _folded(other) == _folded(name)]
    return same[0] if len(same) == 1 else None


def _folded(name: str) -> str:
    """Return a name without what differs between systems: case, and how accents are encoded."""
    return unicodedata.normalize("NFC", name).casefold()


def _walk(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the images at any depth of a folder, sorted by path, and the other files."""
    images, others = [], []
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        folders[:] = filter(_is_visible, folders)
        for name in filter(_is_visible, names):
            (images if image_files.is_image(name) else others).append(Path(parent, name))
    return sorted(images), others


def _raise(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the visible folders and files of a folder, sorted by name."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if _is_visible(entry.name))
    except OSError as error:
        _raise(error)
    folders = [entry for entry in entries if entry.is_dir()]
    return folders, [entry for entry in entries if entry not in set(folders)]


def _is_visible(name: str) -> bool:
    # macOS puts such a folder, of files that are no images, into each of its archives.
    return not name.startswith(".") and name != "__MACOSX"


def _listed(folders: Sequence[Path]) -> str:
    shown: Iterable[str] = (folder.name for folder in folders[:_SHOWN])
    more = f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else ""
    return f"{', '.join(shown)}{more}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number > 1)}"
