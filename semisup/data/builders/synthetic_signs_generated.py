"""Synthetic Signs, made anew: pictograms drawn here, put into photographs of BSDS500."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from semisup.data.builders import bsds500, information
from semisup.data.rendering import parallel, pictograms, signs

_SEED = 0


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
    """How many images are rendered; a smaller set is the beginning of a larger one.

    Attributes:
        train: images of the only split.
    """

    train: int = 0


class SyntheticSignsGenerated(tfds.core.GeneratorBasedBuilder):
    """Signs of `semisup.data.rendering.signs`, of the 43 classes of GTSRB."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = (
        Config(name="full", description="As many as published.", train=100_000),
        Config(name="small", description="The beginning of the full set.", train=10_000),
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
        return {"train": self._generate_examples(photos, self.builder_config.train)}

    def _generate_examples(
        self, photos: Sequence[np.ndarray], count: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        i = 0
        for images, labels in parallel.blocks(
            functools.partial(signs.render, _SEED, photos), count
        ):
            for image, label in zip(images, labels, strict=True):
                yield i, {"id": f"{i:08d}", "image": image, "label": int(label)}
                i += 1
