"""Synthetic Digits, made anew: house numbers rendered from open fonts, as many as the originals."""

import functools
from collections.abc import Iterator
from typing import Any

from semisup.data.builders.rendered import Config, RenderedImages
from semisup.data.rendering import digits, fonts


class SyntheticDigitsGenerated(RenderedImages):
    """Digits of `semisup.data.rendering.digits`; needs the fonts of `pip install '.[fonts]'`.

    The bytes depend on the FreeType that comes with Pillow, too.
    """

    SHAPE = (digits.SIZE, digits.SIZE, 3)
    CLASSES = 10
    DESCRIPTION = "Numbers rendered from open fonts, like Synthetic Digits (SYN NUMBERS)."
    BUILDER_CONFIGS = (
        Config(name="full", description="As many as published.", train=479_400, test=9_553),
        Config(name="small", description="The beginning of each split.", train=20_000, test=2_000),
    )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        fonts.faces()  # a missing one is told before anything is written
        return self.splits(lambda seed: functools.partial(digits.render, seed))
