"""A page of small images with what a run takes them for."""

import logging

from semisup.report.figures import drawing

_logger = logging.getLogger(__name__)

_WIDTH = 1.0
_GAP = 0.12
_CAPTION = 0.36
_COLUMNS = 8
_LETTERS = 16
_TALLEST = 150.0


def contact_sheet(images, captions, path):
    """Draw images in rows, each with a caption below, and write the page as a PNG file.

    The page ends after 150 inches, with the first images, and a warning says how many they are.

    Args:
        images: list of (height, width, 1 or 3) uint8, at least one.
        captions: for each a pair of texts, one above the other.
        path: the file.
    """
    tallest = max(image.shape[0] / image.shape[1] for image in images) * _WIDTH
    columns = min(_COLUMNS, len(images))
    step = _WIDTH + _GAP, tallest + _CAPTION + _GAP
    rows = min(-(-len(images) // columns), max(1, int(_TALLEST / step[1])))
    drawn = images[: rows * columns]
    if len(drawn) < len(images):
        _logger.warning("%s shows the first %d of %d images", path, len(drawn), len(images))
    figure, axes = drawing.new_page(
        2 * drawing.MARGIN + columns * step[0] - _GAP, 2 * drawing.MARGIN + rows * step[1] - _GAP
    )
    for place, (image, (text, note)) in enumerate(zip(drawn, captions, strict=False)):
        row, column = divmod(place, columns)
        left, top = drawing.MARGIN + column * step[0], drawing.MARGIN + row * step[1]
        drawing.draw_image(axes, image, left, top, _WIDTH)
        below = top + tallest + 0.03
        size = drawing.FONT_SIZE - 2
        axes.text(left, below, drawing.abbreviate(text, _LETTERS), size=size, va="top")
        axes.text(left, below + 0.15, note, size=size - 1, color="0.4", va="top")
    drawing.save(figure, path)
