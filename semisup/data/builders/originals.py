"""Files that data sets are made from: found where the user put them, else downloaded, and checked.

The user puts files into TFDS' manual folder, `downloads/manual` in the data_dir. What goes wrong
with them (missing, damaged, not reachable) is a `UserError` of one line.
"""

import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semisup.data import image_files, pixels
from semisup.errors import UserError, first_line


@dataclasses.dataclass(frozen=True)
class Original:
    """A file as the authors of a data set published it.

    Attributes:
        name: the file's name in the manual folder.
        source: its address, to which words may be added if it is not `downloadable`.
        md5: hexadecimal MD5 of the file, as it is known from several independent projects that
            check it; `None` if there is none. It finds damaged and mistaken files.
        downloadable: whether `source` leads to the file itself, so that it can be downloaded if it
            is not in the manual folder; else it is a page for the user.
    """

    name: str
    source: str
    md5: str | None = None
    downloadable: bool = True


def manual_dir(dl_manager: Any) -> Path:
    """Return the folder that the user puts files into; it may be missing.

    Args:
        dl_manager: the download manager that TFDS gives a builder.
    """
    # The public property raises where the folder is missing or empty, and doesn't tell the path.
    return Path(dl_manager._manual_dir)


def fetch(
    dl_manager: Any, dataset: str, originals: Sequence[Original], *, hint: str = ""
) -> list[Path]:
    """Find files in the manual folder, download the others, and check the MD5 of all.

    Args:
        dl_manager: the download manager that TFDS gives a builder.
        dataset: name of the data set, for messages.
        originals: the files.
        hint: ends the message about missing files; says what could be done instead.

    Returns:
        A path for each original.

    Raises:
        UserError: a file is missing, could not be downloaded, or has another MD5.
    """
    folder = manual_dir(dl_manager)
    absent = [original for original in originals if not (folder / original.name).is_file()]
    if not all(original.downloadable for original in absent):
        raise UserError(
            f"data set {dataset!r} needs files that cannot be downloaded by themselves: "
            f"{_instructions(absent, folder)}{hint}"
        )
    try:
        urls = {file.name: file.source for file in absent}
        downloads = dl_manager.download(urls) if urls else {}
    except Exception as error:  # of the network, of the disk, of TFDS
        raise UserError(
            f"data set {dataset!r}: downloading failed ({describe(error)}); "
            f"{_instructions(absent, folder)}{hint}"
        ) from error
    paths = [Path(downloads.get(file.name, folder / file.name)) for file in originals]
    for original, path in zip(originals, paths, strict=True):
        _check_md5(original, path)
    return paths


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into a `UserError` that names the file.

    Args:
        path: the file that the block reads.

    Raises:
        UserError: the block raised an exception; a `UserError` of its own passes as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # damaged files make their readers raise almost anything
        raise UserError(
            f"{path} is damaged or not the original ({describe(error)}); delete it and get it again"
        ) from error


def check_count(path: Path, what: str, found: int, expected: int) -> None:
    """Refuse a file that holds more or less than the original.

    Args:
        path: the file, for the message.
        what: what was counted, for example `"training images"`.
        found: how many there are.
        expected: how many the original has.

    Raises:
        UserError: the two differ.
    """
    if found != expected:
        raise UserError(
            f"{path} is damaged or not the original: it has {found} {what} instead of {expected}; "
            "delete it and get it again"
        )


def decode(
    content: bytes,
    name: str,
    *,
    box: tuple[int, int, int, int] | None = None,
    image_size: int = 0,
) -> np.ndarray:
    """Decode an image file of an archive.

    Args:
        content: the file.
        name: its name in the archive, for the message.
        box: if given, (left, top, right, bottom) of the part to keep, in pixels.
        image_size: if not 0, the image is resized to image_size x image_size (bilinear,
            antialiased), after the cropping.

    Returns:
        (height, width, 3) uint8.

    Raises:
        ValueError: it is no image, or a damaged one.
    """
    try:
        with image_files.open_image(io.BytesIO(content)) as image:
            return pixels.to_array(image.crop(box), channels=3, image_size=image_size)
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise ValueError(f"{name} is no image, or a damaged one") from error


def describe(error: Exception) -> str:
    """Return an exception in one line: its type, and the first line of what it says."""
    return f"{type(error).__name__}: {first_line(error)}"


def _instructions(files: Sequence[Original], folder: Path) -> str:
    what = ", ".join(f"{file.name} (from {file.source})" for file in files)
    return f"put {what} into {folder}"


def _check_md5(original: Original, path: Path) -> None:
    if original.md5 is None:
        return
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != original.md5:
        raise UserError(
            f"{path} is damaged or not the original: its MD5 is {found} instead of {original.md5}; "
            f"delete it and get it again from {original.source}"
        )
