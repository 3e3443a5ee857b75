"""Image files in folders as data sets, laid out as `semisup.data.folder_layout` says."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semisup.cli.choices import SPLIT_ALIASES
from semisup.data import depth, folder_layout, image_files, pixels
from semisup.data.cache import Blocks, Contents, Source
from semisup.errors import UserError
from semisup.names import printable

# Part of every key: raise it when the same files would be decoded to other bytes than before.
_DECODING = 2


def open_folder(path: str, *, image_size: int = 0, labelled: bool = True) -> Contents:
    """Look through a folder of images: all file names and image headers.

    Pixels are read only of images with more than 8 bits a channel, since the greatest value of them
    all decides how they become 8 bits: see `semisup.data.depth`. If the mode of any file in any
    split is coloured, all images are RGB, else all have one channel.

    Args:
        path: the folder.
        image_size: if not 0, all images are resized to image_size x image_size.
        labelled: see `folder_layout.find`.

    Returns:
        The class names, as they are shown, a source for each split that exists, and notes.

    Raises:
        UserError: the folder is misshapen (see `folder_layout.find`), a file cannot be read, or
            images differ in size and there is no `image_size`.
    """
    layout = folder_layout.find(path, labelled=labelled)
    files = [file for split in layout.files.values() for file in split]
    headers = [_read_header(*_identity(file)) for file in files]
    shape = _common_shape(files, headers, image_size)
    deep = [header.extremes for header in headers if header.extremes]
    scales = depth.common_scales(deep)
    notes = list(layout.notes)
    if deep:
        of = f"{len(deep)} of " if len(deep) < len(files) else ""
        notes.append(
            printable(
                f"{layout.root}: {of}{len(files)} images have more than 8 bits a channel: "
                f"{depth.describe(scales)}"
            )
        )
    sources = {split: _source(layout, split, shape, image_size, scales) for split in layout.files}
    return Contents(layout.class_names, sources, tuple(notes), folder_layout.describe(layout.root))


def scales(path: str) -> depth.Scales:
    """Return how values of more than 8 bits become 8 bits in a folder: see `open_folder`.

    Raises:
        UserError: there is no such folder, or a file cannot be read.
    """
    files = folder_layout.find(path).files.values()
    headers = [_read_header(*_identity(file)) for split in files for file in split]
    return depth.common_scales(header.extremes for header in headers if header.extremes)


def image_paths(path: str, split: str) -> list[str]:
    """Return the files of a split, in the order in which `open_folder` has its images.

    Args:
        path: the folder, as for `open_folder`.
        split: name of the split, in any of its spellings.

    Returns:
        A path for each image, relative to the folder (`train/cat/a.png`), as it is shown.

    Raises:
        UserError: there is no such split, or the folder is misshapen (see `folder_layout.find`);
            what is in the files is not looked at.
    """
    name = SPLIT_ALIASES.get(split, split)
    layout = folder_layout.find(path, labelled=name != "unlabelled")
    if name not in layout.files:
        raise UserError(
            f"folder {path} has no split {split!r}; its splits are {', '.join(layout.files)}; "
            f"{folder_layout.describe(layout.root)}"
        )
    return [printable(str(file.relative_to(layout.root))) for file in layout.files[name]]


class _Header(NamedTuple):
    """What has to be known of an image before any is decoded.

    Attributes:
        size: (width, height) in pixels.
        channels: 1 or 3.
        extremes: what its values reach, if they have more than 8 bits.
    """

    size: tuple[int, int]
    channels: int
    extremes: depth.Extremes | None


def _identity(file: Path) -> tuple[str, int, int]:
    """Return path, size and time of a file: other pixels come with another of them."""
    try:
        stat = file.stat()
    except OSError as error:
        raise UserError(f"cannot read the image {file}: {error.strerror}") from error
    return str(file), stat.st_size, stat.st_mtime_ns


# A command opens its data two or three times, and some images have to be decoded for it.
@functools.lru_cache(maxsize=2**20)
def _read_header(file: str, size: int, changed: int) -> _Header:
    del size, changed
    try:
        with image_files.open_image(file) as image:
            shape = pixels.describe(image)
            return _Header(*shape, depth.extremes(image) if depth.is_deep(image) else None)
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise _unreadable(file, error) from error


def _unreadable(file: str | Path, error: Exception) -> UserError:
    return UserError(f"cannot read the image {file}: {error}")


def _common_shape(
    files: Sequence[Path], headers: Sequence[_Header], image_size: int
) -> tuple[int, int, int]:
    """Return (height, width, channels) of all images."""
    width, height = headers[0].size
    for file, header in zip(files, headers, strict=True):
        if not image_size and header.size != (width, height):
            raise UserError(
                f"images differ in size: {files[0]} is {width} x {height}, {file} is "
                f"{header.size[0]} x {header.size[1]}; pass --new_size=N to resize all to N x N"
            )
    if image_size:
        width = height = image_size
    return height, width, max(header.channels for header in headers)


def _source(
    layout: folder_layout.Layout,
    split: str,
    shape: tuple[int, int, int],
    image_size: int,
    scales: depth.Scales,
) -> Source:
    files, labels = layout.files[split], layout.labels[split]
    identities = [_identity(file) for file in files]
    return Source(
        name=f"{layout.root.name}-{split}",
        key=repr((_DECODING, split, layout.class_names, identities, sorted(scales.items()))),
        shape=(len(files), *shape),
        blocks=lambda: _blocks(files, labels, shape[-1], image_size, scales),
    )


def _blocks(
    files: Sequence[Path],
    labels: Sequence[int],
    channels: int,
    image_size: int,
    scales: depth.Scales,
) -> Blocks:
    for file, label in zip(files, labels, strict=True):
        try:
            with image_files.open_image(file) as image:
                array = pixels.to_array(image, channels, image_size, scales)
        except Exception as error:  # damaged files make Pillow raise almost anything
            raise _unreadable(file, error) from error
        yield array[None], np.array([label])
