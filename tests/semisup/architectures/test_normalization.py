"""Normalisation layers against NumPy, one image at a time."""

import keras
import numpy as np
import pytest

from semisup.architectures import normalization
from semisup.cli import choices
from semisup.errors import ArgumentError

pytestmark = pytest.mark.backend


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3), dtype="uint8")


def apply(layer, images):
    return keras.ops.convert_to_numpy(layer(images))


@pytest.mark.parametrize("name", [name for name in choices.NORMALIZATIONS if name != "auto"])
def test_every_normalization_takes_uint8_and_float_images_alike_and_yields_float32(name, images):
    layer = normalization.build(name, images)
    of_bytes = layer(images)
    assert keras.backend.standardize_dtype(of_bytes.dtype) == "float32"
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(of_bytes), apply(layer, images.astype("float32"))
    )
    assert layer.name == "normalization"


@pytest.mark.parametrize("name", [name for name in choices.NORMALIZATIONS if name != "auto"])
def test_every_normalization_keeps_its_result_in_a_keras_file(name, images, tmp_path):
    inputs = keras.Input((5, 4, 3))
    model = keras.Model(inputs, normalization.build(name, images)(inputs))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(apply(loaded, images), apply(model, images))


@pytest.mark.parametrize(("name", "least"), [("unit", 0.0), ("range", -1.0)])
def test_range_normalization_maps_the_bytes_to_the_interval(name, least):
    ends = np.array([0, 255], "uint8").reshape(1, 1, 2, 1)
    result = apply(normalization.build(name), ends)
    np.testing.assert_allclose(result.ravel(), [least, 1.0], atol=1e-6)


def test_scaling_subtracts_the_offset_before_it_divides():
    images = np.array([0, 128, 192], "float32").reshape(1, 1, 3, 1)
    result = apply(normalization.scaling(128.0, 128.0), images)
    np.testing.assert_allclose(result.ravel(), [-1.0, 0.0, 0.5], atol=1e-6)


@pytest.mark.parametrize(("per", "axes"), [("channel", (0, 1, 2)), ("pixel", 0)])
def test_statistics_are_those_of_numpy_whatever_the_chunks(per, axes, images, monkeypatch):
    monkeypatch.setattr(normalization, "_CHUNK_BYTES", 2 * 8 * 5 * 4 * 3)
    mean, deviation = normalization.statistics(images, per)
    np.testing.assert_allclose(mean, images.mean(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(deviation, images.std(axis=axes), rtol=1e-9)


def test_statistics_never_read_more_of_a_memory_map_than_a_chunk(tmp_path, images, monkeypatch):
    class Rows:
        shape = images.shape
        most = 0

        def __len__(self):
            return len(images)

        def __getitem__(self, rows):
            Rows.most = max(Rows.most, len(images[rows]))
            return images[rows]

    monkeypatch.setattr(normalization, "_CHUNK_BYTES", 3 * 8 * 5 * 4 * 3)
    mean, _ = normalization.statistics(Rows(), "pixel")
    assert Rows.most == 3
    np.testing.assert_allclose(mean, images.mean(axis=0))


@pytest.mark.parametrize("per", ["channel", "pixel"])
def test_standardised_data_set_has_mean_zero_and_deviation_one(per, images):
    result = apply(normalization.build(per, images), images)
    axes = (0, 1, 2) if per == "channel" else 0
    np.testing.assert_allclose(result.mean(axis=axes), 0.0, atol=1e-6)
    np.testing.assert_allclose(result.std(axis=axes), 1.0, rtol=1e-5)


def test_pixels_that_never_change_become_zero_and_differ_by_grey_levels_in_other_images(images):
    images[:, 0, 0] = 17
    layer = normalization.build("pixel", images)
    assert np.all(apply(layer, images)[:, 0, 0] == 0.0)
    images[:, 0, 0] = 20
    np.testing.assert_allclose(apply(layer, images)[:, 0, 0], 3.0)


def test_statistics_of_grey_images_standardise_each_channel_of_rgb_images(images):
    grey = images[..., :1]
    result = apply(normalization.build("pixel", grey, (5, 4, 3)), np.repeat(grey, 3, axis=-1))
    expected = apply(normalization.build("pixel", grey), grey)
    np.testing.assert_allclose(result, np.repeat(expected, 3, axis=-1))


@pytest.mark.parametrize("shape", [(6, 4, 3), (5, 4, 1)])
def test_statistics_that_do_not_fit_the_images_are_refused(shape, images):
    with pytest.raises(ArgumentError, match=r"\(5, 4, 3\).*" + str(shape[0])):
        normalization.build("pixel", images, shape)
    with pytest.raises(ValueError, match="don't fit"):
        normalization.build("pixel", images)(np.zeros((1, *shape), "float32"))


def test_standardization_without_images_has_weights_to_restore(images):
    source = normalization.build("channel", images)
    target = normalization.build("channel", image_shape=(5, 4, 3))
    source(images), target(images)
    assert [weight.name for weight in target.weights] == ["mean", "deviation"]
    assert not target.trainable_weights
    target.set_weights(source.get_weights())
    np.testing.assert_array_equal(apply(target, images), apply(source, images))


@pytest.mark.parametrize("name", ["image", "image_variance"])
def test_image_normalization_divides_each_channel_of_each_image_by_its_own_spread(name, images):
    result = apply(normalization.build(name), images)
    for image, normalized in zip(images.astype("float64"), result, strict=True):
        for channel in range(3):
            x = image[..., channel]
            divisor = x.var() + 1e-5 if name == "image_variance" else x.std() + 1e-3
            np.testing.assert_allclose(
                normalized[..., channel], (x - x.mean()) / divisor, rtol=1e-4, atol=1e-7
            )


@pytest.mark.parametrize("name", ["image", "image_variance"])
def test_an_image_of_a_single_colour_becomes_zero(name):
    assert np.all(apply(normalization.build(name), np.full((2, 3, 3, 1), 200, "uint8")) == 0.0)


def test_normalization_computes_in_float32_under_a_bfloat16_policy():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((1, 1, 1), dtype="float32")
        model = keras.Model(inputs, normalization.build("unit")(inputs))
        # 200.5 takes nine bits of mantissa, bfloat16 has eight.
        result = model(np.full((1, 1, 1, 1), 200.5, "float32"))
    finally:
        keras.config.set_dtype_policy(policy)
    assert keras.ops.convert_to_numpy(result).item() == pytest.approx(200.5 / 255, abs=1e-6)


@pytest.mark.parametrize("name", ["auto", "std"])
def test_unknown_normalization_is_refused_with_the_names(name):
    with pytest.raises(ValueError, match=f"{name}.*unit, range, channel"):
        normalization.build(name)


def test_arguments_outside_their_values_are_refused():
    with pytest.raises(ValueError, match="per 'image'"):
        normalization.Standardization(per="image")
    with pytest.raises(ValueError, match="no images"):
        normalization.statistics(np.zeros((0, 2, 2, 1), "uint8"))
    with pytest.raises(ValueError, match="range"):
        normalization.ImageStandardization(divisor="range")
