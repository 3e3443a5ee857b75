"""Gradients with respect to images, which `keras.ops` lacks, on either backend."""

import keras


def input_gradients(model):
    """Return a function that computes the gradient of a model's outputs at its inputs.

    Args:
        model: a Keras model from one tensor to one tensor; it runs in inference mode.

    Returns:
        A compiled function from inputs (n, ...) and float32 weights, which broadcast to the
        outputs, to the gradient of the sum of the weighted outputs: an array of the inputs' shape.
        Later changes of the model's variables count.
    """
    if keras.backend.backend() == "jax":
        return _jax_gradients(model)
    return _tensorflow_gradients(model)


def _total(outputs, weights):
    return keras.ops.sum(keras.ops.cast(outputs, "float32") * weights)


def _tensorflow_gradients(model):
    import tensorflow as tf

    @tf.function
    def gradients(inputs, weights):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = _total(model(inputs), weights)
        return tape.gradient(total, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def compute(inputs, weights):
        return gradients(*map(tf.convert_to_tensor, (inputs, weights))).numpy()

    return compute


def _jax_gradients(model):
    import jax
    import numpy as np

    def total(inputs, weights, variables):
        outputs, _ = model.stateless_call(*variables, inputs)
        return _total(outputs, weights)

    gradients = jax.jit(jax.grad(total))

    def compute(inputs, weights):
        if not model.built:
            model(inputs)
        variables = [
            [variable.value for variable in group]
            for group in (model.trainable_variables, model.non_trainable_variables)
        ]
        return np.asarray(gradients(inputs, weights, variables))

    return compute
