"""The two phases of a clustering: before and after the centroids are placed."""

import dataclasses

import keras
from keras import ops

from semisup.embeddings.types import Tensor
from semisup.models.schedules import Schedule


@keras.saving.register_keras_serializable(package="clustering")
@dataclasses.dataclass(eq=False)
class Phases(Schedule):
    """A weight that changes at a step from one value to another (thesis chapter 5, section 3.1).

    Args:
        before: weight before the step.
        after: weight after it.
        switch: the step; counted from 0, it is the first of the new phase.
        ramp: steps in which the weight changes linearly, at least 1: with 1, the step `switch`
            has the new weight already.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> weight = clustering.Phases(0.0, 2.0, switch=100, ramp=4)
        >>> [float(weight(step)) for step in (99, 100, 101, 103, 500)]
        [0.0, 0.5, 1.0, 2.0, 2.0]
    """

    before: float
    after: float
    switch: int
    ramp: int = 1

    def __post_init__(self):
        if self.switch < 0 or self.ramp < 1:
            raise ValueError(
                f"phases need switch >= 0 and ramp >= 1, not {self.switch} and {self.ramp}"
            )

    def __call__(self, step: Tensor) -> Tensor:
        """Compute the weight at a step.

        Args:
            step: integer scalar, 0 at the first step.

        Returns:
            Scalar float32.
        """
        passed = (ops.cast(step, "float32") - self.switch + 1.0) / self.ramp
        return self.before + (self.after - self.before) * ops.clip(passed, 0.0, 1.0)
