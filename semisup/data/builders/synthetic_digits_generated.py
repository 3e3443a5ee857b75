"""Synthetic Digits, made anew: house numbers rendered from open fonts, as many as the originals."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from semisup.data.builders import information
from semisup.data.rendering import digits, fonts, parallel

_SEEDS = {"train": 0, "test": 1}


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
    """How many images are rendered; a smaller set is the beginning of a larger one.

    Attributes:
        train: images of the training split.
        test: images of the test split.
    """

    train: int = 0
    test: int = 0


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
        return {
            split: self._generate_examples(seed, getattr(self.builder_config, split))
            for split, seed in _SEEDS.items()
        }

    def _generate_examples(self, seed: int, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        i = 0
        for images, labels in parallel.blocks(functools.partial(digits.render, seed), count):
            for image, label in zip(images, labels, strict=True):
                yield i, {"id": f"{i:08d}", "image": image, "label": int(label)}
                i += 1
