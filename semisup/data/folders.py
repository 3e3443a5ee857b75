"""Data sets of one's own: image files in a folder for each class.

PATH/train/<class>/*        labelled images to train with
PATH/test/<class>/*         labelled images to test on
PATH/unlabelled/*           images without labels, optional; `unlabeled` is the same

Without any of these folders, all images in PATH are those of `unlabelled`: a set to cluster.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from semisup.data import pixels
from semisup.data.cache import UNLABELLED, Blocks, Source
from semisup.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")

_UNLABELLED_FOLDERS = ("unlabelled", "unlabeled")


def open_folder(path: str, *, image_size: int = 0) -> tuple[tuple[str, ...], dict[str, Source]]:
    """Looks through a folder of images: all file names and image headers, no pixels.

    The classes are the subfolders of `train`, or of `test` without it, sorted by name; examples are
    sorted by class, then by path. A folder that holds none of `train`, `test` and `unlabelled` has
    one split, `unlabelled`, of all its images, sorted by path. Images lie at any depth. Hidden
    files and files that are no images are skipped. If the mode of any file in any split is
    coloured, all images are RGB, else all have one channel.

    Args:
        path: the folder that holds `train`, `test` and `unlabelled`, or some of them, or images
            without classes.
        image_size: if not 0, all images are resized to image_size x image_size.

    Returns:
        The class names (none without `train` and `test`), and a source for each split that exists.

    Raises:
        UserError: no such folder, one without images, `train` or `test` without class folders, a
            class without images, a class of `test` that `train` lacks, an unreadable file, or
            images of different sizes and no `image_size`.
    """
    root = _root(path)
    class_names, files, labels = _contents(root)
    shape = _common_shape([file for split in files.values() for file in split], image_size)
    sources = {
        split: _source(root, split, class_names, files[split], labels[split], shape, image_size)
        for split in files
    }
    return class_names, sources


def image_paths(path: str, split: str) -> list[str]:
    """The files of a split, in the order in which `open_folder` has its images.

    Args:
        path: the folder, as for `open_folder`.
        split: name of the split; `unlabelled` and `unlabeled` are the same.

    Returns:
        A path for each image, relative to the folder (`train/cat/a.png`).

    Raises:
        UserError: there is no such folder or split, or it is misshapen as `open_folder` says; what
            is in the files is not looked at.
    """
    root = _root(path)
    _, files, _ = _contents(root)
    spellings = (split, *_UNLABELLED_FOLDERS) if split in _UNLABELLED_FOLDERS else (split,)
    for name in spellings:
        if name in files:
            return [str(file.relative_to(root)) for file in files[name]]
    raise UserError(f"folder {path} has no split {split!r}; its splits are {', '.join(files)}")


def _root(path: str) -> Path:
    root = Path(path).expanduser().resolve()
    if not root.is_dir():
        raise UserError(f"there is no folder {path}; pass folder:PATH with PATH/train/<class>/*")
    return root


def _contents(root: Path) -> tuple[tuple[str, ...], dict[str, list[Path]], dict[str, list[int]]]:
    """The class names, and by split the files and their labels, in the order of the examples."""
    # Who adapts to a domain may have labels to test on, and none to train with.
    labelled = [root / split for split in ("train", "test") if (root / split).is_dir()]
    class_names = _class_names(labelled[0]) if labelled else ()
    files, labels = {}, {}
    for folder in labelled:
        files[folder.name], labels[folder.name] = _labelled_files(folder, class_names)
    for split in _UNLABELLED_FOLDERS:
        if (root / split).is_dir():
            files[split] = _image_files(root / split)
    if not files:
        lack = "none of the folders train, test and unlabelled, and no images"
        files["unlabelled"] = _image_files(root, lack)
    for split in files.keys() - labels.keys():
        labels[split] = [UNLABELLED] * len(files[split])
    return class_names, files, labels


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(entry.name for entry in folder.iterdir() if _is_class(entry)))
    if not names:
        raise UserError(
            f"{folder} has no class folders; put the images of each class into a folder of their "
            f"own, or, for images without classes, pass the folder itself: folder:{folder}"
        )
    return names


def _is_class(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _labelled_files(folder: Path, class_names: Sequence[str]) -> tuple[list[Path], list[int]]:
    files, labels = [], []
    for name in _class_names(folder):
        if name not in class_names:
            raise UserError(
                f"{folder / name}: there is no class {name!r} in {folder.parent / 'train'}, "
                f"whose classes are {', '.join(class_names)}"
            )
        class_files = _image_files(folder / name)
        files += class_files
        labels += [class_names.index(name)] * len(class_files)
    return files, labels


def _image_files(folder: Path, lack: str = "no images") -> list[Path]:
    """The images in a folder, sorted by path; the message says `lack` if there are none."""
    images, others = [], []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                (images if name.lower().endswith(EXTENSIONS) else others).append(Path(parent, name))
    if not images:
        hint = f", only other files such as {min(others).name}" if others else ""
        raise UserError(f"{folder} has {lack}{hint}; {' '.join(EXTENSIONS)} are read")
    return sorted(images)


def _common_shape(files: Sequence[Path], image_size: int) -> tuple[int, int, int]:
    """(height, width, channels) of all images, from their headers."""
    channels = 1
    first_size = None
    for file in files:
        with _opened(file) as image:
            size, file_channels = pixels.describe(image)
        channels = max(channels, file_channels)
        first_size = first_size or size
        if not image_size and size != first_size:
            raise UserError(
                f"images differ in size: {files[0]} is {first_size[0]} x {first_size[1]}, {file} "
                f"is {size[0]} x {size[1]}; pass --new_size=N to resize all to N x N"
            )
    width, height = (image_size, image_size) if image_size else first_size
    return height, width, channels


def _source(
    root: Path,
    split: str,
    class_names: Sequence[str],
    files: Sequence[Path],
    labels: Sequence[int],
    shape: tuple[int, int, int],
    image_size: int,
) -> Source:
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return Source(
        name=f"{root.name}-{split}",
        key=repr((str(root), split, class_names, stats)),
        shape=(len(files), *shape),
        blocks=lambda: _blocks(files, labels, shape[-1], image_size),
    )


def _blocks(files: Sequence[Path], labels: Sequence[int], channels: int, image_size: int) -> Blocks:
    for file, label in zip(files, labels, strict=True):
        with _opened(file) as image:
            array = pixels.to_array(image, channels, image_size)
        yield array[None], np.array([label])


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(file) as image:
            yield image
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise UserError(f"cannot read the image {file}: {error}") from error
