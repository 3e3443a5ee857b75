"""Data sets of one's own: image files in a folder for each class.

PATH/train/<class>/*        labelled images to train with
PATH/test/<class>/*         labelled images to test on
PATH/unlabelled/*           images without labels, optional; `unlabeled` is the same
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
    sorted by class, then by path. Images lie at any depth. Hidden files and files that are no
    images are skipped. If the mode of any file in any split is coloured, all images are RGB, else
    all have one channel.

    Args:
        path: the folder that holds `train`, `test` and `unlabelled`, or some of them.
        image_size: if not 0, all images are resized to image_size x image_size.

    Returns:
        The class names (none without `train` and `test`), and a source for each split that exists.

    Raises:
        UserError: no such folder, a class without images, a class of `test` that `train` lacks, an
            unreadable file, or images of different sizes and no `image_size`.
    """
    root = Path(path).expanduser().resolve()
    if not root.is_dir():
        raise UserError(f"there is no folder {path}; pass folder:PATH with PATH/train/<class>/*")
    # Who adapts to a domain may have labels to test on, and none to train with.
    labelled = [root / split for split in ("train", "test") if (root / split).is_dir()]
    class_names = _class_names(labelled[0]) if labelled else ()
    files, labels = {}, {}
    for split in ("train", "test"):
        if (root / split).is_dir():
            files[split], labels[split] = _labelled_files(root / split, class_names)
    for split in _UNLABELLED_FOLDERS:
        if (root / split).is_dir():
            files[split] = _image_files(root / split)
            labels[split] = [UNLABELLED] * len(files[split])
    if not files:
        raise UserError(f"{path} holds none of the folders train, test and unlabelled")

    shape = _common_shape([file for split in files.values() for file in split], image_size)
    sources = {
        split: _source(root, split, class_names, files[split], labels[split], shape, image_size)
        for split in files
    }
    return class_names, sources


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(entry.name for entry in folder.iterdir() if _is_class(entry)))
    if not names:
        raise UserError(f"{folder} has no class folders; put the images of a class into a folder")
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


def _image_files(folder: Path) -> list[Path]:
    images, others = [], []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                (images if name.lower().endswith(EXTENSIONS) else others).append(Path(parent, name))
    if not images:
        hint = f", only other files such as {min(others).name}" if others else ""
        raise UserError(f"{folder} has no images{hint}; {' '.join(EXTENSIONS)} are read")
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
