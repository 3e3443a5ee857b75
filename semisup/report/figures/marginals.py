"""The effect of each setting on a result, averaged over all others (thesis figure 5.5)."""

import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semisup.report.figures.drawing import FONT_SIZE, abbreviate, new_figure, text_width

_BINS = 10
_MAX_CATEGORIES = 20
_MAX_COLUMNS = 4
_MAX_VALUES = 12
_NAME_LENGTH = 16
_PANEL_HEIGHT = 2.3
_PANEL_WIDTH = 2.4
_RUN_COLOUR = "#56B4E9"
_RUNS_PER_BIN = 5
_SUMMARY_COLOUR = "#0A3A5E"


def marginal_figure(
    runs: Sequence[tuple[Mapping[str, Any], float]], metric: str, title: str = ""
) -> Figure:
    """Draw how a metric depends on each setting that varies among many runs (figure 5.5).

    A panel shows one setting, whatever the others were: each run as a faint dot, the mean of the
    runs with equal values and, as an error bar, their standard deviation. A number with more than
    12 values, as in a random search, is grouped into about ten bins of equally many runs, drawn at
    the mean of their values. The axis is logarithmic if values are positive and span more than two
    decades, not counting the outermost twentieths of many values. Values that are not all numbers
    are categories; more than 20, as of the names of runs, are not drawn. A run that lacks a
    setting, or has None for a number, is left out of its panel. Dots of equal values are spread a
    little sideways.

    Args:
        runs: Settings and finite metric of each run.
        metric: Name of the metric, with its unit.
        title: Written above the panels.

    Returns:
        The figure.

    Raises:
        ValueError: If nothing that can be drawn varies.
    """
    names = sorted({name for settings, _ in runs for name in settings})
    marginals = [m for m in (_Marginal.of(runs, name) for name in names) if m.is_shown]
    if not marginals:
        raise ValueError(f"no setting that can be drawn varies among the {len(runs)} runs")
    # Rows of about equal length.
    rows = -(-len(marginals) // _MAX_COLUMNS)
    columns = -(-len(marginals) // rows)
    names_height = max(map(_upright_names_height, marginals))
    figure = new_figure(columns * _PANEL_WIDTH, rows * (_PANEL_HEIGHT + names_height))
    figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.06)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, marginal in zip(grid.flat, marginals, strict=False):
        _draw_panel(axes, marginal, len(runs))
    for axes in grid.flat[len(marginals) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel(metric, size=FONT_SIZE)
    if title:
        figure.suptitle(abbreviate(title, 100), x=0, ha="left", size=FONT_SIZE + 2)
    dot = Line2D([], [], color=_RUN_COLOUR, ms=3, mew=0, marker="o", ls="none", label="a run")
    figure.legend(
        handles=[dot, grid[0, 0].containers[0]],
        loc="outside lower center",
        ncols=2,
        fontsize=FONT_SIZE - 1,
        frameon=False,
    )
    return figure


@dataclasses.dataclass(frozen=True)
class _Marginal:
    """A setting's values beside the metric, over the runs that have it.

    Attributes:
        name: The setting.
        values: (r,) float; for a categorical setting, indices into `categories`.
        metrics: (r,) float.
        categories: Names of the categories; None for a number.
    """

    name: str
    values: np.ndarray
    metrics: np.ndarray
    categories: np.ndarray | None

    @classmethod
    def of(cls, runs, name: str) -> "_Marginal":
        """Collect a setting from runs; it is a number if all its values other than None are."""
        found = [(settings[name], metric) for settings, metric in runs if name in settings]
        numeric = [(value, metric) for value, metric in found if value is not None]
        categories = None
        if numeric and all(_is_number(value) for value, _ in numeric):
            found = numeric
        else:
            categories, codes = np.unique([str(v) for v, _ in found], return_inverse=True)
            found = list(zip(codes, [metric for _, metric in found], strict=True))
        values, metrics = np.array(found, float).T
        return cls(name, values, metrics, categories)

    @property
    def is_shown(self) -> bool:
        """Whether it varies, and has not too many categories."""
        drawable = self.categories is None or len(self.categories) <= _MAX_CATEGORIES
        return drawable and len(np.unique(self.values)) > 1

    @property
    def is_logarithmic(self) -> bool:
        if self.categories is not None or self.values.min() <= 0:
            return False
        # Some of many numbers drawn evenly from [0, 1] lie near 0, and would seem to span decades.
        distinct = np.unique(self.values)
        low = np.quantile(distinct, 0.05, method="lower")
        high = np.quantile(distinct, 0.95, method="higher")
        return bool(high / low > 100)

    @property
    def is_grouped(self) -> bool:
        return self.categories is None and len(np.unique(self.values)) > _MAX_VALUES

    def summary(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute value, mean metric and the metric's standard deviation of runs taken together.

        Values are averaged as the axis shows them: geometrically on a logarithmic one. The standard
        deviation of a single run is NaN, which draws no error bar.
        """
        values = np.log(self.values) if self.is_logarithmic else self.values
        table = pandas.DataFrame({"value": values, "metric": self.metrics}).sort_values(
            "value", kind="stable", ignore_index=True
        )
        groups = table.value
        if self.is_grouped:
            bins = min(_BINS, max(2, len(table) // _RUNS_PER_BIN))
            parts = np.array_split(np.arange(len(table)), bins)
            groups = np.repeat(range(bins), [len(part) for part in parts])
        found = table.groupby(groups).agg(
            value=("value", "mean"), mean=("metric", "mean"), deviation=("metric", "std")
        )
        values, means, deviations = found.to_numpy().T
        return np.exp(values) if self.is_logarithmic else values, means, deviations

    def dots(self) -> np.ndarray:
        """Return where the runs stand on the axis: at their values, equal ones side by side."""
        if self.is_grouped:
            return self.values
        scaled = np.log(self.values) if self.is_logarithmic else self.values
        width = 0.4 if self.categories is not None else 0.03 * np.ptp(scaled)
        # Multiples of the golden ratio are spread evenly, whichever of them a value gets.
        spread = scaled + width * ((np.arange(len(scaled)) * 0.618034) % 1 - 0.5)
        return np.exp(spread) if self.is_logarithmic else spread


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and np.isfinite(value)


def _draw_panel(axes: Axes, marginal: _Marginal, total: int) -> None:
    count = len(marginal.values)
    if marginal.is_logarithmic:
        axes.set_xscale("log")
    axes.scatter(
        marginal.dots(),
        marginal.metrics,
        s=6,
        c=_RUN_COLOUR,
        alpha=float(np.clip(15 / np.sqrt(count), 0.3, 0.8)),
        linewidths=0,
    )
    values, means, deviations = marginal.summary()
    axes.errorbar(
        values,
        means,
        deviations,
        fmt="o" if marginal.categories is not None else "o-",
        color=_SUMMARY_COLOUR,
        ms=3.5,
        lw=1.1,
        elinewidth=1,
        capsize=2,
        label="mean and standard deviation",
    )
    if marginal.categories is not None:
        names = _category_names(marginal)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_xticks(
            range(len(names)),
            names,
            rotation=90 if _upright_names_height(marginal) else 0,
        )
    axes.set_xlabel(abbreviate(marginal.name, 28), size=FONT_SIZE)
    axes.tick_params(labelsize=FONT_SIZE - 2)
    axes.grid(axis="y", color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    of_total = "" if count == total else f" of {total:,}"
    in_bins = f" in {len(means)} bins" if marginal.is_grouped else ""
    axes.set_title(
        f"{count:,}{of_total} runs{in_bins}", size=FONT_SIZE - 2, color="0.4", loc="right"
    )


def _category_names(marginal: _Marginal) -> list[str]:
    return [
        abbreviate(name, _NAME_LENGTH)
        for name in (() if marginal.categories is None else marginal.categories)
    ]


def _upright_names_height(marginal: _Marginal) -> float:
    """Return the inches that upright category names take below a panel; 0 if none are."""
    names = _category_names(marginal)
    width = text_width(names, FONT_SIZE - 2)
    return width if width * len(names) > 0.7 * _PANEL_WIDTH else 0.0
