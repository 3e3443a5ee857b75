"""Kernels of a network as images, and what excites them (thesis section 2.4)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from semisup.report.figures.drawing import (
    FONT_SIZE,
    abbreviate,
    draw_image,
    draw_row_label,
    draw_title,
    new_page,
    text_width,
)
from semisup.run.kernel_images import grid, in_colour

_BLOCK_GAP = 0.35
_GAP = 0.1
_HEADING = 0.42
_IMAGE_WIDTH = 0.45
_KERNEL_WIDTH = 0.48
_LABEL_WIDTH = 0.5
_LEAST_COLUMNS = 8
_MIN_ROW_HEIGHT = 0.3
_NAME_LENGTH = 32


class ExcitedLayer(NamedTuple):
    """Some kernels of a layer, and for each the images that excite it most.

    Attributes:
        name: Name of the layer.
        count: How many kernels it has.
        kernels: (k,) int, the numbers of those that are shown.
        activations: (k, m) float, each kernel's outputs for its images, the greatest first.
        patches: uint8 (k, m, h, w, 1 or 3), what the kernel sees of the images.
        attributions: (k, m, h, w) float, what each pixel contributes; NaN where there is no pixel.
    """

    name: str
    count: int
    kernels: np.ndarray
    activations: np.ndarray
    patches: np.ndarray
    attributions: np.ndarray


def kernels_figure(kernels: np.ndarray, name: str) -> Figure:
    """Draw the kernels of a first layer, each on a scale of its own with 0 in the middle.

    Kernels for grey images are red where they are positive and blue where they are negative.
    Kernels for RGB images are drawn in colour.

    Args:
        kernels: (h, w, 1 or 3, n) float, finite.
        name: Name of the layer.

    Returns:
        The figure.
    """
    height, width, channels, count = kernels.shape
    columns = min(count, max(_LEAST_COLUMNS, math.ceil(math.sqrt(2 * count))))
    picture = grid(kernels, columns)
    page_width = columns * _KERNEL_WIDTH
    page_height = _HEADING + page_width * picture.shape[0] / picture.shape[1]
    figure, axes = new_page(page_width, page_height)
    note = "white is 0, red positive, blue negative" if channels == 1 else "grey is 0"
    title = f"{count} kernels of {height} x {width} pixels, {abbreviate(name, _NAME_LENGTH)}"
    _draw_heading(axes, 0, title, f"{note}; each on its own scale")
    draw_image(axes, picture, 0, _HEADING, page_width)
    return figure


def excitation_figure(layers: Sequence[ExcitedLayer], title: str) -> Figure:
    """Draw what excites kernels: a column for each layer, and in it a row for each kernel.

    A row shows patches of images beside the attributions to their pixels, the most exciting image
    first. It begins with the kernel's number and its output for that image. Attributions are red
    where a pixel raises the output and blue where it lowers it, with a scale for each patch; what
    lies beyond the image is grey.

    Args:
        layers: At least one.
        title: Written above.

    Returns:
        The figure.
    """
    sizes = [_size(layer) for layer in layers]
    figure, axes = new_page(
        sum(width for width, _ in sizes) + _BLOCK_GAP * (len(sizes) - 1),
        max(height for _, height in sizes),
    )
    draw_title(axes, title)
    left = 0
    for layer, (width, _) in zip(layers, sizes, strict=True):
        _draw_layer(axes, layer, left)
        left += width + _BLOCK_GAP
    return figure


def _note(layer: ExcitedLayer) -> str:
    k, _, height, width = layer.attributions.shape
    return f"{k} of {layer.count} kernels, seeing {height} x {width} pixels"


def _row_step(layer: ExcitedLayer) -> float:
    height, width = layer.attributions.shape[2:]
    return max(_IMAGE_WIDTH * height / width, _MIN_ROW_HEIGHT) + _GAP


def _size(layer: ExcitedLayer) -> tuple[float, float]:
    """Return the inches that a layer takes on the page."""
    k, m = layer.activations.shape
    width = max(
        _LABEL_WIDTH + m * (2 * _IMAGE_WIDTH + _GAP) - _GAP,
        text_width([abbreviate(layer.name, _NAME_LENGTH)], FONT_SIZE + 2),
        text_width([_note(layer)], FONT_SIZE - 1),
    )
    return width, _HEADING + k * _row_step(layer) - _GAP


def _draw_layer(axes: Axes, layer: ExcitedLayer, left: float) -> None:
    _draw_heading(axes, left, abbreviate(layer.name, _NAME_LENGTH), _note(layer))
    height, width = layer.attributions.shape[2:]
    image_height = _IMAGE_WIDTH * height / width
    for row, kernel in enumerate(layer.kernels):
        middle = _HEADING + (row + 0.5) * _row_step(layer) - _GAP / 2
        greatest = f"{layer.activations[row, 0]:.3g}"
        draw_row_label(axes, str(kernel), greatest, left + _LABEL_WIDTH - _GAP, middle)
        image_left, top = left + _LABEL_WIDTH, middle - image_height / 2
        for patch, attribution in zip(layer.patches[row], layer.attributions[row], strict=True):
            for image in (patch, in_colour(attribution[..., None])):
                draw_image(axes, image, image_left, top, _IMAGE_WIDTH)
                # White images on a white page need an edge.
                frame = (image_left, top), _IMAGE_WIDTH, image_height
                axes.add_patch(Rectangle(*frame, fill=False, ec="0.5", lw=0.5))
                image_left += _IMAGE_WIDTH
            image_left += _GAP


def _draw_heading(axes: Axes, left: float, text: str, note: str) -> None:
    axes.text(left, 0.08, text, size=FONT_SIZE + 2, va="center")
    axes.text(left, 0.27, note, size=FONT_SIZE - 1, color="0.4", va="center")
