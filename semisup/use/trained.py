"""A trained run of any task, ready to say what new images show."""

import logging
from typing import NamedTuple

import numpy as np

from semisup.data.datasets import fingerprint
from semisup.errors import UserError
from semisup.machine import backend
from semisup.models import averaging
from semisup.run import calibration, features, loading

_logger = logging.getLogger(__name__)


class Prediction(NamedTuple):
    """What a run says of some images.

    Attributes:
        indices: (k,) int, the images' places.
        labels: (k,) int, their labels, below 0 where there is none.
        logits: (k, classes) float32.
        embeddings: (k, d) float32.
    """

    indices: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    embeddings: np.ndarray


class TrainedRun:
    """A run and its model at a step.

    Args:
        logdir: folder of the run.
        step: step of the checkpoint; below 0 for the newest.
        batch_size: images in a batch.
        relocated: function from the run's configuration to one with the data where it is now.
        output: another folder for what is written: see `RunDirectory`.
        task: the `Task` that the run has to be of, or None for any that knows classes.
        keep_features: whether features that are computed are kept for later, if the run has any.

    Attributes:
        run: the `RunDirectory`.
        config: its configuration.
        task: its `Task`.
        model: the model, with the weights that the run is evaluated with.
        step: its step.
        record: its `data.json`.
        class_names: names of its classes, or numbers of its clusters; none if it has neither.
        preparation: how images become those that it was trained on.

    Raises:
        UserError: if there is no such run or checkpoint, or it has no classes.
    """

    def __init__(
        self,
        logdir,
        step=-1,
        batch_size=100,
        relocated=lambda config: config,
        output="",
        task=None,
        keep_features=False,
    ):
        self.run, config, self.task = loading.open_run(logdir, task, output)
        self.config = relocated(config)
        backend.set_up(self.config)
        self.model = loading.restore_model(
            self.run, self.config, self.task, None if step < 0 else step
        )
        averaging.put_average(self.model)
        self.step = loading.step_of(self.model)
        self.batch_size = batch_size
        known = features.of_run(self.task, self.config, self.model, keep_features)
        self.predictor = self.task.predictor(self.model, batch_size, known)
        self.record = self.run.read_record(self.task.record_type)
        self.class_names = tuple(self.record.get("class_names", ()))
        if task is None and not self.class_names:
            raise UserError(f"{logdir} is a run of {self.task.name}, which knows no classes")
        self.preparation = self.task.preparation(self.config, self.record)

    def predict(self, images):
        """Predict images a block at a time.

        Args:
            images: `new_images.ImageFiles` or `SplitImages`.

        Yields:
            A `Prediction` for each block.
        """
        for block in images.blocks(self.batch_size):
            yield Prediction(block.indices, block.labels, *self.predictor.outputs(block.images))

    def calibration(self, other=""):
        """Return the run's `Calibration`; where it has none, fit one to the labels it held out.

        It is written into the run's folder if the model is the run's newest.

        Args:
            other: folder of a run with the same classes, whose newest model's calibration counts
                instead.

        Raises:
            UserError: if there is no such run, or it has other classes, or no calibration.
        """
        if other:
            alike = loading.open_alike("calibrated_by", other, self.class_names)
            found = calibration.read(alike)
            if found is None:
                raise UserError(
                    f"--calibrated_by={other} holds no {calibration.FILE} of its newest "
                    "checkpoint: train it with --cross_validate, or with --validation_samples and "
                    "evaluate it"
                )
            return found
        known = calibration.read(self.run, self.step)
        if known is not None:
            return known
        if not getattr(self.config, "holds_out", False):
            return calibration.Calibration()
        try:
            data = self.task.load_data(self.config, self.run.sampler)
        except UserError as error:
            _logger.warning("the probabilities are not calibrated: %s", error)
            return calibration.Calibration()
        held_out = data.evaluation
        if fingerprint(held_out) != self.record.get("evaluation_fingerprint"):
            _logger.warning("the probabilities are not calibrated: the held-out images differ")
            return calibration.Calibration()
        logits, _ = self.predictor.outputs(held_out.images)
        return calibration.calibrate(
            self.run, self.step, logits, held_out.labels, data.evaluated_on
        )
