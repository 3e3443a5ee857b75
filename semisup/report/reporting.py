"""The report on a run: metrics of its checkpoints on the screen, as JSON and in TensorBoard."""

import logging
import os
import time

from semisup.data.datasets import fingerprint
from semisup.errors import UserError, shown
from semisup.files.names import printable
from semisup.machine import backend
from semisup.models import averaging
from semisup.report import page
from semisup.run import admission, checkpoints, features, loading, projector
from semisup.run.directory import RunDirectory

_logger = logging.getLogger(__name__)


def evaluate_run(settings, task):
    """Evaluate one checkpoint of a run, or each new one until its training is complete.

    Args:
        settings: the binary's configuration, an `EvaluationConfig`.
        task: the `Task` that the run has to be of.

    Raises:
        UserError: if the run, a checkpoint or the data is missing or damaged.
    """
    if settings.follow:
        seconds = settings.poll_seconds
        _wait_until(_is_begun, RunDirectory(settings.logdir), "a training to begin", seconds)
    run, config, task = loading.open_run(settings.logdir, task, settings.output)
    admission.prepare_output(run)
    if settings.follow:
        _wait_until(_has_checkpoint, run, "a checkpoint", seconds)
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
    step = seen = loading.step_of(model)
    reporter.write(step)
    while settings.follow:
        # Ask first, since a checkpoint may appear between the two looks.
        training = run.is_training()
        steps = [new for new in checkpoints.list_steps(run.checkpoints) if new > seen]
        for seen in steps:
            try:
                checkpoints.restore(model, run.checkpoints, seen, to_evaluate=True)
            except checkpoints.CheckpointDamaged as error:
                # The trainer may have deleted it meanwhile.
                if os.path.lexists(checkpoints.path_of(run.checkpoints, seen)):
                    _logger.warning("%s; it is left out", printable(str(error)))
                continue
            step = seen
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
        projector.project(run.written("eval"), task, data, reporter.predictor)
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


def by_class(kind, values):
    """Return numbers of classes for TensorBoard by their tags, without those that are None.

    Args:
        kind: what the tags begin with.
        values: the numbers by the classes' names.
    """
    known = {name: value for name, value in values.items() if value is not None}
    return {f"{kind}/{printable(name)}": value for name, value in known.items()}


def _wait_until(is_so, run, what, seconds):
    if is_so(run):
        return
    _logger.info("Waiting for %s in %s ...", what, run.path)
    while not is_so(run):
        time.sleep(seconds)


def _is_begun(run):
    """Return whether a training has begun in a folder, which has to exist for it."""
    if run.is_begun():
        return True
    if not os.path.isdir(run.path):
        raise UserError(f"--logdir={run.path}: there is no such folder")
    strangers = admission.strangers(run)
    # Ask again, since a training may have begun between the two looks.
    if strangers and not run.is_begun():
        raise UserError(
            f"--follow: {run.path} holds no run, and none can begin there: it holds "
            f"{shown(', '.join(strangers[:3]))}"
        )
    return False


def _has_checkpoint(run):
    """Return whether a run that is being trained has a checkpoint."""
    # Ask first, since the training may save and end between the two looks.
    training = run.is_training()
    if checkpoints.list_steps(run.checkpoints):
        return True
    if not training:
        raise UserError(f"--follow: {run.path} has no checkpoint, and no training is running there")
    return False


class Reporter:
    """The evaluation of a run's model, and the report on it.

    A subclass says in `measure` what there is to measure, in `scalars` what TensorBoard shows of it
    and in `text` what is printed.

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
        self.model = model
        self.features = features.of_run(task, config, model)
        self.predictor = task.predictor(model, settings.eval_batch_size, self.features)
        self.writer = tf.summary.create_file_writer(run.written("eval"))

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
        """Evaluate the model, which is at a step, report its metrics, and return them."""
        import tensorflow as tf

        with averaging.averaged_weights(self.model):
            content = {
                "step": step,
                "dataset": self.config.dataset,
                "evaluated_on": self.data.evaluated_on,
                **self.measure(),
            }
        self.run.write_json("evaluation.json", content)
        with self.writer.as_default():
            for name, value in self.scalars(content).items():
                tf.summary.scalar(name, value, step=step)
        self.writer.flush()
        _logger.info(self.text(content))
        if self.settings.report and self.settings.follow:
            page.write(self.run, self.task)
        return content

    def measure(self):
        """Measure the model.

        Returns:
            Metrics by name, ready for JSON.
        """
        return self.task.measure(self.predictor, self.data)

    def scalars(self, content):
        """Return numbers for TensorBoard by their tags.

        Args:
            content: the metrics with the `step`.
        """
        return {name: content[name] for name in self.task.shown if name in content}

    def text(self, content):
        """Return the text to print: see `scalars`."""
        values = (f"{name} {value:.4f}" for name, value in self.scalars(content).items())
        return f"step {content['step']}: {', '.join(values)}"

    def drawings(self):
        """Return functions that draw the run's figures, by name: see `illustration.draw`."""
        return {}
