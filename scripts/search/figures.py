"""The figures of a search: what matters, what is good, and the marginals of thesis figure 5.5."""

import math

import numpy as np
import optuna
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from scripts.search.trials import complete
from semisup import analysis

_BAR_COLOUR = "#0A3A5E"
_BEST_COLOUR = "#D55E00"
_DPI = 150
_FONT_SIZE = 9
_LEAST_FOR_IMPORTANCE = 4
_METRIC = "validation error in %"
_PANEL = (2.5, 2.4)
_PANELS_IN_A_ROW = 4
_TREES_SEED = 0


def draw(folder, study, space):
    """Draws the figures of a search into its folder, and says which are left out, and why.

    Args:
        folder: a `SearchFolder`.
        study: its Optuna study.
        space: tuple of `Dimension`s.

    Returns:
        Paths of the PNG files.
    """
    trials = complete(study)
    runs = [(trial.params, 100 * trial.value) for trial in trials]
    title = f"{len(trials)} complete trials of {study.study_name.rpartition('-')[0]}"
    drawings = {
        "importance": lambda: importance_figure(_importances(study), title),
        "slices": lambda: slices_figure(trials, space, title),
        "marginals": lambda: analysis.marginal_figure(runs, _METRIC, title=title),
    }
    figures = analysis.drawn(drawings)
    return [analysis.save(figure, folder.file(f"{name}.png")) for name, figure in figures.items()]


def _importances(study):
    count = len(complete(study))
    if count < _LEAST_FOR_IMPORTANCE:
        raise ValueError(f"it needs {_LEAST_FOR_IMPORTANCE} complete trials, there are {count}")
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=_TREES_SEED)
    try:
        return optuna.importance.get_param_importances(study, evaluator=evaluator)
    except RuntimeError:
        raise ValueError("the errors are equal") from None


def importance_figure(importances, title=""):
    """Draws how much of the error's variance each parameter explains (fANOVA).

    Args:
        importances: shares by the parameters' names.
        title: written above.

    Returns:
        A matplotlib `Figure`.
    """
    names = sorted(importances, key=importances.get)
    figure = Figure((5.5, 1.1 + 0.32 * len(names)), dpi=_DPI, facecolor="white")
    figure.set_layout_engine("constrained")
    _write_title(figure, title)
    axes = figure.add_subplot()
    bars = axes.barh(names, [100 * importances[name] for name in names], 0.6, color=_BAR_COLOUR)
    axes.bar_label(bars, fmt="%.0f %%", padding=3, size=_FONT_SIZE - 1)
    axes.set_xlim(0, 110)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("share of the validation error's variance (fANOVA)", size=_FONT_SIZE)
    axes.xaxis.set_major_formatter("{x:.0f} %")
    axes.tick_params(labelsize=_FONT_SIZE - 1)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def slices_figure(trials, space, title=""):
    """Draws the error of each trial against each parameter, early trials lighter than late ones.

    Args:
        trials: complete Optuna trials.
        space: tuple of `Dimension`s.
        title: written above the panels.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: if there is no trial.
    """
    if not trials:
        raise ValueError("no trial is complete")
    errors = 100 * np.array([trial.value for trial in trials])
    numbers = np.array([trial.number for trial in trials])
    best = int(np.argmin(errors))
    rows = math.ceil(len(space) / _PANELS_IN_A_ROW)
    columns = math.ceil(len(space) / rows)
    width, height = _PANEL
    figure = Figure((columns * width + 1, rows * height + 0.5), dpi=_DPI, facecolor="white")
    figure.set_layout_engine("constrained")
    _write_title(figure, title)
    norm = Normalize(-0.3 * max(numbers.max(), 1), max(numbers.max(), 1))
    axes = None
    for place, dimension in enumerate(space):
        axes = figure.add_subplot(rows, columns, place + 1, sharey=axes)
        places = _places(axes, dimension, trials)
        axes.scatter(places, errors, 18, numbers, cmap="Blues", norm=norm, ec="0.4", lw=0.3)
        axes.plot(places[best], errors[best], "*", color=_BEST_COLOUR, ms=10, mec="white", mew=0.5)
        axes.set_xlabel(dimension.name, size=_FONT_SIZE)
        axes.tick_params(labelsize=_FONT_SIZE - 2)
        axes.grid(axis="y", color="0.92", lw=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if place % columns == 0:
            axes.set_ylabel(_METRIC, size=_FONT_SIZE)
        else:
            axes.tick_params(labelleft=False)
    if 0 < 10 * errors.min() < errors.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    bar = figure.colorbar(
        ScalarMappable(norm, "Blues"), ax=figure.axes, label="trial", aspect=30, pad=0.02
    )
    bar.ax.set_ylim(0, max(numbers.max(), 1))
    bar.ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    bar.ax.tick_params(labelsize=_FONT_SIZE - 2)
    star = Line2D([], [], marker="*", ls="none", color=_BEST_COLOUR, ms=8, mew=0)
    figure.legend(
        [star],
        [f"the best: trial {numbers[best]}, {errors[best]:.2f} %"],
        loc="outside lower center",
        fontsize=_FONT_SIZE - 1,
        frameon=False,
    )
    return figure


def _write_title(figure, title):
    if title:
        figure.suptitle(title, x=0.1 / figure.get_figwidth(), ha="left", size=_FONT_SIZE + 2)


def _places(axes, dimension, trials):
    """Where trials stand on the axis of a parameter, which is made to fit."""
    values = [trial.params[dimension.name] for trial in trials]
    if dimension.kind == "log":
        axes.set_xscale("log")
    if dimension.kind != "choice":
        axes.set_xlim(*_with_margin(dimension))
        return np.array(values, float)
    names = [analysis.drawing.abbreviate(value, 16) for value in dimension.values]
    axes.set_xticks(range(len(names)), names, rotation=90 if len("".join(names)) > 30 else 0)
    axes.set_xlim(-0.5, len(names) - 0.5)
    # Multiples of the golden ratio spread evenly, however many have an equal value.
    spread = 0.4 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5)
    return spread + [dimension.values.index(value) for value in values]


def _with_margin(dimension):
    low, high = dimension.values
    if dimension.kind == "log":
        factor = (high / low) ** 0.04
        return low / factor, high * factor
    margin = 0.04 * (high - low)
    return low - margin, high + margin
