"""Weak labels: predictions by which unlabelled images are drawn.

They are in force from the step at which they are made until they are made anew. Checkpoints keep
them, so that a training that is resumed sees the batches that it would have seen.
"""

from typing import NamedTuple

import numpy as np

from semisup.errors import UserError
from semisup.run import loading
from semisup.run.evaluation import Predictor

_LABELS, _STEP = "weak_labels", "weak_labels_step"


class _Made(NamedTuple):
    step: int
    labels: np.ndarray


class WeakLabels:
    """The weak labels of a training.

    Args:
        images: (n, height, width, channels) images, some of which may be drawn.
        pool: (k,) indices of those.
        num_classes: number of classes.
        delay: step before which no labels are needed.
        fixed: whether they are those of another run, and never made anew.
    """

    def __init__(self, images, pool, num_classes, delay, fixed):
        self._images, self._pool = images, pool
        self._num_classes = num_classes
        self._delay, self._fixed = delay, fixed
        # The latest ones, after those before.
        self._made = []

    @property
    def in_force(self):
        """The predicted class (k,) of each image that may be drawn, or None if there are none."""
        return self._made[-1].labels if self._made else None

    def refresh(self, step, predictor):
        """Predict the labels in force from a step on, unless they are fixed or not needed yet.

        Args:
            step: the step.
            predictor: a `Predictor`.
        """
        is_due = not self._fixed and step >= self._delay
        if is_due and not (self._made and self._made[-1].step == step):
            self._put(step, predictor.labels(self._images)[self._pool])

    def _put(self, step, labels):
        self._made = [*self._made[-1:], _Made(step, np.asarray(labels, np.int32))]

    def entries(self, step):
        """Return what the checkpoint of a step keeps of them, arrays by their names.

        These are the labels that the step was taken by, whether or not new ones were made after it.
        """
        earlier = [made for made in self._made if made.step < step]
        kept = earlier[-1] if earlier else _Made(0, np.empty(0, np.int32))
        return {_LABELS: kept.labels, _STEP: np.int64(kept.step)}

    def restore(self, entries, path):
        """Put in force what a checkpoint has kept.

        Args:
            entries: arrays by their names, as `entries` returns them.
            path: the checkpoint, for messages.

        Raises:
            UserError: if it has none, or those of other images or classes.
        """
        again = "start again with --overwrite"
        if not entries.keys() >= {_LABELS, _STEP}:
            raise UserError(f"{path} keeps no weak labels; {again}")
        labels, step = entries[_LABELS], entries[_STEP]
        if labels.shape == (0,) and not self._fixed:
            return
        if labels.shape != self._pool.shape or labels.dtype != np.int32 or step.shape:
            raise UserError(f"{path} has weak labels of other images; {again}")
        if np.any((labels < 0) | (labels >= self._num_classes)):
            raise UserError(f"{path} has weak labels of other classes; {again}")
        self._put(int(step), labels)

    def take_from(self, logdir, class_names, batch_size):
        """Put the predictions of another run's network in force from the first step on.

        Args:
            logdir: its directory.
            class_names: names of the classes of this run.
            batch_size: images in a batch.

        Raises:
            UserError: if there is no such run, or it has other classes or images of another shape.
        """
        loading.open_alike("weak_labels", logdir, class_names)
        model, _ = loading.load_run(logdir)
        try:
            self._put(0, Predictor(model, batch_size).labels(self._images)[self._pool])
        except ValueError as error:
            raise UserError(
                f"--weak_labels={logdir} takes other images than those of this run, of shape "
                f"{tuple(self._images.shape[1:])}"
            ) from error
