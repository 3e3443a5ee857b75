"""What the rendered data sets have in common: two sizes, and examples made by worker processes."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow_datasets as tfds

from semisup.data.builders.labelled_images import LabelledImages
from semisup.data.rendering import parallel

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


class RenderedImages(LabelledImages, skip_registration=True):
    """Base of builders that render as many images as a `Config` says."""

    IN_ORDER = True

    def splits(self, renderer: Callable[[int], Callable]) -> dict[str, Iterator]:
        """Return the examples of each split.

        Args:
            renderer: function from a seed to what `parallel.blocks` calls, which returns images and
                labels.
        """
        return {
            split: self._generate_examples(renderer(seed), getattr(self.builder_config, split))
            for split, seed in _SEEDS.items()
        }

    def _generate_examples(
        self, render: Callable, count: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        i = 0
        for images, labels in parallel.blocks(render, count):
            for image, label in zip(images, labels, strict=True):
                yield i, {"id": f"{i:08d}", "image": image, "label": int(label)}
                i += 1
