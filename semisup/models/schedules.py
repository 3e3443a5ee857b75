"""Schedules of the training step: envelopes for loss weights, and the decay of the learning rate.

They have the form of Keras' learning-rate schedules: called with an integer step tensor inside the
compiled training step, they return a float32 scalar.
"""

import dataclasses

import keras
from keras import ops

from semisup.cli import choices
from semisup.embeddings.types import Tensor


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Base class of schedules that are dataclasses: their fields are their configuration."""

    def get_config(self):
        """Return the arguments of the constructor."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@keras.saving.register_keras_serializable(package="semisup")
@dataclasses.dataclass(eq=False)
class Envelope(Schedule):
    """A weight that is 0 until a delay has passed, and then grows to its full value.

    With `t` the steps since the delay and `g` the steps of growth:

    - "none": the full weight from the delay on;
    - "linear": `weight * t / g`, at most the weight; with `g = 1`, a step from 0 to the weight
      between `t = 0` and `t = 1`;
    - "sigmoid": `weight / 2 * (1 + tanh(5 / g * (t - g / 2)))`; half the weight at `t = g / 2`.

    The authors' code stretched the sigmoid by the delay (its `g` was steps plus delay); here the
    growth takes the steps it is given.

    Args:
        weight: full value.
        kind: "none", "linear" or "sigmoid".
        steps: steps of growth, at least 1; unused by "none".
        delay: steps before which the weight is 0.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> weight = semisup.Envelope(0.5, "linear", steps=100, delay=50)
        >>> [float(weight(step)) for step in (0, 50, 100, 150, 500)]
        [0.0, 0.0, 0.25, 0.5, 0.5]
    """

    weight: float
    kind: str = "none"
    steps: int = 1
    delay: int = 0

    def __post_init__(self):
        if self.kind not in choices.ENVELOPES:
            raise ValueError(f"envelope {self.kind!r} is none of {', '.join(choices.ENVELOPES)}")
        if self.steps < 1 or self.delay < 0:
            raise ValueError(
                f"an envelope needs steps >= 1 and delay >= 0, not {self.steps} and {self.delay}"
            )

    def __call__(self, step: Tensor) -> Tensor:
        """Compute the weight at a step.

        Args:
            step: integer scalar, 0 at the first step.

        Returns:
            Scalar float32.
        """
        passed = ops.cast(step, "float32") - self.delay
        if self.kind == "none":
            height = ops.ones_like(passed)
        elif self.kind == "linear":
            height = ops.clip(passed / self.steps, 0.0, 1.0)
        else:
            height = 0.5 * (1.0 + ops.tanh(5.0 / self.steps * (passed - self.steps / 2)))
        return self.weight * ops.where(passed >= 0, height, 0.0)


@keras.saving.register_keras_serializable(package="semisup")
@dataclasses.dataclass(eq=False)
class StaircaseDecay(Schedule):
    """Learning rate that is multiplied by a factor every so many steps, down to a floor.

    It may grow linearly to its full value first (thesis chapter 5, section 3.1).

    Args:
        initial: learning rate of the first steps.
        factor: multiplier in (0, 1].
        steps: steps between two multiplications, at least 1; those of growth count.
        floor: least learning rate, that of the growth excepted.
        warmup: steps of growth; the first step has `1 / warmup` of the full rate.

    Raises:
        ValueError: if an argument is out of its range.
    """

    initial: float
    factor: float = 0.33
    steps: int = 5000
    floor: float = 1e-6
    warmup: int = 0

    def __post_init__(self):
        valid = self.initial > 0 and 0 < self.factor <= 1 and 0 <= self.floor <= self.initial
        if not (valid and self.steps >= 1 and self.warmup >= 0):
            raise ValueError(
                "a staircase decay needs initial > 0, 0 < factor <= 1, steps >= 1, "
                f"0 <= floor <= initial and warmup >= 0, not {self.get_config()}"
            )

    def __call__(self, step: Tensor) -> Tensor:
        """Compute the learning rate at a step.

        Args:
            step: integer scalar, 0 at the first step.

        Returns:
            Scalar float32.
        """
        step = ops.cast(step, "float32")
        stairs = ops.floor(step / self.steps)
        rate = ops.maximum(self.initial * ops.power(self.factor, stairs), self.floor)
        return rate * ops.minimum((step + 1.0) / self.warmup, 1.0) if self.warmup else rate
