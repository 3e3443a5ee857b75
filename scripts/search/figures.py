"""The figures of a search: what matters, what is good, and the marginals of thesis figure 5.5."""

import warnings

import matplotlib
import numpy as np
import optuna
from matplotlib import pyplot

from scripts.search.trials import complete
from semisup.report.figures import drawing, marginals

# Optuna draws with pyplot, which would otherwise look for a screen.
matplotlib.use("agg")

_LEAST_FOR_IMPORTANCE = 4
_METRIC = "validation error in %"
_TREES_SEED = 0


def draw(folder, study):
    """Draw the figures of a search into its folder, and log which are left out and why.

    Args:
        folder: a `SearchFolder`.
        study: its Optuna study.

    Returns:
        Paths of the PNG files.
    """
    trials = complete(study)
    runs = [(trial.params, 100 * trial.value) for trial in trials]
    title = f"{len(trials)} complete trials of {study.study_name.rpartition('-')[0]}"
    drawings = {
        "importance": lambda: importance_figure(study, title),
        "slices": lambda: slices_figure(study, title),
        "marginals": lambda: marginals.marginal_figure(runs, _METRIC, title=title),
    }
    figures = drawing.drawn(drawings)
    return [drawing.save(figure, folder.file(f"{name}.png")) for name, figure in figures.items()]


def importance_figure(study, title=""):
    """Draw how much of the error's variance each parameter explains (fANOVA).

    Args:
        study: the Optuna study.
        title: written above.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: if there are too few trials, or their errors are equal.
    """
    count = len(complete(study))
    if count < _LEAST_FOR_IMPORTANCE:
        raise ValueError(f"it needs {_LEAST_FOR_IMPORTANCE} complete trials, there are {count}")
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=_TREES_SEED)
    try:
        return _plot("plot_param_importances", study, title, evaluator=evaluator)
    except RuntimeError:
        raise ValueError("the errors are equal") from None


def slices_figure(study, title=""):
    """Draw the error of each trial against each parameter, early trials lighter than late ones.

    Args:
        study: the Optuna study.
        title: written above.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: if no trial is complete.
    """
    if not complete(study):
        raise ValueError("no trial is complete")
    return _plot("plot_slice", study, title)


def _plot(name, study, title, **options):
    """Draw one of Optuna's plots of the error in per cent."""
    # Optuna's plots set a style that would apply to everything drawn later.
    with warnings.catch_warnings(), matplotlib.rc_context({"figure.constrained_layout.use": True}):
        # Optuna warns that plots are experimental, Matplotlib of axes without width.
        warnings.simplefilter("ignore")
        axes = getattr(optuna.visualization.matplotlib, name)(
            study, target=lambda trial: 100 * trial.value, target_name=_METRIC, **options
        )
        figure = np.ravel(axes)[0].figure
        pyplot.close(figure)
        figure.set_dpi(drawing.DPI)
        figure.suptitle(title)
        return figure
