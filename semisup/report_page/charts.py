"""The curves of a run's log as SVG, on a linear and on a logarithmic axis."""

import json
from typing import NamedTuple

import numpy as np
from matplotlib import ticker

from semisup.report_page import markup
from semisup.report_page.curves import grouped, read, thinned
from semisup.report_page.markup import element

OPEN = 16
"""Tags of a group, at most, that is unfolded from the beginning."""

FAR = 1000.0
"""Ratio of the greatest and the least value of a chart that begins with a logarithmic axis."""

POINTS = 300
"""Points of a curve, at most."""

ALL_POINTS = 60_000
"""Points of all curves together, about."""

_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 382, 10, 198
_MARKED = 12


class Axis(NamedTuple):
    """An axis from the low end to the high one, with ticks between them."""

    low: float
    high: float
    ticks: list
    logarithmic: bool = False

    def places(self, values):
        """Where values lie: 0 at the low end, 1 at the high one; NaN where they cannot."""
        low, high, values = self.low, self.high, np.asarray(values, float)
        if self.logarithmic:
            low, high = np.log10([low, high])
            values = np.log10(np.where(values > 0, values, np.nan))
        return (np.where(np.isfinite(values), values, np.nan) - low) / (high - low)


def section(entries, first=()):
    """What shows the curves of a log.

    Args:
        entries: entries of the log of a run.
        first: tags to begin with.

    Returns:
        List of elements; empty if the log holds no numbers.
    """
    curves = read(entries)
    if not curves:
        return []
    groups = grouped(curves, first)
    drawn = sum(len(charted) for group in groups for _, charted in group.charts)
    most = min(POINTS, max(20, ALL_POINTS // drawn))
    every_step = np.concatenate([curve.steps for curve in curves.values()])
    steps = _linear(every_step, whole=True)
    text = "Point at a chart, or choose it and press the arrow keys, to read its values at a step."
    if any(len(curve.steps) > most for curve in curves.values()):
        text += (
            f" Curves with more than {most} entries are thinned for drawing: the least and the "
            "greatest value of each stretch of the log are drawn. The numbers beneath the charts "
            "are those of the whole log, metrics.jsonl."
        )
    return [
        element("p", text, class_="note"),
        element(
            "div",
            [_group(group, f"axis-{place}", steps, most) for place, group in enumerate(groups)],
            class_="groups",
        ),
    ]


def _group(group, name, steps, most):
    choices = []
    preferred = "log" if any(_spans_far(curves) for _, curves in group.charts) else "linear"
    for kind, words in (("linear", "linear axis"), ("log", "logarithmic axis")):
        checked = "" if kind == preferred else None
        choices += [
            element(
                "input",
                type="radio",
                name=name,
                id=f"{name}-{kind}",
                class_=f"to-{kind}",
                checked=checked,
            ),
            element("label", words, for_=f"{name}-{kind}"),
        ]
    charts = [_chart(title, curves, steps, most) for title, curves in group.charts]
    if len(charts) == 1 and group.tags > 1:
        # The group's title says it.
        charts[0].remove(charts[0].find("figcaption"))
    count = f"{group.tags:,} {'curve' if group.tags == 1 else 'curves'}"
    return element(
        "details",
        element("summary", element("h3", group.title), element("span", count, class_="note")),
        choices,
        element("p", group.note, class_="note") if group.note else [],
        element("div", charts, class_="charts"),
        class_=f"group charts-{min(len(group.charts), 3)}",
        open="" if group.tags <= OPEN else None,
    )


def _chart(title, curves, steps, most):
    drawn = [thinned(curve, most) for curve in curves.values()]
    finite = np.concatenate([curve.finite for curve in curves.values()])
    summary = "; ".join(f"{tag} {_in_words(curve)}" for tag, curve in curves.items())
    pictures = []
    if len(finite):
        pictures.append(_svg(drawn, steps, _linear(finite), f"{summary}.", "linear"))
    positive = finite[finite > 0]
    if len(positive):
        note = "values above 0 only" if len(positive) < len(finite) else ""
        axis = _logarithmic(positive)
        pictures.append(_svg(drawn, steps, axis, f"{summary}. Logarithmic axis.", "log", note))
    elif pictures:
        # There is nothing to choose.
        pictures[0].set("class", "chart")
    heading = markup.number_heading("last")
    heading.set("class", "number last")
    return element(
        "figure",
        element("figcaption", title),
        pictures,
        markup.table(
            ["curve", heading, *map(markup.number_heading, ("least", "greatest"))],
            [
                _legend(tag.partition("/")[2] or tag, curve, place)
                for place, (tag, curve) in enumerate(curves.items())
            ],
            class_="legend",
        ),
        class_="curves",
        data_curves=json.dumps([_points(curve) for curve in drawn], separators=(",", ":")),
    )


def _spans_far(curves):
    """Whether some curves can hardly be read on a linear axis, and all on a logarithmic one."""
    values = np.concatenate([curve.values for curve in curves.values()])
    return np.all(values > 0) and values.max() > FAR * values.min()


def _points(curve):
    """Steps and values for the script; null where a value is not finite."""
    values = [float(f"{v:.6g}") if np.isfinite(v) else None for v in curve.values.tolist()]
    return [curve.steps.tolist(), values]


def _bounds(curve):
    finite = curve.finite
    return (float(finite.min()), float(finite.max())) if len(finite) else (None, None)


def _in_words(curve):
    least, greatest = map(markup.text, _bounds(curve))
    last = markup.text(float(curve.values[-1]))
    return f"between {least} and {greatest}, {last} at step {curve.steps[-1]:,}"


def _legend(name, curve, place):
    # A line of the curve's colour and dashes, which its name explains.
    swatch = element(
        "svg",
        element("path", d="M1,5h26", class_=f"line c{place}"),
        viewBox="0 0 28 10",
        class_="swatch",
        aria_hidden="true",
    )
    last, bounds = float(curve.values[-1]), _bounds(curve)
    return [
        element("th", swatch, " ", markup.breakable(name), scope="row"),
        element("td", markup.value(last), class_="number last"),
        *(element("td", markup.value(bound), class_="number") for bound in bounds),
    ]


def _linear(values, whole=False):
    low, high = float(np.min(values)), float(np.max(values))
    if 0 < low < high / 2 and not whole:
        low = 0.0
    if low == high:
        margin = abs(low) / 10 or 1.0
        low, high = low - margin, high + margin
    ticks = ticker.MaxNLocator(5, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    if whole:
        ticks = [tick for tick in ticks if low <= tick <= high]
        return Axis(low, high, ticks)
    return Axis(float(ticks[0]), float(ticks[-1]), list(ticks))


def _logarithmic(values):
    low, high = float(np.min(values)), float(np.max(values))
    low, high = (low / 1.1, high * 1.1) if high < 1.1 * low else (low, high)
    margin = (high / low) ** 0.04
    low, high = low / margin, high * margin
    if high < 10 * low:
        ticks = ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    else:
        subs = (1.0, 2.0, 5.0) if high < 300 * low else (1.0,)
        ticks = ticker.LogLocator(subs=subs, numticks=7).tick_values(low, high)
    return Axis(low, high, [tick for tick in ticks if low <= tick <= high], logarithmic=True)


def _tick(value):
    if value and not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.3g}".split("e") if "e" in f"{value:.3g}" else (value, "0")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:,.6g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _svg(curves, steps, axis, description, kind, note=""):
    def x(places):
        return _LEFT + np.asarray(places) * (_RIGHT - _LEFT)

    def y(places):
        return _BOTTOM - np.asarray(places) * (_BOTTOM - _TOP)

    parts = []
    for tick, place in zip(axis.ticks, y(axis.places(axis.ticks)), strict=True):
        parts += [
            element("path", d=f"M{_LEFT},{place:.1f}H{_RIGHT}", class_="grid"),
            element("text", _tick(tick), x=_LEFT - 6, y=f"{place + 4:.1f}", class_="y"),
        ]
    for tick, place in zip(steps.ticks, x(steps.places(steps.ticks)), strict=True):
        parts.append(element("text", _tick(tick), x=f"{place:.1f}", y=_BOTTOM + 16, class_="x"))
    parts.append(element("text", "step", x=(_LEFT + _RIGHT) / 2, y=_HEIGHT - 2, class_="x"))
    if note:
        parts.append(element("text", note, x=_RIGHT, y=_TOP + 10, class_="y"))
    for place, curve in enumerate(curves):
        xs, ys = x(steps.places(curve.steps)), y(axis.places(curve.values))
        parts.append(element("path", d=_path(xs, ys), class_=f"line c{place}"))
        if len(curve.steps) <= _MARKED:
            parts += [
                element("circle", cx=f"{left:.1f}", cy=f"{top:.1f}", r=3, class_=f"dot c{place}")
                for left, top in zip(xs, ys, strict=True)
                if np.isfinite(top)
            ]
    return element(
        "svg",
        parts,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_=f"chart {kind}",
        role="img",
        aria_label=description,
        tabindex=0,
        data_x=json.dumps([_LEFT, _RIGHT, steps.low, steps.high]),
        data_y=json.dumps([_BOTTOM, _TOP, axis.low, axis.high]),
    )


def _path(xs, ys):
    """A line through points, interrupted where one has no place."""
    commands, draws = [], False
    for left, top in zip(xs, ys, strict=True):
        if not np.isfinite(top):
            draws = False
            continue
        commands.append(f"{'L' if draws else 'M'}{left:.1f},{top:.1f}")
        if not draws:
            # A point between two gaps is a dot.
            commands.append("h0")
        draws = True
    return "".join(commands)
