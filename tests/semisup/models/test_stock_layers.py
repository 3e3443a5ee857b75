"""Models rebuilt from Keras' own layers compute what the models compute."""

import keras
import numpy as np
import pytest
from keras import layers

from clustering import ClusteringModel
from semisup.architectures import transfer
from semisup.architectures.applications import ApplicationPreprocessing
from semisup.architectures.normalization import ImageStandardization, Standardization
from semisup.augmentation import RandomWindow
from semisup.errors import ArgumentError
from semisup.models.associative import AssociativeModel
from semisup.models.stock_layers import stock_model

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 8, 8, 3)).astype("float32")
GREY = IMAGES[..., :1]


def network(first, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), first, layers.Flatten(), layers.Dense(4)])


def probabilities(model, images, temperature=1.0):
    logits = keras.ops.convert_to_numpy(model(images))
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits / temperature))


def assert_same(model, images, temperature=1.0):
    rebuilt = stock_model(model, temperature)
    parts = list(rebuilt._flatten_layers())
    assert all(type(part).__module__.startswith("keras.") for part in parts)
    # What a file keeps of it is enough.
    again = keras.Model.from_config(rebuilt.get_config())
    again.set_weights(rebuilt.get_weights())
    expected = probabilities(model, images, temperature)
    for copy in (rebuilt, again):
        found = keras.ops.convert_to_numpy(copy(images))
        np.testing.assert_allclose(found, expected, atol=2e-5)
    return rebuilt


@pytest.mark.backend
@pytest.mark.parametrize(
    "first",
    [
        Standardization("channel", mean=[90, 120, 100], deviation=[40, 50, 0.1]),
        Standardization("pixel", mean=IMAGES.mean(axis=0), deviation=IMAGES.std(axis=0)),
        ImageStandardization(),
        ImageStandardization(divisor="variance", epsilon=1e-5),
        ApplicationPreprocessing("resnet"),
        ApplicationPreprocessing("densenet"),
        ApplicationPreprocessing("mobilenet_v2"),
        ApplicationPreprocessing("convnext"),
    ],
    ids=lambda layer: f"{layer.name}",
)
def test_our_layers_are_replaced_by_those_of_keras(first):
    model = AssociativeModel(network(first), 3)
    model.build((None, 8, 8, 3))
    assert_same(model, IMAGES)


@pytest.mark.backend
def test_temperature_divides_the_logits():
    model = AssociativeModel(network(layers.Rescaling(1 / 255)), 3)
    model.build((None, 8, 8, 3))
    assert_same(model, IMAGES, 2.5)


@pytest.mark.backend
def test_grey_and_larger_images_and_windows_are_brought_to_the_network():
    model = AssociativeModel(network(layers.Rescaling(1 / 255), (6, 6, 3)), 3)
    model.build((None, 8, 8, 1))
    assert_same(model, GREY)
    window = RandomWindow(5, seed=0)
    model = ClusteringModel(network(layers.Rescaling(1 / 255), (5, 5, 3)), 3, window=window)
    model.build((None, 8, 8, 3))
    assert_same(model, IMAGES)


@pytest.mark.backend
def test_nested_shared_and_named_alike_layers_keep_their_weights():
    def body(name):
        return keras.Sequential(
            [keras.Input((8, 8, 3)), layers.Conv2D(3, 3, name="same"), layers.BatchNormalization()],
            name=name,
        )

    images = keras.Input((8, 8, 3))
    one = body("one")
    both = layers.Add()([one(images), one(images / 2), body("two")(images)])
    model = AssociativeModel(keras.Model(images, layers.Flatten()(both)), 3)
    model.build((None, 8, 8, 3))
    for layer in model.network._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(np.full(3, 0.3))
    assert_same(model, IMAGES / 255)


@pytest.mark.backend
def test_a_frozen_network_with_a_head_is_rebuilt():
    body = [keras.Input((8, 8, 3)), layers.Conv2D(3, 3), layers.BatchNormalization()]
    pooled = keras.Sequential([*body, layers.GlobalAveragePooling2D()])
    model = AssociativeModel(transfer.with_head(pooled, 4, 5, trainable=transfer.HEAD), 3)
    model.build((None, 8, 8, 3))
    assert_same(model, IMAGES / 255)


@pytest.mark.backend
def test_mixed_precision_is_exported_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = AssociativeModel(network(layers.Rescaling(1 / 255, dtype="float32")), 3)
        model.build((None, 8, 8, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    rebuilt = stock_model(model)
    assert {layer.compute_dtype for layer in rebuilt.layers} == {"float32"}
    found = keras.ops.convert_to_numpy(rebuilt(IMAGES))
    np.testing.assert_allclose(found, probabilities(model, IMAGES), atol=0.02)


def test_layers_of_others_are_named():
    @keras.saving.register_keras_serializable(package="others")
    class Doubled(layers.Layer):
        def call(self, x):
            return 2 * x

    model = AssociativeModel(network(Doubled()), 3)
    model.build((None, 8, 8, 3))
    with pytest.raises(ArgumentError, match="not Keras' own: Doubled"):
        stock_model(model)
