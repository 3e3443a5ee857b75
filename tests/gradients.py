"""Values, and gradients by the backend's own differentiation, as arrays and numbers."""

import keras
import numpy as np


def gradient_of(function, x):
    """Compute the gradient of a scalar function at an array, as an array."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return np.asarray(jax.jit(jax.grad(function))(x))
    if backend == "torch":
        value = keras.ops.convert_to_tensor(x).detach().clone().requires_grad_()
        function(value).backward()
        return keras.ops.convert_to_numpy(value.grad)
    import tensorflow as tf

    value = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = function(value)
    return tape.gradient(result, value).numpy()


def values_of(function, *arrays):
    """Compute a function of arrays, with arrays in place of the tensors that it returns."""
    if keras.backend.backend() == "jax":
        # One program: by itself, JAX compiles each operation for each shape.
        import jax

        function = jax.jit(function)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, function(*arrays))


def regularization(model):
    """Return the sum of the losses that a model's layers add, as a float."""
    return float(keras.ops.convert_to_numpy(sum(model.losses)))
