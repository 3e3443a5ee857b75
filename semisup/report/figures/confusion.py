"""The confusion matrix beside what the network was taught and where it fails: thesis figure 3.3."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from semisup.report.figures.drawing import (
    FONT_SIZE,
    MARGIN,
    TITLE_HEIGHT,
    as_rgb,
    draw_image,
    new_page,
    shortened,
    text_width,
)

_COLUMN_GAP = 0.35
_HEADING = 0.24
_LABELLED_PER_CLASS = 10
_MIN_CONTENT_HEIGHT = 4.6
_MIN_LEFT_WIDTH = 4.6
_MIN_RIGHT_WIDTH = 1.5
_MISTAKE_GAP = 0.1
_MISTAKE_WIDTH = 0.42
_NAME_WIDTH = 2.0
_CAPTION_WIDTH = 1.0


def confusion_figure(
    confusion: np.ndarray,
    class_names: Sequence[str],
    mistake_images: np.ndarray,
    mistake_labels: np.ndarray,
    mistake_predictions: np.ndarray,
    labelled_images: np.ndarray | None = None,
    labelled_labels: np.ndarray | None = None,
    labelled_total: int | None = None,
    title: str = "Test error",
) -> Figure:
    """Draw the labelled set, misclassified examples and the confusion matrix (figure 3.3).

    Colour marks only mistakes, on a square-root scale, so that a single one stays visible beside a
    dominating diagonal. If not everything fits, the figure says how much is shown: at most ten
    labelled images of each class, and mistakes picked evenly from all kinds.

    Args:
        confusion: (c, c) counts; row the true class, column the predicted one. The error in the
            figure's title is taken from it.
        class_names: c names.
        mistake_images: uint8 (k, h, w, 1 or 3), all or some of the misclassified examples.
        mistake_labels: (k,) int, their true classes.
        mistake_predictions: (k,) int, the predicted classes.
        labelled_images: uint8 (n, h, w, 1 or 3), the labelled training set; None leaves it out.
        labelled_labels: (n,) int, its classes.
        labelled_total: Size of the labelled set, if only a part of it is given.
        title: What the title calls the error.

    Returns:
        The figure.

    Raises:
        ValueError: If shapes, dtypes or counts do not fit each other.
    """
    confusion = _checked_confusion(confusion, class_names)
    mistakes = _checked_mistakes(mistake_images, mistake_labels, mistake_predictions, confusion)
    if (labelled_images is None) != (labelled_labels is None):
        raise ValueError("labelled_images and labelled_labels are given together or not at all")

    classes = len(class_names)
    cell = float(np.clip(4.6 / classes, 0.26, 0.8))
    side = cell * classes
    name_size = min(FONT_SIZE, 0.6 * cell * 72)
    names = [shortened(name, _NAME_WIDTH, name_size) for name in class_names]
    name_width = text_width(names, name_size)
    vertical_names = name_width > 0.85 * cell
    names_height = (name_width if vertical_names else name_size / 72) + 0.1
    axis_label = FONT_SIZE / 72 + 0.15

    left_width = max(_MIN_LEFT_WIDTH, side)
    content_height = max(_MIN_CONTENT_HEIGHT, side + names_height + axis_label + _HEADING)
    matrix_left = MARGIN + left_width + _COLUMN_GAP + axis_label + name_width + 0.08
    figure, axes = new_page(
        matrix_left + max(side, _MIN_RIGHT_WIDTH) + MARGIN,
        MARGIN + TITLE_HEIGHT + content_height + MARGIN,
    )

    wrong, total = int(confusion.sum() - np.trace(confusion)), int(confusion.sum())
    axes.text(
        MARGIN,
        MARGIN + TITLE_HEIGHT / 3,
        f"{title}: {100 * wrong / total:.2f} % ({wrong:,} of {total:,})",
        size=FONT_SIZE + 3,
        va="center",
    )
    top, bottom = MARGIN + TITLE_HEIGHT, MARGIN + TITLE_HEIGHT + content_height
    _heading(axes, matrix_left, top, "Confusion matrix")
    matrix_top = top + _HEADING
    _draw_matrix(axes, confusion, matrix_left, matrix_top, cell)
    _draw_names(axes, names, matrix_left, matrix_top, cell, name_size, vertical_names)
    middle = side / 2
    axes.text(
        matrix_left + middle,
        matrix_top + side + names_height + axis_label / 2,
        "predicted",
        size=FONT_SIZE,
        ha="center",
        va="center",
    )
    axes.text(
        matrix_left - name_width - 0.08 - axis_label / 2,
        matrix_top + middle,
        "true",
        size=FONT_SIZE,
        ha="center",
        va="center",
        rotation=90,
    )

    if labelled_images is not None:
        height = 0.45 * content_height - _HEADING
        top = _draw_labelled_set(
            axes,
            labelled_images,
            labelled_labels,
            labelled_total or len(labelled_images),
            classes,
            top,
            left_width,
            height,
        )
    _draw_mistakes(axes, mistakes, class_names, wrong, top, left_width, bottom - top)
    return figure


def _checked_confusion(confusion, class_names) -> np.ndarray:
    confusion = np.asarray(confusion)
    classes = len(class_names)
    if confusion.shape != (classes, classes) or not np.issubdtype(confusion.dtype, np.integer):
        raise ValueError(
            f"confusion must be integer counts of shape ({classes}, {classes}) for {classes} "
            f"class names, got {confusion.dtype} {confusion.shape}"
        )
    if np.any(confusion < 0) or not confusion.sum():
        raise ValueError("confusion must hold counts of at least one example, none negative")
    return confusion


def _checked_mistakes(images, labels, predictions, confusion):
    """Return images, labels and predictions, checked and sorted by kind of mistake."""
    images = as_rgb(images, "mistake_images")
    labels, predictions = np.asarray(labels, np.int64), np.asarray(predictions, np.int64)
    if labels.shape != (len(images),) or predictions.shape != (len(images),):
        raise ValueError(
            f"{len(images)} mistake_images, but labels of shape {labels.shape} and predictions "
            f"of shape {predictions.shape}"
        )
    pairs, counts = np.unique(np.stack([labels, predictions]), axis=1, return_counts=True)
    if np.any((pairs < 0) | (pairs >= len(confusion))):
        raise ValueError(f"classes of mistakes must be in [0, {len(confusion)})")
    if np.any(pairs[0] == pairs[1]) or np.any(counts > confusion[pairs[0], pairs[1]]):
        raise ValueError("mistakes must be misclassified examples that confusion counts")
    order = np.lexsort((predictions, labels))
    return images[order], labels[order], predictions[order]


def _heading(axes: Axes, left: float, top: float, text: str) -> None:
    axes.text(left, top + _HEADING / 3, text, size=FONT_SIZE, weight="bold", va="center")


def _shown(shown: int, total: int) -> str:
    return f"{total:,}" if shown == total else f"{shown:,} of {total:,} shown"


def _draw_matrix(axes: Axes, confusion: np.ndarray, left: float, top: float, cell: float) -> None:
    classes = len(confusion)
    mistakes = confusion * (1 - np.eye(classes, dtype=confusion.dtype))
    shades = np.sqrt(mistakes / max(mistakes.max(), 1))
    colour_map = matplotlib.colormaps["OrRd"]
    size = min(FONT_SIZE, 0.85 * cell / text_width([str(confusion.max())], 1))
    for row, column in np.argwhere(confusion + np.eye(classes, dtype=int)):
        shade = shades[row, column]
        # The palest colours of the map would not stand out from the paper.
        colour = "#dfe6ec" if row == column else colour_map(0.2 + 0.75 * shade)
        corner = left + column * cell, top + row * cell
        axes.add_patch(Rectangle(corner, cell, cell, fc=colour, ec="none"))
        axes.text(
            corner[0] + cell / 2,
            corner[1] + cell / 2,
            str(confusion[row, column]),
            size=size,
            color="white" if shade > 0.6 else "black",
            ha="center",
            va="center_baseline",
        )
    lines = np.arange(classes + 1) * cell
    axes.vlines(left + lines, top, top + classes * cell, color="0.88", lw=0.5)
    axes.hlines(top + lines, left, left + classes * cell, color="0.88", lw=0.5)


def _draw_names(
    axes: Axes,
    names: Sequence[str],
    left: float,
    top: float,
    cell: float,
    size: float,
    vertical: bool,
) -> None:
    side = cell * len(names)
    for index, name in enumerate(names):
        middle = (index + 0.5) * cell
        axes.text(left - 0.08, top + middle, name, size=size, ha="right", va="center")
        axes.text(
            left + middle,
            top + side + 0.08,
            name,
            size=size,
            ha="center",
            va="top",
            rotation=90 if vertical else 0,
        )


def _draw_labelled_set(
    axes: Axes,
    images: np.ndarray,
    labels: np.ndarray,
    total: int,
    classes: int,
    top: float,
    width: float,
    height: float,
) -> float:
    """Draw a row of images for each class, with rows side by side where that makes images larger.

    Returns:
        The top of the next part of the column, in inches from the top of the page.
    """
    images, labels = as_rgb(images, "labelled_images"), np.asarray(labels)
    if labels.shape != (len(images),) or np.any((labels < 0) | (labels >= classes)):
        raise ValueError(
            f"labelled_labels must be {len(images)} classes in [0, {classes}), got shape "
            f"{labels.shape}"
        )
    rows = [images[labels == label][:_LABELLED_PER_CLASS] for label in np.unique(labels)]
    _heading(axes, MARGIN, top, f"Labelled set ({_shown(sum(map(len, rows)), total)})")
    top += _HEADING
    if not rows:
        return top

    longest = max(map(len, rows))
    aspect = images.shape[1] / images.shape[2]

    def cell_width(columns):
        # Half an image separates the classes that share a row.
        by_width = width / (columns * (longest + 0.5) - 0.5)
        return min(by_width, height / (-(-len(rows) // columns) * aspect), 0.4)

    # Among the arrangements with about the largest images, take the one with most room below.
    widest = max(map(cell_width, range(1, len(rows) + 1)))
    columns = max(c for c in range(1, len(rows) + 1) if cell_width(c) >= 0.85 * widest)
    cell = cell_width(columns)
    for index, row in enumerate(rows):
        line, column = divmod(index, columns)
        for position, image in enumerate(row):
            left = MARGIN + cell * (column * (longest + 0.5) + position)
            draw_image(axes, image, left, top + line * cell * aspect, 0.92 * cell)
    return top + -(-len(rows) // columns) * cell * aspect + 0.15


def _draw_mistakes(
    axes: Axes,
    mistakes,
    names: Sequence[str],
    total: int,
    top: float,
    width: float,
    height: float,
) -> None:
    images, labels, predictions = mistakes
    if not total:
        _heading(axes, MARGIN, top, "No mistakes")
        return
    size = FONT_SIZE - 2
    names = [shortened(name, _CAPTION_WIDTH, size) for name in names]
    name_width = text_width(names, size)
    arrow_width = text_width(["→"], size) + 0.03
    one_line = 2 * name_width + arrow_width <= 1.5 * _MISTAKE_WIDTH
    lines = 1 if one_line else 2
    captions = [
        _caption(names[i], names[j], one_line) for i, j in zip(labels, predictions, strict=True)
    ]
    caption_width = name_width * (3 - lines) + arrow_width
    caption_height = lines * 1.25 * size / 72 + 0.03
    image_width = float(np.clip(caption_width, _MISTAKE_WIDTH, 0.6))
    image_height = image_width * images.shape[1] / images.shape[2]
    cell_width = max(image_width, caption_width) + _MISTAKE_GAP
    cell_height = caption_height + image_height + _MISTAKE_GAP
    columns = max(1, int((width + _MISTAKE_GAP) / cell_width))
    rows = max(1, int((height - _HEADING + _MISTAKE_GAP) / cell_height))

    shown = min(len(images), columns * rows)
    _heading(axes, MARGIN, top, f"Mistakes, true→predicted ({_shown(shown, total)})")
    top += _HEADING
    for place, index in enumerate(np.arange(shown) * len(images) // max(shown, 1)):
        row, column = divmod(place, columns)
        left, cell_top = MARGIN + column * cell_width, top + row * cell_height
        axes.text(left, cell_top, captions[index], size=size, va="top", linespacing=1.05)
        draw_image(axes, images[index], left, cell_top + caption_height, image_width)


def _caption(true: str, predicted: str, in_one_line: bool) -> str:
    # Isolated, so that names written from right to left do not change places.
    mark = "" if f"{true}{predicted}".isascii() else "\u200e"
    return f"{mark}{true}→{mark}{predicted}" if in_one_line else f"{true}\n{mark}→{predicted}"
