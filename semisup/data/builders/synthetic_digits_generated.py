"""Synthetic Digits, made anew: house numbers rendered from open fonts, as many as the originals."""

import functools
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from semisup.data.builders import information, rendered
from semisup.data.builders.rendered import Config
from semisup.data.rendering import digits, fonts


class SyntheticDigitsGenerated(tfds.core.GeneratorBasedBuilder):
    """Digits of `semisup.data.rendering.digits`; needs the fonts of `pip install '.[fonts]'`.

    The bytes depend on the FreeType that comes with Pillow, too.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = (
        Config(name="full", description="As many as published.", train=479_400, test=9_553),
        Config(name="small", description="The beginning of each split.", train=20_000, test=2_000),
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return information.of_labelled_images(
            self,
            shape=(digits.SIZE, digits.SIZE, 3),
            classes=10,
            description="Numbers rendered from open fonts, like Synthetic Digits (SYN NUMBERS).",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        fonts.faces()  # a missing one is told before anything is written
        return rendered.splits(
            self.builder_config, lambda seed: functools.partial(digits.render, seed)
        )
