"""MNIST-M, made anew: every digit of MNIST blended with a patch of a photograph.

The published images follow a rule that can be read off them: a patch of 32 x 32 pixels, anywhere
within any of the 200 training photographs of BSDS500, all places being equally likely; where a
digit, padded from 28 x 28 pixels, is not black, the patch's colours are inverted. That is the
difference |patch - digit| of each channel (Ganin et al., JMLR 2016), digits being black and white.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from semisup.data import datasets
from semisup.data.builders import bsds500
from semisup.data.builders.labelled_images import LabelledImages

SIZE = 32

_SEED = 0
_SPLITS = ("train", "test")


class MnistMGenerated(LabelledImages):
    """All 60,000 + 10,000 digits of MNIST, in the order of TFDS' `mnist`, blended with BSDS500."""

    SHAPE = (SIZE, SIZE, 3)
    CLASSES = 10
    DESCRIPTION = "MNIST digits blended with patches of BSDS500 photographs, like MNIST-M."
    IN_ORDER = True

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        photos = bsds500.photographs(dl_manager, self.name)
        digits = datasets.load_dataset("mnist", data_dir=self.data_dir_root, splits=_SPLITS)
        return {
            split: self._generate_examples(digits.splits[split], photos, stream)
            for stream, split in enumerate(_SPLITS)
        }

    def _generate_examples(
        self, digits: datasets.Split, photos: Sequence[np.ndarray], stream: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for i, (digit, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
            image = blend(digit[..., 0], photos, (_SEED, stream, i))
            yield i, {"id": f"{i:08d}", "image": image, "label": label}


def blend(digit: np.ndarray, photos: Sequence[np.ndarray], seed: Sequence[int]) -> np.ndarray:
    """Blend a digit with a random patch of a random photograph.

    Args:
        digit: (28, 28) uint8, 0 is the background.
        photos: (height, width, 3) uint8 each, at least 32 x 32.
        seed: the patch is a function of these integers.

    Returns:
        (32, 32, 3) uint8.
    """
    random = np.random.default_rng(seed)
    photo = photos[random.integers(len(photos))]
    top, left = random.integers(np.subtract(photo.shape[:2], SIZE - 1))
    patch = photo[top : top + SIZE, left : left + SIZE]
    stroke = np.pad(digit > 0, (SIZE - len(digit)) // 2)
    return np.where(stroke[..., None], 255 - patch, patch)
