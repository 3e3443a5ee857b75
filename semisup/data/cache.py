"""Decoded images: in memory while they fit, else in a memory-mapped file that is written once.

Every kind of data set describes its splits as a `Source`. `read` turns a source into arrays.
"""

import dataclasses
import errno
import hashlib
import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from semisup.errors import UserError
from semisup.files.opening import open_regular
from semisup.files.replacing import remove_temporary, replacing

MEMORY_LIMIT_BYTES = 2**30

UNLABELLED = -1

# Part of every key: raise it when the same files would be decoded to other bytes than before.
_FORMAT = 1

Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Source:
    """One split that can be decoded again and again, always in the same order.

    Attributes:
        name: what messages and file names call it, for example `"stl10-train"`.
        key: text that differs whenever the decoded bytes might (version, files, sizes).
        shape: (n, height, width, channels) of the decoded images.
        blocks: starts decoding. Yields blocks (images (k, height, width, channels) uint8, labels
            (k,) int, `UNLABELLED` where there is none), n examples in all. Raises `UserError`
            when the data cannot be read.
    """

    name: str
    key: str
    shape: tuple[int, int, int, int]
    blocks: Callable[[], Blocks]


@dataclasses.dataclass(frozen=True)
class Contents:
    """What an opened data set holds.

    Attributes:
        class_names: their order is that of the labels; none where there are no labels.
        sources: a source for each split, by its name.
        notes: lines on what may surprise the user.
        layout: what is there and what should be, for messages on what is missing; may be empty.
    """

    class_names: tuple[str, ...]
    sources: Mapping[str, Source]
    notes: tuple[str, ...] = ()
    layout: str = ""


def read(
    source: Source,
    *,
    cache_dir: str | os.PathLike | None = None,
    memory_limit: int = MEMORY_LIMIT_BYTES,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode a source, or open what an earlier call decoded.

    Args:
        source: the split to read.
        cache_dir: folder of the memory-mapped files; `None` or empty: `default_cache_dir()`.
        memory_limit: size of the decoded images in bytes up to which they are held in memory.

    Returns:
        images (n, height, width, channels) uint8, an `np.memmap` if they exceed the limit, and
        labels (n,) int32, or `None` if no example has one.

    Raises:
        UserError: the data cannot be read, or the cache cannot be written.
    """
    if math.prod(source.shape) <= memory_limit:
        images, labels = _decode(source)
    else:
        images, labels = _open_or_write(source, Path(cache_dir or default_cache_dir()).expanduser())
    return images, None if np.all(labels == UNLABELLED) else labels


def default_cache_dir() -> Path:
    """Return `semisup` in the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semisup"


def _decode(source: Source) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty(source.shape, np.uint8)
    labels = np.empty(len(images), np.int32)
    end = 0
    for block, block_labels in _counted_blocks(source):
        start, end = end, end + len(block)
        images[start:end] = block
        labels[start:end] = block_labels
    return images, labels


def _counted_blocks(source: Source) -> Blocks:
    """Yield the source's blocks, as long as their number and shapes are what it promised."""
    count = 0
    for images, labels in source.blocks():
        count += len(images)
        if images.shape[1:] != source.shape[1:] or count > source.shape[0]:
            break
        yield images, labels
    else:
        if count == source.shape[0]:
            return
    raise UserError(
        f"{source.name}: the data do not agree with their description, {source.shape[0]} images "
        f"of {' x '.join(map(str, source.shape[1:]))}; they may be damaged: prepare them anew"
    )


def _open_or_write(source: Source, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    digest = hashlib.sha256(repr((_FORMAT, source.key, source.shape)).encode()).hexdigest()[:16]
    stem = re.sub(r"[^\w.-]+", "_", source.name)[-60:]
    images_path = folder / f"{stem}-{digest}.npy"
    labels_path = folder / f"{stem}-{digest}.labels.npy"
    arrays = _open(source, images_path, labels_path)
    if arrays is None:
        try:
            _write(source, images_path, labels_path)
        except OSError as error:
            raise UserError(
                f"cannot write {math.prod(source.shape) / 2**30:.2f} GiB of decoded images to the "
                f"cache folder {folder}: {error.strerror or error}; pass a --cache_dir with "
                "room for them"
            ) from error
        arrays = _open(source, images_path, labels_path)
    if arrays is None:
        raise UserError(f"{images_path} changed while it was opened; start again")
    return arrays


def _open(
    source: Source, images_path: Path, labels_path: Path
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what the files hold; `None` if they are missing, short or not what was written."""
    try:
        images, size = open_mapped(images_path)
        labels = np.array(open_mapped(labels_path)[0])
    except (OSError, ValueError, EOFError):
        return None
    whole = (
        (images.shape, images.dtype) == (source.shape, np.uint8)
        and size == images.offset + images.nbytes
        and (labels.shape, labels.dtype) == (source.shape[:1], np.int32)
    )
    return (images, labels) if whole else None


def open_mapped(path: Path) -> tuple[np.memmap, int]:
    """Return an array that lies in a file, and the size of the file."""
    # NumPy, which opens the file by its name, would wait for a writer to a pipe.
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
    return np.lib.format.open_memmap(path, mode="r"), size


def _write(source: Source, images_path: Path, labels_path: Path) -> None:
    folder = images_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    # Decoding may have been killed after many gigabytes.
    remove_temporary(folder)
    size = math.prod(source.shape)
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    logging.getLogger(__name__).info("decoding %s into %s, once", source.name, images_path)
    labels = []
    # Plain writes, not a writable memory map: there a full disk kills the process with SIGBUS.
    with replacing(images_path) as temporary, open(temporary, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": source.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for images, block_labels in _counted_blocks(source):
            file.write(np.ascontiguousarray(images, np.uint8))
            labels.append(np.asarray(block_labels, np.int32))
        # The images take their name last: where they are, the labels are too.
        with replacing(labels_path) as temporary, open(temporary, "wb") as labels_file:
            np.lib.format.write_array(labels_file, np.concatenate(labels))
