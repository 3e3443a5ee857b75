"""Tests of models of which two replicas share each batch, as TensorFlow's strategies make them."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers, ops

import semisup

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="strategies are TensorFlow's"
)

RNG = np.random.default_rng(0)
X, U = RNG.normal(size=(2, 8, 5)).astype("float32")
Y = RNG.integers(0, 2, 8)


@pytest.fixture
def two_replicas():
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


class MeanOfSquares(semisup.SimilarityTerm):
    """A term that is the mean of those of parts of a batch."""

    loss_names = ("squares",)

    def __init__(self):
        super().__init__({"squares": 0.5})

    def call(self, a, b, labels=None):
        return {"squares": ops.mean(a**2) + ops.mean(b**2)}, {}


def trained(strategy, make, data):
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        network = keras.Sequential(
            [keras.Input((5,)), layers.Dense(3, kernel_regularizer="l2", activity_regularizer="l2")]
        )
        model = make(network)
        model.build((None, 5))
        model.compile(
            keras.optimizers.SGD(0.1),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
    history = model.fit(data, Y, batch_size=8, shuffle=False, verbose=0).history
    return network.get_weights()[0], {name: values[0] for name, values in history.items()}


def test_a_step_of_two_replicas_is_that_of_plain_keras(two_replicas):
    def plain(network):
        return keras.Sequential([network, layers.Dense(2)])

    def ours(network):
        return semisup.AssociativeModel(network, 2, similarity=None, classifier=layers.Dense(2))

    expected, theirs = trained(two_replicas, plain, X)
    weights, logs = trained(two_replicas, ours, X)
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    assert logs["loss"] == pytest.approx(theirs["loss"])


def test_a_term_has_the_same_gradients_and_logs_on_two_replicas_as_on_one_device(two_replicas):
    def make(network):
        return semisup.AssociativeModel(network, 2, similarity=MeanOfSquares())

    (alone, logs), (weights, shared) = (
        trained(strategy, make, (X, U)) for strategy in (None, two_replicas)
    )
    np.testing.assert_allclose(weights, alone, rtol=1e-5)
    assert shared == pytest.approx(logs)
    assert shared["squares_weight"] == 0.5


def test_a_memory_is_refused_where_replicas_would_each_have_one(two_replicas):
    def make(network):
        return semisup.AssociativeModel(network, 2, memory=4)

    with pytest.raises(ValueError, match="memory is not shared by the replicas"):
        trained(two_replicas, make, (X, U))
