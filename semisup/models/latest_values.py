"""What is logged of scalars: their values of the latest step, and their means over an epoch."""

import keras
from keras import ops

from semisup.models import replicas


# Files name the parts of a model by the names of their classes: this one is that of Keras' metric.
class Mean(keras.metrics.Mean):
    """The mean of scalars, in a tenth of the operations that tensors of any shape take."""

    def update_state(self, values, sample_weight=1):
        """Take in a scalar that is itself the mean of so many examples."""
        count = ops.cast(sample_weight, self.dtype)
        self.total.assign_add(ops.cast(values, self.dtype) * count)
        self.count.assign_add(count)


class LatestValue(keras.metrics.Metric):
    """A metric that is the value of the latest step."""

    def __init__(self, name, dtype="float32"):
        super().__init__(name=name, dtype=dtype)
        self.value = self.add_variable(shape=(), initializer="zeros", name="value")

    def update_state(self, value):
        """Replace the value by a scalar."""
        # Keras adds up what the replicas have.
        self.value.assign(ops.cast(value, self.dtype) / replicas.count())

    def result(self):
        """Return the latest scalar."""
        # A copy: callbacks keep what they are given, and a validation updates the variable.
        return ops.copy(ops.convert_to_tensor(self.value))


class LatestValues(keras.layers.Layer):
    """Named scalars of the latest training step.

    Every step sets them anew, so they are neither saved nor loaded.

    Args:
        names: names of the values.
        **kwargs: arguments of `keras.layers.Layer`.

    Attributes:
        values: float32 weight, (len(names),).
    """

    def __init__(self, names, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.names = tuple(names)
        self.values = self.add_weight(
            shape=(len(self.names),), initializer="zeros", trainable=False, name="values"
        )
        self.built = True

    def update(self, values):
        """Replace the values.

        Args:
            values: scalars by name; one that is missing becomes 0.
        """
        self.values.assign(
            ops.stack([ops.cast(values.get(name, 0.0), "float32") for name in self.names])
        )

    def read(self):
        """Return the values that the latest step had, as floats by name."""
        numbers = ops.convert_to_numpy(self.values)
        return {name: float(number) for name, number in zip(self.names, numbers, strict=True)}

    def save_own_variables(self, store):
        """Save nothing."""

    def load_own_variables(self, store):
        """Load nothing."""
