"""Synthetic Digits (SYN NUMBERS) as they were published: house numbers rendered from fonts.

Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015. Their download
is gone; `synthetic_digits_generated` renders images of the same kind.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from semisup.data.builders import originals
from semisup.data.builders.labelled_images import LabelledImages

_HOMEPAGE = "http://yaroslav.ganin.net/"


class SyntheticDigits(LabelledImages):
    """The published Synthetic Digits, from two MATLAB files laid out like those of SVHN."""

    SHAPE = (32, 32, 3)
    CLASSES = 10
    DESCRIPTION = "Synthetic Digits: numbers rendered from fonts, to resemble SVHN."
    HOMEPAGE = _HOMEPAGE
    FILES: Mapping[str, originals.Original] = {
        split: originals.Original(
            f"synth_{split}_32x32.mat",
            f"whoever has a copy, since its download on {_HOMEPAGE} is gone",
            downloadable=False,
        )
        for split in ("train", "test")
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put synth_train_32x32.mat and synth_test_32x32.mat of SYN NUMBERS there."
    )
    COUNTS: Mapping[str, int] = {"train": 479_400, "test": 9_553}

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        hint = "; or use synthetic_digits_generated, which renders such digits"
        paths = originals.fetch(dl_manager, self.name, list(self.FILES.values()), hint=hint)
        return {
            split: self._generate_examples(path, split)
            for split, path in zip(self.FILES, paths, strict=True)
        }

    def _generate_examples(self, path: Path, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        # Not at the top: other data sets do not need it.
        import scipy.io

        with originals.reading(path):
            content = scipy.io.loadmat(path, variable_names=["X", "y"])
            images = np.moveaxis(content["X"], -1, 0)
            # As in SVHN, zero may come as 10.
            labels = content["y"].reshape(-1) % 10
            originals.check_count(path, f"{split} images", len(images), self.COUNTS[split])
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                key = f"{split}_{i:06d}"
                yield key, {"id": key, "image": np.ascontiguousarray(image), "label": int(label)}
