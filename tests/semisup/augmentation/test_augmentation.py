"""Augmentation layers: against naive loops and closed forms, image by image, saved and compiled."""

import collections
import colorsys

import keras
import numpy as np
import pytest
import running
from keras import ops

from semisup import augmentation
from semisup.augmentation import geometry
from semisup.cli import choices

NAMES = [name for name in choices.AUGMENTATIONS if name != "none"]

LAYERS = {
    "affine": lambda: augmentation.RandomAffine(20.0, (0.8, 1.2), 0.2, 0.1, 0.2, seed=1),
    "rotation": lambda: augmentation.RandomAffine(rotation=20.0, seed=1),
    "scaling": lambda: augmentation.RandomAffine(scale=(0.7, 1.4), seed=1),
    "shear": lambda: augmentation.RandomAffine(shear=0.3, seed=1),
    "translation": lambda: augmentation.RandomAffine(translation=0.2, seed=1),
    "crop": lambda: augmentation.RandomAffine(crop=0.4, seed=1),
    "normal_affine": lambda: augmentation.RandomNormalAffine(seed=1),
    "blur": lambda: augmentation.RandomGaussianBlur(1.0, 7, (0.5, 2.0), seed=1),
    "hue": lambda: augmentation.RandomHue(0.5, seed=1),
    "saturation": lambda: augmentation.RandomSaturation((0.0, 2.0), seed=1),
    "noise": lambda: augmentation.RandomNoise(20.0, seed=1),
    "fog": lambda: augmentation.RandomFog(seed=1),
    "brightness": lambda: keras.layers.RandomBrightness(0.3, seed=1, dtype="float32"),
    "contrast": lambda: keras.layers.RandomContrast((0.5, 0.5), seed=1, dtype="float32"),
}

# Layers that change an image in one way or not at all.
SWITCHES = {
    "grayscale": lambda: augmentation.RandomGrayscale(0.5, seed=1),
    "blur": lambda: augmentation.RandomGaussianBlur(0.5, seed=1),
    "inversion": lambda: keras.layers.RandomInvert((0.5, 0.5), seed=1, dtype="float32"),
    "flip": lambda: keras.layers.RandomFlip("horizontal", seed=1, dtype="float32"),
}


def some_images(count=6, height=9, width=11, channels=3, seed=0):
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def equal_images(count=6, **kwargs):
    return np.repeat(some_images(1, **kwargs), count, axis=0)


def augmented(layer, images):
    return ops.convert_to_numpy(layer(images, training=True))


def distinct(images):
    return len(np.unique(images.reshape(len(images), -1), axis=0))


@pytest.mark.parametrize("name", LAYERS)
def test_every_one_of_equal_images_comes_out_different(name):
    assert distinct(augmented(LAYERS[name](), equal_images())) == 6


@pytest.mark.backend
@pytest.mark.parametrize("name", SWITCHES)
def test_equal_images_are_changed_or_left_one_by_one(name):
    images = equal_images(200)
    result = augmented(SWITCHES[name](), images)
    changed = np.any(np.abs(result - images) > 1e-3, axis=(1, 2, 3))
    assert distinct(result) == 2
    assert 70 < changed.sum() < 130


@pytest.mark.backend
@pytest.mark.parametrize("name", NAMES)
def test_pipelines_draw_for_every_image(name):
    result = augmented(augmentation.build(name, 3), equal_images())
    assert distinct(result) == (2 if name == "inversion" else 6)


@pytest.mark.parametrize("channels", [1, pytest.param(3, marks=pytest.mark.backend)])
@pytest.mark.parametrize("make", [*LAYERS.values(), *SWITCHES.values()])
def test_shape_type_and_range_are_kept(make, channels):
    images = some_images(channels=channels)
    images[0], images[1] = 0.0, 255.0
    result = augmented(make(), images)
    assert result.shape == images.shape
    assert result.dtype == np.float32
    assert result.min() >= 0.0
    assert result.max() <= 255.0
    assert np.all(np.isfinite(result))


@pytest.mark.parametrize("name", [*LAYERS, *SWITCHES, "window"])
def test_one_image_is_taken_as_a_batch_of_one(name):
    window = {"window": lambda: augmentation.RandomWindow(5, seed=1)}
    make = {**LAYERS, **SWITCHES, **window}[name]
    images = some_images(1)
    for training in (True, False):
        expected = ops.convert_to_numpy(make()(images, training=training))[0]
        found = ops.convert_to_numpy(make()(images[0], training=training))
        np.testing.assert_allclose(found, expected, atol=1e-3)
        assert make().compute_output_shape(images[0].shape) == found.shape


@pytest.mark.parametrize(
    "make",
    [
        *(LAYERS[name] for name in ("affine", "normal_affine", "blur", "hue", "saturation")),
        *(LAYERS[name] for name in ("noise", "fog")),
        SWITCHES["grayscale"],
        lambda: augmentation.RandomWindow(5, seed=1),
        lambda: augmentation.build("stl10", 1),
    ],
)
def test_uint8_images_become_float32(make):
    images = some_images().astype("uint8")
    for training in (True, False):
        expected = ops.convert_to_numpy(make()(images.astype("float32"), training=training))
        found = ops.convert_to_numpy(make()(images, training=training))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("name", ["hue", "saturation", "grayscale"])
def test_images_with_other_channels_than_colours_are_refused(name, channels):
    with pytest.raises(ValueError, match=f"takes images of 1 or 3 channels, not {channels}"):
        augmented({**LAYERS, **SWITCHES}[name](), some_images(channels=channels))


@pytest.mark.parametrize("name", ["affine", "normal_affine", "blur", "fog", "window"])
def test_images_of_unknown_size_are_refused_where_it_counts(name):
    make = {**LAYERS, "window": lambda: augmentation.RandomWindow(5, seed=1)}[name]
    with pytest.raises(ValueError, match="NonexNone pixels: their height and width must be known"):
        make().change(keras.KerasTensor((2, None, None, 3)), training=True)


@pytest.mark.backend
@pytest.mark.parametrize("name", [*LAYERS, *SWITCHES, "window"])
def test_an_empty_batch_stays_empty(name):
    make = {**LAYERS, **SWITCHES, "window": lambda: augmentation.RandomWindow(9, seed=1)}[name]
    images = some_images(0, width=9)
    assert augmented(make(), images).shape == images.shape


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5, 3)])
def test_what_is_neither_images_nor_an_image_is_refused(shape):
    with pytest.raises(ValueError, match="or one of them, not inputs of shape"):
        LAYERS["noise"]()(np.zeros(shape), training=True)


@pytest.mark.backend
@pytest.mark.parametrize("make", [*LAYERS.values(), *SWITCHES.values()])
def test_nothing_happens_and_nothing_is_drawn_outside_training(make):
    layer = make()
    images = some_images()
    before = ops.convert_to_numpy(layer.variables[0])
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(images, training=False)), images)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.variables[0]), before)


def test_pipelines_are_idle_unless_told_to_train():
    images = some_images()
    for name in NAMES:
        layer = augmentation.build(name, 0)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(images)), images)


@pytest.mark.backend
@pytest.mark.parametrize("make", [*LAYERS.values(), *SWITCHES.values()])
def test_state_of_the_generator_is_a_variable_that_repeats_the_draws(make):
    layer, images = make(), some_images()
    (state,) = layer.variables
    before = ops.convert_to_numpy(state)
    first = augmented(layer, images)
    second = augmented(layer, images)
    state.assign(before)
    np.testing.assert_array_equal(augmented(layer, images), first)
    assert np.any(first != second)


@pytest.mark.parametrize("name", NAMES)
def test_pipelines_hold_one_state_per_layer_with_seeds_of_their_own(name):
    layer = augmentation.build(name, 5)
    states = [tuple(ops.convert_to_numpy(state).tolist()) for state in layer.variables]
    assert len(states) == len(layer.layers) == len(set(states))


@pytest.mark.backend
@pytest.mark.parametrize("name", NAMES)
def test_seed_determines_a_pipeline(name):
    images = some_images()
    first, again, other = (augmented(augmentation.build(name, s), images) for s in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_no_pipeline_for_none_and_a_clear_error_for_an_unknown_name():
    assert augmentation.build("none", 0) is None
    with pytest.raises(ValueError, match="'mirror' is none of none, affine, inversion, stl10"):
        augmentation.build("mirror", 0)


def test_every_choice_has_a_pipeline():
    assert sorted(augmentation.PIPELINES) == sorted(NAMES)


@pytest.mark.parametrize("make", [*LAYERS.values(), *SWITCHES.values()])
def test_config_round_trip_gives_the_same_draws(make):
    layer, images = make(), some_images()
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(augmented(copy, images), augmented(layer, images))


@pytest.mark.backend
@pytest.mark.parametrize("name", NAMES)
def test_model_with_a_pipeline_is_saved_and_loaded(name, tmp_path):
    model = keras.Sequential(
        [keras.Input((9, 11, 3)), augmentation.build(name, 2), keras.layers.Flatten()]
    )
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    images = some_images()
    np.testing.assert_array_equal(model.predict(images, verbose=0), images.reshape(6, -1))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded(images, training=True)),
        ops.convert_to_numpy(model(images, training=True)),
    )


@pytest.mark.backend
@pytest.mark.parametrize("jit_compile", running.COMPILATIONS)
def test_pipelines_run_in_fit_under_mixed_precision(jit_compile):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((9, 11, 3))
        outputs = inputs
        # XLA takes seconds for each; that of stl10 has most layers.
        layers = [augmentation.build(name, 2) for name in (("stl10",) if jit_compile else NAMES)]
        layers.append(augmentation.Augmentation([LAYERS[name]() for name in ("noise", "fog")]))
        for layer in layers:
            outputs = layer(outputs)
            assert outputs.dtype == "float32"
        outputs = keras.layers.Dense(2)(keras.layers.Flatten()(outputs / 255.0))
        model = keras.Model(inputs, outputs)
        before = [ops.convert_to_numpy(state) for layer in layers for state in layer.variables]
        model.compile("sgd", "mse", jit_compile=jit_compile)
        history = model.fit(some_images(4), np.zeros((4, 2)), batch_size=4, verbose=0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    after = [ops.convert_to_numpy(state) for layer in layers for state in layer.variables]
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.any(old != new) for old, new in zip(before, after, strict=True))


# Geometry


def naive_resample(image, matrix, offset, interpolation, mode, fill_value):
    height, width, channels = image.shape
    center = np.array([(width - 1) / 2, (height - 1) / 2])

    def fold(index, size):
        if mode == "wrap":
            return index % size
        if mode == "reflect":
            return [*range(size), *reversed(range(size))][index % (2 * size)]
        if mode == "nearest":
            return min(max(index, 0), size - 1)
        return index if 0 <= index < size else None

    def pixel(x, y):
        x, y = fold(int(x), width), fold(int(y), height)
        return np.full(channels, fill_value) if x is None or y is None else image[y, x]

    result = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            x, y = matrix @ (np.array([column, row]) - center) + offset + center
            left, top = np.floor(x), np.floor(y)
            if interpolation == "nearest":
                result[row, column] = pixel(np.floor(x + 0.5), np.floor(y + 0.5))
            else:
                for dx, dy in [(0, 0), (1, 0), (0, 1), (1, 1)]:
                    weight = (1 - abs(x - left - dx)) * (1 - abs(y - top - dy))
                    result[row, column] += weight * pixel(left + dx, top + dy)
    return result


@pytest.mark.backend
@pytest.mark.parametrize("interpolation", geometry.INTERPOLATIONS)
def test_resampling_follows_the_naive_loop_with_a_border_rule_per_image(interpolation):
    rng = np.random.default_rng(4)
    images = some_images(4, 5, 7, 2)
    matrices = (np.eye(2) + 0.6 * rng.normal(size=(4, 2, 2))).astype("float32")
    offsets = (4.0 * rng.normal(size=(4, 2))).astype("float32")
    rules = np.arange(4, dtype="int32")[:, None]
    *maps, chosen = map(ops.convert_to_tensor, (images, matrices, offsets, rules))
    result = geometry.resample(*maps, interpolation, geometry.FILL_MODES, chosen, 127.5)
    for i, mode in enumerate(geometry.FILL_MODES):
        expected = naive_resample(images[i], matrices[i], offsets[i], interpolation, mode, 127.5)
        np.testing.assert_allclose(ops.convert_to_numpy(result[i]), expected, atol=2e-2)


def test_identity_map_keeps_the_bits_of_whole_pixels():
    images = np.floor(some_images())
    for interpolation in geometry.INTERPOLATIONS:
        layer = augmentation.RandomAffine(interpolation=interpolation, seed=0)
        np.testing.assert_array_equal(augmented(layer, images), images)


def maps(layer, count=4000, height=20, width=30):
    matrices, offsets = layer.draw_maps(np.zeros((count, height, width, 1), "float32"))
    return ops.convert_to_numpy(matrices), ops.convert_to_numpy(offsets)


def test_rotations_are_uniform_up_to_the_largest_angle():
    matrices, offsets = maps(augmentation.RandomAffine(rotation=30.0, seed=0))
    np.testing.assert_allclose(matrices @ matrices.swapaxes(1, 2), [np.eye(2)] * 4000, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0, atol=1e-5)
    angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert np.abs(angles).max() <= 30.001
    assert np.abs(angles.mean()) < 1.5
    assert angles.std() == pytest.approx(30 / np.sqrt(3), rel=0.05)
    np.testing.assert_array_equal(offsets, 0.0)


def test_magnification_is_isotropic_and_inverse_to_the_map():
    matrices, _ = maps(augmentation.RandomAffine(scale=(0.5, 2.0), seed=0))
    magnification = 1 / matrices[:, 0, 0]
    np.testing.assert_allclose(matrices, np.eye(2) / magnification[:, None, None], atol=1e-5)
    assert 0.5 <= magnification.min() < 0.55
    assert 1.95 < magnification.max() <= 2.001


def test_shear_moves_x_in_proportion_to_y():
    matrices, _ = maps(augmentation.RandomAffine(shear=0.3, seed=0))
    np.testing.assert_allclose(np.delete(matrices.reshape(-1, 4), 1, axis=1), [[1, 0, 1]] * 4000)
    assert 0.29 < np.abs(matrices[:, 0, 1]).max() <= 0.3


def test_translation_is_a_fraction_of_width_in_x_and_of_height_in_y():
    matrices, offsets = maps(augmentation.RandomAffine(translation=0.1, seed=0))
    np.testing.assert_array_equal(matrices, [np.eye(2)] * 4000)
    np.testing.assert_allclose(np.abs(offsets).max(axis=0), [3.0, 2.0], rtol=0.01)
    assert np.abs(np.corrcoef(offsets.T)[0, 1]) < 0.06


def test_crop_windows_keep_their_shape_and_stay_within_the_image():
    matrices, offsets = maps(augmentation.RandomAffine(crop=0.4, seed=0))
    window = matrices[:, 0, 0]
    np.testing.assert_allclose(matrices, window[:, None, None] * np.eye(2), atol=1e-6)
    assert 0.6 <= window.min() < 0.61
    assert 0.99 < window.max() <= 1.0
    margin = (1 - window)[:, None] * np.array([30, 20]) / 2
    assert np.all(np.abs(offsets) <= margin + 1e-5)
    assert np.all((np.abs(offsets) / (margin + 1e-9)).max(axis=0) > 0.99)


@pytest.mark.backend
def test_composed_map_is_the_product_of_its_parts():
    layer = augmentation.RandomAffine(25.0, (0.8, 1.3), 0.3, 0.0, 0.0, seed=0)
    matrices, _ = maps(layer)
    # Without its scale, the map is a shear in x times a rotation: its second row has length 1.
    scale = 1 / np.linalg.norm(matrices[:, 1], axis=1)
    plain = matrices * scale[:, None, None]
    cosine, sine = plain[:, 1, 1], plain[:, 1, 0]
    rotation = np.stack([np.stack([cosine, -sine], 1), np.stack([sine, cosine], 1)], 1)
    shear = plain @ rotation.swapaxes(1, 2)
    np.testing.assert_allclose(
        np.delete(shear.reshape(-1, 4), 1, axis=1), [[1, 0, 1]] * 4000, atol=1e-5
    )
    assert 0.29 < np.abs(shear[:, 0, 1]).max() < 0.301
    assert 0.8 <= scale.min() < 0.81 < 1.29 < scale.max() <= 1.301


@pytest.mark.backend
def test_normal_affine_has_the_moments_of_the_svhn_augmentation():
    matrices, offsets = maps(augmentation.RandomNormalAffine(seed=0))
    np.testing.assert_allclose(matrices.mean(axis=0), np.eye(2), atol=0.01)
    np.testing.assert_allclose(matrices.std(axis=0), np.full((2, 2), 0.15), rtol=0.05)
    np.testing.assert_allclose(offsets.mean(axis=0), 0.0, atol=0.15)
    np.testing.assert_allclose(offsets.std(axis=0), 2.0, rtol=0.05)


def test_border_rules_are_drawn_evenly_image_by_image():
    images = np.repeat(np.arange(8, dtype="float32")[None, None, :, None] * 30, 300, axis=0)
    images = np.repeat(images, 3, axis=1)
    layer = augmentation.RandomAffine(fill_mode=("wrap", "reflect"), seed=0)
    layer.draw_maps = lambda images: (
        ops.tile(ops.eye(2), (300, 1, 1)),
        ops.tile(ops.convert_to_tensor([[2.0, 0.0]]), (300, 1)),
    )
    corner = augmented(layer, images)[:, 0, -2:, 0]
    wrapped, reflected = (corner == [0, 30]).all(axis=1), (corner == [210, 180]).all(axis=1)
    assert np.all(wrapped ^ reflected)
    assert 110 < wrapped.sum() < 190


# Windows


def numbered_images(count, height, width, channels=2):
    """Images whose values all differ."""
    shape = (count, height, width, channels)
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def places(windows, images):
    """(top, left) of the window of each image, which is a slice of it."""
    size = windows.shape[1]
    found = []
    for window, image in zip(windows, images, strict=True):
        top, left = (int(index[0]) for index in np.where(image[..., 0] == window[0, 0, 0]))
        np.testing.assert_array_equal(window, image[top : top + size, left : left + size])
        found.append((top, left))
    return found


@pytest.mark.backend
def test_windows_are_slices_at_places_drawn_for_each_image():
    images = numbered_images(400, 7, 9)
    windows = augmented(augmentation.RandomWindow(5, seed=0), images)
    assert windows.shape == (400, 5, 5, 2)
    counts = collections.Counter(places(windows, images))
    assert set(counts) == {(top, left) for top in range(3) for left in range(5)}
    # 27 expected at each of the 15 places.
    assert min(counts.values()) > 10
    assert max(counts.values()) < 50


@pytest.mark.backend
@pytest.mark.parametrize(("size", "place"), [(5, (1, 2)), (4, (1, 2)), (3, (2, 3)), (7, (0, 1))])
def test_windows_are_in_the_centre_and_draw_nothing_outside_training(size, place):
    images = numbered_images(3, 7, 9)
    layer = augmentation.RandomWindow(size, seed=0)
    before = ops.convert_to_numpy(layer.variables[0])
    windows = ops.convert_to_numpy(layer(images))
    assert windows.shape == (3, size, size, 2)
    assert places(windows, images) == [place] * 3
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.variables[0]), before)


def test_windows_of_the_whole_image_are_the_image():
    images = some_images(3, 6, 6)
    np.testing.assert_array_equal(augmented(augmentation.RandomWindow(6, seed=0), images), images)


def test_windows_have_a_seed_and_a_state_and_survive_their_config():
    images = numbered_images(20, 12, 12)
    layer = augmentation.RandomWindow(4, seed=3)
    copy = augmentation.RandomWindow.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    state = ops.convert_to_numpy(layer.variables[0])
    first, second = augmented(layer, images), augmented(layer, images)
    np.testing.assert_array_equal(augmented(copy, images), first)
    assert np.any(second != first)
    layer.variables[0].assign(state)
    np.testing.assert_array_equal(augmented(layer, images), first)
    other = augmentation.RandomWindow(4, seed=4)
    assert np.any(augmented(other, images) != first)


@pytest.mark.backend
@pytest.mark.parametrize("jit_compile", running.COMPILATIONS)
def test_windows_have_a_static_shape_in_compiled_models_and_are_saved(jit_compile, tmp_path):
    model = keras.Sequential(
        [keras.Input((9, 11, 3)), augmentation.RandomWindow(5, seed=2), keras.layers.Flatten()]
    )
    assert model.output_shape == (None, 75)
    model.add(keras.layers.Dense(2))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    images = some_images(4) / 255
    for training in (False, True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(loaded(images, training=training)),
            ops.convert_to_numpy(model(images, training=training)),
            rtol=1e-5,
        )
    model.compile("sgd", "mse", jit_compile=jit_compile)
    state = ops.convert_to_numpy(model.layers[0].variables[0])
    history = model.fit(images, np.zeros((4, 2)), batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.any(ops.convert_to_numpy(model.layers[0].variables[0]) != state)


def test_images_smaller_than_the_window_are_refused():
    layer = augmentation.RandomWindow(10, seed=0)
    for training in (False, True):
        with pytest.raises(ValueError, match="9x11 pixels are smaller than a window of 10"):
            layer(some_images(), training=training)
    with pytest.raises(ValueError, match="11x9 pixels are smaller than a window of 10"):
        layer.compute_output_shape((None, 11, 9, 3))


# Appearance


def drawn(layer, value):
    """The layer, with the number that it draws for each image fixed."""
    layer.draw = lambda images, low, high: np.full((len(images), 1, 1, 1), value, "float32")
    return layer


@pytest.mark.backend
@pytest.mark.parametrize("turn", [-0.3, 0.2, 0.5])
def test_hue_turns_as_colorsys_does(turn):
    images = some_images(1)
    result = augmented(drawn(augmentation.RandomHue(0.5, seed=0), turn), images)
    for color, new in zip(images.reshape(-1, 3), result.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(color / 255))
        expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
        np.testing.assert_allclose(new, 255 * np.array(expected), atol=0.01)


@pytest.mark.backend
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7])
def test_saturation_multiplies_as_colorsys_does(factor):
    images = some_images(1)
    images[0, 0, 0] = 0.0
    images[0, 0, 1] = 90.0
    result = augmented(drawn(augmentation.RandomSaturation((0, 2), seed=0), factor), images)
    for color, new in zip(images.reshape(-1, 3), result.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(color / 255))
        expected = colorsys.hsv_to_rgb(hue, min(1.0, factor * saturation), value)
        np.testing.assert_allclose(new, 255 * np.array(expected), atol=0.01)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["hue", "saturation", "grayscale"])
def test_grey_images_have_no_colour_to_change(name):
    layer = {**LAYERS, **SWITCHES}[name]()
    grey = some_images(channels=1)
    np.testing.assert_allclose(augmented(layer, grey), grey, atol=1e-4)
    repeated = np.repeat(grey, 3, axis=-1)
    np.testing.assert_allclose(augmented(layer, repeated), repeated, atol=1e-2)


@pytest.mark.backend
def test_grayscale_shows_the_luma_in_every_channel():
    images = some_images()
    result = augmented(augmentation.RandomGrayscale(1.0, seed=0), images)
    expected = np.repeat(images @ np.array([[0.299], [0.587], [0.114]]), 3, axis=-1)
    np.testing.assert_allclose(result, expected, atol=1e-3)


@pytest.mark.backend
def test_blur_is_a_normalised_gaussian_reflected_at_the_border():
    images = some_images(1, 8, 9)
    sigma = 1.3
    layer = augmentation.RandomGaussianBlur(1.0, 7, (sigma, sigma), seed=0)
    steps = np.arange(-3, 4)
    kernel = np.exp(-0.5 * (steps[:, None] ** 2 + steps[None, :] ** 2) / sigma**2)
    kernel /= kernel.sum()
    padded = np.pad(images[0], [(3, 3), (3, 3), (0, 0)], mode="symmetric")
    expected = np.zeros(images[0].shape)
    for row in range(8):
        for column in range(9):
            window = padded[row : row + 7, column : column + 7]
            expected[row, column] = (kernel[..., None] * window).sum(axis=(0, 1))
    np.testing.assert_allclose(augmented(layer, images)[0], expected, atol=0.01)


@pytest.mark.backend
def test_noise_has_its_standard_deviation_in_every_value():
    images = np.full((20, 20, 20, 3), 127.0, "float32")
    noise = augmented(augmentation.RandomNoise(10.0, seed=0), images) - 127.0
    assert noise.std() == pytest.approx(10.0, rel=0.02)
    assert abs(noise.mean()) < 0.3
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.03


def test_fog_blends_with_white_by_at_most_its_density_and_drifts_smoothly():
    black = np.zeros((50, 32, 32, 3), "float32")
    fog = augmented(augmentation.RandomFog(0.6, seed=0), black) / 255
    assert 0.3 < fog.max() <= 0.6
    np.testing.assert_array_equal(fog[..., 0], fog[..., 2])
    assert np.abs(np.diff(fog, axis=1)).max() < 0.1
    assert np.ptp(fog, axis=(1, 2, 3)).max() > 0.2
    white = black + 255
    np.testing.assert_allclose(augmented(augmentation.RandomFog(seed=0), white), white)


@pytest.mark.backend
def test_inversion_pipeline_keeps_an_image_or_takes_its_negative():
    images = some_images(300, 4, 4)
    result = augmented(augmentation.build("inversion", 0), images)
    negative = np.all(np.isclose(result, 255 - images, atol=1e-3), axis=(1, 2, 3))
    kept = np.all(result == images, axis=(1, 2, 3))
    assert np.all(negative ^ kept)
    assert 110 < negative.sum() < 190


@pytest.mark.parametrize(
    "make",
    [
        lambda: augmentation.RandomAffine(rotation=-1.0, seed=0),
        lambda: augmentation.RandomAffine(scale=(1.2, 0.8), seed=0),
        lambda: augmentation.RandomAffine(crop=1.0, seed=0),
        lambda: augmentation.RandomAffine(interpolation="cubic", seed=0),
        lambda: augmentation.RandomAffine(fill_mode=("wrap", "mirror"), seed=0),
        lambda: augmentation.RandomAffine(fill_mode=(), seed=0),
        lambda: augmentation.RandomNormalAffine(matrix_stddev=-0.1, seed=0),
        lambda: augmentation.RandomWindow(0, seed=0),
        lambda: augmentation.RandomHue(0.6, seed=0),
        lambda: augmentation.RandomSaturation((-0.1, 1.0), seed=0),
        lambda: augmentation.RandomGrayscale(1.5, seed=0),
        lambda: augmentation.RandomGaussianBlur(kernel_size=6, seed=0),
        lambda: augmentation.RandomGaussianBlur(sigma=(0.0, 1.0), seed=0),
        lambda: augmentation.RandomNoise(float("nan"), seed=0),
        lambda: augmentation.RandomFog(1.1, seed=0),
        lambda: augmentation.build("svhn", -1),
    ],
)
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError):
        make()


def test_a_seed_and_the_size_of_a_window_are_integers():
    with pytest.raises(TypeError):
        augmentation.RandomHue(0.1, seed=None)
    with pytest.raises(TypeError):
        augmentation.RandomWindow(4.5, seed=0)
