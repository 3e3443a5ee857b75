"""The 200 training photographs of BSDS500, out of which backgrounds are cut."""

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from semisup.data.builders import originals
from semisup.errors import UserError

PHOTOS = 200
SHA256 = "2e256ca6cdadc42cef868b5c6d8905fb0cc26348fb29dfd6331203786315877c"
"""`digest` of the published photographs."""

ARCHIVE = originals.Original(
    "BSR_bsds500.tgz",
    "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
)

_FOLDER = "bsds500"


def photographs(dl_manager: Any, dataset: str) -> list[np.ndarray]:
    """Decode the photographs.

    They are taken from the first of these that there is: `bsds500/*.jpg` in the manual folder,
    `BSR_bsds500.tgz` in the manual folder, a download of it.

    Args:
        dl_manager: the download manager that TFDS gives a builder.
        dataset: name of the data set that needs them, for messages.

    Returns:
        200 arrays (321, 481, 3) or (481, 321, 3) uint8, ordered by file name.

    Raises:
        UserError: they are missing, damaged, or others than those 200.
    """
    path = originals.manual_dir(dl_manager) / _FOLDER
    if path.is_dir():
        files = {file.name: file.read_bytes() for file in path.glob("*.jpg")}
    else:
        hint = f", or its 200 photographs of images/train into {path}"
        (path,) = originals.fetch(dl_manager, dataset, [ARCHIVE], hint=hint)
        with originals.reading(path):
            files = dict(_in_archive(path))
    photos = []
    for name in sorted(files):
        with originals.reading(path / name):
            photos.append(_decode(files[name], path / name))
    originals.check_count(path, "photographs", len(photos), PHOTOS)
    if digest(files) != SHA256:
        raise UserError(
            f"{path} holds others than the 200 training photographs of BSDS500, or a damaged one: "
            f"their SHA-256 is {digest(files)} instead of {SHA256}; get them again from "
            f"{ARCHIVE.source}, where they are images/train/*.jpg"
        )
    return photos


def digest(files: Mapping[str, bytes]) -> str:
    """Compute the hexadecimal SHA-256 of files' names and contents, in the order of the names."""
    result = hashlib.sha256()
    for name in sorted(files):
        result.update(name.encode())
        result.update(files[name])
    return result.hexdigest()


def _in_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if name.match("images/train/*.jpg") and member.isfile():
                yield name.name, archive.extractfile(member).read()


def _decode(content: bytes, path: Path) -> np.ndarray:
    photo = originals.decode(content, path.name)
    if sorted(photo.shape) != [3, 321, 481]:
        height, width, _ = photo.shape
        raise UserError(
            f"{path} is no photograph of BSDS500: it has {width} x {height} pixels, not 481 x 321; "
            "take the original"
        )
    return photo
