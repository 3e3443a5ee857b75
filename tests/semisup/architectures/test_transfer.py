import keras
import numpy as np
import pytest
import running
from keras import ops

from semisup import AssociativeModel, architectures
from semisup.architectures import transfer

SHAPE = (8, 8, 3)


def network(units=6, softmax=False):
    """A convolution with batch normalisation and dropout, and a dense layer."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
            layers.Dense(units, activation="softmax" if softmax else None),
        ]
    )


def images(count=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE)).astype("uint8")


def values(model):
    return [ops.convert_to_numpy(weight) for weight in model.weights]


def trained(made, data, **options):
    """Trains a network on its own labels for some steps, and returns the model."""
    model = AssociativeModel(made, 3, **options)
    model.build((None, *SHAPE))
    model.compile("adam", **running.FEW_STEPS)
    labels = np.arange(len(data)) % 3
    model.fit((data, data), labels, batch_size=6, epochs=2, verbose=0, shuffle=False)
    return model


def test_a_head_makes_embeddings_of_the_wanted_width():
    made = transfer.with_head(network(), 5, units=7, trainable="head")
    assert made.output_shape == (None, 5)
    assert [layer.units for layer in made.layers[-1].layers] == [7, 5]
    assert len(transfer.with_head(network(), 5, units=0).layers[-1].layers) == 1


@pytest.mark.parametrize("given", ["images", pytest.param("features", marks=pytest.mark.backend)])
def test_below_a_trained_head_nothing_changes(given):
    made = transfer.with_head(network(), 5, units=7, trainable="head")
    backbone, head = transfer.parts(made)
    before, heads = values(backbone), values(head)
    data = images()
    if given == "features":
        data = backbone.predict(data.astype("float32"), verbose=0)
    trained(made, data)
    for one, other in zip(before, values(backbone), strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(heads, values(head), strict=True))


@pytest.mark.backend
def test_images_and_their_features_have_the_same_logits():
    made = transfer.with_head(network(), 5, trainable="head")
    model = AssociativeModel(made, 3)
    model.build((None, *SHAPE))
    features = transfer.parts(made).backbone.predict(images().astype("float32"), verbose=0)
    np.testing.assert_allclose(
        ops.convert_to_numpy(model(images())),
        ops.convert_to_numpy(model(features)),
        atol=1e-5,
    )
    views = np.stack([features, features + 1], axis=1)
    np.testing.assert_allclose(
        ops.convert_to_numpy(model(views)),
        ops.convert_to_numpy(model(features)),
        atol=1e-6,
    )


@pytest.mark.backend
def test_dropout_of_a_frozen_network_is_off_in_training():
    model = AssociativeModel(transfer.with_head(network(), 5, trainable="head"), 3)
    model.build((None, *SHAPE))
    one, other = (ops.convert_to_numpy(model.embed(images(), training=True)) for _ in "ab")
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [1, 2])
def test_the_last_layers_with_weights_are_trained(count):
    made = transfer.with_head(network(), 5, trainable=count)
    backbone = made.layers[1]
    names = [layer.name for layer in backbone.layers if layer.trainable_weights]
    with_weights = [layer.name for layer in backbone.layers if layer.weights]
    assert names == with_weights[-count:]
    assert transfer.parts(made) is None


def test_more_layers_than_there_are_cannot_be_trained():
    with pytest.raises(ValueError, match="3 layers with weights, not 4"):
        transfer.with_head(network(), 5, trainable=4)


@pytest.mark.parametrize("trainable", [-1, "1", "heads", 1.5])
def test_what_is_trained_is_all_the_head_or_a_number_of_layers(trainable):
    message = f"trainable={trainable}: give 'all', 'head', or the number"
    with pytest.raises(ValueError, match=message):
        transfer.with_head(network(), 5, trainable=trainable)
    with pytest.raises(ValueError, match=message):
        architectures.build("mnist_model", SHAPE, trainable=trainable)


def test_a_head_of_a_size_that_cannot_be_is_not_blamed_on_what_is_trained():
    with pytest.raises(ValueError, match="units=-3") as caught:
        architectures.build("mnist_model", SHAPE, head_units=-3)
    assert "trainable" not in str(caught.value)


def test_frozen_batch_normalisation_counts_as_none():
    assert architectures.uses_batch_statistics(transfer.with_head(network(), 5))
    assert not architectures.uses_batch_statistics(transfer.with_head(network(), 5, 0, "head"))
    assert not architectures.uses_batch_statistics(transfer.with_head(network(), 5, 0, 1))


def test_a_softmax_classifier_is_left_out_with_a_line(caplog):
    caplog.set_level("INFO", "semisup")
    made = transfer.with_head(network(units=9, softmax=True), 5, trainable="head")
    assert made.layers[1].output_shape == (None, 4)
    assert "softmax classifier" in caplog.text


@pytest.mark.backend
def test_views_are_drawn_for_each_example_in_training_alone():
    layer = transfer.RandomView(seed=1)
    views = np.arange(4, dtype="float32")[None, :, None] * np.ones((200, 4, 2), "float32")
    drawn = ops.convert_to_numpy(layer(views, training=True))[:, 0]
    counts = np.bincount(drawn.astype(int), minlength=4)
    assert counts.min() > 25
    assert counts.sum() == 200
    assert not ops.convert_to_numpy(layer(views, training=False)).any()
    assert layer(views[:, 0], training=True).shape == (200, 2)


@pytest.mark.backend
def test_a_model_with_a_head_is_the_same_after_saving(tmp_path):
    head = transfer.with_head(network(), 5, trainable="head")
    model = AssociativeModel(head, 3, augmentation=transfer.RandomView(0))
    model.build((None, *SHAPE))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert transfer.parts(again.network) is not None
    np.testing.assert_allclose(
        ops.convert_to_numpy(again(images())),
        ops.convert_to_numpy(model(images())),
        atol=1e-6,
    )


@pytest.mark.backend
def test_a_head_that_centres_makes_features_of_mean_0_and_deviation_0_3():
    made = transfer.with_head(network(), 5, units=7, trainable="head", centred=True)
    found = transfer.parts(made)
    features = np.random.default_rng(0).normal(3.0, 2.0, (60, *found.head.input_shape[1:]))
    views = np.stack([features, features + 100], axis=1)
    transfer.centre(made, [views[:40], features[40:]])
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    centred = ops.convert_to_numpy(found.head.layers[1](found.head.layers[0](features)))
    np.testing.assert_allclose(centred.mean(axis=0), 0, atol=1e-5)
    assert np.sqrt(np.mean(centred**2)) == pytest.approx(0.3, rel=1e-5)
    ratios = centred.std(axis=0) / units.std(axis=0)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)
    assert not {weight.path for weight in found.head.layers[1].weights} & {
        weight.path for weight in made.trainable_variables
    }


def test_features_that_are_all_alike_become_0():
    made = transfer.with_head(network(), 5, trainable="head", centred=True)
    head = transfer.parts(made).head
    features = np.full((4, *head.input_shape[1:]), 3.0)
    transfer.centre(made, [features])
    unit_length, centring, *_ = head.layers
    np.testing.assert_allclose(ops.convert_to_numpy(centring(unit_length(features))), 0, atol=0.03)


def test_only_a_head_that_centres_is_changed_by_features():
    heads = (transfer.with_head(network(), 5, units, trainable="head") for units in (0, 7))
    for made in (network(), *heads):
        weights = made.get_weights()
        transfer.centre(made, [np.ones((4, 4))])
        for weight, before in zip(made.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(weight, before)


def test_a_head_that_is_taken_over_keeps_its_centring():
    made = transfer.with_head(network(), 5, trainable="head", centred=True)
    width = transfer.parts(made).head.input_shape[-1]
    features = np.random.default_rng(0).uniform(size=(30, width))
    transfer.centre(made, [features])
    weights = made.get_weights()
    transfer.centre(made, [features[:, ::-1]])
    for weight, before in zip(made.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, before)
