"""Image files: which formats are read, and how this project opens them."""

import contextlib
import functools
import os
from collections.abc import Collection, Iterable, Iterator
from typing import IO

from PIL import Image, UnidentifiedImageError

from semisup.files.opening import open_regular

FORMATS = (
    "JPEG",
    "PNG",
    "TIFF",
    "WEBP",
    "GIF",
    "BMP",
    "DIB",
    "AVIF",
    "JPEG2000",
    "MPO",
    "PPM",
    "QOI",
    "ICO",
    "PCX",
    "SGI",
    "HEIF",
    "TGA",
)
"""Pillow's formats of still images that are opened, whatever a file is called.

All are decoded in this process. Left out are those that start another program (EPS starts
Ghostscript) or open a further file inside without a list like this one (IPTC), films, and formats
of documents and programs. HEIF needs the package `pillow_heif`. TGA comes last, since it has no
mark by which it is told from others.
"""

HEIF_ENDINGS = (".heic", ".heics", ".heif", ".heifs", ".hif")
"""Endings of the names of files that a plug-in reads."""

DRAWN = {"Software": "semisup"}
"""What PNG files say beside the picture if this project drew them."""


@contextlib.contextmanager
def open_image(
    file: str | os.PathLike | IO[bytes], formats: Collection[str] = FORMATS
) -> Iterator[Image.Image]:
    """Open an image file if it has one of the formats; its content decides, not its name.

    Args:
        file: path, or binary file, of the image.
        formats: Pillow's names of the formats to open, of `FORMATS`.

    Yields:
        The opened image, a `PIL.Image.Image` that is not decoded yet.

    Raises:
        Exception: whatever Pillow raises for a file of another format, or a damaged one;
            `PIL.UnidentifiedImageError` and `OSError` are only the most frequent. `OSError`, too,
            if it is a pipe, a socket or a device.
    """
    readable = [name for name in formats if name in _available()]
    is_path = isinstance(file, str | os.PathLike)
    # Given a path, Pillow would wait for whoever writes to a pipe of that name.
    opened = open_regular(file) if is_path else contextlib.nullcontext(file)
    with opened as content, Image.open(content, formats=readable) as image:
        yield image


def check_is_not_drawn(image: Image.Image) -> None:
    """Check that an opened image is no figure or contact sheet of ours, which lie among images.

    Raises:
        ValueError: if this project drew it.
    """
    if DRAWN.items() <= image.info.items():
        raise ValueError("a figure or contact sheet that this program drew")


def why_unreadable(error: Exception) -> str:
    """Return in words for users why an image could not be opened or decoded.

    Args:
        error: what opening or decoding it raised.
    """
    if isinstance(error, UnidentifiedImageError):
        return "no image of a format that is read"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@functools.cache
def extensions() -> tuple[str, ...]:
    """Return the endings of the names of image files, in lower case, sorted."""
    formats = _available()
    registered = Image.registered_extensions().items()
    return tuple(sorted(extension for extension, name in registered if name in formats))


def is_image(name: str) -> bool:
    """Return whether a file is taken for an image by its name: hidden files are not."""
    return not name.startswith(".") and name.lower().endswith(extensions())


def missing_plug_in(files: Iterable[str | os.PathLike]) -> str:
    """Return what to install for some files that are no images so far; nothing if that is none."""
    # What has these endings is an image where the plug-in is.
    lacks_it = any(os.fspath(file).lower().endswith(HEIF_ENDINGS) for file in files)
    return "; the package pillow_heif reads HEIC" if lacks_it else ""


@functools.cache
def _available() -> frozenset[str]:
    """Return the formats that this Pillow was built with, or has a plug-in for."""
    Image.init()
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return frozenset(FORMATS) & Image.OPEN.keys()
