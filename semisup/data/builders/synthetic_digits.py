"""Synthetic Digits (SYN NUMBERS) as they were published: house numbers rendered from fonts.

Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015. Their download
is gone; `synthetic_digits_generated` renders images of the same kind.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from semisup.data.builders import information, originals

HOMEPAGE = "http://yaroslav.ganin.net/"


class SyntheticDigits(tfds.core.GeneratorBasedBuilder):
    """The published Synthetic Digits, from two MATLAB files laid out like those of SVHN."""

    VERSION = tfds.core.Version("1.0.0")
    FILES: Mapping[str, originals.Original] = {
        split: originals.Original(
            f"synth_{split}_32x32.mat",
            f"whoever has a copy, since its download on {HOMEPAGE} is gone",
            downloadable=False,
        )
        for split in ("train", "test")
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put synth_train_32x32.mat and synth_test_32x32.mat of SYN NUMBERS there."
    )
    COUNTS: Mapping[str, int] = {"train": 479_400, "test": 9_553}

    def _info(self) -> tfds.core.DatasetInfo:
        return information.of_labelled_images(
            self,
            shape=(32, 32, 3),
            classes=10,
            description="Synthetic Digits: numbers rendered from fonts, to resemble SVHN.",
            homepage=HOMEPAGE,
        )

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
