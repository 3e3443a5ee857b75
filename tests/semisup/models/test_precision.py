"""Test of bfloat16 on the processor at hand: what TensorFlow compiles differs between them.

TensorFlow's own gradient of a bias adds up in bfloat16, and stops growing at 256 times a summand.
Its own ELU computes exp(x) - 1 in bfloat16, which is wrong by a sixth where x is about 0.005, as in
a network at its start. On a processor with instructions for bfloat16, it fuses convolution, bias
and ELU, and rounds once; on others, no gradient can be right.
"""

import keras
import numpy as np
import pytest

from semisup import architectures
from semisup.machine import environment


@pytest.mark.slow
@pytest.mark.skipif(
    environment.emulates_bfloat16({"accelerators": []}),
    reason="TensorFlow fuses no convolution with its ELU without instructions for bfloat16",
)
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow's kernels")
def test_gradients_of_the_compiled_step_agree_in_bfloat16_and_float32():
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3)).astype("float32")
    target = np.random.default_rng(1).normal(size=(100, 16)).astype("float32")
    gradients, weights = {}, None
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            network = architectures.build("svhn_model", (32, 32, 3), embedding_size=16)
        finally:
            keras.config.set_dtype_policy("float32")
        weights = weights or network.get_weights()
        network.set_weights(weights)

        @tf.function
        def step(network=network):
            with tf.GradientTape() as tape:
                embeddings = tf.cast(network(images, training=True), "float32")
                loss = tf.reduce_mean(tf.reduce_sum(embeddings * target, axis=1))
            return tape.gradient(loss, network.trainable_variables)

        gradients[policy] = [gradient.numpy().ravel() for gradient in step()]
    for variable, exact, rounded in zip(
        network.trainable_variables, *gradients.values(), strict=True
    ):
        product = exact @ rounded / np.linalg.norm(exact) / np.linalg.norm(rounded)
        assert product > 0.98, variable.path
        ratio = np.linalg.norm(rounded) / np.linalg.norm(exact)
        assert 0.9 < ratio < 1.1, variable.path
