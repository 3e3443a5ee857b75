"""What all figures share: a page measured in inches, images on it, and the way to a file."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.textpath import TextPath

DPI = 150
MARGIN = 0.12
"""Free space around a figure's content, in inches."""


def new_page(width: float, height: float) -> tuple[Figure, Axes]:
    """Opens a figure that is one invisible axes, with inches from the top left as coordinates.

    Images, lines and text then share one coordinate system, in which sizes and font sizes can be
    weighed against each other.

    Args:
        width: Width in inches.
        height: Height in inches.

    Returns:
        The figure and its axes.
    """
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    return figure, axes


def as_rgb(images: np.ndarray, name: str = "images") -> np.ndarray:
    """Checks images for display and brings grey ones to three channels.

    Args:
        images: uint8 array (n, h, w, 1) or (n, h, w, 3).
        name: What the error message calls them.

    Returns:
        uint8 array (n, h, w, 3).

    Raises:
        ValueError: If shape or dtype are others.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
        raise ValueError(
            f"{name} must be uint8 of shape (n, h, w, 1 or 3), got {images.dtype} {images.shape}"
        )
    return np.broadcast_to(images, (*images.shape[:-1], 3))


def drawn(drawings: Mapping[str, Callable[[], Figure]]) -> dict[str, Figure]:
    """Draws figures, and says which are left out, and why.

    Too few images for a figure, say, is no reason to draw no other.

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
            print(f"figure {name} is left out: {error}")
    return figures


def draw_image(axes: Axes, image: np.ndarray, left: float, top: float, width: float) -> None:
    """Puts an image on a page.

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


def text_width(texts, size: float) -> float:
    """Returns the width, in inches, of the widest of some texts at a font size in points."""
    widths = (TextPath((0, 0), text, size=size).get_extents().width for text in texts if text)
    return max(widths, default=0.0) / 72


def abbreviate(text: str, length: int) -> str:
    """Cuts a text to a number of characters, the last an ellipsis where something is missing."""
    text = str(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def to_image(figure: Figure) -> np.ndarray:
    """Renders a figure, for TensorBoard for example.

    Args:
        figure: Any figure; its own resolution counts.

    Returns:
        uint8 array (h, w, 3).
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save(figure: Figure, path: str | os.PathLike, **remarks: str) -> Path:
    """Writes a figure as a PNG file. A reader sees the former file or the new one, never a part.

    Args:
        figure: Any figure; its own resolution counts.
        path: Where to; ends in `.png`. Missing folders are made.
        **remarks: What the file says of itself beside the picture, by keyword.

    Returns:
        The path.

    Raises:
        ValueError: If the path does not end in `.png`.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise ValueError(f"figures are saved as .png, got {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            FigureCanvasAgg(figure).print_png(file, metadata=remarks)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
