"""The evaluation of a run on another labelled data set than its own."""

import itertools
import logging
import os

import numpy as np

from semisup.cli import dataset_names
from semisup.data import new_images
from semisup.data.cache import UNLABELLED
from semisup.data.folder_walk import composed
from semisup.errors import UserError, shown
from semisup.files import reading, writing
from semisup.files.names import printable
from semisup.report.image_reporter import PREDICTION, prediction_rows, table
from semisup.run import admission, calibration, file_types
from semisup.use.trained import TrainedRun

FOLDER = "evaluations"
"""Folder of a run for what was measured on other data sets."""

_logger = logging.getLogger(__name__)


def evaluate_elsewhere(settings):
    """Evaluate a run on the data set that the settings name.

    The metrics are written into the folder `evaluations` of the run, beside the predictions.

    Args:
        settings: an `EvalConfig` with a `dataset`.

    Raises:
        UserError: if the data set has no labels, or has classes that are not the run's.
    """
    name = dataset_names.resolved(settings.dataset, "dataset", settings.data_dir or None)
    trained = TrainedRun(
        settings.logdir,
        settings.step,
        settings.eval_batch_size,
        settings.relocated,
        settings.output,
    )
    admission.prepare_output(trained.run)
    if "labelled_indices" not in trained.record:
        raise UserError(f"{settings.logdir} is a clustering, whose clusters are no classes")
    theirs, images = new_images.of_dataset(
        name, settings.split, trained.preparation, trained.config.resolved_data_dir
    )
    numbers = _matched(name, theirs, trained)
    folder = trained.run.written(FOLDER)
    # Before the images are read, which may take long: a damaged evaluation is refused.
    stem = _free_stem(folder, name, settings.split)
    scale = trained.calibration()
    rows, labels, logits = [], [], []
    for prediction in trained.predict(images):
        if (prediction.labels == UNLABELLED).any():
            raise UserError(f"--dataset={settings.dataset}: its images have no labels")
        truth = numbers[prediction.labels]
        names = [images.names[index] for index in prediction.indices]
        rows += prediction_rows(
            names,
            [trained.class_names[label] for label in truth],
            scale.probabilities(prediction.logits),
            trained.class_names,
        )
        labels.append(truth)
        logits.append(prediction.logits)
    new_images.count_readable(images)
    measured = calibration.metrics(
        scale, np.concatenate(logits), np.concatenate(labels), trained.class_names
    )
    os.makedirs(folder, exist_ok=True)
    content = {"step": trained.step, "dataset": name, "evaluated_on": "images of another data set"}
    writing.write_json(os.path.join(folder, f"{stem}.json"), {**content, **measured})
    writing.write_table(os.path.join(folder, f"{stem}.csv"), PREDICTION, rows)
    _logger.info("step %d, %s: %s", trained.step, name, table(measured))
    _logger.info("\nwrote %s.json and .csv", os.path.join(folder, stem))


def _free_stem(folder, dataset, split):
    """Name the files of an evaluation, unlike those of another data set of the same name."""
    stem = "_".join(filter(None, (printable(dataset_names.file_name(dataset)), split)))
    for number in itertools.count(1):
        name = f"{stem}_{number}" if number > 1 else stem
        path = os.path.join(folder, f"{name}.json")
        if not os.path.lexists(path):
            return name
        # A link may lead nowhere.
        earlier = reading.read_json(path, file_types.Evaluation) or {}
        if earlier.get("dataset") == dataset:
            return name


def _matched(dataset, theirs, trained):
    """Return the run's class for each class of a data set, found by its name."""
    if not theirs:
        raise UserError(f"--dataset={dataset}: its images have no labels")
    known = {composed(name): number for number, name in enumerate(trained.class_names)}
    extra = [name for name in theirs if composed(name) not in known]
    if extra:
        raise UserError(
            f"--dataset={dataset} has classes that {trained.run.path} does not know: "
            f"{shown(', '.join(extra))}; it knows {shown(', '.join(trained.class_names))}"
        )
    return np.array([known[composed(name)] for name in theirs])
