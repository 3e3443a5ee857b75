"""Drawing for all figures: a page measured in inches, images on it, and saving to a file.

Pictures are cut to what is drawn: titles and labels may stand outside the page, where they need no
room of their own.
"""

import bisect
import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.textpath import TextToPath

from semisup.data import image_files
from semisup.files.names import printable
from semisup.files.replacing import replacing
from semisup.report.figures import fonts

DPI = 150
FONT_SIZE = 9
MARGIN = 0.12
"""Free space around a figure's content, in inches."""

_LARGEST_PAGE = 2000
"""In square inches; saved, it takes 180 MB of memory."""

_logger = logging.getLogger(__name__)


class _Page(Figure):
    """A figure whose texts get the fonts that their characters need."""

    def draw(self, renderer):
        """Draw everything."""
        for axes in self.axes:
            # Makes the labels of ticks, which are found below.
            axes.get_xticklabels()
            axes.get_yticklabels()
        fonts.fit(self.findobj(Text))
        super().draw(renderer)


def new_figure(width: float, height: float, **options) -> Figure:
    """Open a figure on white ground.

    Args:
        width: Width in inches.
        height: Height in inches.
        **options: Further arguments of `Figure`.

    Raises:
        ValueError: If nobody could look at so large a page.
    """
    if width * height > _LARGEST_PAGE:
        raise ValueError(f"its page would measure {width:.0f} by {height:.0f} inches")
    return _Page(figsize=(width, height), dpi=DPI, facecolor="white", **options)


def new_page(width: float, height: float) -> tuple[Figure, Axes]:
    """Open a figure that is one invisible axes, with inches from the top left as coordinates.

    Images, lines and text then share one coordinate system, in which sizes and font sizes can be
    weighed against each other.

    Args:
        width: Width in inches.
        height: Height in inches.

    Returns:
        The figure and its axes.
    """
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    return figure, axes


def draw_title(axes: Axes, title: str) -> None:
    """Write a title above axes, from their left on."""
    axes.set_title(title, size=FONT_SIZE + 2, loc="left")


def as_rgb(images: np.ndarray) -> np.ndarray:
    """Bring images (n, h, w, 1 or 3), of which grey ones have one channel, to three channels."""
    return np.broadcast_to(images, (*images.shape[:-1], 3))


def draw_image(axes: Axes, image: np.ndarray, left: float, top: float, width: float) -> None:
    """Put an image on a page.

    Args:
        axes: The page's axes.
        image: uint8 array (h, w, 1 or 3).
        left: Inches from the left edge.
        top: Inches from the top edge.
        width: Width in inches; the height follows from the image's aspect.
    """
    bottom = top + width * image.shape[0] / image.shape[1]
    # `imshow` would change the page's limits and aspect.
    artist = AxesImage(axes, extent=(left, left + width, bottom, top), origin="upper")
    artist.set_data(as_rgb(image))
    axes.add_image(artist)


def draw_score(axes: Axes, score: float, left: float, top: float) -> None:
    """Write a number into the corner of an image.

    Args:
        axes: those of the page.
        score: the number.
        left: left edge of the image.
        top: its upper edge.
    """
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    place = left + 0.045, top + 0.045
    axes.text(*place, f"{score:.2f}", size=FONT_SIZE - 2, va="top", bbox=box)


def draw_row_label(axes: Axes, text: str, note: str, right: float, middle: float) -> None:
    """Write what a row shows in front of it, and a note below in small letters."""
    axes.text(right, middle - 0.01, text, size=FONT_SIZE, ha="right", va="bottom")
    axes.text(right, middle + 0.02, note, size=FONT_SIZE - 2, color="0.4", ha="right", va="top")


def drawn(drawings: Mapping[str, Callable[[], Figure]]) -> dict[str, Figure]:
    """Draw figures, and log which are left out and why.

    A figure that cannot be drawn, for lack of images say, does not keep others from being drawn.

    Args:
        drawings: Functions that draw a figure by its name, and raise ValueError where they cannot.

    Returns:
        The figures by their names.
    """
    figures = {}
    for name, draw in drawings.items():
        try:
            figures[name] = draw()
        except ValueError as error:
            _logger.warning("figure %s is left out: %s", name, error)
    return figures


def text_width(texts: Sequence[str], size: float) -> float:
    """Return the width, in inches, of the widest of some texts at a font size in points."""
    # Small letters are a little wider than their outlines once they are fitted to pixels.
    return 1.08 * max((_width(text, size) for text in texts if text), default=0.0) / 72


@functools.lru_cache(maxsize=10_000)
def _width(text, size):
    font = FontProperties(family=fonts.stack(text), size=size)
    # Measuring the outlines themselves, by a TextPath, takes many times as long.
    plain = text.replace(r"\$", "$")
    return TextToPath().get_text_width_height_descent(plain, font, ismath=False)[0]


def abbreviate(text: str, length: int) -> str:
    """Make a name fit into a figure: in one line, without formulas, with an ellipsis at its end.

    Args:
        text: Any name.
        length: How many characters it may have.

    Returns:
        A text that Matplotlib shows as that name.
    """
    text = fonts.drawable(printable(str(text)))
    text = text if len(text) <= length else text[: length - 1].rstrip() + "…"
    # An unescaped dollar sign begins a formula.
    return text.replace("$", r"\$")


def shortened(text: str, width: float, size: float) -> str:
    """Make a name fit into a width, with as many characters as there is room for: see `abbreviate`.

    Args:
        text: Any name.
        width: Inches that it may take.
        size: Its font size in points.

    Returns:
        A text that Matplotlib shows as that name.
    """
    text = printable(str(text))
    whole = len(text)

    def width_of(length):
        return text_width([abbreviate(text, length)], size)

    if width_of(whole) <= width:
        return abbreviate(text, whole)
    return abbreviate(text, max(1, bisect.bisect(range(1, whole), width, key=width_of)))


def save(figure: Figure, path: str | os.PathLike, **remarks: str) -> Path:
    """Write a figure as a PNG file, cut to what is drawn, with the mark `image_files.DRAWN`.

    Args:
        figure: Any figure; its own resolution counts.
        path: Where to; ends in `.png`. Missing folders are made.
        **remarks: Texts that the file holds beside the picture, by keyword.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remarks = {**image_files.DRAWN, **remarks}
    with replacing(path) as temporary:
        figure.savefig(temporary, bbox_inches="tight", pad_inches=MARGIN, metadata=remarks)
    return path
