"""The effect of each setting on a result, averaged over all others (thesis figure 5.5)."""

import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semisup.report.figures import fonts
from semisup.report.figures.drawing import FONT_SIZE, MARGIN, abbreviate, new_figure, text_width

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
    runs: Sequence[tuple[Mapping[str, Any], float]],
    metric: str,
    parameters: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw how a metric depends on each setting of many runs (figure 5.5).

    A panel shows one setting, whatever the others were: each run as a faint dot, the mean of the
    runs with equal values and, as an error bar, their standard deviation. A number with more than
    12 values, as in a random search, is grouped into about ten bins of equally many runs, drawn at
    the mean of their values. The axis is logarithmic if values are positive and span more than two
    decades, not counting the outermost twentieths of many values. Values that are not all numbers
    are categories. A run that lacks a setting, or has None for a number, is left out of its panel.
    Dots of equal values are spread a little sideways.

    Args:
        runs: Settings and metric of each run, at least two.
        metric: Name of the metric, with its unit.
        parameters: Names of the settings, in the order of their panels. By default those that
            vary, by name, except for more than 20 categories: names of runs, for example.
        title: Written above the panels.

    Returns:
        The figure.

    Raises:
        ValueError: If there are fewer than two runs, a metric is not finite, nothing varies, or a
            setting of `parameters` is missing, does not vary or has too many categories.
    """
    if len(runs) < 2:
        raise ValueError(f"marginals need at least two runs, got {len(runs)}")
    if not np.all(np.isfinite([value for _, value in runs])):
        raise ValueError(f"{metric} must be finite in every run")
    if parameters is None:
        names = sorted({name for settings, _ in runs for name in settings})
        marginals = [_Marginal.of(runs, name) for name in names]
        marginals = [m for m in marginals if m.varies and not m.has_too_many_categories]
        if not marginals:
            raise ValueError(f"no setting that can be drawn varies among the {len(runs)} runs")
    else:
        marginals = [_Marginal.of(runs, name) for name in parameters]
        for marginal in marginals:
            if not marginal.varies:
                raise ValueError(f"{marginal.name} does not vary among the {len(runs)} runs")
            if marginal.has_too_many_categories:
                raise ValueError(
                    f"{marginal.name} has {len(marginal.categories)} categories, at most "
                    f"{_MAX_CATEGORIES} can be drawn"
                )
        if not marginals:
            raise ValueError("parameters must name at least one setting")

    # Rows of about equal length.
    rows = -(-len(marginals) // _MAX_COLUMNS)
    columns = -(-len(marginals) // rows)
    in_rows = [marginals[start : start + columns] for start in range(0, len(marginals), columns)]
    heights = [_PANEL_HEIGHT + max(map(_upright_names_height, row)) for row in in_rows]
    figure = new_figure(
        max(columns, 1.5) * _PANEL_WIDTH + 0.5,
        sum(heights) + (0.7 if title else 0.4),
        pad=MARGIN / 2,
    )
    axes = None
    for place, marginal in enumerate(marginals):
        axes = figure.add_subplot(rows, columns, place + 1, sharey=axes)
        _draw_panel(axes, marginal, len(runs))
        if place % columns == 0:
            axes.set_ylabel(metric, size=FONT_SIZE)
        else:
            axes.tick_params(labelleft=False)
    if title:
        left = MARGIN / figure.get_figwidth()
        figure.suptitle(abbreviate(title, 100), x=left, ha="left", size=FONT_SIZE + 2)
    style = {"marker": "o", "linestyle": "none"}
    figure.legend(
        handles=[
            Line2D([], [], color=_RUN_COLOUR, ms=3, mew=0, label="a run", **style),
            figure.axes[0].containers[0],
        ],
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
    categories: list[str] | None

    @classmethod
    def of(cls, runs, name: str) -> "_Marginal":
        """Collect a setting from runs; it is a number if all its values other than None are."""
        found = [(settings[name], metric) for settings, metric in runs if name in settings]
        is_number = [_is_number(value) for value, _ in found if value is not None]
        if any(is_number) and all(is_number):
            found = [(value, metric) for value, metric in found if value is not None]
            values, categories = [value for value, _ in found], None
        else:
            texts = [str(value) for value, _ in found]
            categories = sorted(set(texts))
            values = [categories.index(text) for text in texts]
        metrics = np.array([metric for _, metric in found], float)
        return cls(name, np.array(values, float), metrics, categories)

    @property
    def varies(self) -> bool:
        return len(np.unique(self.values)) > 1

    @property
    def has_too_many_categories(self) -> bool:
        return self.categories is not None and len(self.categories) > _MAX_CATEGORIES

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

    def groups(self) -> list[np.ndarray]:
        """Return the indices of the runs summarized together, in the order of their values."""
        order = np.argsort(self.values, kind="stable")
        if self.is_grouped:
            return np.array_split(order, min(_BINS, max(2, len(order) // _RUNS_PER_BIN)))
        _, starts = np.unique(self.values[order], return_index=True)
        return np.split(order, starts[1:])

    def summary(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the mean value, the mean metric and the metric's standard deviation of each group.

        Values are averaged as the axis shows them: geometrically on a logarithmic one. The standard
        deviation of a single run is NaN, which draws no error bar.
        """
        groups, scaled = self.groups(), self._scaled()
        return (
            self._unscaled(np.array([scaled[group].mean() for group in groups])),
            np.array([self.metrics[group].mean() for group in groups]),
            np.array([np.std(self.metrics[g], ddof=1) if len(g) > 1 else np.nan for g in groups]),
        )

    def dots(self) -> np.ndarray:
        """Return where the runs stand on the axis: at their values, equal ones side by side."""
        if self.is_grouped:
            return self.values
        scaled = self._scaled()
        width = 0.4 if self.categories is not None else 0.03 * np.ptp(scaled)
        # Multiples of the golden ratio are spread evenly, whichever of them a value gets.
        spread = (np.arange(len(scaled)) * 0.618034) % 1 - 0.5
        return self._unscaled(scaled + width * spread)

    def _scaled(self) -> np.ndarray:
        return np.log(self.values) if self.is_logarithmic else self.values

    def _unscaled(self, scaled: np.ndarray) -> np.ndarray:
        return np.exp(scaled) if self.is_logarithmic else scaled


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
            # Matplotlib makes tick labels after the fonts of all other texts have been chosen.
            fontfamily=fonts.stack("".join(names)),
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
    return [abbreviate(name, _NAME_LENGTH) for name in marginal.categories or ()]


def _upright_names_height(marginal: _Marginal) -> float:
    """Return the inches that upright category names take below a panel; 0 if none are."""
    names = _category_names(marginal)
    width = text_width(names, FONT_SIZE - 2)
    return width if width * len(names) > 0.7 * _PANEL_WIDTH else 0.0
