"""Colours of classes, in which maps are shown."""

import colorsys

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
    colours = np.zeros((NO_CLASS + 1, 3), np.uint8)
    for place in range(count):
        # Neighbours in the list get hues far apart, and every other one is darker.
        hue = (0.58 + place * _GOLDEN) % 1
        colour = colorsys.hsv_to_rgb(hue, 0.55 + 0.3 * (place % 2), 0.95 - 0.3 * (place // 2 % 2))
        colours[place] = np.round(255 * np.array(colour))
    return colours


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
    """
    mixed = (1 - strength) * images + strength * coloured(maps, count)
    return mixed.round().astype(np.uint8)
