"""How a folder of images is laid out: its splits, classes and files; no file is opened.

PATH/train/<class>/*        labelled images to train with
PATH/test/<class>/*         labelled images to test on
PATH/validation/<class>/*   the test images where there is no `test`; beside it, a further split
PATH/unlabelled/*           images without labels

The case of the names does not matter, `unlabeled` is `unlabelled`, `val` and `valid` are
`validation`; nor does the case of a class in `test` if one class alone has its letters in `train`.
Without labelled ones of these folders, PATH/<class>/* is to train with. Without any of them and
folders of classes, or where nobody asks for classes, all images in PATH are those of `unlabelled`.
"""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from semisup.cli.choices import SPLIT_ALIASES
from semisup.data import folder_walk, image_files
from semisup.data.cache import UNLABELLED
from semisup.data.folder_walk import composed, entries
from semisup.errors import UserError
from semisup.files.names import printable

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
        class_names: the names of the class folders, as they are shown and with accents composed
            (NFC), sorted; none if there are no labels.
        files: by split, the images, in the order of the examples.
        labels: by split, as many indices of `class_names`, or `UNLABELLED`.
        skipped: files that are no images, sorted.
        notes: lines on what may surprise: folders that are not read, a split that stands in for
            another.
    """

    root: Path
    class_names: tuple[str, ...]
    files: dict[str, list[Path]]
    labels: dict[str, list[int]]
    skipped: tuple[Path, ...]
    notes: tuple[str, ...]

    @classmethod
    def unlabelled(cls, root: Path, files: dict[str, list[Path]]) -> "Layout":
        """Make a layout of images without labels.

        Args:
            root: the folder.
            files: by split, the images.
        """
        labels = {split: [UNLABELLED] * len(mine) for split, mine in files.items()}
        return cls(root, (), files, labels, skipped=(), notes=())

    def without(self, files: Collection[Path]) -> "Layout":
        """Return the layout without some of its images."""
        kept = {
            split: [place for place, file in enumerate(mine) if file not in files]
            for split, mine in self.files.items()
        }
        return dataclasses.replace(
            self,
            files={split: [self.files[split][i] for i in kept[split]] for split in kept},
            labels={split: [self.labels[split][i] for i in kept[split]] for split in kept},
        )


def find(path: str, *, labelled: bool = True) -> Layout:
    """Look through the names of files and folders.

    Args:
        path: the folder.
        labelled: whether folders at the top of PATH are classes where there are no folders of
            splits; else all their images are unlabelled.

    Returns:
        The layout. Images are sorted by class, then by path, and lie at any depth: see
        `folder_walk.walk`. Hidden files are left out without a note.

    Raises:
        UserError: there is no such folder, or it cannot be read; it has no images; two of its
            folders are one split; a split has no class folders; a class has no images to train
            with.
    """
    root = Path(path).expanduser().resolve()
    if not root.is_dir():
        raise UserError(f"there is no folder {path}; pass folder:PATH, with PATH/{EXAMPLE}")
    return _Search(root).layout(labelled)


def describe(root: Path) -> str:
    """Return what lies at the top of a folder, and what should, in one line."""
    folders, files = entries(root)
    images = sum(image_files.is_image(file.name) for file in files)
    parts = []
    if folders:
        parts.append(f"the folder{'s' * (len(folders) > 1)} {_listed(folders)}")
    if images:
        parts.append(counted(images, "image"))
    if len(files) > images:
        parts.append(counted(len(files) - images, "other file"))
    holds = f"holds {' and '.join(parts)}" if parts else "is empty"
    return f"{root} {holds}; it should hold {EXAMPLE} and so on"


def images_below(folder: Path) -> list[Path]:
    """Return the images at any depth of a folder, sorted by path; hidden files are left out.

    Raises:
        UserError: a folder cannot be read.
    """
    return folder_walk.walk(folder, [folder_walk.real_path(folder)]).images


class _Search:
    """One look through a folder."""

    def __init__(self, root: Path):
        self.root = root
        self.places = [root]
        self.skipped = []
        self.links = set()
        self.notes = []

    def layout(self, labelled: bool) -> Layout:
        folders, others = self._split_folders()
        at_top = labelled and not folders.keys() & set(_LABELLED) and self._are_classes(others)
        if folders and others and not at_top:
            self.notes.append(f"not read: the folder{'s' * (len(others) > 1)} {_listed(others)}")
        self.places += map(folder_walk.real_path, folders.values())
        found = {
            split: self._class_folders(folders[split]) for split in _LABELLED if split in folders
        }
        if at_top:
            found["train"] = self._named(self.root, others)
            self.skipped += entries(self.root)[1]
        for classes in found.values():
            self.places += map(folder_walk.real_path, classes.values())
        class_names, files, labels = (), {}, {}
        for split, classes in found.items():
            # Who adapts to a domain may have labels to test on, and none to train with.
            class_names = class_names or tuple(classes)
            files[split], labels[split] = self._labelled(split, classes, class_names)
        if "unlabelled" in folders or not found:
            files["unlabelled"] = self._images(folders.get("unlabelled", self.root))
            labels["unlabelled"] = [UNLABELLED] * len(files["unlabelled"])
        if self.links:
            example = min(self.links).relative_to(self.root)
            self.notes.append(
                f"not followed: {counted(len(self.links), 'link')} to folders of these data "
                f"themselves, such as {example}"
            )
        notes = tuple(printable(f"{self.root}: {note}") for note in self.notes)
        return Layout(
            self.root, class_names, files, labels, tuple(sorted(set(self.skipped))), notes
        )

    def _without_loops(self, folders: list[Path], places: Iterable[Path]) -> list[Path]:
        """Leave out links to folders that hold one of the places."""
        kept = []
        for folder in folders:
            real = folder_walk.real_path(folder) if folder.is_symlink() else None
            if real and any(place.is_relative_to(real) for place in places):
                self.links.add(folder)
            else:
                kept.append(folder)
        return kept

    def _walk(self, folder: Path) -> folder_walk.Found:
        return folder_walk.walk(folder, self.places)

    def _split_folders(self) -> tuple[dict[str, Path], list[Path]]:
        """Return the folders of splits, and the others at the top."""
        found, others = {}, []
        for folder in self._without_loops(entries(self.root)[0], [self.root]):
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
        if "validation" in found:
            name = found["validation"].name
            if "test" in found:
                self.notes.append(
                    f"{name} is the split 'validation', which is not read unless a flag names it"
                )
            else:
                found["test"] = found.pop("validation")
                self.notes.append(f"no test folder: {name} holds the test images")
        return found, others

    def _are_classes(self, folders: Sequence[Path]) -> bool:
        """Return whether two folders at the top have images or more, and there are none beside."""
        if any(image_files.is_image(file.name) for file in entries(self.root)[1]):
            return False
        return sum(bool(self._walk(folder).images) for folder in folders) > 1

    def _class_folders(self, folder: Path) -> dict[str, Path]:
        folders, files = entries(folder)
        folders = self._without_loops(folders, self.places)
        if not folders:
            raise UserError(
                f"{folder} has no class folders; put the images of each class into a folder of "
                "their own, or, for images without classes, pass the folder itself: "
                f"folder:{folder}; {describe(self.root)}"
            )
        self.skipped += files
        return self._named(folder, folders)

    def _named(self, folder: Path, folders: Sequence[Path]) -> dict[str, Path]:
        """Return the class folders in a folder by the names of the classes."""
        found = {}
        for entry in folders:
            name = composed(printable(entry.name))
            if name in found:
                raise UserError(
                    f"{folder} has two class folders that are both shown as {name}: rename one"
                )
            found[name] = entry
        return found

    def _labelled(
        self, split: str, folders: dict[str, Path], class_names: Sequence[str]
    ) -> tuple[list[Path], list[int]]:
        files, labels, empty = [], [], []
        for name, entry in folders.items():
            label = _label(name, class_names)
            if label is None:
                raise UserError(
                    f"{entry}: there is no class {name!r} in {self.root / 'train'}, whose classes "
                    f"are {', '.join(class_names)}"
                )
            class_files = self._images(entry, required=split == "train")
            files += class_files
            labels += [label] * len(class_files)
            if not class_files:
                empty.append(entry)
        if not files:
            self._images(empty[0])
        if empty:
            self.notes.append(f"{split}: no images of {_listed(empty)}")
        return files, labels

    def _images(self, folder: Path, required: bool = True) -> list[Path]:
        images, others, links = self._walk(folder)
        if not images and required:
            hint = f", only other files such as {min(others).name}" if others else ""
            layout = f"; {describe(self.root)}" if folder == self.root else ""
            raise UserError(
                f"{folder} has no images{hint}; {_ENDINGS} and other still images are read"
                f"{image_files.missing_plug_in(others)}{layout}"
            )
        self.skipped += others
        self.links.update(links)
        return images


def _label(name: str, class_names: Sequence[str]) -> int | None:
    """Return the class that has a folder's name, or that alone has it in other letters, if any."""
    if name in class_names:
        return class_names.index(name)
    same = [label for label, other in enumerate(class_names) if _folded(other) == _folded(name)]
    return same[0] if len(same) == 1 else None


def _folded(name: str) -> str:
    """Return a name without its case."""
    return composed(name).casefold()


def _listed(folders: Sequence[Path]) -> str:
    shown: Iterable[str] = (folder.name for folder in folders[:_SHOWN])
    more = f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else ""
    return f"{', '.join(shown)}{more}"


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {what}{'s' * (number != 1)}"
