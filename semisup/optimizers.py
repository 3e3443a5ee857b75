"""Adam, with a learning rate that can be steered and with a moving average of the weights."""

import contextlib

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="semisup")
class SteerableAdam(keras.optimizers.Adam):
    """Adam whose learning rate is multiplied by a weight of its own.

    The weight `learning_rate_scale` is 1 at first and saved in checkpoints. It belongs to the
    optimizer since on JAX a schedule cannot read a weight of the model. With `use_ema`, the average
    is kept beside the weights and never overwrites them: see `averaged_weights`.
    """

    learning_rate_scale = None

    def build(self, variables):
        """Creates the slots for the variables, and the scale."""
        super().build(variables)
        if self.learning_rate_scale is None:
            self.learning_rate_scale = self.add_variable(
                shape=(), initializer="ones", name="learning_rate_scale"
            )

    @keras.optimizers.Adam.learning_rate.getter
    def learning_rate(self):
        """Learning rate of the next step, float32 scalar."""
        rate = keras.optimizers.Adam.learning_rate.fget(self)
        if self.learning_rate_scale is None:
            return rate
        return rate * ops.convert_to_tensor(self.learning_rate_scale)

    def learning_rate_at(self, step):
        """Learning rate of a step, counted from 0, as a float; the optimizer is built."""
        rate = self._learning_rate
        rate = rate(step) if callable(rate) else rate
        return float(ops.convert_to_numpy(rate)) * float(
            ops.convert_to_numpy(self.learning_rate_scale)
        )

    def finalize_variable_values(self, var_list):
        """Keeps the weights: a training that goes on needs them, not their average."""


@contextlib.contextmanager
def averaged_weights(model):
    """Puts the moving average in place of a model's weights, and takes it back at the end.

    Does nothing if the optimizer keeps no average.

    Args:
        model: a compiled model whose optimizer is built.
    """
    optimizer = model.optimizer
    if not optimizer.use_ema:
        yield
        return
    weights = [ops.copy(variable) for variable in model.trainable_variables]
    put_average(model)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, weights, strict=True):
            variable.assign(value)


def put_average(model):
    """Replaces a model's weights by their moving average, where its optimizer keeps one."""
    if not model.optimizer.use_ema:
        return
    averages = model.optimizer._model_variables_moving_average
    for variable, average in zip(model.trainable_variables, averages, strict=True):
        # A copy, since JAX' compiled functions give away the buffers of the weights they are given.
        variable.assign(ops.copy(average))
