"""The effect of each setting on the accuracy, over a folder of runs (thesis figure 5.5)."""

import dataclasses
import logging
from pathlib import Path

from clustering.config import TrainConfig
from clustering.task import TASK
from semisup.cli.dataset_names import file_name
from semisup.errors import UserError
from semisup.report.figures import drawing, marginals
from semisup.run.directory import find_runs

# Settings that may differ within a run say nothing about the method, and neither do these.
_LEFT_OUT = {"seed", "initial_run"} | {
    field.name for field in dataclasses.fields(TrainConfig) if field.metadata["resume"]
} - {"max_steps"}

_logger = logging.getLogger(__name__)


def read(folder):
    """Read settings and accuracy of the runs below a folder that are evaluated at their last step.

    Args:
        folder: folder that holds run directories at any depth.

    Returns:
        List of pairs: settings by name, and accuracy in per cent.

    Raises:
        UserError: if a file of a run is damaged.
    """
    found = []
    for run, _ in find_runs(folder, "evaluation.json", [TASK.name]):
        measured = run.read_json("evaluation.json")
        if "accuracy" not in measured:
            continue
        if measured.get("step") != run.completed_step():
            _logger.info(
                "%s is left out: it was not evaluated at the end of its training", run.path
            )
            continue
        settings = run.read_settings(TrainConfig).to_dict()
        settings = {key: value for key, value in settings.items() if key not in _LEFT_OUT}
        found.append((settings, 100 * measured["accuracy"]))
    return found


def draw(folder):
    """Draw `ablation_DATASET.png` in a folder of runs, for each data set that allows it.

    Args:
        folder: see `read`.

    Returns:
        Paths of the files.

    Raises:
        UserError: if there are too few runs of any data set, or nothing varies among them.
    """
    folder = Path(folder).expanduser()
    runs = read(folder)
    by_dataset = {}
    for settings, accuracy in runs:
        by_dataset.setdefault(settings["dataset"], []).append((settings, accuracy))
    paths, reasons = [], []
    for dataset, members in by_dataset.items():
        try:
            figure = marginals.marginal_figure(members, "accuracy in %")
        except ValueError as error:
            reasons.append(f"{dataset}: {error}")
        else:
            path = folder / f"ablation_{file_name(dataset)}.png"
            if path in paths:
                # Two folders of images may have the same name.
                path = folder / f"ablation_{file_name(dataset)}_{len(paths) + 1}.png"
            paths.append(drawing.save(figure, path))
    if not paths:
        raise UserError(
            f"--ablation={folder}: {'; '.join(reasons) or 'nothing to compare'}; it holds "
            f"{len(runs)} evaluated runs of clustering with labelled images (clustering-eval "
            "--logdir=RUN evaluates one)"
        )
    for reason in reasons:
        _logger.info("left out, %s", reason)
    return paths
