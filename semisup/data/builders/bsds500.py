"""The 200 training photographs of BSDS500, out of which backgrounds are cut."""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from semisup.data.builders import originals
from semisup.errors import UserError

PHOTOS = 200

ARCHIVE = originals.Original(
    "BSR_bsds500.tgz",
    "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
)

_FOLDER = "bsds500"


def photographs(dl_manager: Any, dataset: str) -> list[np.ndarray]:
    """Decodes the photographs.

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
    folder = originals.manual_dir(dl_manager) / _FOLDER
    if folder.is_dir():
        photos = {}
        for path in folder.glob("*.jpg"):
            with originals.reading(path):
                photos[path.name] = _decode(path.read_bytes(), path)
        path = folder
    else:
        hint = f", or its 200 photographs of images/train into {folder}"
        (path,) = originals.fetch(dl_manager, dataset, [ARCHIVE], hint=hint)
        with originals.reading(path):
            photos = dict(_in_archive(path))
    originals.check_count(path, "photographs", len(photos), PHOTOS)
    return [photos[name] for name in sorted(photos)]


def _in_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with tarfile.open(path) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if name.match("images/train/*.jpg") and member.isfile():
                yield name.name, _decode(archive.extractfile(member).read(), path / name)


def _decode(content: bytes, path: Path) -> np.ndarray:
    photo = originals.decode(content, path.name)
    if sorted(photo.shape) != [3, 321, 481]:
        height, width, _ = photo.shape
        raise UserError(
            f"{path} is no photograph of BSDS500: it has {width} x {height} pixels, not 481 x 321; "
            "take the original"
        )
    return photo
