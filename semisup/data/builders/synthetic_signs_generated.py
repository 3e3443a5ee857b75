"""Synthetic Signs, made anew: pictograms drawn here, put into photographs of BSDS500."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from semisup.data.builders import bsds500, information
from semisup.data.rendering import parallel, pictograms, signs

_SEEDS = {"train": 0, "test": 1}


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
    """How many images are rendered; a smaller set is the beginning of a larger one.

    Attributes:
        train: images of the training split; the published set has no other.
        test: images of the test split.
    """

    train: int = 0
    test: int = 0


class SyntheticSignsGenerated(tfds.core.GeneratorBasedBuilder):
    """Signs of `semisup.data.rendering.signs`, of the 43 classes of GTSRB."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = (
        Config(name="full", description="As many as published.", train=100_000, test=10_000),
        Config(name="small", description="The beginning of each split.", train=10_000, test=1_000),
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return information.of_labelled_images(
            self,
            shape=(signs.SIZE, signs.SIZE, 3),
            classes=pictograms.CLASS_NAMES,
            description="Traffic signs rendered before photographs, like Synthetic Signs.",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        photos = bsds500.photographs(dl_manager, self.name)
        return {
            split: self._generate_examples(photos, seed, getattr(self.builder_config, split))
            for split, seed in _SEEDS.items()
        }

    def _generate_examples(
        self, photos: Sequence[np.ndarray], seed: int, count: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        i = 0
        for images, labels in parallel.blocks(functools.partial(signs.render, seed, photos), count):
            for image, label in zip(images, labels, strict=True):
                yield i, {"id": f"{i:08d}", "image": image, "label": int(label)}
                i += 1
