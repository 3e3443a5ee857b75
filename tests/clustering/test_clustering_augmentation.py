"""Pipelines for deep clustering: their steps, what each may do at most, and the choice by data."""

import keras
import numpy as np
import pytest
import running
from keras import ops

from clustering import augmentation, choices
from semisup.augmentation import build

NAMES = tuple(augmentation.PIPELINES)


def some_images(count=6, height=16, width=18, channels=3):
    shape = (count, height, width, channels)
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def augmented(layer, images):
    return ops.convert_to_numpy(layer(images, training=True))


def steps(name):
    return {layer.__name__: arguments for layer, arguments in augmentation.PIPELINES[name]}


def only(name, layer, seed=0):
    """The one layer of a pipeline, alone."""
    (step,) = (step for step in augmentation.PIPELINES[name] if step[0].__name__ == layer)
    return build("step", seed, {"step": [step]})


def test_every_choice_has_a_pipeline_or_stands_for_one_or_none():
    assert ("auto", "none", *NAMES) == choices.AUGMENTATIONS


def test_steps_follow_the_order_of_the_authors():
    order = [
        "RandomAffine",
        "RandomFlip",
        "RandomSaturation",
        "RandomBrightness",
        "RandomContrast",
        "RandomHue",
        "RandomNoise",
    ]
    assert list(steps("cifar10")) == order
    for name in NAMES:
        assert list(steps(name)) == [step for step in order if step in steps(name)]


@pytest.mark.parametrize("channels", [1, 3])
# That of stl10 has every layer.
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.backend) if name == "stl10" else name for name in NAMES],
)
def test_equal_images_come_out_different_within_the_range_of_pixels(name, channels):
    images = np.repeat(some_images(1, channels=channels), 6, axis=0)
    result = augmented(build(name, 3, augmentation.PIPELINES), images)
    assert result.shape == images.shape
    assert result.dtype == np.float32
    assert 0 <= result.min() <= result.max() <= 255
    assert len(np.unique(result.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize("name", NAMES)
def test_pipelines_are_idle_unless_told_to_train(name):
    layer, images = build(name, 0, augmentation.PIPELINES), some_images()
    states = [ops.convert_to_numpy(state) for state in layer.variables]
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(images)), images)
    for before, state in zip(states, layer.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(state), before)


@pytest.mark.parametrize("name", NAMES)
def test_seed_determines_a_pipeline(name):
    images = some_images()
    first, again, other = (
        augmented(build(name, s, augmentation.PIPELINES), images) for s in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.backend
@pytest.mark.parametrize("jit_compile", running.COMPILATIONS)
def test_pipelines_run_in_compiled_training_and_are_saved(jit_compile, tmp_path):
    model = keras.Sequential([keras.Input((16, 18, 3))])
    # XLA takes seconds for each; that of stl10 has every layer.
    for name in ("stl10",) if jit_compile else NAMES:
        model.add(build(name, 2, augmentation.PIPELINES))
    model.add(keras.layers.Rescaling(1 / 255))
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(2))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_allclose(
        augmented(loaded, some_images()), augmented(model, some_images()), rtol=1e-4, atol=1e-5
    )
    model.compile("sgd", "mse", jit_compile=jit_compile)
    history = model.fit(some_images(4), np.zeros((4, 2)), batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.backend
@pytest.mark.parametrize(("name", "largest"), [("mnist", 63.75), ("stl10", 165.75)])
def test_brightness_shifts_every_image_as_far_as_half_the_authors_number_of_the_range(
    name, largest
):
    # Of two pixels, one at each end of the range, the one that is not clipped shows the shift.
    images = np.tile(np.array([0.0, 255.0], "float32").reshape(1, 1, 2, 1), (2000, 1, 1, 1))
    shift = (augmented(only(name, "RandomBrightness"), images) - images).sum(axis=(1, 2, 3))
    assert 0.98 * largest < shift.max() <= largest
    assert -largest <= shift.min() < -0.98 * largest
    assert abs(shift.mean()) < 0.05 * largest


@pytest.mark.backend
@pytest.mark.parametrize(("name", "low", "high"), [("svhn", 0.4, 1.8), ("stl10", 0.2, 1.8)])
def test_contrast_multiplies_the_distance_from_the_mean_of_each_channel(name, low, high):
    images = np.zeros((2000, 1, 2, 2), "float32")
    images[..., 0] = [100.0, 120.0]
    images[..., 1] = [190.0, 210.0]
    result = augmented(only(name, "RandomContrast"), images)
    np.testing.assert_allclose(result.mean(axis=(1, 2)), [[110.0, 200.0]] * 2000, rtol=1e-4)
    factors = np.diff(result, axis=2)[:, 0, 0, :] / 20.0
    np.testing.assert_allclose(factors[:, 0], factors[:, 1], atol=1e-4)
    assert low - 1e-4 <= factors.min() < low + 0.02
    assert high - 0.02 < factors.max() <= high + 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_a_fortieth_of_the_range(name):
    grey = np.full((50, 16, 16, 3), 127.0, "float32")
    noise = augmented(only(name, "RandomNoise"), grey) - 127.0
    assert noise.std() == pytest.approx(6.375, rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_affine_step_turns_crops_and_lets_mid_grey_in(name):
    white = np.full((200, 16, 16, 1), 255.0, "float32")
    result = augmented(only(name, "RandomAffine"), white)
    assert set(np.unique(result)) == {127.5, 255.0}
    # The centre is in every window, whatever the angle.
    np.testing.assert_array_equal(result[:, 7:9, 7:9], 255.0)


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [
        ("auto", "mnist", "mnist"),
        ("auto", "mnist_5k", "mnist"),
        ("auto", "usps", "mnist"),
        ("auto", "optdigits", "mnist"),
        ("auto", "mnist_m", "mnist"),
        ("auto", "svhn_cropped", "svhn"),
        ("auto", "stl10", "stl10"),
        ("auto", "cifar10", "cifar10"),
        ("auto", "cifar100", "cifar10"),
        ("auto", "emnist/digits:3.1.0", "mnist"),
        ("auto", "synthetic_digits_generated/small", "svhn"),
        ("auto", "frgc", "frgc"),
        ("auto", "fashion_mnist", "cifar10"),
        ("auto", "a_folder", "cifar10"),
        ("none", "mnist", "none"),
        ("svhn", "mnist", "svhn"),
    ],
)
def test_auto_is_the_pipeline_of_the_data_set_or_of_one_like_it(name, dataset, expected):
    assert augmentation.resolve(name, dataset) == expected


def test_no_pipeline_for_none_and_a_clear_error_for_an_unknown_name():
    assert build("none", 0, augmentation.PIPELINES) is None
    for name in ("auto", "norb"):
        with pytest.raises(ValueError, match=f"'{name}' is none of none, mnist, svhn, stl10"):
            build(name, 0, augmentation.PIPELINES)
    with pytest.raises(ValueError):
        build("mnist", -1, augmentation.PIPELINES)
