"""The curves of a run's log as SVG, on a linear and on a logarithmic axis."""

import io
import json
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib import ticker
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from semisup.report.page import wording
from semisup.report.page.curves import CURVES, grouped, read, thinned
from semisup.report.page.tables import value

OPEN = 16
"""Tags of a group, at most, that is unfolded from the beginning."""

FAR = 1000.0
"""Ratio of the greatest and the least value of a chart that begins with a logarithmic axis."""

POINTS = 300
"""Points of a curve, at most."""

ALL_POINTS = 60_000
"""Points of all curves together, about."""

DASHES = ((), (7, 4), (2, 4), (9, 3, 2, 3), (4, 3), (12, 4))
"""Lengths of the strokes and gaps of each curve of a chart."""

_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 382, 10, 198
_MARKED = 12
# Stand-ins for the colours of the style sheet, which differ between light and dark pages.
_VARIABLES = [*(f"c{place}" for place in range(CURVES)), "muted", "rule", "page"]
_PAINT = {name: f"#0123{place:02x}" for place, name in enumerate(_VARIABLES)}
_STYLE = {
    "axes.autolimit_mode": "round_numbers",
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": _PAINT["muted"],
    "axes.xmargin": 0,
    "axes.ymargin": 0,
    **{f"axes.spines.{side}": False for side in ("bottom", "left", "right", "top")},
    "figure.facecolor": "none",
    "figure.dpi": 72,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "grid.color": _PAINT["rule"],
    "grid.linewidth": 1,
    "lines.scale_dashes": False,
    "svg.fonttype": "none",
    "xtick.color": _PAINT["muted"],
    "xtick.major.size": 0,
    "ytick.color": _PAINT["muted"],
    "ytick.major.pad": 7,
    "ytick.major.size": 0,
}


def section(entries, first=()):
    """Collect what the template shows of the curves of a log.

    Args:
        entries: entries of the log of a run.
        first: tags to begin with.

    Returns:
        Dictionary with `groups`, a list of dictionaries, and `most`, the points that a curve is
        thinned to, or None if none is.
    """
    curves = read(entries)
    groups = grouped(curves, first)
    drawn = sum(len(charted) for group in groups for _, charted in group.charts)
    most = min(POINTS, max(20, ALL_POINTS // max(drawn, 1)))
    every_step = [curve.steps[end] for curve in curves.values() for end in (0, -1)]
    steps = (min(every_step, default=0), max(every_step, default=0))
    is_thinned = any(len(curve.steps) > most for curve in curves.values())
    with matplotlib.rc_context(_STYLE):
        shown = [_group(place, group, steps, most) for place, group in enumerate(groups)]
    return {"groups": shown, "most": most if is_thinned else None}


def _group(number, group, steps, most):
    return {
        "title": group.title,
        "tags": group.tags,
        "note": group.note,
        "is_open": group.tags <= OPEN,
        "preferred": "log" if any(_spans_far(curves) for _, curves in group.charts) else "linear",
        "charts": [
            _chart(f"chart-{number}-{place}", title, curves, steps, most)
            for place, (title, curves) in enumerate(group.charts)
        ],
    }


def _chart(name, title, curves, steps, most):
    drawn = [thinned(curve, most) for curve in curves.values()]
    finite = np.concatenate([curve.finite for curve in curves.values()])
    summary = "; ".join(f"{tag} {_in_words(curve)}" for tag, curve in curves.items())
    pictures = []
    if len(finite):
        pictures.append(_svg(f"{name}-linear", title, f"{summary}.", drawn, steps, "linear"))
    if np.any(finite > 0):
        note = "values above 0 only" if np.any(finite <= 0) else ""
        description = f"{summary}. Logarithmic axis."
        pictures.append(_svg(f"{name}-log", title, description, drawn, steps, "log", note))
    elif pictures:
        # There is nothing to choose.
        pictures[0] = pictures[0].replace('class="chart linear"', 'class="chart"', 1)
    return {
        "title": title,
        "pictures": pictures,
        "points": json.dumps([_points(curve) for curve in drawn], separators=(",", ":")),
        "curves": [
            {
                "name": tag.partition("/")[2] or tag,
                "dashes": " ".join(map(str, DASHES[place])) or "none",
                "summary": [
                    value(float(curve.values[-1]), kind="number last"),
                    *(value(bound, kind="number") for bound in _bounds(curve)),
                ],
            }
            for place, (tag, curve) in enumerate(curves.items())
        ],
    }


def _spans_far(curves):
    """Return whether the curves need a logarithmic axis to be read, and fit on one."""
    values = np.concatenate([curve.values for curve in curves.values()])
    return np.all(values > 0) and values.max() > FAR * values.min()


def _points(curve):
    """Return steps and values for the script, with null where a value is not finite."""
    values = [float(f"{v:.6g}") if np.isfinite(v) else None for v in curve.values.tolist()]
    return [curve.steps.tolist(), values]


def _bounds(curve):
    finite = curve.finite
    return (float(finite.min()), float(finite.max())) if len(finite) else (None, None)


def _in_words(curve):
    least, greatest = map(wording.text, _bounds(curve))
    last = wording.text(float(curve.values[-1]))
    return f"between {least} and {greatest}, {last} at step {curve.steps[-1]:,}"


def _svg(name, title, description, curves, steps, kind, note=""):
    """Draw curves with Matplotlib.

    Args:
        name: identifier within the page.
        title: title for a screen reader.
        description: what the picture shows, in words.
        curves: `Curve`s.
        steps: the least and the greatest step of all charts.
        kind: "linear" or "log", the axis.
        note: text in the corner.

    Returns:
        The text of an `svg` element, in the colours of the page.
    """
    figure = Figure((_WIDTH / 72, _HEIGHT / 72))
    width, height = (_RIGHT - _LEFT) / _WIDTH, (_BOTTOM - _TOP) / _HEIGHT
    axes = figure.add_axes((_LEFT / _WIDTH, 1 - _BOTTOM / _HEIGHT, width, height))
    axes.set_yscale(kind)
    axes.set_xlabel("step", labelpad=2)
    values = [
        np.where(
            np.isfinite(curve.values) & ((kind == "linear") | (curve.values > 0)),
            curve.values,
            np.nan,
        )
        for curve in curves
    ]
    for place, (curve, heights) in enumerate(zip(curves, values, strict=True)):
        axes.plot(
            curve.steps,
            heights,
            color=_PAINT[f"c{place}"],
            linewidth=1.8,
            linestyle=(0, DASHES[place]) if DASHES[place] else "-",
            dash_capstyle="round",
            marker="o",
            markersize=6,
            markeredgewidth=1.8,
            markerfacecolor=_PAINT["page"],
            markevery=np.flatnonzero(_marked(heights)).tolist(),
            clip_on=False,
        )
    _put_ticks(axes, steps)
    if note:
        corner = {"transform": axes.transAxes, "ha": "right", "va": "top"}
        axes.text(1, 0.98, note, color=_PAINT["muted"], **corner)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)
    places = {
        "data-x": [_LEFT, _RIGHT, *axes.get_xlim()],
        "data-y": [_BOTTOM, _TOP, *axes.get_ylim()],
    }
    attributes = {
        "class": f"chart {kind}",
        **{key: json.dumps([float(number) for number in value]) for key, value in places.items()},
    }
    return _embedded(buffer.getvalue(), name, title, description, attributes)


def _put_ticks(axes, steps):
    """Give axes limits and ticks that suit what is drawn and the steps of all charts."""
    if steps[0] < steps[1]:
        axes.set_xlim(steps)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        subs = (1, 2, 5) if high < 300 * low else (1,)
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=subs, numticks=7))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
    elif 0 < low < high / 2:
        axes.set_ylim(bottom=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.7g}")


def _marked(values):
    """Return which points of a curve are marked: all of few, else those that no line leads to."""
    if len(values) <= _MARKED:
        return np.isfinite(values)
    has_no_line = np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
    return has_no_line[:-2] & has_no_line[2:] & ~has_no_line[1:-1]


def _embedded(text, name, title, description, attributes):
    """Make Matplotlib's SVG a part of a page: with its colours, and without its style and names."""
    root = ElementTree.fromstring(text)
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', text))
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        node.attrib = {
            key.rpartition("}")[2]: value
            for key, value in node.attrib.items()
            if key != "id" or value in used
        }
        if "d" in node.attrib:
            # Hundredths of a pixel are enough.
            node.set("d", re.sub(r"(\.\d\d)\d+", r"\1", node.get("d")))
        # A style element would apply to the whole page.
        for child in [child for child in node if child.tag.endswith(("}style", "}metadata"))]:
            node.remove(child)
    root.attrib = {
        "viewBox": f"0 0 {_WIDTH} {_HEIGHT}",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "tabindex": "0",
        **attributes,
    }
    for tag, words in (("desc", description), ("title", title)):
        node = ElementTree.Element(tag, id=f"{name}-{tag}")
        node.text = words
        root.insert(0, node)
    embedded = ElementTree.tostring(root, encoding="unicode")
    for variable, colour in _PAINT.items():
        embedded = embedded.replace(colour, f"var(--{variable})")
    return embedded
