"""The report on a run: metrics of its checkpoints on the screen, as JSON and in TensorBoard."""

import functools
import logging
import os
import time

from semisup.cli.settings import FOLDER
from semisup.data import folders
from semisup.data.datasets import fingerprint
from semisup.errors import UserError, shown
from semisup.models import averaging
from semisup.names import printable
from semisup.report import page, uncertainty
from semisup.run import backend, checkpoints, evaluation, loading, projector
from semisup.run.directory import RunDirectory

_logger = logging.getLogger(__name__)


def evaluate_run(settings, task):
    """Evaluate one checkpoint of a run, or each new one until its training is complete.

    Args:
        settings: the binary's configuration, an `EvalConfig`.
        task: the `Task` that the run has to be of.

    Raises:
        UserError: if the run, a checkpoint or the data is missing or damaged.
    """
    if settings.follow:
        _wait_for_run(RunDirectory(settings.logdir), settings.poll_seconds)
    run, config, task = loading.open_run(settings.logdir, task)
    if settings.follow:
        _wait_for_checkpoint(run, settings.poll_seconds)
    reporter_class = task.reporter_class()
    # Check before loading, since data and models may be large.
    reporter_class.check(settings, config)
    config = settings.relocated(config)
    backend.set_up(config)
    first = None if settings.step < 0 else settings.step
    model = loading.restore_model(run, config, task, first)
    data = task.load_data(config, run.sampler)
    for note in data.notes:
        _logger.info(note)
    record = run.read_record(task.record_type)
    for name, split in data.measured.items():
        recorded = record.get(f"{name}_fingerprint")
        # Test images that did not exist at the training may have been added since.
        if recorded is not None and fingerprint(split) != recorded:
            raise UserError(
                f"the {name.replace('_', ' ')} images are not those of the training in {run.path}"
            )
    reporter = reporter_class(settings, run, config, task, data, model)
    step = loading.step_of(model)
    reporter.write(step)
    while settings.follow:
        # Ask first, since a checkpoint may appear between the two looks.
        training = run.is_training()
        steps = [new for new in checkpoints.list_steps(run.checkpoints) if new > step]
        for step in steps:
            try:
                checkpoints.restore(model, run.checkpoints, step, to_evaluate=True)
            except checkpoints.CheckpointDamaged:
                # The trainer has deleted it meanwhile.
                continue
            reporter.write(step)
        if not steps:
            if not training:
                break
            time.sleep(settings.poll_seconds)
    if settings.follow and run.completed_step() < step:
        _logger.info(
            "The training in %s has stopped at step %d of %d.", run.path, step, config.max_steps
        )
    if settings.figures or settings.projector:
        averaging.put_average(model)
    if settings.projector:
        projector.project(run.file("eval"), task, data, reporter.predictor)
        path = run.file("eval", "projector_config.pbtxt")
        _logger.info("wrote %s: see tensorboard's projector", path)
    if settings.figures:
        # Imported here, since Matplotlib takes a second.
        from semisup.report import illustration

        for path in illustration.draw(run, step, reporter.drawings()):
            _logger.info("wrote %s", path)
    if settings.report:
        # After the figures, since the page shows them.
        _logger.info("wrote %s", page.write(run, task))


def _wait_for_run(run, seconds):
    """Wait for a training to begin in a folder that exists for it."""
    told = False
    while not run.is_begun():
        if not os.path.isdir(run.path):
            raise UserError(f"--logdir={run.path}: there is no such folder")
        strangers = run.strangers()
        # Ask last, since a training may have begun between the two looks.
        if strangers and not run.is_begun():
            raise UserError(
                f"--follow: {run.path} holds no run, and none can begin there: it holds "
                f"{shown(', '.join(strangers[:3]))}"
            )
        if not told:
            told = True
            _logger.info("Waiting for a training to begin in %s ...", run.path)
        time.sleep(seconds)


def _wait_for_checkpoint(run, seconds):
    """Wait for the first checkpoint of a run that is being trained."""
    told = False
    while True:
        # Ask first, since the training may save and end between the two looks.
        training = run.is_training()
        if checkpoints.list_steps(run.checkpoints):
            return
        if not training:
            raise UserError(
                f"--follow: {run.path} has no checkpoint, and no training is running there"
            )
        if not told:
            told = True
            _logger.info("Waiting for a checkpoint in %s ...", run.path)
        time.sleep(seconds)


class Reporter:
    """The evaluation of a run's model, and the report on it.

    Args:
        settings: the binary's configuration.
        run: the `RunDirectory`.
        config: the run's configuration.
        task: its `Task`.
        data: its `TaskData`.
        model: its model.
    """

    def __init__(self, settings, run, config, task, data, model):
        import tensorflow as tf

        self.settings = settings
        self.run = run
        self.config = config
        self.task = task
        self.data = data
        self.class_names, self.labels = data.class_names, data.evaluation.labels
        self.predictor = task.predictor(model, settings.eval_batch_size)
        self.dropout_predictor = None
        if settings.mc_dropout:
            self.dropout_predictor = uncertainty.DropoutPredictor(
                model, settings.mc_dropout, config.seed, settings.eval_batch_size
            )
        self.writer = tf.summary.create_file_writer(run.file("eval"))

    @staticmethod
    def check(settings, config):
        """Check what the settings name besides the run, before data and model are loaded.

        Args:
            settings: the binary's configuration.
            config: the run's configuration, as it was trained.

        Raises:
            UserError: if anything does not fit the run.
        """

    def write(self, step):
        """Evaluate the model, which is at a step, and report its metrics."""
        import tensorflow as tf

        with averaging.averaged_weights(self.predictor.model):
            content = {
                "step": step,
                "dataset": self.config.dataset,
                "evaluated_on": self.data.evaluated_on,
                **self.measure(),
            }
            if self.dropout_predictor is not None:
                content["mc_dropout"] = self._measure_uncertainty()
        self.run.write_json("evaluation.json", content)
        with self.writer.as_default():
            for name, value in self.scalars(content).items():
                tf.summary.scalar(name, value, step=step)
        self.writer.flush()
        _logger.info(self.text(content))
        if "mc_dropout" in content:
            _logger.info(uncertainty.text(content["mc_dropout"]))
            _logger.info("how sure of each image: %s", self.run.file("uncertainty.csv"))
        if self.settings.report and self.settings.follow:
            page.write(self.run, self.task)

    def _measure_uncertainty(self):
        """Write `uncertainty.csv`, and return a summary over all images."""
        probabilities, entropy, information = self.dropout_predictor.measure(
            self.data.evaluation.images
        )
        predicted = probabilities.argmax(axis=1)
        self.run.write_table(
            "uncertainty.csv",
            ["image", "label", "predicted", "probability", "entropy", "mutual_information"],
            [
                [name, label, self.data.class_names[guess], *(f"{value:.6g}" for value in values)]
                for name, label, guess, *values in zip(
                    self.image_names,
                    self._label_names(),
                    predicted,
                    probabilities.max(axis=1),
                    entropy,
                    information,
                    strict=True,
                )
            ],
        )
        return uncertainty.summary(self.dropout_predictor.passes, entropy, self.mistakes(predicted))

    def _label_names(self):
        """Return the class name of each evaluated image; empty if no labels are known."""
        if self.labels is None:
            return [""] * len(self.data.evaluation.images)
        return [self.class_names[label] for label in self.labels]

    def evaluated(self):
        """Return data set and split of the evaluated images; None for a held-out split."""
        return self.config.dataset, None if self.config.validation_samples else "test"

    @functools.cached_property
    def image_names(self):
        """What the evaluated images are called: the files of a folder, else their places."""
        dataset, split = self.evaluated()
        if split and dataset.startswith(FOLDER):
            return folders.image_paths(dataset.removeprefix(FOLDER), split)
        return range(len(self.data.evaluation.images))

    def mistakes(self, predicted):
        """Return which images are given a wrong class.

        Args:
            predicted: (n,) int, places in the data's `class_names`, for the evaluated images.

        Returns:
            (n,) bool, or None if their classes are not known.
        """
        return predicted != self.labels

    def measure(self):
        """Measure the model's metrics, ready for JSON, and write `predictions.csv`."""
        evaluated, names = self.data.evaluation, self.data.class_names
        logits, _ = self.predictor.outputs(evaluated.images)
        predicted = logits.argmax(axis=1)
        probabilities = evaluation.probabilities(logits).max(axis=1)
        self.run.write_table(
            "predictions.csv",
            ["image", "label", "predicted", "probability"],
            [
                [name, label, names[guess], f"{probability:.4f}"]
                for name, label, guess, probability in zip(
                    self.image_names, self._label_names(), predicted, probabilities, strict=True
                )
            ],
        )
        return evaluation.metrics(evaluated.labels, predicted, names)

    def metrics_on(self, split):
        """Return `evaluation.metrics` of the model on a labelled split."""
        predicted = self.predictor.labels(split.images)
        return evaluation.metrics(split.labels, predicted, self.data.class_names)

    def scalars(self, content):
        """Return numbers for TensorBoard by their tags.

        Args:
            content: the metrics with the `step`.
        """
        accuracies = content["per_class_accuracy"].items()
        return {
            self.data.error_name: content["error"],
            **{
                f"accuracy/{printable(name)}": value
                for name, value in accuracies
                if value is not None
            },
        }

    def text(self, content):
        """Return the text to print: see `scalars`."""
        return f"step {content['step']}: {table(content)}\n{self.where()}"

    def where(self):
        """Return a line that says where the prediction of each image is."""
        return f"\nthe prediction of each image: {self.run.file('predictions.csv')}"

    def drawings(self):
        """Return functions that draw the run's figures, by name: see `illustration.drawings`."""
        from semisup.report import illustration

        return illustration.drawings(self.run, self.config, self.task, self.data, self.predictor)


def table(content):
    """Format metrics as a table for the screen.

    Args:
        content: what `evaluation.metrics` returned; its confusion matrix may have further columns
            that belong to no class.

    Returns:
        Lines of text: the error, and for each class its accuracy and its row of the confusion
        matrix, if that is not too wide.
    """
    names = list(content["per_class_accuracy"])
    matrix = content["confusion_matrix"]
    columns = [*names, *("-" * (len(matrix[0]) - len(names)))]
    shows_matrix = len(columns) <= 20
    width = max(5, *(len(name) for name in names))
    cells = max(4, *(len(str(count)) for row in matrix for count in row)) + 1
    lines = [
        f"error {100 * content['error']:.2f} % of {content['images']} images",
        "",
        f"{'class':<{width}} accuracy   predicted as "
        + ("".join(f"{name[: cells - 1]:>{cells}}" for name in columns) if shows_matrix else ""),
    ]
    for name, row in zip(names, matrix, strict=True):
        accuracy = content["per_class_accuracy"][name]
        shown = "      - " if accuracy is None else f"{100 * accuracy:6.2f} %"
        counts = "".join(f"{count:>{cells}}" for count in row) if shows_matrix else ""
        lines.append(f"{name:<{width}} {shown:>8}                {counts}")
    return "\n".join(lines)
