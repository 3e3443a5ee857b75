"""Synthetic digits: 32 x 32 images of numbers in many fonts, after those of Ganin and Lempitsky.

Theirs (SYN NUMBERS, in "Unsupervised Domain Adaptation by Backpropagation", 2015) vary the font,
the text (one to three digits, labelled with the one in the centre), position, orientation, colours
of background and stroke, and blur. The variations were chosen by hand to resemble house numbers,
without the clutter behind those; so are ours.

An image is made in two steps: `describe` draws lots for what is on it, `paint` paints it. Every
glyph is kept as a field of distances to its contour: one look-up for each pixel then gives an
antialiased glyph of any size and orientation, and its outline.

Computed in float64, so that rounding to 8 bits gives the same bytes on every processor.
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from semisup.data.rendering import fonts

SIZE = 32
NO_DIGIT = -1

# Random numbers for each image, besides its noise: at least as many as are used.
_DRAWS = 64

# Texels: height of a digit, side of the square around it, and steps of the distances in one texel.
_HEIGHT = 64
_CELL = 96
_STEPS = 32


@dataclasses.dataclass(frozen=True)
class Scenes:
    """What k images show. Lengths are in pixels, or in heights of a digit where it says so.

    Attributes:
        digits: (k, 3) int, on the left, in the centre and on the right; `NO_DIGIT` is nothing.
        faces: (k,) int indices of `fonts.faces()`.
        heights: (k,) of a digit.
        widths: (k,) factor that stretches the text.
        angles: (k,) rotation in radians, clockwise.
        slants: (k,) horizontal shear, positive leans to the right.
        shifts: (k, 2) of the central digit from the centre of the image, to the right and down.
        gaps: (k,) between the outlines of digits, in heights.
        weights: (k,) by which strokes are thickened on either side, in heights.
        outlines: (k,) width of the outline in heights, 0 for none.
        colours: (k, 3, 2, 3) in [0, 1]: of background, outline and stroke, each at both ends of a
            linear gradient.
        gradients: (k, 3) directions of these gradients, in radians.
        blurs: (k,) standard deviation of a Gaussian, above 0.
        noise: (k, 32, 32, 3) that is added, in [0, 1] of full brightness.
    """

    digits: np.ndarray
    faces: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    angles: np.ndarray
    slants: np.ndarray
    shifts: np.ndarray
    gaps: np.ndarray
    weights: np.ndarray
    outlines: np.ndarray
    colours: np.ndarray
    gradients: np.ndarray
    blurs: np.ndarray
    noise: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """(k,) int32: the digits in the centre."""
        return self.digits[:, 1].astype(np.int32)


def render(seed: int, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Render examples; each depends on the seed and its own index alone.

    Args:
        seed: of the whole data set, not negative.
        indices: (k,) int, not negative.

    Returns:
        images (k, 32, 32, 3) uint8 and labels (k,) int32.

    Raises:
        UserError: fonts are missing.
    """
    scenes = describe(seed, indices)
    return paint(scenes), scenes.labels


def describe(seed: int, indices: np.ndarray) -> Scenes:
    """Draw the parameters of what examples show.

    Args:
        seed: of the whole data set, not negative.
        indices: (k,) int, not negative.

    Raises:
        UserError: fonts are missing.
    """
    uniform = np.empty((len(indices), _DRAWS))
    noise = np.empty((len(indices), SIZE, SIZE, 3))
    for row, index in enumerate(indices):
        generator = np.random.default_rng([seed, int(index)])
        uniform[row] = generator.random(_DRAWS)
        noise[row] = generator.standard_normal(noise.shape[1:])
    columns = iter(uniform.T)

    def between(low: float, high: float) -> np.ndarray:
        return low + (high - low) * next(columns)

    def around_zero(limit: float) -> np.ndarray:
        return limit * (next(columns) - next(columns))

    def integers(count: int) -> np.ndarray:
        return (count * next(columns)).astype(np.int64)

    length, left_first = 1 + integers(3), next(columns) < 0.5
    digits = np.stack([integers(10) for _ in range(3)], axis=1)
    digits[(length == 1) | ((length == 2) & ~left_first), 0] = NO_DIGIT
    digits[(length == 1) | ((length == 2) & left_first), 2] = NO_DIGIT
    return Scenes(
        digits=digits,
        faces=integers(len(fonts.faces())),
        heights=between(15, 26),
        widths=np.exp(between(-0.25, 0.2)),
        angles=around_zero(0.5),
        slants=around_zero(0.3),
        shifts=np.stack([around_zero(3), around_zero(3)], axis=1),
        gaps=between(0.02, 0.25),
        weights=between(-0.005, 0.03),
        outlines=np.where(next(columns) < 0.3, between(0.03, 0.1), 0),
        colours=_colours(columns),
        gradients=np.stack([between(0, 2 * np.pi) for _ in range(3)], axis=1),
        blurs=between(0.2, 1.4),
        noise=noise * between(0, 0.04)[:, None, None, None],
    )


def _colours(columns: Iterator[np.ndarray]) -> np.ndarray:
    """Draw colours of background, outline and stroke: strokes stand out, outlines from strokes."""

    def tinted(brightness: np.ndarray, strength: float) -> np.ndarray:
        tint = np.stack([next(columns) for _ in range(3)], axis=1)
        tint -= tint.mean(axis=1, keepdims=True)
        return brightness[:, None] + strength * next(columns)[:, None] * tint

    def apart_from(brightness: np.ndarray) -> np.ndarray:
        distance = 0.2 + 0.6 * next(columns)
        lighter, darker = brightness + distance, brightness - distance
        # Whichever is possible, if not both or none are.
        choice = np.where((darker < 0) == (lighter > 1), next(columns) < 0.5, darker < 0)
        return np.clip(np.where(choice, lighter, darker), 0, 1)

    background = 0.05 + 0.9 * next(columns)
    stroke = apart_from(background)
    layers = (background, apart_from(stroke), stroke)
    starts = np.stack([tinted(layer, 0.8) for layer in layers], axis=1)
    changes = np.stack([tinted(0.15 * (next(columns) - 0.5), 0.4) for _ in layers], axis=1)
    return np.clip(np.stack([starts, starts + changes], axis=2), 0, 1)


def paint(scenes: Scenes) -> np.ndarray:
    """Draw images.

    Args:
        scenes: what is on them.

    Returns:
        (k, 32, 32, 3) uint8.

    Raises:
        UserError: fonts are missing.
    """
    distances = _distances(scenes)
    layers = _gradients(scenes)
    outlines = (scenes.outlines * scenes.heights)[:, None, None, None]
    weights = (scenes.weights * scenes.heights)[:, None, None, None]
    outer = np.clip(distances + weights + outlines + 0.5, 0, 1) * (outlines > 0)
    inner = np.clip(distances + weights + 0.5, 0, 1)
    images, outline, stroke = layers.swapaxes(0, 1)
    images += outer * (outline - images)
    images += inner * (stroke - images)
    blur = _blur_matrices(scenes.blurs)
    images = blur @ images @ blur.swapaxes(-1, -2)
    images = images.transpose(0, 2, 3, 1) + scenes.noise
    return np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)


def _distances(scenes: Scenes) -> np.ndarray:
    """Return (k, 1, 32, 32) distances in pixels to the nearest contour, positive in strokes."""
    atlas, widths, middles = _glyphs()
    glyphs = np.where(scenes.digits == NO_DIGIT, -1, 10 * scenes.faces[:, None] + scenes.digits)
    # From the central digit's middle to each digit's cell, in heights.
    gaps = scenes.gaps + 2 * scenes.weights + scenes.outlines
    right = ((widths[glyphs[:, 1:2]] + widths[glyphs]) / 2 + gaps[:, None]) * [-1, 0, 1]
    down = -middles[glyphs[:, 1]]
    # From pixels back to heights of unturned, upright and unstretched text.
    heights, stretch, angles, slants, x, y, down = (
        value[:, None, None]
        for value in (
            scenes.heights,
            scenes.widths,
            scenes.angles,
            scenes.slants,
            *scenes.shifts.T,
            down,
        )
    )
    y, x = np.mgrid[:SIZE, :SIZE][:, None] + (1 - SIZE) / 2 - np.stack([y, x])
    v = (np.cos(angles) * y - np.sin(angles) * x) / heights
    u = (np.cos(angles) * x + np.sin(angles) * y) / heights / stretch + slants * v
    nearest = np.maximum.reduce(
        [
            _sample(atlas, glyphs[:, place], u - right[:, place, None, None], v - down)
            for place in range(3)
        ]
    )
    return (nearest * heights * np.sqrt(stretch))[:, None]


def _sample(atlas: np.ndarray, glyphs: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return distances (k, 32, 32) of glyphs, in heights, at points relative to cells' centres."""
    limit = _CELL - 1.001
    x = np.clip(u * _HEIGHT + (_CELL - 1) / 2, 0, limit)
    y = np.clip(v * _HEIGHT + (_CELL - 1) / 2, 0, limit)
    column, row = x.astype(np.int64), y.astype(np.int64)
    x -= column
    y -= row
    corner = (glyphs[:, None, None] * _CELL + row) * _CELL + column
    top = (1 - x) * atlas[corner] + x * atlas[corner + 1]
    bottom = (1 - x) * atlas[corner + _CELL] + x * atlas[corner + _CELL + 1]
    return ((1 - y) * top + y * bottom) / (_STEPS * _HEIGHT)


def _gradients(scenes: Scenes) -> np.ndarray:
    """Return (k, 3 layers, 3 channels, 32, 32) colours."""
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE - 0.5
    angles = scenes.gradients[:, :, None, None, None]
    along = 0.5 + (np.cos(angles) * x + np.sin(angles) * y) / np.sqrt(2)
    start, end = scenes.colours[:, :, 0, :, None, None], scenes.colours[:, :, 1, :, None, None]
    return start + along * (end - start)


def _blur_matrices(deviations: np.ndarray) -> np.ndarray:
    """Return (k, 1, 32, 32) matrices that blur the columns of an image."""
    places = np.arange(SIZE)
    squares = (places[:, None] - places) ** 2
    weights = np.exp(-squares / (2 * deviations[:, None, None, None] ** 2))
    return weights / weights.sum(axis=-1, keepdims=True)


@functools.cache
def _glyphs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every digit of every face, and a last, empty glyph, which `NO_DIGIT` leads to.

    Returns:
        The distance fields of (glyphs, 96, 96) texels as one (n,) int16 array; the glyphs' widths
        and how far down their middles are from their cells' centres, (glyphs,) in heights.
    """
    faces = fonts.faces()
    count = 10 * len(faces) + 1
    atlas = np.full((count, _CELL, _CELL), -_CELL * _STEPS, np.int16)
    widths, middles = np.zeros(count), np.zeros(count)
    for face, path in enumerate(faces):
        font = _sized_font(path)
        baseline = _CELL // 2 - font.getbbox("8", anchor="ls")[1] // 2
        for digit in range(10):
            glyph = 10 * face + digit
            left, top, right, bottom = font.getbbox(str(digit), anchor="ls")
            image = Image.new("L", (_CELL, _CELL))
            ImageDraw.Draw(image).text(
                ((_CELL - left - right) // 2, baseline), str(digit), 255, font, anchor="ls"
            )
            inside = np.asarray(image) >= 128
            contour = ndimage.distance_transform_edt(inside) - 0.5
            contour[~inside] = 0.5 - ndimage.distance_transform_edt(~inside)[~inside]
            atlas[glyph] = np.rint(contour * _STEPS)
            widths[glyph] = (right - left) / _HEIGHT
            middles[glyph] = (baseline + (top + bottom) / 2 - _CELL / 2) / _HEIGHT
    return atlas.reshape(-1), widths, middles


def _sized_font(path: Path) -> ImageFont.FreeTypeFont:
    """Return a font whose eight is 64 texels high."""
    font = ImageFont.truetype(path, _HEIGHT, layout_engine=ImageFont.Layout.BASIC)
    _, top, _, bottom = font.getbbox("8", anchor="ls")
    return font.font_variant(size=round(_HEIGHT**2 / (bottom - top)))
