"""USPS: handwritten digits of envelopes, 16 x 16 pixels (Hull, TPAMI 1994)."""

import bz2
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from semisup.data.builders import originals
from semisup.data.builders.labelled_images import LabelledImages

_FOLDER = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass"
_SIZE = 16


class Usps(LabelledImages):
    """USPS in its official split, white digits on black, rounded to 8 bits."""

    SHAPE = (_SIZE, _SIZE, 1)
    CLASSES = 10
    DESCRIPTION = "USPS handwritten digits, 16x16, the official split."
    HOMEPAGE = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps"
    FILES: Mapping[str, originals.Original] = {
        "train": originals.Original(
            "usps.bz2", f"{_FOLDER}/usps.bz2", md5="ec16c51db3855ca6c91edd34d0e9b197"
        ),
        "test": originals.Original(
            "usps.t.bz2", f"{_FOLDER}/usps.t.bz2", md5="8ea070ee2aca1ac39742fdd1ef5ed118"
        ),
    }
    COUNTS: Mapping[str, int] = {"train": 7_291, "test": 2_007}

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        paths = originals.fetch(dl_manager, self.name, list(self.FILES.values()))
        return {
            split: self._generate_examples(path, split)
            for split, path in zip(self.FILES, paths, strict=True)
        }

    def _generate_examples(self, path: Path, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        with originals.reading(path):
            lines = bz2.decompress(path.read_bytes()).splitlines()
            originals.check_count(path, f"{split} digits", len(lines), self.COUNTS[split])
            for i, line in enumerate(lines):
                image, label = _parse(line)
                key = f"{split}_{i:04d}"
                yield key, {"id": key, "image": image, "label": label}


def _parse(line: bytes) -> tuple[np.ndarray, int]:
    """Return an image and its digit, from LIBSVM's `CLASS INDEX:VALUE ...`.

    Classes are 1 to 10, indices begin at 1, values are -1 (black) to 1 (white), 0 if left out.
    """
    number, *pairs = line.split()
    values = np.zeros(_SIZE * _SIZE)
    for pair in pairs:
        index, value = pair.split(b":")
        values[int(index) - 1] = float(value)
    image = np.rint((values + 1) * 127.5).astype(np.uint8)
    return image.reshape(_SIZE, _SIZE, 1), int(number) - 1
