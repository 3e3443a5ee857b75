"""Figures as pixels."""

import io

import numpy as np
from PIL import Image


def pixels(figure):
    """Draw a figure as `drawing.save` does, and return it as (h, w, 3) uint8."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))
