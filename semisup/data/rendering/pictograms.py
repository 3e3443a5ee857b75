"""The 43 traffic signs of GTSRB, the German Traffic Sign Recognition Benchmark, as drawings.

Own drawings of the public designs, made to be told apart at 40 x 40 pixels.
"""

import functools
import math
from collections.abc import Callable

from PIL import Image

from semisup.data.rendering.drawing import Colour, Drawing, Point, arc

_WHITE = (255, 255, 255)
_BLACK = (22, 22, 22)
_RED = (200, 10, 24)
_BLUE = (10, 72, 165)
_YELLOW = (245, 175, 10)
_GREEN = (0, 140, 70)
_GREY = (75, 75, 76)
_PALE = (140, 140, 141)

Symbol = Callable[[Drawing], None]


@functools.cache
def pictogram(label: int, size: int) -> Image.Image:
    """Draw a sign, upright, filling the picture.

    Args:
        label: index of `CLASS_NAMES`, the official class number of GTSRB.
        size: side of the picture in pixels.

    Returns:
        A picture of mode "RGBa" (colours are multiplied by opacity), shared: do not change it.
    """
    drawing = Drawing(size)
    list(_SIGNS.values())[label](drawing)
    return drawing.finished()


# Plates: what a sign looks like without its symbol.


def _prohibition(d: Drawing, symbol: Symbol) -> None:
    d.disc(0, 0, 1, _WHITE)
    d.disc(0, 0, 0.985, _RED)
    d.disc(0, 0, 0.72, _WHITE)
    symbol(d)


def _end(d: Drawing, symbol: Symbol) -> None:
    d.disc(0, 0, 1, _GREY)
    d.disc(0, 0, 0.95, _WHITE)
    symbol(d)
    band = d.at(0, 0, angle=-45)
    for y in (-0.2, -0.1, 0, 0.1, 0.2):
        half = math.sqrt(0.95**2 - y**2)
        band.line([(-half, y), (half, y)], 0.085, _GREY)


def _warning(d: Drawing, symbol: Symbol) -> None:
    _triangle(d)
    symbol(d.at(0, 0.25))


def _triangle(d: Drawing) -> None:
    """Draw a triangle that points up; its centre of gravity is at (0, 0.3)."""
    for inset, colour in ((0, _WHITE), (0.012, _RED), (0.19, _WHITE)):
        _rounded_triangle(d.at(0, 0.3), 0.577 - inset, 0.04, colour)


def _rounded_triangle(d: Drawing, inradius: float, rounding: float, colour: Colour) -> None:
    corners = _regular_polygon(3, 2 * (inradius - rounding), -90)
    d.polygon(corners, colour)
    d.line([*corners, corners[0]], 2 * rounding, colour)


def _regular_polygon(corners: int, radius: float, first: float) -> list[Point]:
    angles = [math.radians(first + 360 / corners * i) for i in range(corners)]
    return [(radius * math.cos(a), radius * math.sin(a)) for a in angles]


def _mandatory(d: Drawing, symbol: Symbol) -> None:
    d.disc(0, 0, 1, _WHITE)
    d.disc(0, 0, 0.965, _BLUE)
    symbol(d)


# Symbols of round signs.


def _speed(d: Drawing, number: str) -> None:
    d.text(number, 0.88, 1.17 if len(number) == 3 else 1.08, 0.135, _BLACK)


def _pale_80(d: Drawing) -> None:
    d.text("80", 1.05, 1.35, 0.15, _PALE)


def _car(d: Drawing, colour: Colour) -> None:
    """Draw a car from behind, 1 wide and 0.7 high."""
    d.polygon([(-0.42, 0.02), (-0.3, -0.35), (0.3, -0.35), (0.42, 0.02)], colour)
    d.polygon([(-0.27, -0.1), (-0.22, -0.25), (0.22, -0.25), (0.27, -0.1)], _WHITE)
    d.box(-0.5, -0.02, 0.5, 0.22, colour)
    for x in (-0.38, 0.38):
        d.box(x - 0.09, 0.2, x + 0.09, 0.35, colour)


def _two_cars(d: Drawing, left: Colour = _RED, right: Colour = _BLACK) -> None:
    _car(d.at(-0.31, 0.02, 0.54), left)
    _car(d.at(0.31, 0.02, 0.54), right)


def _truck_and_car(d: Drawing, left: Colour = _RED, right: Colour = _BLACK) -> None:
    d.box(-0.52, -0.28, -0.06, 0.2, left)
    for x in (-0.44, -0.14):
        d.box(x - 0.07, 0.18, x + 0.07, 0.3, left)
    _car(d.at(0.29, 0.12, 0.52), right)


def _truck(d: Drawing) -> None:
    d.box(-0.16, -0.28, 0.6, 0.16, _BLACK)
    d.polygon([(-0.58, 0.16), (-0.58, 0), (-0.5, -0.18), (-0.2, -0.18), (-0.2, 0.16)], _BLACK)
    d.polygon([(-0.5, -0.01), (-0.45, -0.12), (-0.3, -0.12), (-0.3, -0.01)], _WHITE)
    d.box(-0.58, 0.12, 0.6, 0.2, _BLACK)
    for x in (-0.4, 0.36):
        d.disc(x, 0.2, 0.13, _WHITE)
        d.disc(x, 0.2, 0.1, _BLACK)


def _nothing(d: Drawing) -> None:
    pass


def _arrow(d: Drawing, *points) -> None:
    d.arrow(points, 0.21, 0.56, _WHITE)


def _turn_right(d: Drawing) -> None:
    _arrow(d, (-0.28, 0.72), (-0.28, 0.1), *arc(0.08, 0.0, 0.36, 0.3, 180, 270), (0.62, -0.3))


def _straight_or_right(d: Drawing) -> None:
    small = d.at(-0.18, 0)
    small.arrow([(0, 0.72), (0, -0.7)], 0.18, 0.42, _WHITE)
    small.arrow([(0, 0.42), (0.12, 0.28), (0.25, 0.24), (0.8, 0.24)], 0.18, 0.36, _WHITE)


def _roundabout(d: Drawing) -> None:
    for angle in (0, 120, 240):
        points = arc(0, 0, 0.62, 0.62, 34, -58)
        d.at(0, 0, angle=angle).arrow(points, 0.15, 0.28, _WHITE)


def _mirrored(symbol: Symbol) -> Symbol:
    def mirrored(d: Drawing) -> None:
        symbol(d.mirrored())

    return mirrored


# Symbols of warning signs: the white triangle reaches from y = -0.7 to 0.43.


def _crossing(d: Drawing) -> None:
    d.polygon([(0, -0.42), (0.19, -0.12), (0.16, 0.38), (-0.16, 0.38), (-0.19, -0.12)], _BLACK)
    d.polygon([(-0.36, 0.1), (-0.34, 0), (0, -0.06), (0.34, 0), (0.36, 0.1)], _BLACK)


def _exclamation(d: Drawing) -> None:
    d.polygon([(-0.09, -0.55), (0.09, -0.55), (0.05, 0.1), (-0.05, 0.1)], _BLACK)
    d.disc(0, 0.26, 0.1, _BLACK)


def _curve_right(d: Drawing) -> None:
    bend = arc(0.0, 0.12, 0.18, 0.18, 180, 270)
    d.line([(-0.18, 0.36), *bend, (0.3, -0.06)], 0.17, _BLACK)


def _double_curve(d: Drawing) -> None:
    d.line([(-0.18, -0.34), (-0.15, 0.1), (0.15, -0.04), (0.2, 0.36)], 0.18, _BLACK)


def _bumps(d: Drawing) -> None:
    d.box(-0.5, 0.22, 0.5, 0.34, _BLACK)
    for x in (-0.22, 0.22):
        d.polygon(arc(x, 0.24, 0.2, 0.22, 180, 360), _BLACK)


def _skidding_car(d: Drawing) -> None:
    _car(d.at(0.02, -0.1, 0.6, angle=10), _BLACK)
    for x, y in ((-0.2, 0.22), (0.06, 0.34)):
        d.line([(x - 0.2, y), (x - 0.02, y - 0.06), (x + 0.1, y), (x + 0.3, y)], 0.055, _BLACK)


def _narrowing(d: Drawing) -> None:
    d.line([(-0.14, 0.36), (-0.14, -0.4)], 0.11, _BLACK)
    d.line([(0.2, 0.36), (0.2, 0.1), (0.08, -0.08), (0.08, -0.4)], 0.11, _BLACK)


def _worker(d: Drawing) -> None:
    d.disc(0.02, -0.42, 0.09, _BLACK)
    d.line([(-0.16, -0.02), (-0.02, -0.3)], 0.2, _BLACK)
    d.line(
        [(-0.4, 0.36), (-0.26, 0.16), (-0.16, -0.02), (-0.06, 0.14), (-0.08, 0.36)], 0.09, _BLACK
    )
    d.line([(0.0, -0.28), (0.12, -0.1), (0.02, 0.02)], 0.07, _BLACK)
    d.line([(-0.2, -0.1), (0.22, 0.22)], 0.04, _BLACK)
    d.polygon([(0.0, 0.38), (0.16, 0.16), (0.3, 0.04), (0.42, 0.12), (0.58, 0.38)], _BLACK)


def _traffic_light(d: Drawing) -> None:
    for y, colour in ((-0.28, _RED), (-0.01, _YELLOW), (0.26, _GREEN)):
        d.disc(0, y, 0.12, colour)


def _walker(d: Drawing) -> None:
    """Draw a person about 1 high, walking to the left."""
    d.disc(0.02, -0.42, 0.1, _BLACK)
    d.polygon([(-0.13, -0.3), (0.13, -0.3), (0.11, 0.1), (-0.09, 0.1)], _BLACK)
    d.line([(-0.26, 0.5), (-0.14, 0.26), (0.01, 0.02), (0.13, 0.26), (0.24, 0.5)], 0.12, _BLACK)
    d.line([(-0.32, 0.02), (-0.2, -0.16), (-0.04, -0.25)], 0.08, _BLACK)
    d.line([(0.06, -0.25), (0.22, -0.14), (0.31, 0.04)], 0.08, _BLACK)


def _runner(d: Drawing) -> None:
    """Draw a person as high, with the arms out."""
    d.disc(-0.02, -0.4, 0.12, _BLACK)
    d.polygon([(-0.12, -0.28), (0.13, -0.28), (0.17, 0.12), (-0.1, 0.12)], _BLACK)
    d.line([(-0.2, 0.5), (-0.13, 0.28), (0.03, 0.04), (0.16, 0.26), (0.3, 0.46)], 0.1, _BLACK)
    d.line([(-0.36, 0), (-0.2, -0.14), (0, -0.2), (0.2, -0.14), (0.34, -0.06)], 0.08, _BLACK)


def _children(d: Drawing) -> None:
    _runner(d.at(0.18, 0.03, 0.74))
    _runner(d.at(-0.24, 0.12, 0.54))


def _bicycle(d: Drawing) -> None:
    for x in (-0.27, 0.27):
        d.line(arc(x, 0.17, 0.18, 0.18, 0, 360), 0.05, _BLACK)
    d.line([(-0.27, 0.17), (-0.1, -0.1), (0.16, -0.1), (0.27, 0.17)], 0.05, _BLACK)
    d.line([(-0.13, -0.18), (-0.02, 0.17), (0.16, -0.1)], 0.05, _BLACK)
    d.line([(-0.2, -0.18), (-0.06, -0.18)], 0.05, _BLACK)
    d.line([(0.17, -0.08), (0.12, -0.24), (0.26, -0.26)], 0.05, _BLACK)


def _snowflake(d: Drawing) -> None:
    for angle in range(30, 390, 60):
        arm = d.at(0, 0.03, angle=angle)
        arm.line([(0, 0), (0.33, 0)], 0.085, _BLACK)
        arm.line([(0.31, -0.12), (0.19, 0), (0.31, 0.12)], 0.065, _BLACK)


def _deer(d: Drawing) -> None:
    d.polygon(
        [
            (-0.28, -0.16),
            (-0.16, -0.24),
            (-0.06, -0.08),
            (0.26, 0.04),
            (0.34, 0.16),
            (0.18, 0.2),
            (-0.1, 0.1),
            (-0.2, -0.04),
        ],
        _BLACK,
    )
    d.polygon([(-0.4, -0.16), (-0.2, -0.3), (-0.14, -0.2), (-0.3, -0.1)], _BLACK)
    d.line([(-0.2, -0.26), (-0.14, -0.48)], 0.05, _BLACK)
    d.line([(-0.18, -0.26), (-0.02, -0.42)], 0.05, _BLACK)
    d.line([(-0.12, 0.06), (-0.34, 0.08), (-0.28, 0.22)], 0.06, _BLACK)
    d.line([(0.26, 0.1), (0.34, 0.26), (0.54, 0.36)], 0.07, _BLACK)


# Signs with plates of their own.


def _priority(d: Drawing) -> None:
    for radius, colour in ((1, _GREY), (0.97, _WHITE), (0.6, _GREY), (0.57, _YELLOW)):
        d.polygon([(0, -radius), (radius, 0), (0, radius), (-radius, 0)], colour)


def _yield(d: Drawing) -> None:
    _triangle(d.at(0, 0, angle=180))


def _stop(d: Drawing) -> None:
    for radius, colour in ((1.06, _WHITE), (1.01, _RED)):
        d.polygon(_regular_polygon(8, radius, 22.5), colour)
    d.text("STOP", 0.72, 1.6, 0.125, _WHITE)


def _no_entry(d: Drawing) -> None:
    d.disc(0, 0, 1, _WHITE)
    d.disc(0, 0, 0.985, _RED)
    d.box(-0.8, -0.18, 0.8, 0.18, _WHITE)


def _sign(plate: Callable, symbol: Symbol, **arguments) -> Symbol:
    return functools.partial(plate, symbol=symbol, **arguments)


def _speed_limit(number: str) -> Symbol:
    return _sign(_prohibition, functools.partial(_speed, number=number))


_SIGNS = {
    **{f"speed_{number}": _speed_limit(str(number)) for number in (20, 30, 50, 60, 70, 80)},
    "end_speed_80": _sign(_end, _pale_80),
    "speed_100": _speed_limit("100"),
    "speed_120": _speed_limit("120"),
    "no_passing": _sign(_prohibition, _two_cars),
    "no_passing_trucks": _sign(_prohibition, _truck_and_car),
    "right_of_way_next_crossing": _sign(_warning, _crossing),
    "priority_road": _priority,
    "yield": _yield,
    "stop": _stop,
    "no_vehicles": _sign(_prohibition, _nothing),
    "no_trucks": _sign(_prohibition, _truck),
    "no_entry": _no_entry,
    "general_caution": _sign(_warning, _exclamation),
    "curve_left": _sign(_warning, _mirrored(_curve_right)),
    "curve_right": _sign(_warning, _curve_right),
    "double_curve": _sign(_warning, _double_curve),
    "bumpy_road": _sign(_warning, _bumps),
    "slippery_road": _sign(_warning, _skidding_car),
    "narrows_right": _sign(_warning, _narrowing),
    "road_works": _sign(_warning, _worker),
    "traffic_signals": _sign(_warning, _traffic_light),
    "pedestrians": _sign(_warning, lambda d: _walker(d.at(0, -0.06, 0.9))),
    "children": _sign(_warning, _children),
    "bicycles": _sign(_warning, _bicycle),
    "ice_snow": _sign(_warning, _snowflake),
    "wild_animals": _sign(_warning, lambda d: _deer(d.at(0, 0.02, 1.05))),
    "end_all_limits": _sign(_end, _nothing),
    "turn_right_ahead": _sign(_mandatory, _turn_right),
    "turn_left_ahead": _sign(_mandatory, _mirrored(_turn_right)),
    "ahead_only": _sign(_mandatory, lambda d: _arrow(d, (0, 0.75), (0, -0.75))),
    "straight_or_right": _sign(_mandatory, _straight_or_right),
    "straight_or_left": _sign(_mandatory, _mirrored(_straight_or_right)),
    "keep_right": _sign(_mandatory, lambda d: _arrow(d, (-0.52, -0.52), (0.54, 0.54))),
    "keep_left": _sign(_mandatory, lambda d: _arrow(d, (0.52, -0.52), (-0.54, 0.54))),
    "roundabout": _sign(_mandatory, _roundabout),
    "end_no_passing": _sign(_end, functools.partial(_two_cars, left=_PALE, right=_PALE)),
    "end_no_passing_trucks": _sign(
        _end, functools.partial(_truck_and_car, left=_PALE, right=_PALE)
    ),
}

CLASS_NAMES = tuple(_SIGNS)
