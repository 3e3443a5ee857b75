"""Tests of what excites kernels: gradients, receptive fields, attributions, and the figures."""

import itertools

import keras
import numpy as np
import pictures
import pytest
import running
from keras import layers

from semisup.architectures import layer_calls
from semisup.models.associative import AssociativeModel
from semisup.report import illustration
from semisup.report.figures import excitation, gradients
from semisup.run import evaluation, kernel_images


def branching_network(size=17, channels=1, activation="relu"):
    """Two branches with all kinds of geometry, a nested model, and two layers of one name."""
    body = keras.Sequential(
        [
            keras.Input((size, size, 4)),
            layers.Conv2D(4, 3, dilation_rate=2, padding="same", activation=activation),
            layers.DepthwiseConv2D(2, strides=2, padding="same", name="conv"),
        ]
    )
    images = keras.Input((size, size, channels))
    x = layers.Conv2D(4, 3, padding="same", activation=activation, name="conv")(
        layers.Rescaling(1 / 255)(images)
    )
    shortcut = layers.AveragePooling2D(2, padding="same")(x)
    scale = layers.GlobalAveragePooling2D(keepdims=True)(shortcut)
    x = layers.Multiply()([layers.Add()([body(x), shortcut]), scale])
    x = layers.Conv2D(4, 3, strides=2, name="last")(layers.ZeroPadding2D(((2, 0), (1, 1)))(x))
    return keras.Model(images, layers.Flatten()(x), name="branching")


def places(network):
    """The input and the calls of a network, and the number of the call of each layer's last use."""
    source, calls = layer_calls.trace(network)
    return source, calls, {call.layer.name: number for number, call in enumerate(calls)}


def random_images(count, size=17, channels=1, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, size, size, channels), dtype=np.uint8)


@running.needs_commands
@pytest.mark.backend
def test_gradients_are_those_of_the_variables_as_they_are_now():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, use_bias=False)])
    compute = gradients.input_gradients(model)
    inputs, weights = np.ones((4, 3), "float32"), np.array([[2.0, -1.0]], "float32")
    for kernel in np.random.default_rng(0).normal(size=(2, 3, 2)):
        model.layers[-1].kernel.assign(kernel)
        expected = np.broadcast_to(kernel @ weights[0], (4, 3))
        np.testing.assert_allclose(compute(inputs, weights), expected, rtol=1e-5)


@running.needs_commands
@pytest.mark.backend
def test_sections_of_a_network_make_up_the_network():
    network = branching_network()
    _, calls, _ = places(network)
    images = random_images(2).astype("float32")
    expected = keras.ops.convert_to_numpy(network(images))
    whole = layer_calls.run(network, images, layer_calls.infer)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(whole), expected, rtol=1e-6)
    before, after = (layer_calls.Section(network, *ends) for ends in ((-1, 1), (1, len(calls) - 1)))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(after(before(images))), expected, rtol=1e-6
    )


def test_a_receptive_field_is_where_gradients_are():
    """Measured by a network of positive weights, in which no contribution is lost."""
    network = branching_network(activation="linear")
    for variable in network.trainable_variables:
        variable.assign(np.ones(variable.shape))
    source, calls, numbers = places(network)
    _, height, width, _ = calls[numbers["last"]].outputs[0].shape
    field = excitation.receptive_field(source, calls, numbers["last"])
    assert field.stride.tolist() == [4, 4]
    # What is broadcast sees the whole image, and does not count.
    multiply = next(call.layer for call in calls if isinstance(call.layer, layers.Multiply))
    multiply.call = lambda inputs: inputs[0]
    compute = gradients.input_gradients(layer_calls.Section(network, -1, numbers["last"]))
    for row, column in itertools.product(range(height), range(width)):
        weights = np.zeros((1, height, width, 4), "float32")
        weights[0, row, column, 0] = 1
        reached = compute(random_images(1).astype("float32"), weights)[0, ..., 0] != 0
        expected = np.zeros((17, 17), bool)
        first = field.stride * (row, column) + field.offset
        begin, end = np.maximum(first, 0), np.maximum(first + field.size, 0)
        expected[begin[0] : end[0], begin[1] : end[1]] = True
        np.testing.assert_array_equal(reached, expected)


def test_windows_beyond_the_border_are_filled_and_large_ones_are_the_image():
    field = excitation.ReceptiveField(*(np.array(pair) for pair in ((2, 2), (-1, -1), (3, 9))))
    image = np.arange(20).reshape(4, 5)
    assert excitation.cut(image, *field.window((0, 1), image.shape), -1).tolist() == [
        [-1, -1, -1, -1, -1],
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
    ]
    np.testing.assert_array_equal(excitation.cut(image, (9, 9), (2, 2), -1), np.full((2, 2), -1))


@running.needs_commands
@pytest.mark.backend
def test_attributions_add_up_to_the_activation_above_the_baseline():
    network, generator = branching_network(activation="elu"), np.random.default_rng(0)
    for variable in network.trainable_variables:
        variable.assign(generator.normal(0, 1, variable.shape))
    _, _, numbers = places(network)
    section = layer_calls.Section(network, -1, numbers["last"])
    compute = gradients.input_gradients(section)
    images = random_images(2).astype("float32")
    for unit in ((0, 0, 0, 1), (0, 1, 1, 3)):
        activations = keras.ops.convert_to_numpy(section(images))
        chosen = np.zeros((1, *activations.shape[1:]), "float32")
        chosen[unit] = 1
        attributions = excitation.integrated_gradients(
            lambda path, chosen=chosen: compute(path, chosen), images[0], images[1], steps=64
        )
        assert attributions.shape == (17, 17, 1)
        difference = activations[(0, *unit[1:])] - activations[(1, *unit[1:])]
        assert abs(difference) > 0.1
        assert attributions.sum() == pytest.approx(difference, rel=2e-3)


def template_model(channels=1):
    """A model whose convolution of three kernels looks for a stroke, its opposite, and nothing."""
    stroke = np.full((3, 3), -1.0)
    stroke[:, 1] = 2.0
    inner = keras.Sequential([keras.Input((12, 12, channels)), layers.Conv2D(3, 3, name="strokes")])
    images = keras.Input((12, 12, channels))
    x = inner(layers.Rescaling(1 / 255)(images))
    model = AssociativeModel(keras.Model(images, layers.Flatten()(x)), 2)
    model.build((None, 12, 12, channels))
    kernel = np.stack([stroke, -stroke, np.zeros((3, 3))], axis=-1)[:, :, None]
    inner.layers[0].kernel.assign(np.broadcast_to(kernel, (3, 3, channels, 3)))
    inner.layers[0].bias.assign([0.0, 0.0, -1.0])
    return model


@running.needs_commands
@pytest.mark.backend
def test_the_patch_that_a_kernel_looks_for_is_found_with_its_pixels():
    images = random_images(20, 12) // 8
    images[13, 4:7, 5:8, 0] = np.array([[0, 255, 0]] * 3)
    (layer,) = excitation.excited_layers(template_model(), images, per_kernel=2, batch_size=8)
    assert (layer.name, layer.count) == ("strokes", 3)
    # The third gives nothing but its negative bias.
    assert layer.kernels.tolist() == [0, 1]
    assert layer.patches.shape == (2, 2, 3, 3, 1)
    np.testing.assert_array_equal(layer.patches[0, 0, ..., 0], [[0, 255, 0]] * 3)
    np.testing.assert_allclose(layer.attributions[0, 0], [[0, 2, 0]] * 3, atol=1e-5)
    np.testing.assert_allclose(layer.activations[0], layer.attributions[0].sum((1, 2)), rtol=1e-5)
    assert np.all(np.diff(layer.activations, axis=1) <= 0)


def test_a_pixel_is_attributed_to_behind_what_normalises_the_image():
    images = keras.Input((12, 12, 1))
    x = layers.Concatenate(name="joined")([layers.Rescaling(1 / 128, offset=-1)(images)] * 3)
    x = layers.BatchNormalization()(layers.Conv2D(2, 3)(layers.ZeroPadding2D()(x)))
    source, calls, numbers = places(keras.Model(images, layers.Flatten()(x)))
    assert excitation._last_normalization(source, calls) == numbers["joined"]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()]), "has no convolution"),
        (layers.Flatten(), "is no functional model"),
        (
            keras.Sequential(
                [
                    keras.Input((8, 8, 1)),
                    layers.Resizing(4, 4, name="shrink"),
                    layers.Conv2D(2, 3),
                    layers.Flatten(),
                ]
            ),
            "behind layer shrink",
        ),
    ],
)
def test_a_network_that_cannot_be_looked_into_has_no_such_figure(network, message):
    model = AssociativeModel(network, 2)
    model.build((None, 8, 8, 1))
    drawings = illustration.kernel_drawings(evaluation.Predictor(model), random_images(4, 8))
    with pytest.raises(ValueError, match=message):
        drawings["excitation"]()


def test_kernels_that_are_positive_nowhere_are_no_figure():
    model = template_model()
    model.network.layers[-2].layers[0].bias.assign([-99.0] * 3)
    with pytest.raises(ValueError, match="no kernel is positive"):
        excitation.excited_layers(model, random_images(4, 12))


@pytest.mark.parametrize("channels", [1, 3])
def test_both_figures_are_drawn_of_a_network_with_convolutions(channels):
    predictor = evaluation.Predictor(template_model(channels))
    drawings = illustration.kernel_drawings(predictor, random_images(6, 12, channels))
    kernels, excited = (drawings[name]() for name in ("kernels", "excitation"))
    assert len(kernels.axes[0].images) == 1
    # Two kernels that anything excites, each with four pairs.
    shown = excited.axes[0].images
    assert len(shown) == 2 * 4 * 2
    for figure in (kernels, excited):
        assert pictures.pixels(figure).std() > 5


def test_zero_is_the_middle_of_a_kernels_scale():
    kernels = np.zeros((2, 2, 1, 2))
    kernels[0, 0, 0], kernels[1, 1, 0] = [1.0, 0.2], [-0.5, -0.2]
    first, second = (kernel_images.in_colour(kernels[..., place]) for place in (0, 1))
    for image in (first, second):
        assert image[0, 0, 0] > image[0, 0, 2]
        assert image[1, 1, 0] < image[1, 1, 2]
        assert np.ptp(image[0, 1].astype(int)) <= 1
    np.testing.assert_array_equal(first[0, 0], second[0, 0])
    assert second[1, 1, 0] < first[1, 1, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_of_kernels_shows_each_of_them_in_its_place(channels):
    kernels = np.random.default_rng(0).normal(size=(2, 4, channels, 5))
    grid = kernel_images.grid(kernels)
    gap = kernel_images.GAP
    assert grid.shape == (2 * 16 + gap, 3 * 32 + 2 * gap, 3)
    for place in range(5):
        top, left = (16 + gap) * (place // 3), (32 + gap) * (place % 3)
        shown = grid[top : top + 16 : 8, left : left + 32 : 8]
        np.testing.assert_array_equal(shown, kernel_images.in_colour(kernels[..., place]))
    assert np.all(grid[16 : 16 + gap] == 255)
    assert np.all(grid[16:, 64 + gap :] == 255)
