"""Networks: shapes and counts in closed form, regularisation, input scaling, errors."""

import re

import keras
import numpy as np
import pytest
from forward import embed
from gradients import regularization

from semisup import architectures
from semisup.architectures import applications, normalization
from semisup.errors import ArgumentError, UserError
from semisup.models.associative import AssociativeModel

CLASSIC = ("mnist_model", "mnist_model_dropout", "svhn_model", "dann_model")
OWN = (*CLASSIC, "stl10_model")


@pytest.fixture
def bfloat16_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def random_images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


def dense_size(inputs, outputs):
    return inputs * outputs + outputs


@pytest.mark.backend
@pytest.mark.parametrize("name", OWN)
def test_networks_map_images_to_embeddings_of_the_width_asked_for(name):
    model = architectures.build(name, (20, 24, 3), embedding_size=6)
    assert model.input_shape == (None, 20, 24, 3)
    assert model.name == name
    assert embed(model, random_images(2, 20, 24, 3)).shape == (2, 6)


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("mnist_model", (32, 32, 64, 64, 128, 128)),
        ("mnist_model_dropout", (32, 32, 64, 64, 128, 128)),
        ("svhn_model", (32, 32, 32, 64, 64, 64, 128, 128, 128)),
        ("dann_model", (32, 32, 32, 64, 64, 64, 128, 128, 128)),
    ],
)
def test_parameters_are_those_of_3x3_convolutions_and_a_dense_layer_on_3x3x128(name, widths):
    model = architectures.build(name, (28, 28, 1), embedding_size=10)
    convolutions = sum(
        dense_size(9 * before, width) for before, width in zip((1, *widths), widths, strict=False)
    )
    assert model.get_layer("flatten").output.shape == (None, 1152)
    assert model.count_params() == convolutions + dense_size(1152, 10)


def test_stl10_parameters_are_kernels_without_biases_and_batch_norm_without_gamma():
    model = architectures.build("stl10_model", (96, 96, 3), embedding_size=10)
    widths = (32, 64, 64, 128, 128, 256, 128)
    kernels = sum(9 * before * width for before, width in zip((3, *widths), widths, strict=False))
    sizes = [model.get_layer(f"pool{block}").output.shape[1] for block in (1, 2, 3)]
    assert model.get_layer("conv1_2").output.shape[1:] == (48, 48, 64)
    assert sizes == [23, 11, 5]
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == kernels + sum(widths) + dense_size(5 * 5 * 128, 10)
    # The moving mean and variance come on top.
    assert model.count_params() == trainable + 2 * sum(widths)
    layer = model.get_layer("conv4_1_bn")
    assert (layer.gamma, layer.epsilon, layer.momentum) == (None, 1e-3, 0.99)


@pytest.mark.parametrize(
    ("name", "l2_weight"),
    [
        ("mnist_model", 1e-3),
        ("mnist_model_dropout", 1e-3),
        ("svhn_model", 1e-4),
        ("stl10_model", 5e-3),
        ("dann_model", 1e-4),
    ],
)
def test_l2_is_the_weight_times_half_the_sum_of_squares_of_the_kernels(name, l2_weight):
    for given, expected in ((None, l2_weight), (0.7, 0.7)):
        model = architectures.build(name, (17, 17, 1), 4, l2_weight=given)
        for weight in model.trainable_weights:
            if weight.name == "bias":
                weight.assign(keras.ops.ones(weight.shape))
        squares = sum(
            np.square(keras.ops.convert_to_numpy(weight), dtype="float64").sum()
            for weight in model.trainable_weights
            if weight.name == "kernel"
        )
        total = regularization(model)
        assert total == pytest.approx(expected * squares / 2, rel=1e-5)


def test_l2_weight_zero_regularises_nothing():
    assert not architectures.build("mnist_model", (8, 8, 1), 4, l2_weight=0.0).losses


@pytest.mark.parametrize(
    ("name", "least"),
    [("mnist_model", -1), ("mnist_model_dropout", -1), ("svhn_model", -1), ("dann_model", 0)],
)
def test_activated_embeddings_are_bounded_below(name, least):
    model = architectures.build(name, (8, 8, 1), 64)
    # The scale drives the activations far to both sides, where ELU is -1 and ReLU 0.
    kernel = model.get_layer("embedding").kernel
    kernel.assign(kernel * 1e6)
    embeddings = embed(model, random_images(4, 8, 8, 1))
    assert embeddings.min() == least
    assert embeddings.max() > 1


def test_stl10_embeddings_are_linear():
    model = architectures.build("stl10_model", (17, 17, 3), 64)
    layer = model.get_layer("embedding")
    once = embed(model, random_images(4, 17, 17, 3))
    layer.kernel.assign(-3.0 * layer.kernel)
    np.testing.assert_allclose(
        embed(model, random_images(4, 17, 17, 3)), -3.0 * once, rtol=1e-4, atol=1e-4
    )
    assert once.min() < 0 < once.max()


@pytest.mark.backend
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mnist_model", lambda x: x / 255),
        ("mnist_model_dropout", lambda x: (x - 128) / 128),
        ("stl10_model", lambda x: (x - 128) / 128),
        (
            "svhn_model",
            lambda x: (x - x.mean((1, 2), keepdims=True)) / x.var((1, 2), keepdims=True),
        ),
        (
            "dann_model",
            lambda x: (x - x.mean((1, 2), keepdims=True)) / x.var((1, 2), keepdims=True),
        ),
    ],
)
def test_networks_normalise_as_the_authors_did_unless_told_otherwise(name, expected):
    images = random_images(2, 17, 17, 1)

    def first_layer(model):
        head = keras.Model(model.input, model.get_layer("normalization").output)
        return embed(head, images)

    own = first_layer(architectures.build(name, (17, 17, 1), 4))
    np.testing.assert_allclose(own, expected(images), rtol=1e-4, atol=1e-6)
    given = architectures.build(name, (17, 17, 1), 4, normalization=normalization.build("range"))
    np.testing.assert_allclose(first_layer(given), (images - 127.5) / 127.5, rtol=1e-4, atol=1e-6)


@pytest.mark.backend
def test_embeddings_of_the_same_weights_are_those_of_a_numpy_network():
    model = architectures.build("mnist_model", (8, 8, 1), 3)
    image = random_images(1, 8, 8, 1)
    x = image[0].astype("float64") / 255
    for block in ("1", "2", "3"):
        for index in ("1", "2"):
            layer = model.get_layer(f"conv{block}_{index}")
            layer.bias.assign(np.linspace(-0.1, 0.1, layer.filters))
            x = _elu(_convolve(x, *map(keras.ops.convert_to_numpy, layer.weights)))
        height, width = x.shape[0] // 2, x.shape[1] // 2
        x = x.reshape(height, 2, width, 2, -1).max(axis=(1, 3))
    kernel, bias = map(keras.ops.convert_to_numpy, model.get_layer("embedding").weights)
    np.testing.assert_allclose(
        embed(model, image)[0], _elu(x.ravel() @ kernel + bias), rtol=1e-3, atol=1e-5
    )


def _elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _convolve(x, kernel, bias):
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    rows, columns, _ = x.shape
    return bias + sum(
        padded[i : i + rows, j : j + columns] @ kernel[i, j] for i in range(3) for j in range(3)
    )


def test_dropout_acts_in_training_after_the_first_two_poolings():
    model = architectures.build("mnist_model_dropout", (28, 28, 1), 4)
    images = random_images(8, 28, 28, 1)
    dropped = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.name for layer in dropped] == ["pool1_dropout", "pool2_dropout"]
    for layer in dropped:
        ends = keras.Model(model.input, [layer.input, layer.output])
        before, after = map(keras.ops.convert_to_numpy, ends(images, training=False))
        np.testing.assert_array_equal(after, before)
    pool, after = map(
        keras.ops.convert_to_numpy,
        keras.Model(model.input, [dropped[0].input, dropped[0].output])(images, training=True),
    )
    kept = after != 0
    assert kept.mean() == pytest.approx(0.8, abs=0.01)
    np.testing.assert_allclose(after[kept], pool[kept] / 0.8, rtol=1e-5)
    # Each image has a mask of its own.
    assert np.any(kept[0] != kept[1])


def test_dropout_is_of_the_rate_asked_for_and_leaves_the_names_of_the_weights():
    plain, own, given = (
        architectures.build(name, (8, 8, 1), 2, dropout=rate)
        for name, rate in (
            ("mnist_model", None),
            ("mnist_model_dropout", None),
            ("mnist_model_dropout", 0.5),
        )
    )
    assert own.get_layer("pool2_dropout").rate == 0.2
    assert given.get_layer("pool2_dropout").rate == 0.5
    for model in (own, given):
        assert [weight.path for weight in model.weights] == [w.path for w in plain.weights]
    none = architectures.build("mnist_model_dropout", (8, 8, 1), 2, dropout=0.0)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in none.layers)


@pytest.mark.parametrize("name", ["mnist_model", "svhn_model", "VGG16", "nowhere.keras"])
def test_settings_that_an_architecture_does_not_have_are_refused(name):
    with pytest.raises(ArgumentError) as caught:
        architectures.build(name, (32, 32, 3), num_blocks=4)
    assert str(caught.value) == (
        f"num_blocks=4: it is for resnet_cifar_model and resnet_stl10_model; {name} is none of them"
    )
    with pytest.raises(ArgumentError) as caught:
        architectures.build(name, (32, 32, 3), dropout=0.1)
    assert str(caught.value) == (
        "dropout=0.1: it is for mnist_model_dropout, resnet_cifar_model and resnet_stl10_model; "
        f"{name} is none of them"
    )


def test_settings_out_of_their_range_are_refused():
    with pytest.raises(
        ArgumentError, match=r"num_blocks=4: it is for .*; mnist_model_dropout is none"
    ):
        architectures.build("mnist_model_dropout", (8, 8, 1), num_blocks=4)
    for rate in (-0.1, 1.0, float("nan")):
        with pytest.raises(ArgumentError, match=f"dropout={rate}: a rate is at least 0"):
            architectures.build("mnist_model_dropout", (8, 8, 1), dropout=rate)
    with pytest.raises(ArgumentError, match="num_blocks=0: a stage has 1 block or more"):
        architectures.build("resnet_cifar_model", (8, 8, 1), num_blocks=0)


@pytest.mark.parametrize("shape", [(28, 28), (None, None, 1), (32, 32, 0), (8.0, 8, 1)])
@pytest.mark.parametrize("name", ["mnist_model", "MobileNetV2"])
def test_what_is_no_shape_of_images_is_refused(name, shape):
    message = re.escape(f"input_shape={shape}: give (height, width, channels), each at least 1")
    with pytest.raises(ArgumentError, match=message):
        architectures.build(name, shape)


def test_layer_names_do_not_depend_on_the_networks_built_before():
    names = [
        [weight.path for weight in architectures.build("stl10_model", (17, 17, 1), 4).weights]
        for _ in range(2)
    ]
    assert names[0] == names[1]
    assert names[0][0] == "conv1_1/kernel"
    assert names[0][-2:] == ["embedding/kernel", "embedding/bias"]


@pytest.mark.parametrize(("name", "least"), [*((name, 8) for name in CLASSIC), ("stl10_model", 17)])
def test_images_below_the_least_size_are_refused_and_those_of_it_are_not(name, least):
    architectures.build(name, (least, least, 1), 2)
    with pytest.raises(ArgumentError, match=f"^input_shape=.*{name}.*{least}x{least}"):
        architectures.build(name, (least, least - 1, 1), 2)


def test_batch_statistics_are_found_in_nested_models_too():
    assert not architectures.uses_batch_statistics(architectures.build("mnist_model", (8, 8, 1), 2))
    stl10 = architectures.build("stl10_model", (17, 17, 1), 2)
    assert architectures.uses_batch_statistics(stl10)
    assert architectures.uses_batch_statistics(keras.Sequential([stl10]))


@pytest.mark.backend
@pytest.mark.usefixtures("bfloat16_policy")
@pytest.mark.parametrize("name", ["mnist_model", "stl10_model"])
def test_bfloat16_networks_scale_unrounded_images_and_keep_float32_weights(name):
    model = architectures.build(name, (17, 17, 1), 4)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("conv1_1").compute_dtype == "bfloat16"
    embeddings = model(random_images(1, 17, 17, 1))
    assert keras.backend.standardize_dtype(embeddings.dtype) == "bfloat16"
    # bfloat16 has no number between 200 and 201.
    normalized = keras.Model(model.input, model.get_layer("normalization").output)
    low, high = (
        float(keras.ops.mean(normalized(np.full((1, 17, 17, 1), pixel, "float32"))))
        for pixel in (200.0, 200.25)
    )
    assert high - low == pytest.approx(0.25 / (255 if name == "mnist_model" else 128), rel=1e-2)


@pytest.mark.parametrize("name", ["svhn_model", "stl10_model", "mnist_model_dropout"])
def test_saved_networks_embed_alike_under_their_path(name, tmp_path):
    model = architectures.build(name, (17, 17, 1), 4)
    path = str(tmp_path / "network.keras")
    model.save(path)
    loaded = architectures.build(path, (17, 17, 1))
    images = random_images(2, 17, 17, 1)
    np.testing.assert_array_equal(embed(loaded, images), embed(model, images))
    assert regularization(loaded) == pytest.approx(regularization(model))


def small_model(shape=(4, 4, 1), width=3):
    return keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(width, use_bias=False)]
    )


@pytest.mark.backend
def test_saved_models_take_a_normalisation_and_another_l2_weight(tmp_path):
    saved = small_model()
    path = str(tmp_path / "small.keras")
    saved.save(path)
    images = random_images(2, 4, 4, 1)
    plain = architectures.build(path, (4, 4, 1))
    assert not plain.losses
    np.testing.assert_allclose(embed(plain, images), embed(saved, images), rtol=1e-5)
    model = architectures.build(
        path, (4, 4, 1), 3, normalization=normalization.build("unit"), l2_weight=0.5
    )
    np.testing.assert_allclose(embed(model, images), embed(saved, images / 255), rtol=1e-4)
    kernel = keras.ops.convert_to_numpy(saved.weights[0])
    assert regularization(model) == pytest.approx(np.square(kernel).sum() / 4, rel=1e-5)


def test_saved_models_that_do_not_fit_are_refused(tmp_path):
    path = str(tmp_path / "small.keras")
    small_model().save(path)
    with pytest.raises(UserError, match=r"\(4, 4, 1\), not \(5, 4, 1\)"):
        architectures.build(path, (5, 4, 1))
    with pytest.raises(ArgumentError, match=r"embedding_size=7: .*small\.keras returns .* width 3"):
        architectures.build(path, (4, 4, 1), embedding_size=7)
    vectors = str(tmp_path / "vectors.keras")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(vectors)
    with pytest.raises(UserError, match="no model from images"):
        architectures.build(vectors, (4, 4, 1))


def test_missing_and_damaged_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.keras: there is no such file"):
        architectures.build(str(tmp_path / "nowhere.keras"), (4, 4, 1))
    path = tmp_path / "damaged.keras"
    small_model().save(path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"damaged\.keras cannot be read") as caught:
            architectures.build(str(path), (4, 4, 1))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "near"),
    [("mnist", "mnist_model"), ("MobileNetV5", "MobileNetV2"), ("?", "svhn_model")],
)
def test_unknown_names_are_refused_with_the_nearest_ones(name, near):
    with pytest.raises(ArgumentError, match=f"did you mean .*{near}"):
        architectures.build(name, (28, 28, 1))


def test_pretrained_is_refused_for_networks_without_published_weights():
    with pytest.raises(ArgumentError, match=r"pretrained=True: .*mnist_model"):
        architectures.build("mnist_model", (28, 28, 1), pretrained=True)


def test_description_names_every_architecture():
    text = architectures.describe()
    for name in (*architectures.NETWORKS, *applications.names()):
        assert name in text
    assert "(x - 128) / 128; 32 64/2 P3 64 128 P2 128 256 P2 128" in text
    assert "L2 0.005" in text
    assert "(x - 128) / 128; 32 32 P2 D0.2 64 64 P2 D0.2 128 128 P2, elu" in text
    assert "(x - 128) / 128; 16 3x16 3x32/2 3x64/2 (blocks x width)" in text
    assert "(x - 128) / 128; 32 P2 3x32 3x64 3x128/2 3x256/2 (blocks x width)" in text


def test_applications_are_the_networks_of_keras_and_nothing_else():
    assert {"MobileNetV2", "ResNet50", "VGG16"} <= set(applications.names())
    assert not {"vgg16", "imagenet_utils"} & set(applications.names())


def test_an_application_embeds_grey_images_after_its_own_preprocessing():
    model = architectures.build("vgg16", (32, 32, 1), embedding_size=5, l2_weight=0.5)
    images = random_images(1, 32, 32, 1)
    assert embed(model, images).shape == (1, 5)
    head = keras.Model(model.input, model.get_layer("normalization").output)
    rgb = np.repeat(images, 3, axis=-1)
    expected = keras.applications.vgg16.preprocess_input(rgb.copy())
    np.testing.assert_allclose(embed(head, images), expected, rtol=1e-5, atol=1e-4)
    squares = sum(
        np.square(keras.ops.convert_to_numpy(weight)).sum(dtype="float64")
        for weight in model.weights
        if weight.name == "kernel"
    )
    assert regularization(model) == pytest.approx(squares / 4, rel=1e-4)


def test_an_application_with_batch_norm_and_another_normalisation_survives_a_file(tmp_path):
    model = architectures.build(
        "MobileNet", (32, 32, 3), 5, normalization=normalization.build("image")
    )
    assert architectures.uses_batch_statistics(model)
    assert not model.losses
    path = str(tmp_path / "network.keras")
    model.save(path)
    loaded = architectures.build(path, (32, 32, 3))
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    for weight, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.usefixtures("bfloat16_policy")
def test_an_application_that_scales_by_itself_does_so_in_float32(monkeypatch, tmp_path):
    def application(include_top, input_shape, pooling, weights):
        return keras.Sequential(
            [
                keras.Input(input_shape),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Normalization(mean=[0.485] * 3, variance=[0.229**2] * 3),
                keras.layers.Conv2D(2, 3, strides=8),
                keras.layers.GlobalAveragePooling2D(),
            ]
        )

    replace_application(monkeypatch, "EfficientNetV2B0", application)
    model = architectures.build("EfficientNetV2B0", (32, 32, 3), 5)
    body = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    assert body.layers[-2].compute_dtype == "bfloat16"
    head = keras.Model(body.inputs, body.layers[1].output)
    images = np.full((1, 32, 32, 3), 200.25, "float32")
    scaled = head(model.get_layer("normalization")(images))
    expected = (200.25 / 255 - 0.485) / 0.229
    np.testing.assert_allclose(keras.ops.convert_to_numpy(scaled), expected, atol=1e-5)
    path = str(tmp_path / "network.keras")
    model.save(path)
    loaded = architectures.build(path, (32, 32, 3))
    np.testing.assert_array_equal(embed(loaded, images), embed(model, images))


def test_an_application_that_scales_by_itself_stops_when_given_a_normalisation(monkeypatch):
    scales = []

    def application(include_top, input_shape, pooling, weights, include_preprocessing=True):
        scales.append(include_preprocessing)
        return keras.Sequential([keras.Input(input_shape), keras.layers.GlobalAveragePooling2D()])

    replace_application(monkeypatch, "MobileNetV3Small", application)
    for given in (None, normalization.build("unit")):
        architectures.build("MobileNetV3Small", (32, 32, 3), 5, normalization=given)
    assert scales == [True, False]
    with pytest.raises(ArgumentError, match="EfficientNetB0 scales its images itself"):
        architectures.build(
            "EfficientNetB0", (32, 32, 3), 5, normalization=normalization.build("unit")
        )


@pytest.mark.parametrize("name", applications.names())
def test_least_sizes_are_those_of_keras(name):
    least = applications.least_size(name)
    with pytest.raises(ValueError, match=f"at least {least}x{least}"):
        getattr(keras.applications, name)(
            include_top=False, weights=None, input_shape=(least - 1, least, 3)
        )
    with pytest.raises(ArgumentError, match=f"^input_shape=.*{name}.*{least}x{least}"):
        architectures.build(name, (least, least - 1, 3))


def test_applications_refuse_images_that_are_neither_grey_nor_rgb():
    with pytest.raises(ValueError, match="1 or 3 channels, not 4"):
        architectures.build("VGG16", (32, 32, 4))


def test_weights_that_cannot_be_downloaded_are_an_error_in_one_line(monkeypatch):
    def application(include_top, input_shape, pooling, weights):
        assert weights == "imagenet"
        raise Exception("URL fetch failure on https://example.org: None -- no route\nto host")

    replace_application(monkeypatch, "VGG16", application)
    with pytest.raises(UserError, match="ImageNet weights for VGG16: URL fetch") as caught:
        architectures.build("VGG16", (32, 32, 3), pretrained=True)
    assert "\n" not in str(caught.value)


def replace_application(monkeypatch, name, application):
    application.__module__ = getattr(keras.applications, name).__module__
    monkeypatch.setattr(keras.applications, name, application)


def test_a_file_that_takes_any_size_of_image_gets_images_of_one(tmp_path):
    layers = keras.layers
    keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    ).save(tmp_path / "any.keras")
    network = architectures.build(str(tmp_path / "any.keras"), (12, 10, 3))
    assert network.input_shape == (None, 12, 10, 3)
    model = AssociativeModel(network, 2)
    model.build((None, 12, 10, 3))
    pair = (np.zeros((2, 12, 10, 1), "uint8"), np.zeros((3, 6, 6, 3), "uint8"))
    assert model(pair)["unlabelled"].shape == (3, 4)


def _returning(make):
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, make(keras.layers.Flatten()(inputs)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: {"embeddings": keras.layers.Dense(3)(x)}, "in a dict: save a model that"),
        (lambda x: [keras.layers.Dense(3)(x)], "in a list: save a model that"),
        (lambda x: keras.ops.cast(keras.layers.Dense(3)(x), "int32"), "returns int32, which"),
        (lambda x: keras.layers.Dense(3, dtype="float64")(x), "has weights of float64, but"),
    ],
)
def test_a_saved_network_that_cannot_be_trained_is_refused_in_one_line(tmp_path, make, message):
    path = str(tmp_path / "network.keras")
    _returning(make).save(path)
    with pytest.raises(UserError, match=message):
        architectures.build(path, (4, 4, 1))
