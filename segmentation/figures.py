"""The figures of a segmentation: maps beside the truth, and the pixels that others lead to."""

import matplotlib
import numpy as np
from keras import ops

from segmentation import colours, pixel_draws
from segmentation.choices import NO_CLASS
from semisup import association
from semisup.report.figures.drawing import (
    FONT_SIZE,
    draw_image,
    new_figure,
    new_page,
    shortened,
)

_IMAGES = 4
_WIDTH = 1.7
_GAP = 0.08
_LINE = 0.2
_COLUMNS = ("image", "truth", "prediction", "mistakes (dark)")

_QUERIES = 6
_FOUND = 5
_CROP = 32
_CROP_WIDTH = 0.95
_LABELLED = 20_000
"""Labelled pixels among which the associated ones are looked for, drawn at random."""

_ERROR, _RIGHT, _IGNORED = 40, 225, 255
"""Greys of pixels that are wrong, right, or don't count."""


def drawings(config, data, predictor):
    """Return functions that draw the figures of a run.

    Args:
        config: its `TrainConfig`.
        data: its `PixelData`.
        predictor: its `MapPredictor`, with the weights that the run is evaluated with.

    Returns:
        Dictionary from names to functions without arguments that draw a figure.
    """
    from segmentation.task import confusion_of

    names = data.classes.names
    return {
        "maps": lambda: maps_figure(*_predicted(data.evaluation, predictor, config.seed), names),
        "pixel_confusion": lambda: confusion_figure(confusion_of(predictor, data), names),
        "pixel_associations": lambda: associations_figure(config, data, predictor),
    }


def maps_figure(images, truths, predictions, names):
    """Draw images beside their true and predicted maps, and what is wrong in them.

    Args:
        images: (n, height, width, 1 or 3) uint8.
        truths: (n, height, width) places of classes, or `NO_CLASS`.
        predictions: (n, height, width) places of classes.
        names: names of the classes.

    Returns:
        The figure.
    """
    count = len(names)
    height = _WIDTH * images.shape[1] / images.shape[2]
    width = len(_COLUMNS) * (_WIDTH + _GAP) - _GAP
    per_line = 6
    palette = colours.palette(count)
    legend = [*zip(names, palette, strict=False), ("not counted", palette[NO_CLASS])]
    lines = -(-len(legend) // per_line)
    figure, axes = new_page(width, _LINE + len(images) * (height + _GAP) + lines * _LINE)
    for column, title in enumerate(_COLUMNS):
        axes.text(column * (_WIDTH + _GAP), _LINE / 2, title, size=FONT_SIZE, va="center")
    for row, (image, truth, predicted) in enumerate(zip(images, truths, predictions, strict=True)):
        errors = np.where(truth != predicted, _ERROR, _RIGHT)
        errors[truth == NO_CLASS] = _IGNORED
        parts = (
            image,
            colours.coloured(truth, count),
            colours.coloured(predicted, count),
            errors.astype(np.uint8)[..., None],
        )
        for column, part in enumerate(parts):
            left = column * (_WIDTH + _GAP)
            draw_image(axes, part, left, _LINE + row * (height + _GAP), _WIDTH)
    top = _LINE + len(images) * (height + _GAP)
    room = width / per_line
    for place, (name, colour) in enumerate(legend):
        line, column = divmod(place, per_line)
        middle = top + (line + 0.5) * _LINE
        square = np.tile(colour, (1, 1, 1))
        draw_image(axes, square, column * room, middle - 0.05, 0.1)
        text = shortened(name, room - 0.2, FONT_SIZE - 1)
        axes.text(column * room + 0.15, middle, text, size=FONT_SIZE - 1, va="center")
    return figure


def confusion_figure(matrix, names):
    """Draw a confusion matrix, in per cent of the pixels of each true class.

    Args:
        matrix: (classes, classes) counts.
        names: names of the classes.

    Returns:
        The figure.
    """
    count = len(names)
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = max(2.5, 0.36 * count)
    figure = new_figure(side, side)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.sqrt(shares / 100), cmap=matplotlib.colormaps["Blues"], vmin=0, vmax=1)
    for row, column in np.argwhere(shares >= 0.5):
        value = shares[row, column]
        style = {"size": FONT_SIZE - 1, "ha": "center", "va": "center"}
        axes.text(column, row, f"{value:.0f}", color="white" if value > 40 else "black", **style)
    labels = [shortened(name, 1.2, FONT_SIZE) for name in names]
    axes.set_xticks(range(count), labels, size=FONT_SIZE, rotation=90)
    axes.set_yticks(range(count), labels, size=FONT_SIZE)
    axes.set_xlabel("predicted", size=FONT_SIZE)
    axes.set_ylabel("true, % of its pixels", size=FONT_SIZE)
    axes.tick_params(length=0)
    return figure


def associations_figure(config, data, predictor):
    """Draw pixels of test images beside the labelled pixels that they lead back to most probably.

    Args:
        config: see `drawings`.
        data: see `drawings`.
        predictor: see `drawings`.

    Returns:
        The figure.
    """
    generator = np.random.default_rng([config.seed, 0xA550])
    names, train = data.classes.names, data.train
    counts = (pixel_draws.on_grid(data.evaluation.maps) != NO_CLASS).any(axis=(1, 2))
    images, truths, predictions = _predicted(
        data.evaluation, predictor, config.seed, _QUERIES, np.flatnonzero(counts)
    )
    grid = pixel_draws.on_grid(truths)
    cells = [generator.choice(np.flatnonzero(each != NO_CLASS)) for each in grid]
    queries = np.concatenate(
        [predictor.pixel_embeddings(images[i : i + 1])[[cell]] for i, cell in enumerate(cells)]
    )
    own, classes, embeddings = _labelled_pixels(train, predictor, generator)
    _, steps_back = association.transition_probabilities(
        embeddings, queries, config.similarity_measure, config.temperature
    )
    probabilities = ops.convert_to_numpy(steps_back)
    step = _CROP_WIDTH + 2 * _LINE + _GAP
    width = (1 + _FOUND) * (_CROP_WIDTH + _GAP) + _GAP
    figure, axes = new_page(width, len(images) * step)
    for row, (image, cell) in enumerate(zip(images, cells, strict=True)):
        true, found = grid[row].ravel()[cell], predictions[row][_pixel(cell, image.shape)]
        note = "right" if true == found else f"taken for {names[found]}"
        _draw_pixel(axes, image, cell, 0, row * step, names[true], note)
        best = np.argsort(-probabilities[row], kind="stable")[:_FOUND]
        for place, pixel in enumerate(best):
            number, labelled_cell = own[pixel]
            left = (1 + place) * (_CROP_WIDTH + _GAP) + 2 * _GAP
            share = f"{100 * probabilities[row, pixel]:.2f} %"
            shown = train.images[train.labelled[number]]
            texts = names[classes[pixel]], share
            _draw_pixel(axes, shown, labelled_cell, left, row * step, *texts)
    return figure


def _predicted(labelled, predictor, seed, count=_IMAGES, among=None):
    """Return images drawn by a seed, of all or among some, with true and predicted maps."""
    among = np.arange(len(labelled.labelled)) if among is None else among
    drawn = np.random.default_rng([seed, 0xF16]).permutation(among)[:count]
    chosen = np.sort(drawn)
    images = labelled.images[labelled.labelled[chosen]]
    predicted = np.concatenate([maps for _, maps in predictor.maps(images)])
    return images, labelled.maps[chosen], predicted


def _labelled_pixels(train, predictor, generator):
    """Return image and cell (k, 2) of labelled pixels, their classes, and their embeddings."""
    grid = pixel_draws.on_grid(train.maps).reshape(len(train.maps), -1)
    pixels = np.argwhere(grid != NO_CLASS)
    chosen = generator.permutation(len(pixels))[:_LABELLED]
    pixels = pixels[np.sort(chosen)]
    embeddings = []
    for number in np.unique(pixels[:, 0]):
        image = train.images[train.labelled[number]]
        cells = pixels[pixels[:, 0] == number, 1]
        embeddings.append(predictor.pixel_embeddings(image[None])[cells])
    return pixels, grid[tuple(pixels.T)], np.concatenate(embeddings)


def _pixel(cell, shape):
    """Return row and column of the middle of a cell of an image."""
    rows, columns = map(pixel_draws.middles, shape[:2])
    row, column = divmod(int(cell), len(columns))
    return rows[row], columns[column]


def _draw_pixel(axes, image, cell, left, top, text, note):
    """Draw the surroundings of a pixel, with a frame around it and two texts below."""
    row, column = _pixel(cell, image.shape)
    height, width = image.shape[:2]
    size = min(_CROP, height, width)
    first = np.clip(row - size // 2, 0, height - size)
    start = np.clip(column - size // 2, 0, width - size)
    draw_image(axes, image[first : first + size, start : start + size], left, top, _CROP_WIDTH)
    scale = _CROP_WIDTH / size
    x, y = left + (column - start) * scale, top + (row - first) * scale
    axes.plot(x, y, marker="o", markersize=7, mfc="none", mec="white", mew=2.5)
    axes.plot(x, y, marker="o", markersize=7, mfc="none", mec="black", mew=1)
    for line, (words, colour) in enumerate(((text, "black"), (note, "0.4"))):
        axes.text(
            left,
            top + _CROP_WIDTH + 0.03 + line * 0.85 * _LINE,
            shortened(words, _CROP_WIDTH + _GAP, FONT_SIZE - 1),
            size=FONT_SIZE - 1,
            color=colour,
            va="top",
        )
