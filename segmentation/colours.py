"""Colours of classes, in which maps are shown."""

import colorsys

import matplotlib
import numpy as np

from segmentation.choices import NO_CLASS

_GOLDEN = 0.381966


def palette(count):
    """Return a colour for each class, and black for pixels that don't count.

    Args:
        count: number of classes.

    Returns:
        (256, 3) uint8, by the places of the classes; that of `NO_CLASS` is black.
    """
    strong_and_pale = matplotlib.colormaps["tab20"].colors
    colours = [*strong_and_pale[::2], *strong_and_pale[1::2]]
    while len(colours) < count:
        # Neighbours get hues far apart.
        colours.append(colorsys.hsv_to_rgb(len(colours) * _GOLDEN % 1, 0.6, 0.7))
    table = np.zeros((NO_CLASS + 1, 3), np.uint8)
    table[:count] = np.round(255 * np.array(colours[:count]))
    return table


def coloured(maps, count):
    """Return maps of classes as RGB images.

    Args:
        maps: integers of any shape, places of classes or `NO_CLASS`.
        count: number of classes.

    Returns:
        uint8 of that shape and (3,).
    """
    return palette(count)[maps]


def overlaid(images, maps, count, strength=0.5):
    """Return images under their maps.

    Args:
        images: (..., 1 or 3) uint8.
        maps: (...) integers.
        count: number of classes.
        strength: how much of the map is seen.

    Returns:
        (..., 3) uint8.
    """
    mixed = (1 - strength) * images + strength * coloured(maps, count)
    return mixed.round().astype(np.uint8)
