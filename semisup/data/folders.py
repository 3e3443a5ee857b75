"""Image files in folders as data sets, laid out as `semisup.data.folder_layout` says."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semisup.cli.choices import SPLIT_ALIASES
from semisup.data import ahead, depth, folder_layout, folder_summary, image_files, pixels
from semisup.data.cache import Blocks, Contents, Source
from semisup.errors import UserError
from semisup.files.names import printable

# Part of every key: raise it when the same files would be decoded to other bytes than before.
_DECODING = 3
_SHOWN = 10


def open_folder(
    path: str,
    *,
    image_size: int = 0,
    fit: str = "squash",
    skip_broken: bool = False,
    labelled: bool = True,
) -> Contents:
    """Look through a folder of images: all file names and image headers.

    Pixels are read only of images with more than 8 bits a channel, since the greatest value of them
    all decides how they become 8 bits: see `semisup.data.depth`. If the mode of any file in any
    split is coloured, all images are RGB, else all have one channel.

    Args:
        path: the folder.
        image_size: if not 0, all images are resized to image_size x image_size.
        fit: how those that are not square are resized: see `semisup.data.pixels.to_array`.
        skip_broken: whether files that cannot be read are left out; if so, all are decoded, once
            in a process.
        labelled: see `folder_layout.find`.

    Returns:
        The class names, as they are shown, a source for each split that exists, and notes: what
        there is, and what may surprise.

    Raises:
        UserError: the folder is misshapen (see `folder_layout.find`), files cannot be read, or
            images differ in size and there is no `image_size`.
    """
    whole = folder_layout.find(path, labelled=labelled)
    return open_layout(whole, image_size=image_size, fit=fit, skip_broken=skip_broken)[0]


def open_layout(
    whole: folder_layout.Layout,
    *,
    image_size: int = 0,
    fit: str = "squash",
    skip_broken: bool = False,
) -> tuple[Contents, folder_layout.Layout]:
    """Open the images of a layout: see `open_folder`.

    Args:
        whole: names the files of each split.
        image_size: see `open_folder`.
        fit: see `open_folder`.
        skip_broken: see `open_folder`.

    Returns:
        What `open_folder` returns, and the layout of the files that are read.

    Raises:
        UserError: files cannot be read, or images differ in size and there is no `image_size`.
    """
    layout, headers, broken = _readable(whole, skip_broken)
    shape = _common_shape(headers, image_size)
    deep = [header.extremes for header in headers.values() if header.extremes]
    scales = depth.common_scales(deep)
    notes = folder_summary.lines(
        layout,
        [header.size for header in headers.values()],
        broken=[f"{_shown(layout, file)} ({reason})" for file, reason in broken.items()],
        image_size=image_size,
        fit=fit,
    )
    notes += layout.notes
    if deep:
        of = f"{len(deep)} of " if len(deep) < len(headers) else ""
        notes += (
            printable(
                f"{layout.root}: {of}{len(headers)} images have more than 8 bits a channel: "
                f"{depth.describe(scales)}"
            ),
        )
    sources = {
        split: _source(whole, layout, split, shape, image_size, fit, scales)
        for split in layout.files
    }
    contents = Contents(layout.class_names, sources, notes, folder_layout.describe(layout.root))
    return contents, layout


def scales(layout: folder_layout.Layout) -> depth.Scales:
    """Return how values of more than 8 bits become 8 bits in a layout: see `open_folder`.

    Raises:
        UserError: none of its images can be read.
    """
    _, headers, _ = _readable(layout, skip_broken=True)
    return depth.common_scales(header.extremes for header in headers.values() if header.extremes)


def image_paths(path: str, split: str, *, skip_broken: bool = False) -> list[str]:
    """Return the files of a split, in the order in which `open_folder` has its images.

    Args:
        path: the folder, as for `open_folder`.
        split: name of the split, in any of its spellings.
        skip_broken: see `open_folder`.

    Returns:
        A path for each image, relative to the folder (`train/cat/a.png`), as it is shown.

    Raises:
        UserError: there is no such split, or the folder is misshapen (see `folder_layout.find`);
            what is in the files is not looked at without `skip_broken`.
    """
    name = SPLIT_ALIASES.get(split, split)
    layout = folder_layout.find(path, labelled=name != "unlabelled")
    if name not in layout.files:
        raise UserError(
            f"folder {path} has no split {split!r}; its splits are {', '.join(layout.files)}; "
            f"{folder_layout.describe(layout.root)}"
        )
    if skip_broken:
        layout, _, _ = _readable(layout, skip_broken)
    return [_shown(layout, file) for file in layout.files[name]]


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


def _shown(layout: folder_layout.Layout, file: Path) -> str:
    return printable(str(file.relative_to(layout.root)))


def _readable(
    layout: folder_layout.Layout, skip_broken: bool
) -> tuple[folder_layout.Layout, dict[Path, _Header], dict[Path, str]]:
    """Return the readable part of a layout, its headers, and why the other files are not read."""
    headers, broken = _examine(layout, decode=skip_broken)
    if not broken:
        return layout, headers, broken
    if not skip_broken:
        raise _unreadable(layout)
    layout = layout.without(broken)
    for split, files in layout.files.items():
        if not files:
            raise UserError(f"{layout.root}: no image of {split} can be read")
    return layout, headers, broken


def _examine(
    layout: folder_layout.Layout, decode: bool
) -> tuple[dict[Path, _Header], dict[Path, str]]:
    """Return the headers of all images that can be read, and why others cannot.

    Args:
        layout: names the files.
        decode: whether to look at all pixels, too.
    """

    def look(file):
        try:
            header = _read_header(*_identity(file))
            if decode:
                _decode(*_identity(file))
        except Exception as error:  # damaged files make Pillow raise almost anything
            return None, image_files.why_unreadable(error)
        return header, ""

    headers, broken = {}, {}
    every = [file for files in layout.files.values() for file in files]
    # Threads wait for each other over headers, which Python reads; Pillow decodes side by side.
    looks = ahead.in_threads(look, every) if decode else map(look, every)
    for file, (header, reason) in zip(every, looks, strict=True):
        if header is None:
            broken[file] = reason
        else:
            headers[file] = header
    return headers, broken


def _unreadable(layout: folder_layout.Layout) -> UserError | None:
    """Return an error that lists all files that cannot be read, or None if all can."""
    headers, broken = _examine(layout, decode=True)
    if not broken:
        return None
    listed = [f"{_shown(layout, file)} ({reason})" for file, reason in broken.items()]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return UserError(
        f"{layout.root}: {len(broken):,} of {len(headers) + len(broken):,} images cannot be read: "
        f"{', '.join(listed[:_SHOWN])}{more}; --skip_broken goes on without them"
    )


def _identity(file: Path) -> tuple[str, int, int]:
    """Return path, size and time of a file: other pixels come with another of them."""
    stat = file.stat()
    return str(file), stat.st_size, stat.st_mtime_ns


# A command opens its data two or three times, and some images have to be decoded for it.
@functools.lru_cache(maxsize=2**20)
def _read_header(file: str, size: int, changed: int) -> _Header:
    del size, changed
    with image_files.open_image(file) as image:
        image_files.check_is_not_drawn(image)
        shape = pixels.describe(image)
        return _Header(*shape, depth.extremes(image) if depth.is_deep(image) else None)


@functools.lru_cache(maxsize=2**20)
def _decode(file: str, size: int, changed: int) -> None:
    """Raise whatever keeps an image from being decoded."""
    del size, changed
    with image_files.open_image(file) as image:
        pixels.to_array(image, 3)


def _common_shape(headers: Mapping[Path, _Header], image_size: int) -> tuple[int, int, int]:
    """Return (height, width, channels) of all images."""
    (first, header), *_ = headers.items()
    width, height = header.size
    for file, header in headers.items():
        if not image_size and header.size != (width, height):
            raise UserError(
                f"images differ in size: {first} is {width} x {height}, {file} is "
                f"{header.size[0]} x {header.size[1]}; pass --new_size=N to resize all to N x N"
            )
    if image_size:
        width = height = image_size
    return height, width, max(header.channels for header in headers.values())


def _source(
    whole: folder_layout.Layout,
    layout: folder_layout.Layout,
    split: str,
    shape: tuple[int, int, int],
    image_size: int,
    fit: str,
    scales: depth.Scales,
) -> Source:
    files, labels = layout.files[split], layout.labels[split]
    identities = [_identity(file) for file in files]

    def read(file):
        with image_files.open_image(file) as image:
            return pixels.to_array(image, shape[-1], image_size, scales, fit)

    def blocks() -> Blocks:
        arrays = ahead.in_threads(read, files)
        for file, label in zip(files, labels, strict=True):
            try:
                array = next(arrays)
            except Exception as error:  # damaged files make Pillow raise almost anything
                raise (
                    _unreadable(whole)
                    or UserError(f"cannot read {file}: {image_files.why_unreadable(error)}")
                ) from error
            yield array[None], np.array([label])

    return Source(
        name=f"{layout.root.name}-{split}",
        key=repr((_DECODING, split, layout.class_names, identities, sorted(scales.items()), fit)),
        shape=(len(files), *shape),
        blocks=blocks,
    )
