"""Drawing for all figures: a page measured in inches, images on it, and saving to a file."""

import bisect
import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.textpath import TextPath

from semisup.names import printable
from semisup.report.figures import fonts
from semisup.run import writing

DPI = 150
FONT_SIZE = 9
MARGIN = 0.12
"""Free space around a figure's content, in inches."""
TITLE_HEIGHT = 0.36

_logger = logging.getLogger(__name__)


class _Page(Figure):
    """A figure whose texts get the fonts that their characters need."""

    def draw(self, renderer):
        """Draw everything."""
        fonts.fit(self.findobj(Text))
        super().draw(renderer)


def new_figure(width: float, height: float, pad: float | None = None) -> Figure:
    """Open a figure on white ground.

    Args:
        width: Width in inches.
        height: Height in inches.
        pad: Inches around each axes, which are then arranged by constrained layout; None leaves
            their places to the caller.

    Returns:
        The figure.
    """
    figure = _Page(figsize=(width, height), dpi=DPI, facecolor="white")
    if pad is not None:
        figure.set_layout_engine("constrained", w_pad=pad, h_pad=pad)
    return figure


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


def as_rgb(images: np.ndarray, name: str = "images") -> np.ndarray:
    """Check images for display and bring grey ones to three channels.

    Args:
        images: uint8 array (n, h, w, 1) or (n, h, w, 3).
        name: What the error message calls them.

    Returns:
        uint8 array (n, h, w, 3).

    Raises:
        ValueError: If shape or dtype differ from these.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
        raise ValueError(
            f"{name} must be uint8 of shape (n, h, w, 1 or 3), got {images.dtype} {images.shape}"
        )
    return np.broadcast_to(images, (*images.shape[:-1], 3))


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


def draw_image(axes: Axes, image: np.ndarray, left: float, top: float, width: float) -> None:
    """Put an image on a page.

    Args:
        axes: The page's axes.
        image: uint8 array (h, w, 3).
        left: Inches from the left edge.
        top: Inches from the top edge.
        width: Width in inches; the height follows from the image's aspect.
    """
    bottom = top + width * image.shape[0] / image.shape[1]
    # `imshow` would change the page's limits and aspect.
    artist = AxesImage(axes, extent=(left, left + width, bottom, top), origin="upper")
    artist.set_data(image)
    axes.add_image(artist)


def draw_title(axes: Axes, title: str) -> None:
    """Write a title into the top left corner of a page."""
    axes.text(MARGIN, MARGIN + TITLE_HEIGHT / 3, title, size=FONT_SIZE + 2, va="center")


def draw_row_label(axes: Axes, text: str, note: str, right: float, middle: float) -> None:
    """Write what a row shows in front of it, and a note below in small letters."""
    axes.text(right, middle - 0.01, text, size=FONT_SIZE, ha="right", va="bottom")
    axes.text(right, middle + 0.02, note, size=FONT_SIZE - 2, color="0.4", ha="right", va="top")


def row_label_width(texts: Sequence[str], notes: Sequence[str]) -> float:
    """Return the inches that the widest of some labels takes: see `draw_row_label`."""
    return max(wide(texts, FONT_SIZE), wide(notes, FONT_SIZE - 2))


def wide(texts: Sequence[str], size: float) -> float:
    """Return a width in which the widest of some texts fits: see `text_width`."""
    # Small letters are a little wider than their outlines once they are fitted to pixels.
    return 1.08 * text_width(texts, size)


def text_width(texts: Sequence[str], size: float) -> float:
    """Return the width, in inches, of the widest of some texts at a font size in points."""
    return max((_width(text, size) for text in texts if text), default=0.0) / 72


@functools.lru_cache(maxsize=10_000)
def _width(text, size):
    font = FontProperties(family=fonts.stack(text))
    return TextPath((0, 0), text, size=size, prop=font).get_extents().width


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
        return wide([abbreviate(text, length)], size)

    if width_of(whole) <= width:
        return abbreviate(text, whole)
    return abbreviate(text, max(1, bisect.bisect(range(1, whole), width, key=width_of)))


def to_image(figure: Figure) -> np.ndarray:
    """Render a figure, for TensorBoard for example.

    Args:
        figure: Any figure; its own resolution counts.

    Returns:
        uint8 array (h, w, 3).
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save(figure: Figure, path: str | os.PathLike, **remarks: str) -> Path:
    """Write a figure as a PNG file.

    Args:
        figure: Any figure; its own resolution counts.
        path: Where to; ends in `.png`. Missing folders are made.
        **remarks: Texts that the file holds beside the picture, by keyword.

    Returns:
        The path.

    Raises:
        ValueError: If the path does not end in `.png`.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise ValueError(f"figures are saved as .png, got {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing.replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary, metadata=remarks)
    return path
