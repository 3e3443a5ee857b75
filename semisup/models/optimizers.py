"""Adam, with a learning rate that can be steered and with averages that can be forgotten."""

from collections.abc import Sequence

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semisup")
class SteerableAdam(keras.optimizers.Adam):
    """Adam whose learning rate is multiplied by a weight of its own.

    The weight `learning_rate_scale` is 1 at first and saved in checkpoints. It belongs to the
    optimizer since on JAX a schedule cannot read a weight of the model.

    Attributes:
        learning_rate_scale: float32 weight.
        gradient_norms: float32 weight, the length of the gradient of each trainable variable in the
            latest step, before it is limited.
        transient_variables: weights that every step sets anew, so that no checkpoint needs them.
        rate_factors: what the learning rate of each trainable variable is multiplied by; empty for
            1 everywhere. Set before the first step.
    """

    learning_rate_scale = None
    gradient_norms = None
    transient_variables = ()
    rate_factors: Sequence[float] = ()

    def build(self, variables):
        """Create the slots for the variables, and the scale."""
        super().build(variables)
        if self.learning_rate_scale is None:
            self.learning_rate_scale = self.add_variable(
                shape=(), initializer="ones", name="learning_rate_scale"
            )
            self.gradient_norms = self.add_variable(
                shape=(len(variables),), initializer="zeros", name="gradient_norms"
            )
            self.transient_variables = (self.gradient_norms,)

    def apply(self, grads, trainable_variables=None):
        """Take a step, and note how long the gradients are: see `keras.optimizers.Adam`."""
        super().apply(grads, trainable_variables)
        norms = [
            0.0 if gradient is None else ops.sqrt(ops.sum(ops.square(gradient)))
            for gradient in grads
        ]
        self.gradient_norms.assign(ops.stack([ops.cast(norm, "float32") for norm in norms]))

    def update_step(self, gradient, variable, learning_rate):
        """Move a variable, at its own learning rate: see `keras.optimizers.Adam`."""
        if self.rate_factors:
            learning_rate = learning_rate * self.rate_factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate)

    def latest_updates(self):
        """Return what the latest step subtracted from each trainable variable, as NumPy arrays."""
        step = int(ops.convert_to_numpy(self.iterations))
        averaged = self._steps_averaged(step)
        factor = self.learning_rate_at(step - 1) * float(
            ops.convert_to_numpy(self._bias_correction(averaged))
        )
        own = self.rate_factors or [1.0] * len(self._momentums)
        return [
            factor
            * rate
            * ops.convert_to_numpy(momentum)
            / (ops.convert_to_numpy(ops.sqrt(velocity)) + self.epsilon)
            for rate, momentum, velocity in zip(own, self._momentums, self._velocities, strict=True)
        ]

    def _steps_averaged(self, step):
        """Return the number of steps whose gradients the averages hold after a step."""
        return step

    def _bias_correction(self, step):
        step = ops.cast(step, "float32")
        return ops.sqrt(1.0 - ops.power(self.beta_2, step)) / (1.0 - ops.power(self.beta_1, step))

    @keras.optimizers.Adam.learning_rate.getter
    def learning_rate(self):
        """Learning rate of the next step, float32 scalar."""
        rate = keras.optimizers.Adam.learning_rate.fget(self)
        if self.learning_rate_scale is None:
            return rate
        return rate * ops.convert_to_tensor(self.learning_rate_scale)

    def learning_rate_at(self, step):
        """Return the learning rate of a step, from 0 on, as a float; the optimizer is built."""
        rate = self._learning_rate
        rate = rate(step) if callable(rate) else rate
        return float(ops.convert_to_numpy(rate)) * float(
            ops.convert_to_numpy(self.learning_rate_scale)
        )


@keras.saving.register_keras_serializable(package="semisup")
class RestartableAdam(SteerableAdam):
    """Adam that can forget the gradients that it has averaged, and go on as at its first step.

    The count of steps goes on, so that schedules do; the correction of the averages' bias begins
    again, by the weight `restarted_at`, which is saved in checkpoints.
    """

    restarted_at = None
    _correction = None

    def build(self, variables):
        """Create the slots for the variables, the scale, and the step of the last restart."""
        super().build(variables)
        if self.restarted_at is None:
            self.restarted_at = self.add_variable(
                shape=(), dtype="int32", initializer="zeros", name="restarted_at"
            )

    def restart(self):
        """Forget the averages of gradients and of their squares, if there are any yet."""
        if not self.built:
            return
        # A number, since JAX' compiled functions give away buffers, which no two weights may share.
        self.restarted_at.assign(int(ops.convert_to_numpy(self.iterations)))
        for slot in (*self._momentums, *self._velocities):
            slot.assign(ops.zeros(slot.shape, slot.dtype))

    def apply(self, grads, trainable_variables=None):
        """Take a step: see `keras.optimizers.Adam`."""
        self._correction = None
        super().apply(grads, trainable_variables)
        self._correction = None

    def update_step(self, gradient, variable, learning_rate):
        """Move a variable; see `keras.optimizers.Adam`, which counts from the very first step."""
        if self._correction is None:
            # Once a step: a graph of it for each variable would take long to make.
            taken = ops.cast(self.iterations, "float32")
            since = taken - ops.cast(self.restarted_at, "float32")
            self._correction = self._bias_correction(since + 1) / self._bias_correction(taken + 1)
        super().update_step(gradient, variable, learning_rate * self._correction)

    def _steps_averaged(self, step):
        return step - int(ops.convert_to_numpy(self.restarted_at))
