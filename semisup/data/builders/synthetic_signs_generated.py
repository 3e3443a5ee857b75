"""Synthetic Signs, made anew: pictograms drawn here, put into photographs of BSDS500."""

import functools
from collections.abc import Iterator
from typing import Any

from semisup.data.builders import bsds500
from semisup.data.builders.rendered import Config, RenderedImages
from semisup.data.rendering import pictograms, signs


class SyntheticSignsGenerated(RenderedImages):
    """Signs of `semisup.data.rendering.signs`, of the 43 classes of GTSRB."""

    SHAPE = (signs.SIZE, signs.SIZE, 3)
    CLASSES = pictograms.CLASS_NAMES
    DESCRIPTION = "Traffic signs rendered before photographs, like Synthetic Signs."
    BUILDER_CONFIGS = (
        Config(name="full", description="As many as published.", train=100_000, test=10_000),
        Config(name="small", description="The beginning of each split.", train=10_000, test=1_000),
    )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        photos = bsds500.photographs(dl_manager, self.name)
        return self.splits(lambda seed: functools.partial(signs.render, seed, photos))
