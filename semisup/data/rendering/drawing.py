"""A pen for flat vector drawings, antialiased, on a transparent ground.

Coordinates are those of the drawing, not pixels: (0, 0) is the centre, (1, 1) the lower right
corner. Everything is made of polygons and discs, digits and letters too, so that the result depends
neither on installed fonts nor on FreeType.
"""

import copy
import itertools
import math
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

# Shapes are drawn as much larger, without antialiasing, and then reduced.
_OVERSAMPLING = 4

Point = tuple[float, float]
Colour = tuple[int, int, int]


class Drawing:
    """A square picture that shapes are drawn on, one over the other."""

    def __init__(self, size: int):
        """Start with a transparent picture.

        Args:
            size: side of the finished picture in pixels.
        """
        self._image = Image.new("RGBA", (size * _OVERSAMPLING,) * 2)
        self._pen = ImageDraw.Draw(self._image)
        half = size * _OVERSAMPLING / 2
        self._matrix = ((half, 0, half), (0, half, half))
        self._scale = half

    def at(self, x: float, y: float, scale: float = 1, angle: float = 0) -> "Drawing":
        """Return a pen on the same picture, whose coordinates are moved, scaled and turned.

        Args:
            x: where the new (0, 0) lies.
            y: where the new (0, 0) lies.
            scale: length of the new unit.
            angle: degrees, clockwise.
        """
        cos, sin = math.cos(math.radians(angle)) * scale, math.sin(math.radians(angle)) * scale
        return self._changed(((cos, -sin, x), (sin, cos, y)), scale)

    def mirrored(self) -> "Drawing":
        """Return a pen on the same picture, whose x runs to the left."""
        return self._changed(((-1, 0, 0), (0, 1, 0)), 1)

    def _changed(self, matrix: tuple, scale: float) -> "Drawing":
        (xx, xy, x), (yx, yy, y) = matrix
        pen = copy.copy(self)
        # By hand, here and below: matrix products may round differently on another processor.
        pen._matrix = tuple(
            (a * xx + b * yx, a * xy + b * yy, a * x + b * y + c) for a, b, c in self._matrix
        )
        pen._scale = self._scale * scale
        return pen

    def _place(self, x: float, y: float) -> Point:
        return tuple(a * x + b * y + c for a, b, c in self._matrix)

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self._pen.polygon([self._place(x, y) for x, y in points], fill=(*colour, 255))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        x, y = self._place(x, y)
        radius *= self._scale
        self._pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(*colour, 255))

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line through points, with round corners and flat ends.

        Args:
            points: two or more; a line that ends where it starts is closed.
            width: of the line.
            colour: of the line.
        """
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            # A point that is there twice has no direction, and needs none.
            length = math.hypot(x1 - x0, y1 - y0) or 1
            dx, dy = (y1 - y0) / length * width / 2, (x0 - x1) / length * width / 2
            self.polygon(
                [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)],
                colour,
            )
        for x, y in points if points[0] == points[-1] else points[1:-1]:
            self.disc(x, y, width / 2, colour)

    def arrow(self, points: Sequence[Point], width: float, head: float, colour: Colour) -> None:
        """Draw a line that ends in an open arrow head.

        Args:
            points: the line; its last point is the tip.
            width: of the line.
            head: length of either side of the head.
            colour: of the arrow.
        """
        (x0, y0), (x1, y1) = points[-2:]
        tip = self.at(x1, y1, angle=math.degrees(math.atan2(y1 - y0, x1 - x0)))
        self.line(points, width, colour)
        back, side = head * math.cos(math.radians(42)), head * math.sin(math.radians(42))
        tip.line([(-back, -side), (0, 0), (-back, side)], width * 1.1, colour)

    def text(self, text: str, height: float, width: float, weight: float, colour: Colour) -> None:
        """Write digits, or the letters of STOP, around (0, 0).

        Args:
            text: of the characters of `_GLYPHS`.
            height: of the characters.
            width: of the whole text.
            weight: width of the lines.
            colour: of the lines.
        """
        gap = 0.3
        widths = [max(x for line in _GLYPHS[c] for x, _ in line) for c in text]
        stretch = (width - weight) / (sum(widths) + gap * (len(text) - 1))
        left = (weight - width) / 2
        for character, character_width in zip(text, widths, strict=True):
            for line in _GLYPHS[character]:
                placed = [(left + x * stretch, (y - 0.5) * (height - weight)) for x, y in line]
                self.line(placed, weight, colour)
            left += (character_width + gap) * stretch

    def finished(self) -> Image.Image:
        """Return the picture at its final size, in mode "RGBa": colours times opacity."""
        return self._image.convert("RGBa").reduce(_OVERSAMPLING)


def arc(
    x: float, y: float, radius_x: float, radius_y: float, start: float, end: float
) -> list[Point]:
    """Return points on an ellipse around (x, y).

    Angles are in degrees, from the right, clockwise: 90 is below the centre. An `end` before
    `start` runs anticlockwise.
    """
    steps = max(2, math.ceil(abs(end - start) / 9))
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + radius_x * math.cos(a), y + radius_y * math.sin(a)) for a in angles]


# Lines through the middle of the strokes, of height 1, as on road signs: narrow and even.
_ROUND = [*arc(0.26, 0.3, 0.26, 0.3, 180, 360), *arc(0.26, 0.7, 0.26, 0.3, 0, 180), (0, 0.3)]
_GLYPHS = {
    "0": [_ROUND],
    "1": [[(0, 0.27), (0.25, 0), (0.25, 1)]],
    "2": [[*arc(0.26, 0.27, 0.26, 0.27, 190, 385), (0, 1), (0.54, 1)]],
    "3": [arc(0.25, 0.24, 0.25, 0.24, 190, 450), arc(0.26, 0.74, 0.28, 0.26, 270, 530)],
    "5": [[(0.5, 0), (0.08, 0), (0.04, 0.46), *arc(0.26, 0.69, 0.27, 0.31, 230, 520)]],
    "6": [
        arc(0.26, 0.7, 0.26, 0.3, 0, 360),
        [(0.02, 0.62), (0.3, 0)],
    ],
    "7": [[(0, 0), (0.54, 0), (0.18, 1)]],
    "8": [
        arc(0.27, 0.24, 0.23, 0.24, 0, 360),
        arc(0.27, 0.74, 0.27, 0.26, 0, 360),
    ],
    "S": [arc(0.26, 0.25, 0.25, 0.25, 340, 90) + arc(0.26, 0.75, 0.26, 0.25, 270, 520)],
    "T": [[(0, 0), (0.56, 0)], [(0.28, 0), (0.28, 1)]],
    "O": [_ROUND],
    "P": [
        [(0, 1), (0, 0), *arc(0.22, 0.27, 0.26, 0.27, 270, 450), (0, 0.54)],
    ],
}
