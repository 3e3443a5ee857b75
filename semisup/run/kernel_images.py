"""Kernels of a network as pictures."""

import math

import numpy as np

GAP = 6
"""Pixels of white between two kernels of a grid."""


def in_colour(values):
    """Show signed values in colour, with 0 in the middle of the range.

    Args:
        values: (h, w, 1 or 3) float. One channel is red where it is positive, white where it is 0
            and blue where it is negative; NaN is grey. Three are shown as RGB, in which 0 is grey.

    Returns:
        (h, w, 3) uint8.
    """
    import matplotlib

    greatest = np.nanmax(np.abs(values), initial=0)
    scaled = 0.5 + 0.5 * values / (greatest or 1)
    if values.shape[-1] == 1:
        colours = matplotlib.colormaps["RdBu_r"].with_extremes(bad="0.75")
        return colours(np.ma.masked_invalid(scaled[..., 0]), bytes=True)[..., :3]
    return np.rint(255 * scaled).astype(np.uint8)


def grid(kernels, columns=None, pixels=32):
    """Set kernels side by side, each in colour on a scale of its own: see `in_colour`.

    Args:
        kernels: (h, w, 1 or 3, n) float, finite.
        columns: kernels in a row; by default the grid is about square.
        pixels: approximate length of a kernel's longer side in the picture.

    Returns:
        (height, width, 3) uint8, on white ground.
    """
    height, width, _, count = kernels.shape
    factor = max(1, pixels // max(height, width))
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    row_step, column_step = factor * height + GAP, factor * width + GAP
    picture = np.full((rows * row_step - GAP, columns * column_step - GAP, 3), 255, np.uint8)
    for place in range(count):
        row, column = divmod(place, columns)
        enlarged = in_colour(kernels[..., place]).repeat(factor, axis=0).repeat(factor, axis=1)
        top, left = row * row_step, column * column_step
        picture[top : top + factor * height, left : left + factor * width] = enlarged
    return picture
