"""The curves of a run's log: read, sorted into charts, thinned.

Tags that begin alike are grouped, with a few curves in each chart. If a group has very many tags,
a single chart shows their distribution.
"""

import math
from typing import NamedTuple

import numpy as np

from semisup.files.names import printable
from semisup.report.page import wording
from semisup.run.live_settings import PREFIX as LIVE

CURVES = 6
"""Curves in a chart, at most: as many as there are colours."""

TAGS = 48
"""Tags of a group, at most, that are drawn one by one."""

_ABOVE_FLOOR = "_above_floor"
_LAST = ("learning_rate", "steps_per_second")
_FIRST = ("losses", "losses above their floor", "weights", LIVE.rstrip("/"))
_QUANTILES = {"least": 0, "lower quartile": 25, "median": 50, "upper quartile": 75, "greatest": 100}


class Curve(NamedTuple):
    """The values of a tag: ascending steps (n,) int64, and values (n,) float64."""

    steps: np.ndarray
    values: np.ndarray

    @property
    def finite(self):
        """The values that are finite."""
        return self.values[np.isfinite(self.values)]


class Group(NamedTuple):
    """Charts that stand together, each a title and its curves by tag."""

    title: str
    tags: int
    charts: list
    note: str = ""


def read(entries):
    """Read the curves of a log by tag, in the order in which the tags appear.

    Args:
        entries: entries of the log of a run.
    """
    found = {}
    for entry in entries:
        for tag, number in entry.items():
            if tag not in ("step", "seconds") and wording.is_number(number):
                steps, values = found.setdefault(tag, ([], []))
                steps.append(entry["step"])
                values.append(number)
    return {
        printable(tag): Curve(np.array(steps), np.array(values, float))
        for tag, (steps, values) in found.items()
    }


def grouped(curves, first=()):
    """Group the charts of all curves of a log.

    Args:
        curves: see `read`.
        first: tags to begin with.

    Returns:
        List of `Group`.
    """
    single, prefixed = [tag for tag in first if tag in curves], {}
    for tag in curves:
        prefix, slash, _ = tag.partition("/")
        if slash:
            title = f"{prefix} above their floor" if tag.endswith(_ABOVE_FLOOR) else prefix
            prefixed.setdefault(title, {})[tag] = curves[tag]
        elif tag not in single:
            single.append(tag)
    groups = []
    if single:
        single.sort(key=lambda tag: tag in _LAST)
        charts = [(tag, {tag: curves[tag]}) for tag in single[:TAGS]]
        left_out = len(single) - len(charts)
        note = f"{left_out:,} more are in metrics.jsonl." if left_out else ""
        groups.append(Group("measurements, learning rate, speed", len(single), charts, note))
    titles = [title for title in _FIRST if title in prefixed]
    titles += [title for title in prefixed if title not in titles]
    return [*groups, *(_group(title, prefixed[title]) for title in titles)]


def _group(title, curves):
    """Make a group of the curves whose tags begin alike."""
    if len(curves) > TAGS:
        note = "Quantiles over all of them at each step; each one is in metrics.jsonl."
        return Group(title, len(curves), [(title, _distribution(curves.values()))], note)
    tags = list(curves)
    parts = np.array_split(np.arange(len(tags)), math.ceil(len(tags) / CURVES))
    charts = [
        (
            title if len(parts) == 1 else f"{title}, {place} of {len(parts)}",
            {tags[i]: curves[tags[i]] for i in part},
        )
        for place, part in enumerate(parts, start=1)
    ]
    return Group(title, len(tags), charts)


def _distribution(curves):
    """Compute quantiles over many curves at each step, as curves by their names."""
    values = {}
    for curve in curves:
        for step, number in zip(curve.steps.tolist(), curve.values.tolist(), strict=True):
            found = values.setdefault(step, [])
            if math.isfinite(number):
                found.append(number)
    steps, ranks = sorted(values), list(_QUANTILES.values())
    quantiles = np.array([np.percentile(values[step] or [np.nan], ranks) for step in steps])
    return {
        name: Curve(np.array(steps), quantiles[:, place]) for place, name in enumerate(_QUANTILES)
    }


def thinned(curve, most):
    """Return a curve with fewer points that looks alike.

    Args:
        curve: a `Curve`.
        most: about how many points it may have.

    Returns:
        A `Curve` with the first and the last point, and the least and the greatest of each of
        equally long stretches.
    """
    count = len(curve.steps)
    if count <= most:
        return curve
    kept = {0, count - 1}
    for stretch in np.array_split(np.arange(count), most // 2):
        finite = stretch[np.isfinite(curve.values[stretch])]
        if len(finite):
            values = curve.values[finite]
            kept |= {int(finite[values.argmin()]), int(finite[values.argmax()])}
        else:
            # Interrupt the curve there.
            kept.add(int(stretch[0]))
    places = sorted(kept)
    return Curve(curve.steps[places], curve.values[places])
