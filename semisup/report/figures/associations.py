"""Association graphs: which images are associated with which (thesis figure 3.2)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from semisup.report.figures.drawing import FONT_SIZE, draw_image, new_page

LABELLED_COLOUR = "#0072B2"
UNLABELLED_COLOUR = "#D55E00"

_HEADER = 0.3
_IMAGE_WIDTH = 0.45
_LINE_HEIGHT = 1.25
_MIN_CELL = 0.3
_MIN_ROW_WIDTH = 6.5
_PANEL_GAP = 0.2


class AssociationPanel(NamedTuple):
    """The associations of one batch at one moment of training.

    Attributes:
        p_ab: (n, m) probabilities of stepping from a labelled to an unlabelled image.
        p_ba: (m, n) probabilities of stepping from an unlabelled to a labelled image.
        labelled_images: uint8 (n, h, w, 1 or 3).
        unlabelled_images: uint8 (m, h, w, 1 or 3).
        title: Written above the panel, for example "step 500".
    """

    p_ab: np.ndarray
    p_ba: np.ndarray
    labelled_images: np.ndarray
    unlabelled_images: np.ndarray
    title: str = ""

    @property
    def rows(self):
        """Name, images and colour of each row of the drawing."""
        labelled = "labelled", self.labelled_images, LABELLED_COLOUR
        return labelled, ("unlabelled", self.unlabelled_images, UNLABELLED_COLOUR), labelled


def association_graphs(panels: Sequence[AssociationPanel]) -> Figure:
    """Draw associations at several moments of training, one below the other (figure 3.2).

    Each panel has the labelled images at the top and again at the bottom, and the unlabelled ones
    between them: a walk leads from top to bottom. The darkness of a line grows with the
    square root of the probability, so that the faint associations of an untrained network stay
    visible beside the strong ones of a trained one. Panels share one scale, and lines below a
    hundredth of it are left out.

    Args:
        panels: At least one. Some dozens of images a row are legible.

    Returns:
        The figure.
    """
    # All-zero probabilities draw no lines, whatever the scale.
    scale = max(float(max(np.max(panel.p_ab), np.max(panel.p_ba))) for panel in panels) or 1.0
    width = max(_MIN_ROW_WIDTH, *(_MIN_CELL * max(panel.p_ab.shape) for panel in panels))
    heights = [_panel_height(panel, width) for panel in panels]
    figure, axes = new_page(width, sum(heights) + _PANEL_GAP * (len(panels) - 1))
    top = 0
    for panel, height in zip(panels, heights, strict=True):
        _draw_panel(axes, panel, top, width, scale)
        top += height + _PANEL_GAP
    _draw_key(axes, width, scale)
    return figure


def _image_size(images: np.ndarray, row_width: float) -> tuple[float, float]:
    count, height, width = images.shape[:3]
    image_width = min(_IMAGE_WIDTH, 0.84 * row_width / count)
    return image_width, image_width * height / width


def _panel_height(panel: AssociationPanel, row_width: float) -> float:
    images = sum(_image_size(images, row_width)[1] for _, images, _ in panel.rows)
    return _HEADER + images + 2 * _LINE_HEIGHT


def _draw_panel(
    axes: Axes, panel: AssociationPanel, top: float, row_width: float, scale: float
) -> None:
    axes.text(0, top + _HEADER / 3, panel.title, size=FONT_SIZE + 1, va="center")
    top += _HEADER
    edges = []
    for name, images, colour in panel.rows:
        width, height = _image_size(images, row_width)
        centres = row_width * (np.arange(len(images)) + 0.5) / len(images)
        style = {"color": colour, "size": FONT_SIZE, "ha": "right", "va": "center"}
        axes.text(-0.1, top + height / 2, name, **style)
        for image, centre in zip(images, centres, strict=True):
            corner = centre - width / 2, top
            draw_image(axes, image, *corner, width)
            axes.add_patch(Rectangle(corner, width, height, fill=False, ec=colour, lw=1))
        edges.append((centres, top, top + height))
        top += height + _LINE_HEIGHT
    _draw_lines(axes, panel.p_ab, *edges[:2], scale)
    _draw_lines(axes, panel.p_ba, *edges[1:], scale)


def _draw_lines(axes: Axes, probabilities: np.ndarray, start, end, scale: float) -> None:
    (start_x, _, start_y), (end_x, end_y, _) = start, end
    sources, targets = np.nonzero(probabilities >= 0.01 * scale)
    values = probabilities[sources, targets]
    # Opaque lines, the dark ones last, so that faint ones never add up to look strong.
    order = np.argsort(values, kind="stable")
    segments = [
        ((start_x[source], start_y), (end_x[target], end_y))
        for source, target in zip(sources[order], targets[order], strict=True)
    ]
    colours = _line_colours(values[order], scale)
    axes.add_collection(LineCollection(segments, colors=colours, linewidths=0.75), autolim=False)


def _line_colours(probabilities: np.ndarray, scale: float) -> np.ndarray:
    grey = 1 - np.sqrt(np.clip(np.asarray(probabilities, float) / scale, 0, 1))
    return np.repeat(grey[:, np.newaxis], 3, axis=1)


def _draw_key(axes: Axes, right: float, scale: float) -> None:
    """Draw lines of three probabilities with their numbers, from the top right corner on."""
    style = {"size": FONT_SIZE - 1, "ha": "right", "va": "center"}
    middle, step = _HEADER / 3, 0.9
    probabilities = scale * np.array([1, 1 / 4, 1 / 25])
    for value, colour in zip(probabilities, _line_colours(probabilities, scale), strict=True):
        axes.text(right, middle, f"{value:.2g}", **style)
        axes.plot([right - 0.75, right - 0.5], [middle, middle], color=colour, lw=1.5)
        right -= step
    axes.text(right, middle, "probability", **style)
