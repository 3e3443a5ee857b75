"""Residual networks: counts and embeddings by independent formulas, statistics, dropout, files."""

import keras
import numpy as np
import pytest
import running
from forward import embed
from gradients import regularization

from semisup import architectures
from semisup.errors import ArgumentError

# Width of the first convolution, and of the stages.
WIDTHS = {"resnet_cifar_model": (16, (16, 32, 64)), "resnet_stl10_model": (32, (32, 64, 128, 256))}
LEAST_SIZES = {"resnet_cifar_model": 8, "resnet_stl10_model": 16}


@pytest.fixture
def bfloat16_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def small(name, **kwargs):
    size = LEAST_SIZES[name]
    return architectures.build(name, (size, size, 3), 4, **{"num_blocks": 1, **kwargs})


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("float32")


def sizes(model, *names):
    return [model.get_layer(name).output.shape[1] for name in names]


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (64, 64, 3)])
@pytest.mark.parametrize("name", WIDTHS)
def test_networks_map_images_to_embeddings_of_the_width_asked_for(name, shape):
    model = architectures.build(name, shape, embedding_size=6, num_blocks=1)
    assert (model.name, model.input_shape, model.output_shape) == (name, (None, *shape), (None, 6))
    assert embed(model, random_images(2, *shape)).shape == (2, 6)


def test_stages_halve_the_images_as_the_papers_say():
    names = [f"stage{stage}_block2_add" for stage in (1, 2, 3, 4)]
    cifar = architectures.build("resnet_cifar_model", (32, 32, 3), num_blocks=2)
    assert sizes(cifar, "conv", *names[:3]) == [32, 32, 16, 8]
    grey = architectures.build("resnet_cifar_model", (28, 28, 1), num_blocks=2)
    assert sizes(grey, "conv", *names[:3]) == [28, 28, 14, 7]
    stl10 = architectures.build("resnet_stl10_model", (64, 64, 3), num_blocks=2)
    assert sizes(stl10, "conv", "pool", *names) == [64, 32, 32, 32, 16, 8]


@pytest.mark.parametrize("size", [8, 9, 10, 11])
def test_padding_is_one_pixel_to_every_side_whatever_the_size(size):
    model = architectures.build("resnet_cifar_model", (size, size, 1), 2, num_blocks=1)
    pad = model.get_layer("stage2_block1_conv1_pad")
    assert pad.padding == ((1, 1), (1, 1))
    half = -(-size // 2)
    assert sizes(model, pad.name, "stage2_block1_conv1", "stage2_block1_shortcut") == [
        size + 2,
        half,
        half,
    ]


@pytest.mark.parametrize("blocks", [None, 1, 5])
@pytest.mark.parametrize("name", WIDTHS)
def test_parameters_are_those_of_the_blocks(name, blocks):
    model = architectures.build(name, (32, 32, 3), embedding_size=10, num_blocks=blocks)
    blocks = blocks or 3
    stem, widths = WIDTHS[name]
    kernels, normalized = 9 * 3 * stem, widths[-1]
    for before, width in zip((stem, *widths), widths, strict=False):
        kernels += before * width + 9 * before * width + (2 * blocks - 1) * 9 * width**2
        normalized += before + (2 * blocks - 1) * width
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == kernels + 2 * normalized + widths[-1] * 10 + 10
    # The moving mean and variance come on top.
    assert model.count_params() == trainable + 2 * normalized


@pytest.mark.parametrize("name", WIDTHS)
def test_a_network_has_two_3x3_convolutions_to_a_block_and_a_projection_to_a_stage(name):
    stages = len(WIDTHS[name][1])
    for given, blocks in ((None, 3), (2, 2)):
        model = architectures.build(name, (32, 32, 3), num_blocks=given)
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
        kernels = [layer.kernel_size for layer in layers]
        assert kernels.count((3, 3)) == 2 * stages * blocks + 1
        assert kernels.count((1, 1)) == stages
        assert not any(layer.use_bias for layer in layers)
        sums = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
        assert len(sums) == stages * blocks


@pytest.mark.parametrize("name", WIDTHS)
def test_batch_norm_has_gamma_beta_and_the_constants_of_the_authors(name):
    model = small(name)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(layer.scale, layer.center) for layer in layers} == {(True, True)}
    assert {(layer.momentum, layer.epsilon) for layer in layers} == {(0.997, 1e-5)}
    assert architectures.uses_batch_statistics(model)


def test_kernels_start_with_a_variance_of_one_over_their_inputs():
    model = architectures.build("resnet_stl10_model", (16, 16, 3), 64, num_blocks=1)
    for name in ("stage4_block1_conv2", "stage4_block1_shortcut"):
        kernel = keras.ops.convert_to_numpy(model.get_layer(name).kernel)
        assert kernel.std() * np.sqrt(np.prod(kernel.shape[:3])) == pytest.approx(1.0, rel=0.03)


@pytest.mark.backend
@pytest.mark.parametrize("name", WIDTHS)
def test_embeddings_of_the_same_weights_are_those_of_a_numpy_network(name):
    size = LEAST_SIZES[name] + 4
    model = architectures.build(name, (size, size, 3), 5, num_blocks=2)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in (layer.gamma, layer.moving_variance):
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
            for weight in (layer.beta, layer.moving_mean):
                weight.assign(rng.normal(0.0, 0.3, weight.shape))
    image = random_images(1, size, size, 3)
    np.testing.assert_allclose(
        embed(model, image)[0], _numpy_embedding(model, image[0]), rtol=1e-3, atol=1e-3
    )


def _numpy_embedding(model, image):
    values = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}

    def activate(x, name):
        gamma, beta, mean, variance = (
            values[f"{name}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return np.maximum(gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta, 0.0)

    def convolve(x, name, stride):
        kernel = values[f"{name}/kernel"]
        rows, columns, _ = x.shape
        margin = kernel.shape[0] // 2
        padded = np.pad(x, ((margin, margin), (margin, margin), (0, 0)))
        total = sum(
            padded[i : i + rows, j : j + columns] @ kernel[i, j]
            for i in range(kernel.shape[0])
            for j in range(kernel.shape[1])
        )
        # Kernels centre on the first pixel, as padding of one pixel to every side has it.
        return total[::stride, ::stride]

    x = convolve((image.astype("float64") - 128) / 128, "conv", 1)
    stages = len(WIDTHS[model.name][1])
    if model.name == "resnet_stl10_model":
        x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max(axis=(1, 3))
    for stage in range(1, stages + 1):
        for block in (1, 2):
            path = f"stage{stage}_block{block}"
            stride = 2 if block == 1 and stage > stages - 2 else 1
            active = activate(x, f"{path}_bn1")
            shortcut = convolve(active, f"{path}_shortcut", stride) if block == 1 else x
            inner = activate(convolve(active, f"{path}_conv1", stride), f"{path}_bn2")
            x = shortcut + convolve(inner, f"{path}_conv2", 1)
    features = activate(x, "bn").mean(axis=(0, 1))
    return features @ values["embedding/kernel"] + values["embedding/bias"]


@pytest.mark.parametrize("name", WIDTHS)
def test_other_images_of_a_batch_matter_in_training_only(name):
    model = small(name)
    size = LEAST_SIZES[name]
    images = random_images(4, size, size, 3)
    others = images.copy()
    others[1:] = 255 - others[1:] // 2
    np.testing.assert_allclose(
        embed(model, images)[0], embed(model, others)[0], rtol=1e-4, atol=1e-5
    )
    mean = model.get_layer("bn").moving_mean
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(mean), 0.0)
    trained = [embed(model, batch, training=True)[0] for batch in (images, others)]
    assert np.abs(trained[0] - trained[1]).max() > 1e-3
    assert np.any(keras.ops.convert_to_numpy(mean) != 0)


@pytest.mark.parametrize("name", WIDTHS)
def test_dropout_acts_on_the_averaged_features_in_training_only(name):
    size = LEAST_SIZES[name]
    images = random_images(4, size, size, 3)
    plain, dropping = small(name), small(name, dropout=0.5)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in plain.layers)
    assert dropping.get_layer("dropout").rate == 0.5
    assert [weight.path for weight in plain.weights] == [w.path for w in dropping.weights]
    for model, training, alike in (
        (plain, True, True),
        (dropping, False, True),
        (dropping, True, False),
    ):
        first, second = (embed(model, images, training) for _ in range(2))
        assert np.allclose(first, second, rtol=1e-4, atol=1e-5) == alike
    ends = keras.Model(dropping.input, [dropping.get_layer("average").output, dropping.output])
    features, embeddings = map(keras.ops.convert_to_numpy, ends(images, training=False))
    kernel, bias = map(keras.ops.convert_to_numpy, dropping.get_layer("embedding").weights)
    np.testing.assert_allclose(embeddings, features @ kernel + bias, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("bfloat16_policy")
@pytest.mark.parametrize(
    "name",
    [pytest.param("resnet_cifar_model", marks=pytest.mark.backend), "resnet_stl10_model"],
)
def test_bfloat16_networks_are_finite_and_keep_float32_weights(name):
    model = small(name, num_blocks=None, dropout=0.2)
    size = LEAST_SIZES[name]
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("normalization").compute_dtype == "float32"
    assert model.get_layer("conv").compute_dtype == "bfloat16"
    for training in (False, True):
        embeddings = model(random_images(2, size, size, 3), training=training)
        assert keras.backend.standardize_dtype(embeddings.dtype) == "bfloat16"
        assert np.all(
            np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(embeddings, "float32")))
        )


@pytest.mark.parametrize("name", WIDTHS)
def test_kernels_decay_only_where_a_weight_is_given(name):
    assert not small(name).losses
    assert not small(name, l2_weight=0.0).losses
    model = small(name, l2_weight=0.7)
    kernels = [
        keras.ops.convert_to_numpy(weight)
        for weight in model.trainable_weights
        if weight.name == "kernel"
    ]
    assert len(model.losses) == len(kernels)
    squares = sum(np.square(kernel, dtype="float64").sum() for kernel in kernels)
    assert regularization(model) == pytest.approx(0.35 * squares, rel=1e-5)


@pytest.mark.parametrize("name", WIDTHS)
def test_saved_networks_embed_alike_and_go_on_dropping(name, tmp_path):
    model = small(name, num_blocks=2, dropout=0.3, l2_weight=0.1)
    size = LEAST_SIZES[name]
    images = random_images(2, size, size, 3)
    # Moves the moving statistics away from where they start.
    embed(model, images, training=True)
    path = str(tmp_path / "network.keras")
    model.save(path)
    loaded = architectures.build(path, (size, size, 3))
    np.testing.assert_array_equal(embed(loaded, images), embed(model, images))
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    assert loaded.get_layer("dropout").rate == 0.3
    assert regularization(loaded) == pytest.approx(regularization(model))


@pytest.mark.backend
def test_networks_learn_in_compiled_training():
    keras.utils.set_random_seed(0)
    model = small("resnet_cifar_model", dropout=0.1)
    model.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=running.COMPILATIONS[-1])
    images = random_images(8, 8, 8, 3)
    targets = np.random.default_rng(1).normal(size=(8, 4))
    history = model.fit(images, targets, batch_size=8, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]


@pytest.mark.parametrize("name", WIDTHS)
def test_images_below_the_least_size_are_refused_and_those_of_it_are_not(name):
    least, stages = LEAST_SIZES[name], len(WIDTHS[name][1])
    assert sizes(small(name), f"stage{stages}_block1_add") == [2]
    with pytest.raises(ArgumentError, match=f"^input_shape=.*{name}.*{least}x{least}"):
        architectures.build(name, (least, least - 1, 1))
