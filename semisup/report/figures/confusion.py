"""The confusion matrix beside what the network was taught and where it fails: thesis figure 3.3."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semisup.report.figures.drawing import (
    FONT_SIZE,
    draw_image,
    draw_title,
    new_page,
    shortened,
    text_width,
)

_COLUMN_GAP = 0.35
_HEADING = 0.24
_LABELLED_PER_CLASS = 10
_LEGIBLE_CELL = 0.26
_LEGIBLE_CLASSES = 60
_MIN_HEIGHT = 4.6
_MIN_LEFT_WIDTH = 4.6
_MISTAKE_GAP = 0.1
_MISTAKE_WIDTH = 0.42
_NAME_WIDTH = 2.0
_CAPTION_SIZE = FONT_SIZE - 2
_CAPTION_WIDTH = 1.0


def confusion_figure(
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    title: str,
    labelled_images: np.ndarray | None = None,
    labelled_labels: np.ndarray | None = None,
    labelled_total: int | None = None,
) -> Figure:
    """Draw the labelled set, misclassified examples and the confusion matrix (figure 3.3).

    Colour marks only mistakes, on a square-root scale, so that a single one stays visible beside a
    dominating diagonal. If not everything fits, the figure says how much is shown: at most ten
    labelled images of each of sixty classes, and mistakes picked evenly from all kinds. The matrix
    of more than sixty classes has neither names nor numbers.

    Args:
        images: uint8 (n, h, w, 1 or 3), at least one.
        labels: (n,) int, their true classes.
        predicted: (n,) int, the predicted classes.
        class_names: Names of all classes.
        title: What the figure's title calls the error.
        labelled_images: uint8 (m, h, w, 1 or 3), the labelled training set; None leaves it out.
        labelled_labels: (m,) int, its classes.
        labelled_total: Size of the labelled set, if only a part of it is given.

    Returns:
        The figure.
    """
    from sklearn.metrics import confusion_matrix

    confusion = confusion_matrix(labels, predicted, labels=range(len(class_names)))
    # Sorted by kind of mistake.
    order = np.lexsort((predicted, labels))
    mistakes = order[labels[order] != predicted[order]]
    cell = float(np.clip(4.6 / len(class_names), _LEGIBLE_CELL, 0.8))
    cell = min(cell, _LEGIBLE_CELL * _LEGIBLE_CLASSES / len(class_names))
    side = cell * len(class_names)
    left_width, height = max(_MIN_LEFT_WIDTH, side), max(_MIN_HEIGHT, side + _HEADING)
    matrix_left = left_width + _COLUMN_GAP
    width = matrix_left + side
    figure, axes = new_page(width, height)
    wrong, total = len(mistakes), len(labels)
    draw_title(axes, f"{title}: {100 * wrong / total:.2f} % ({wrong:,} of {total:,})")

    _heading(axes, matrix_left, 0, "Confusion matrix")
    size = np.array([width, height, width, height])
    matrix = figure.add_axes(np.array([matrix_left, height - _HEADING - side, side, side]) / size)
    _draw_matrix(matrix, confusion, class_names, cell)
    top = 0.0
    if labelled_images is not None:
        present = np.unique(labelled_labels)
        rows = [
            labelled_images[labelled_labels == label][:_LABELLED_PER_CLASS]
            for label in present[:: -(-len(present) // _LEGIBLE_CLASSES)]
        ]
        shown = _shown(sum(map(len, rows)), labelled_total or len(labelled_images))
        _heading(axes, 0, 0, f"Labelled set ({shown})")
        top = _draw_rows(axes, rows, _HEADING, left_width, 0.45 * height - _HEADING) + 0.15
    captions = [shortened(name, _CAPTION_WIDTH, _CAPTION_SIZE) for name in class_names]
    kinds = [(captions[labels[index]], captions[predicted[index]]) for index in mistakes]
    _draw_mistakes(axes, images, mistakes, kinds, top, left_width, height - top)
    return figure


def _heading(axes: Axes, left: float, top: float, text: str) -> None:
    axes.text(left, top + _HEADING / 3, text, size=FONT_SIZE, weight="bold", va="center")


def _shown(shown: int, total: int) -> str:
    return f"{total:,}" if shown == total else f"{shown:,} of {total:,} shown"


def _draw_matrix(axes: Axes, confusion: np.ndarray, names: Sequence[str], cell: float) -> None:
    classes = len(confusion)
    diagonal = np.eye(classes, dtype=bool)
    mistakes = np.where(diagonal, 0, confusion)
    shades = np.sqrt(mistakes / max(mistakes.max(), 1))
    # The palest colours of the map would not stand out from the paper.
    colours = matplotlib.colormaps["OrRd"](0.2 + 0.75 * shades)[..., :3]
    colours[mistakes == 0] = 1
    colours[diagonal] = matplotlib.colors.to_rgb("#dfe6ec")
    axes.imshow(colours)
    axes.set_xlabel("predicted", size=FONT_SIZE)
    axes.set_ylabel("true", size=FONT_SIZE)
    axes.yaxis.set_label_position("right")
    axes.tick_params(which="both", length=0)
    if classes > _LEGIBLE_CLASSES:
        axes.set(xticks=[], yticks=[])
        return
    axes.spines[:].set_visible(False)
    size = min(FONT_SIZE, 0.85 * cell / text_width([str(confusion.max())], 1))
    for row, column in np.argwhere((confusion > 0) | diagonal):
        colour = "white" if shades[row, column] > 0.6 else "black"
        style = {"size": size, "color": colour, "ha": "center", "va": "center_baseline"}
        axes.text(column, row, str(confusion[row, column]), **style)
    name_size = min(FONT_SIZE, 0.6 * cell * 72)
    names = [shortened(name, _NAME_WIDTH, name_size) for name in names]
    upright = text_width(names, name_size) > 0.85 * cell
    axes.set_xticks(range(classes), names, size=name_size, rotation=90 if upright else 0)
    axes.set_yticks(range(classes), names, size=name_size)
    # Names of any width have room on the right.
    axes.yaxis.tick_right()
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.88", lw=0.5)


def _draw_rows(
    axes: Axes, rows: Sequence[np.ndarray], top: float, width: float, height: float
) -> float:
    """Draw a row of images for each class, with rows side by side where that makes images larger.

    Returns:
        Where the rows end, in inches from the top of the page.
    """
    longest = max(map(len, rows))
    aspect = rows[0].shape[1] / rows[0].shape[2]
    # Half an image separates the classes that share a row.
    room = width / (longest + 0.5)
    columns = max(1, round((len(rows) * room * aspect / height) ** 0.5))
    cell = min(room / columns, height / (-(-len(rows) // columns) * aspect), 0.4)
    for index, row in enumerate(rows):
        line, column = divmod(index, columns)
        for position, image in enumerate(row):
            left = cell * (column * (longest + 0.5) + position)
            draw_image(axes, image, left, top + line * cell * aspect, 0.92 * cell)
    return top + -(-len(rows) // columns) * cell * aspect


def _draw_mistakes(
    axes: Axes,
    images: np.ndarray,
    mistakes: np.ndarray,
    kinds: Sequence[tuple[str, str]],
    top: float,
    width: float,
    height: float,
) -> None:
    """Draw as many mistakes as there is room for, each with its true and its predicted class."""
    if not kinds:
        _heading(axes, 0, top, "No mistakes")
        return
    size = _CAPTION_SIZE
    name_width = text_width({name for kind in kinds for name in kind}, size)
    arrow_width = text_width(["→"], size) + 0.03
    one_line = 2 * name_width + arrow_width <= 1.5 * _MISTAKE_WIDTH
    lines = 1 if one_line else 2
    caption_width = name_width * (3 - lines) + arrow_width
    caption_height = lines * 1.25 * size / 72 + 0.03
    image_width = float(np.clip(caption_width, _MISTAKE_WIDTH, 0.6))
    cell_width = max(image_width, caption_width) + _MISTAKE_GAP
    cell_height = caption_height + image_width * images.shape[1] / images.shape[2] + _MISTAKE_GAP
    columns = max(1, int((width + _MISTAKE_GAP) / cell_width))
    rows = max(1, int((height - _HEADING + _MISTAKE_GAP) / cell_height))

    shown = min(len(mistakes), columns * rows)
    _heading(axes, 0, top, f"Mistakes, true→predicted ({_shown(shown, len(mistakes))})")
    for place, chosen in enumerate(np.arange(shown) * len(mistakes) // shown):
        row, column = divmod(place, columns)
        left, cell_top = column * cell_width, top + _HEADING + row * cell_height
        caption = _caption(*kinds[chosen], one_line)
        axes.text(left, cell_top, caption, size=size, va="top", linespacing=1.05)
        draw_image(axes, images[mistakes[chosen]], left, cell_top + caption_height, image_width)


def _caption(true: str, predicted: str, in_one_line: bool) -> str:
    # Isolated, so that names written from right to left do not change places.
    mark = "" if f"{true}{predicted}".isascii() else "\u200e"
    return f"{mark}{true}→{mark}{predicted}" if in_one_line else f"{true}\n{mark}→{predicted}"
