"""Weak labels in force: predictions by which unlabelled images are drawn, kept with the run.

`weak_labels/step_NNNNNNNN.npy` holds the predicted class of each image that may be drawn, in force
from that step to the next such file. A training that is resumed at a step reads what was in force
then, and so sees the batches that it would have seen.
"""

import os
import re

import numpy as np

from semisup.data.cache import open_mapped
from semisup.errors import UserError, first_line
from semisup.files.replacing import replacing
from semisup.run import loading
from semisup.run.evaluation import Predictor

_NAME = re.compile(r"step_(\d{8,})\.npy")


class WeakLabels:
    """The weak labels of a run.

    Args:
        run: the `RunDirectory`.
        images: (n, height, width, channels) images, some of which may be drawn.
        pool: (k,) indices of those.
        num_classes: number of classes.
        delay: step before which no labels are needed.
        fixed: whether they are those of another run, and never made anew.
    """

    def __init__(self, run, images, pool, num_classes, delay, fixed):
        self._folder = run.file("weak_labels")
        self._images, self._pool = images, pool
        self._num_classes = num_classes
        self._delay, self._fixed = delay, fixed

    def _steps(self):
        names = os.listdir(self._folder) if os.path.isdir(self._folder) else ()
        return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))

    def _path(self, step):
        return os.path.join(self._folder, f"step_{step:08d}.npy")

    def in_force(self, step):
        """Return the labels (k,) of a step, or None if there are none yet.

        Raises:
            UserError: if they are damaged, or of other images or classes.
        """
        earlier = [known for known in self._steps() if known <= step]
        if not earlier:
            return None
        path = self._path(earlier[-1])
        again = "start again with --overwrite"
        try:
            # Not read yet: a damaged header may claim more than any memory holds.
            mapped, _ = open_mapped(path)
        except Exception as error:
            # A flipped bit in the header can raise nearly anything.
            raise UserError(f"{path} cannot be read ({first_line(error)}); {again}") from None
        if mapped.shape != self._pool.shape or mapped.dtype != np.int32:
            raise UserError(f"{path} has labels of other images; {again}")
        labels = np.array(mapped)
        if np.any((labels < 0) | (labels >= self._num_classes)):
            raise UserError(f"{path} has labels of other classes; {again}")
        return labels

    def refresh(self, step, predictor):
        """Predict the labels in force from a step on, unless they are fixed or not needed yet.

        Args:
            step: the step.
            predictor: a `Predictor`.
        """
        if not self._fixed and step >= self._delay:
            self.put(step, predictor.labels(self._images)[self._pool])

    def put(self, step, labels):
        """Write the labels in force from a step on."""
        os.makedirs(self._folder, exist_ok=True)
        with replacing(self._path(step)) as temporary, open(temporary, "wb") as file:
            np.save(file, np.asarray(labels, np.int32))

    def forget_after(self, step):
        """Remove the labels of later steps; a resumed training makes them again."""
        for later in self._steps():
            if later > step:
                os.remove(self._path(later))

    def of_another_run(self, logdir, class_names, batch_size):
        """Predict labels by the network of another run.

        Args:
            logdir: its directory.
            class_names: names of the classes of this run.
            batch_size: images in a batch.

        Returns:
            (k,) integers.

        Raises:
            UserError: if there is no such run, or it has other classes or images of another shape.
        """
        loading.open_alike("weak_labels", logdir, class_names)
        model, _ = loading.load_run(logdir)
        try:
            return Predictor(model, batch_size).labels(self._images)[self._pool]
        except ValueError as error:
            raise UserError(
                f"--weak_labels={logdir} takes other images than those of this run, of shape "
                f"{tuple(self._images.shape[1:])}"
            ) from error
