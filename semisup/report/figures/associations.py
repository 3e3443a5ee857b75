"""Association graphs: which images are associated with which (thesis figure 3.2)."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from semisup.report.figures.drawing import (
    FONT_SIZE,
    MARGIN,
    as_rgb,
    draw_image,
    new_page,
    text_width,
)

LABELLED_COLOUR = "#0072B2"
UNLABELLED_COLOUR = "#D55E00"

_HEADER = 0.3
_IMAGE_WIDTH = 0.45
_LINE_HEIGHT = 1.25
_MIN_CELL = 0.3
_MIN_ROW_WIDTH = 6.5
_PANEL_GAP = 0.2
_ROW_LABEL_WIDTH = 0.85


@dataclasses.dataclass(frozen=True)
class AssociationPanel:
    """The associations of one batch at one moment of training.

    Attributes:
        p_ab: (n, m) probabilities of stepping from a labelled to an unlabelled image.
        p_ba: (m, n) probabilities of stepping from an unlabelled to a labelled image.
        labelled_images: uint8 (n, h, w, 1 or 3).
        unlabelled_images: uint8 (m, h, w, 1 or 3).
        title: Written above the panel, for example "step 500".

    Raises:
        ValueError: If shapes or dtypes do not fit.
    """

    p_ab: np.ndarray
    p_ba: np.ndarray
    labelled_images: np.ndarray
    unlabelled_images: np.ndarray
    title: str = ""

    def __post_init__(self):
        n = len(as_rgb(self.labelled_images, "labelled_images"))
        m = len(as_rgb(self.unlabelled_images, "unlabelled_images"))
        for name, p, shape in (("p_ab", self.p_ab, (n, m)), ("p_ba", self.p_ba, (m, n))):
            if np.shape(p) != shape or 0 in shape:
                raise ValueError(
                    f"{name} has shape {np.shape(p)}, but there are {n} labelled and "
                    f"{m} unlabelled images"
                )
            # A softmax may round to a little above 1.
            if not np.all((np.asarray(p) >= 0) & (np.asarray(p) <= 1.001)):
                raise ValueError(f"{name} must hold probabilities, in [0, 1]")


def association_graphs(panels: Sequence[AssociationPanel], scale: float | None = None) -> Figure:
    """Draw associations at several moments of training, one below the other (figure 3.2).

    Each panel has the labelled images at the top and again at the bottom, and the unlabelled ones
    between them: a walk leads from top to bottom. The darkness of a line grows with the
    square root of the probability, so that the faint associations of an untrained network stay
    visible beside the strong ones of a trained one. Panels share one scale, and lines below a
    hundredth of it are left out.

    Args:
        panels: At least one. Some dozens of images a row are legible.
        scale: The probability drawn in black; by default the largest of all panels.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no panel, or `scale` is not positive.
    """
    if not panels:
        raise ValueError("an association graph needs at least one panel")
    if scale is None:
        scale = max(float(max(np.max(panel.p_ab), np.max(panel.p_ba))) for panel in panels)
        # All-zero probabilities draw no lines, whatever the scale.
        scale = scale or 1.0
    elif not scale > 0:
        raise ValueError(f"scale must be positive, got {scale}")

    longest_row = max(max(np.shape(panel.p_ab)) for panel in panels)
    row_width = max(_MIN_ROW_WIDTH, _MIN_CELL * longest_row)
    width = row_width + _ROW_LABEL_WIDTH + 2 * MARGIN
    heights = [_panel_height(panel, row_width) for panel in panels]
    height = sum(heights) + _PANEL_GAP * (len(panels) - 1) + 2 * MARGIN

    figure, axes = new_page(width, height)
    top = MARGIN
    for panel, panel_height in zip(panels, heights, strict=True):
        _draw_panel(axes, panel, MARGIN + _ROW_LABEL_WIDTH, top, row_width, scale)
        top += panel_height + _PANEL_GAP
    _draw_key(axes, right=width - MARGIN, middle=MARGIN + _HEADER / 3, scale=scale)
    return figure


def _image_size(images: np.ndarray, row_width: float) -> tuple[float, float]:
    count, height, width = np.shape(images)[:3]
    image_width = min(_IMAGE_WIDTH, 0.84 * row_width / count)
    return image_width, image_width * height / width


def _panel_height(panel: AssociationPanel, row_width: float) -> float:
    _, labelled = _image_size(panel.labelled_images, row_width)
    _, unlabelled = _image_size(panel.unlabelled_images, row_width)
    return _HEADER + 2 * labelled + unlabelled + 2 * _LINE_HEIGHT


def _draw_panel(
    axes: Axes, panel: AssociationPanel, left: float, top: float, row_width: float, scale: float
) -> None:
    axes.text(MARGIN, top + _HEADER / 3, panel.title, size=FONT_SIZE + 1, va="center")
    rows = (
        ("labelled", panel.labelled_images, LABELLED_COLOUR),
        ("unlabelled", panel.unlabelled_images, UNLABELLED_COLOUR),
        ("labelled", panel.labelled_images, LABELLED_COLOUR),
    )
    row_top = top + _HEADER
    edges = []
    for name, images, colour in rows:
        image_width, image_height = _image_size(images, row_width)
        centres = left + row_width * (np.arange(len(images)) + 0.5) / len(images)
        axes.text(
            left - 0.1,
            row_top + image_height / 2,
            name,
            color=colour,
            size=FONT_SIZE,
            ha="right",
            va="center",
        )
        for image, centre in zip(as_rgb(images), centres, strict=True):
            corner = centre - image_width / 2, row_top
            draw_image(axes, image, *corner, image_width)
            axes.add_patch(
                Rectangle(corner, image_width, image_height, fill=False, ec=colour, lw=1)
            )
        edges.append((centres, row_top, row_top + image_height))
        row_top += image_height + _LINE_HEIGHT

    for probabilities, start, end in zip(
        (panel.p_ab, panel.p_ba), edges[:2], edges[1:], strict=True
    ):
        _draw_lines(axes, np.asarray(probabilities), start, end, scale)


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


def _draw_key(axes: Axes, right: float, middle: float, scale: float) -> None:
    probabilities = scale * np.array([1, 1 / 4, 1 / 25])
    for value, colour in zip(probabilities, _line_colours(probabilities, scale), strict=True):
        label = f"{value:.2g}"
        axes.text(right, middle, label, size=FONT_SIZE - 1, ha="right", va="center")
        right -= text_width([label], FONT_SIZE - 1) + 0.06
        axes.plot([right - 0.25, right], [middle, middle], color=colour, lw=1.5)
        right -= 0.25 + 0.15
    axes.text(right, middle, "probability", size=FONT_SIZE - 1, ha="right", va="center")
