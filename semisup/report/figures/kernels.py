"""Kernels of a network as images, and what excites them (thesis section 2.4)."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from semisup.report.figures.drawing import (
    FONT_SIZE,
    MARGIN,
    TITLE_HEIGHT,
    abbreviate,
    as_rgb,
    draw_image,
    draw_row_label,
    draw_title,
    new_page,
    row_label_width,
    wide,
)
from semisup.run.kernel_images import grid, in_colour

_BLOCK_GAP = 0.35
_GAP = 0.1
_HEADING = 0.42
_IMAGE_WIDTH = 0.45
_KERNEL_WIDTH = 0.48
_LABEL_GAP = 0.1
_LEAST_COLUMNS = 8
_MIN_ROW_HEIGHT = 0.3
_NAME_LENGTH = 32


@dataclasses.dataclass(frozen=True, eq=False)
class ExcitedLayer:
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


def kernels_figure(kernels: np.ndarray, name: str = "") -> Figure:
    """Draw the kernels of a first layer, each on a scale of its own with 0 in the middle.

    Kernels for grey images are red where they are positive and blue where they are negative.
    Kernels for RGB images are drawn in colour.

    Args:
        kernels: (h, w, 1 or 3, n) float.
        name: Name of the layer.

    Returns:
        The figure.

    Raises:
        ValueError: If the shape is wrong, or a value is not finite.
    """
    kernels = np.asarray(kernels, np.float64)
    if kernels.ndim != 4 or kernels.shape[2] not in (1, 3) or not kernels.size:
        raise ValueError(f"kernels must be of shape (h, w, 1 or 3, n), got {kernels.shape}")
    if not np.all(np.isfinite(kernels)):
        raise ValueError("kernels must be finite")
    height, width, channels, count = kernels.shape
    columns = min(count, max(_LEAST_COLUMNS, math.ceil(math.sqrt(2 * count))))
    picture = grid(kernels, columns)
    picture_width = columns * _KERNEL_WIDTH
    title = f"{count} kernels of {height} x {width} pixels"
    if name:
        title += f", {abbreviate(name, _NAME_LENGTH)}"
    note = "white is 0, red positive, blue negative" if channels == 1 else "grey is 0"
    note += "; each on its own scale"
    figure, axes = new_page(
        2 * MARGIN
        + max(
            picture_width,
            wide([title], FONT_SIZE + 2),
            wide([note], FONT_SIZE - 1),
        ),
        2 * MARGIN + _HEADING + picture_width * picture.shape[0] / picture.shape[1],
    )
    _draw_heading(axes, MARGIN, MARGIN, title, note)
    draw_image(axes, picture, MARGIN, MARGIN + _HEADING, picture_width)
    return figure


def excitation_figure(layers: Sequence[ExcitedLayer], title: str = "") -> Figure:
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

    Raises:
        ValueError: If there is no layer, or shapes or dtypes of one do not fit.
    """
    if not layers:
        raise ValueError("there is no layer to draw")
    for layer in layers:
        _check(layer)
    blocks = [_Block(layer) for layer in layers]
    title_height = TITLE_HEIGHT if title else 0
    figure, axes = new_page(
        2 * MARGIN
        + max(
            sum(block.width for block in blocks) + _BLOCK_GAP * (len(blocks) - 1),
            wide([title], FONT_SIZE + 2),
        ),
        2 * MARGIN + title_height + max(block.height for block in blocks),
    )
    draw_title(axes, title)
    left = MARGIN
    for block in blocks:
        block.draw(axes, left, MARGIN + title_height)
        left += block.width + _BLOCK_GAP
    return figure


class _Block:
    """A layer on the page: a heading, and a row for each kernel."""

    def __init__(self, layer: ExcitedLayer):
        self.layer = layer
        k, m, height, width = layer.attributions.shape
        self.name = abbreviate(layer.name, _NAME_LENGTH)
        self.note = f"{k} of {layer.count} kernels, seeing {height} x {width} pixels"
        self.numbers = [str(kernel) for kernel in layer.kernels]
        self.greatest = [f"{row[0]:.3g}" for row in layer.activations]
        self.label_width = row_label_width(self.numbers, self.greatest)
        self.pair_step = 2 * _IMAGE_WIDTH + _GAP
        self.image_height = _IMAGE_WIDTH * height / width
        self.row_step = max(self.image_height, _MIN_ROW_HEIGHT) + _GAP
        self.width = max(
            self.label_width + _LABEL_GAP + m * self.pair_step - _GAP,
            wide([self.name], FONT_SIZE + 2),
            wide([self.note], FONT_SIZE - 1),
        )
        self.height = _HEADING + k * self.row_step - _GAP

    def draw(self, axes: Axes, left: float, top: float) -> None:
        """Draw the block at a place given in inches."""
        _draw_heading(axes, left, top, self.name, self.note)
        right = left + self.label_width
        for row, patches in enumerate(self.layer.patches):
            middle = top + _HEADING + row * self.row_step + (self.row_step - _GAP) / 2
            draw_row_label(axes, self.numbers[row], self.greatest[row], right, middle)
            image_top = middle - self.image_height / 2
            for column, patch in enumerate(as_rgb(patches, "patches")):
                image_left = right + _LABEL_GAP + column * self.pair_step
                attribution = in_colour(self.layer.attributions[row, column][..., None])
                self._draw_framed(axes, patch, image_left, image_top)
                self._draw_framed(axes, attribution, image_left + _IMAGE_WIDTH, image_top)

    def _draw_framed(self, axes: Axes, image: np.ndarray, left: float, top: float) -> None:
        draw_image(axes, image, left, top, _IMAGE_WIDTH)
        # White images on a white page need an edge.
        frame = Rectangle(
            (left, top), _IMAGE_WIDTH, self.image_height, fill=False, ec="0.5", lw=0.5
        )
        axes.add_patch(frame)


def _check(layer: ExcitedLayer) -> None:
    shape = (len(layer.kernels), *np.shape(layer.patches)[1:4])
    if np.shape(layer.patches)[:4] != shape or np.shape(layer.attributions) != shape:
        raise ValueError(
            f"layer {layer.name}: {len(layer.kernels)} kernels, patches of shape "
            f"{np.shape(layer.patches)} and attributions of shape {np.shape(layer.attributions)}"
        )
    if np.shape(layer.activations) != shape[:2] or 0 in shape:
        raise ValueError(f"layer {layer.name}: activations of shape {np.shape(layer.activations)}")


def _draw_heading(axes: Axes, left: float, top: float, text: str, note: str) -> None:
    axes.text(left, top + 0.08, text, size=FONT_SIZE + 2, va="center")
    axes.text(left, top + 0.27, note, size=FONT_SIZE - 1, color="0.4", va="center")
