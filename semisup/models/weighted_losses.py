"""A Keras model whose loss is a weighted sum, each part of which is logged and may be steered."""

import warnings
from typing import Any

import keras
from keras import ops

from semisup.embeddings.types import LossWeight, Tensor
from semisup.models import replicas
from semisup.models.averaging import WeightAverage
from semisup.models.checked_arguments import CheckedArgumentsModel
from semisup.models.latest_values import LatestValue, LatestValues, Mean
from semisup.similarity import check_names, weight_at

REGULARIZATION_LOSS = "regularization_loss"
TOTAL_LOSS = "total_loss"


def returns_total(compute_loss):
    """Mark a `compute_loss` that returns what `combine` does.

    `loss` is then the mean over the examples that count in the losses. Of a subclass that computes
    another loss, or takes steps of its own, it is what Keras tracks.
    """
    compute_loss.returns_total = True
    return compute_loss


class WeightedLossesModel(CheckedArgumentsModel):
    """A model with several losses, each with a weight that may follow a schedule of the step.

    It is what a training of this project needs of a model. A subclass says in `loss_weights` what
    the weights are, and hands the losses of a batch to `combine` in `compute_loss`.

    Args:
        loss_names: names of the losses that have a weight.
        statistics_names: names of what is logged besides.
        average_decay: decay of a moving average of the weights, or 0 for none: see
            `semisup.models.averaging`.
        **kwargs: arguments of `keras.Model`.

    Attributes:
        average: the `WeightAverage`, or None.
        step: int32 weight, the number of training steps taken.
        scales: float32 weights by the names of the losses, 1 at first; each multiplies the weight
            of its loss, so that a running training can be steered.
        loss_names: names of the losses in the order of `nonfinite_steps`.
        nonfinite_steps: int32 weight; for each loss, the first step (counted from 1) at which it
            was not finite, or 0.
        latest_values: the `LatestValues` of the losses, their weights and the statistics.

    Raises:
        ValueError: if `average_decay` is below 0 or not below 1.
    """

    def __init__(self, loss_names, statistics_names=(), average_decay=0.0, **kwargs):
        super().__init__(**kwargs)
        self.loss_names = [*loss_names, REGULARIZATION_LOSS, TOTAL_LOSS]
        self.step = self.add_state("step", "int32")
        self.scales = {
            name: self.add_state(f"{name}_scale", "float32", "ones") for name in loss_names
        }
        self.nonfinite_steps = self.add_state(
            "nonfinite_steps", "int32", shape=(len(self.loss_names),)
        )
        self.average = WeightAverage(self, average_decay) if average_decay else None
        averaged = (*self.loss_names, *statistics_names)
        weights = [f"{name}_weight" for name in loss_names]
        self.averages = {name: Mean(name) for name in averaged}
        self.weight_values = {name: LatestValue(name) for name in weights}
        self.latest_values = LatestValues((*averaged, *weights), name="latest_values")
        self._traced_weights = {}

    @property
    def transient_variables(self):
        """Weights that every step sets anew, so that no checkpoint needs them."""
        return tuple(self.latest_values.variables)

    @property
    def loss_weights(self) -> dict[str, LossWeight]:
        """The weight of each loss but the regularisation, by name: numbers or schedules."""
        raise NotImplementedError

    def add_state(self, name, dtype, initializer="zeros", shape=()):
        """Add a weight that is saved and not trained."""
        return self.add_weight(
            shape=shape, dtype=dtype, initializer=initializer, trainable=False, name=name
        )

    def track_average(self):
        """Let the moving average, if there is one, take in all weights that are trained by now."""
        if self.average is not None:
            transient = {id(weight) for weight in self.transient_variables}
            parts = [weight for layer in self.layers for weight in layer.weights]
            parts = [weight for weight in parts if id(weight) not in transient]
            self.average.track([*parts, *self.trainable_weights])

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Configure the model for training: see `keras.Model.compile`.

        Raises:
            ValueError: if it keeps an average, and got further weights after it was built.
        """
        averages = self.built and self.average is not None
        if averages and (late := self.average.lacks(self.trainable_weights)):
            raise ValueError(
                f"{late[0].path} came after the model and its average of the weights were built: "
                "enable adapters first, or make the model anew from the network"
            )
        super().compile(*args, **kwargs)

    def compile_from_config(self, config):
        """Compile the model as one was that is loaded, if it still can be; else warn.

        Args:
            config: what `get_compile_config` returned, by this or an earlier version.
        """
        try:
            self.compile(**keras.saving.deserialize_keras_object(config))
        except ValueError as error:
            warnings.warn(f"the model is not compiled as it was saved: {error}", stacklevel=2)
            return
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def named_images(self, batch):
        """Name the images of a training batch, to be shown.

        Args:
            batch: as `fit` takes it.

        Returns:
            Dictionary from names to (n, height, width, channels) images; empty where there are
            none.
        """
        return {}

    def weight_at(self, name: str, step: Tensor) -> Tensor:
        """Evaluate the weight of a loss at a step, what steers a running training left aside.

        Args:
            name: name of the loss.
            step: integer scalar.

        Returns:
            Scalar float32.
        """
        return weight_at(self.loss_weights[name], step)

    def combine(self, losses, statistics, count, training):
        """Add up the weighted losses and the regularisation; in training, take a step.

        Args:
            losses: float32 scalars by their names, of those that have a weight.
            statistics: float32 scalars by their names.
            count: integer scalar; how many examples the losses are means of.
            training: whether this is a training step.

        Returns:
            Scalar float32; with several replicas, the share of this one.
        """
        losses = dict(losses)
        step = ops.convert_to_tensor(self.step)
        weights = {
            name: self.weight_at(name, step) * ops.convert_to_tensor(self.scales[name])
            for name in losses
        }
        total = sum(weights[name] * losses[name] for name in losses)
        if self.losses:
            # One that a layer adds may have a value for each example: Keras takes their sum.
            losses[REGULARIZATION_LOSS] = sum(
                ops.sum(ops.cast(loss, "float32")) for loss in self.losses
            )
            total = total + losses[REGULARIZATION_LOSS]
        losses[TOTAL_LOSS] = total

        averaged = {**losses, **statistics}
        weights = {f"{name}_weight": weight for name, weight in weights.items()}
        for name, value in averaged.items():
            self.averages[name].update_state(value, sample_weight=count)
        for name, value in weights.items():
            self.weight_values[name].update_state(value)
        if training:
            self.latest_values.update({**averaged, **weights})
            self._record_nonfinite(losses, step + 1)
            if self.average is not None:
                self.average.update()
            self.step.assign(step + 1)
        return total / replicas.count()

    def _record_nonfinite(self, losses, step):
        finite = [
            ops.isfinite(losses[name]) if name in losses else True for name in self.loss_names
        ]
        recorded = ops.convert_to_tensor(self.nonfinite_steps)
        first = ops.logical_and(ops.equal(recorded, 0), ops.logical_not(ops.stack(finite)))
        self.nonfinite_steps.assign(ops.where(first, step, recorded))

    def get_metrics_result(self):
        """Return the values of the metrics by name: see `keras.Model.get_metrics_result`."""
        results = super().get_metrics_result()
        if self._loss_is_total:
            # Keras counts each batch by its inputs, of which some may not count in the losses.
            results["loss"] = results[TOTAL_LOSS]
        return results

    @property
    def _loss_is_total(self):
        """Whether no subclass computes another loss, or takes steps of its own."""
        own, keras_own = type(self), keras.Model
        has_steps_of_keras = (
            own.train_step is keras_own.train_step and own.test_step is keras_own.test_step
        )
        return has_steps_of_keras and getattr(own.compute_loss, "returns_total", False)

    def check_arguments(self, method, arguments):
        """Check that no weight of a loss was added under a name of none."""
        super().check_arguments(method, arguments)
        check_names(type(self).__name__, self.scales, self.loss_weights)

    def make_train_function(self, force=False):
        """Make the function that takes a step, anew if the weight of a loss was changed."""
        return super().make_train_function(force=self._has_other_weights("train") or force)

    def make_test_function(self, force=False):
        """Make the function that measures a batch, anew if the weight of a loss was changed."""
        return super().make_test_function(force=self._has_other_weights("test") or force)

    def _has_other_weights(self, function):
        """Return whether the losses have other weights than when a function was last asked for."""
        weights = {name: _fingerprint(weight) for name, weight in self.loss_weights.items()}
        changed = weights != self._traced_weights.get(function, weights)
        self._traced_weights = {**self._traced_weights, function: weights}
        return changed


def _fingerprint(weight):
    """What tells a weight from another one: its value, or its configuration."""
    return (type(weight), weight.get_config()) if hasattr(weight, "get_config") else weight
