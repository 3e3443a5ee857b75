"""Synthetic Signs, made anew: pictograms drawn here, put into photographs of BSDS500."""

import functools
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from semisup.data.builders import bsds500, information, rendered
from semisup.data.builders.rendered import Config
from semisup.data.rendering import pictograms, signs


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
        return rendered.splits(
            self.builder_config, lambda seed: functools.partial(signs.render, seed, photos)
        )
