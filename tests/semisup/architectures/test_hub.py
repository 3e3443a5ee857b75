"""Tests of Keras Hub's backbones: of the package itself where it is, of a stand-in elsewhere."""

import importlib.machinery
import sys
import types

import keras
import numpy as np
import pytest
import running
from keras import ops

from semisup import architectures
from semisup.architectures import hub, saved_models, transfer
from semisup.errors import UserError
from semisup.models.associative import AssociativeModel
from semisup.models.stock_layers import hub_layers, stock_model
from semisup.run.loading import load_model, load_run

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype("float32")


@pytest.fixture
def keras_hub():
    return pytest.importorskip("keras_hub", reason="keras-hub is not installed: extra hub")


@pytest.fixture
def presets(keras_hub, tmp_path):
    """Folders with random backbones: a convolutional one, and a transformer that scales nothing."""
    scaling = {"scale": [0.01, 0.02, 0.03], "offset": [-1.0, 0.0, 1.0]}
    resnet = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
    )
    resnet.save_to_preset(tmp_path / "resnet")
    keras_hub.layers.ResNetImageConverter(**scaling).save_to_preset(tmp_path / "resnet")
    keras_hub.models.ViTBackbone(
        image_shape=(16, 16, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8
    ).save_to_preset(tmp_path / "vit")
    return tmp_path


@keras.saving.register_keras_serializable(package="keras_hub")
class Halved(keras.layers.Layer):
    """Stands for a layer that only Keras Hub has."""

    def call(self, images):
        return images / 2

    def compute_output_shape(self, input_shape):
        return input_shape


class _Backbone:
    @staticmethod
    def from_preset(preset):
        if preset != "halved":
            raise ValueError(f"Unknown preset identifier {preset}.\nMany more lines.")
        images = keras.Input((None, None, 3), name="images")
        kernel = keras.initializers.Constant(np.eye(3).tolist())
        return keras.Model(images, keras.layers.Dense(3, kernel_initializer=kernel)(images))


class _ImageConverter:
    scale, offset = [0.5, 1.0, 2.0], None

    @classmethod
    def from_preset(cls, preset):
        return cls()


@pytest.fixture
def stand_in(monkeypatch):
    """A package with the two classes of Keras Hub that are used, and what they are asked for."""
    package = types.ModuleType("keras_hub")
    package.__spec__ = importlib.machinery.ModuleSpec("keras_hub", None)
    package.models = types.SimpleNamespace(Backbone=_Backbone)
    package.layers = types.SimpleNamespace(ImageConverter=_ImageConverter)
    monkeypatch.setitem(sys.modules, "keras_hub", package)


def without_hub(monkeypatch):
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)


def pooled(network, images):
    return ops.convert_to_numpy(network(images))


def test_pixels_are_scaled_as_the_preset_says_and_the_feature_map_is_averaged(stand_in):
    network = architectures.build(
        "keras_hub:halved", (16, 16, 3), trainable="head", embedding_size=5
    )
    assert network.output_shape == (None, 5)
    assert not transfer.backbone_of(network).trainable_variables
    features = pooled(transfer.backbone_of(network), IMAGES)
    np.testing.assert_allclose(features, IMAGES.mean(axis=(1, 2)) * [0.5, 1, 2], rtol=1e-5)


def test_a_given_normalisation_takes_the_place_of_that_of_the_preset(stand_in):
    network = hub.build("keras_hub:halved", (16, 16, 3), None, keras.layers.Rescaling(2.0))
    np.testing.assert_allclose(pooled(network, IMAGES), 2 * IMAGES.mean(axis=(1, 2)), rtol=1e-5)


def test_grey_images_are_repeated_for_a_preset(stand_in):
    network = hub.build("keras_hub:halved", (16, 16, 1), None)
    grey = IMAGES[..., :1]
    expected = grey.mean(axis=(1, 2)) * [0.5, 1, 2]
    np.testing.assert_allclose(pooled(network, grey), expected, rtol=1e-5)


def test_an_unknown_preset_and_images_that_do_not_fit_are_named_in_a_line(stand_in):
    with pytest.raises(UserError, match="keras_hub:nothing cannot be read as a preset: Unknown"):
        hub.build("keras_hub:nothing", (16, 16, 3), None)
    with pytest.raises(UserError, match=r"takes images of shape \(None, None, 3\), not \(8, 8, 2"):
        hub.build("keras_hub:halved", (8, 8, 2), None)


def test_a_preset_without_keras_hub_says_how_to_install_it(monkeypatch):
    without_hub(monkeypatch)
    with pytest.raises(UserError, match=r"needs the package keras-hub: pip install '\.\[hub\]'"):
        architectures.build("keras_hub:resnet_50_imagenet", (16, 16, 3))


def test_a_file_with_layers_of_keras_hub_says_what_it_needs(tmp_path, monkeypatch):
    keras.Sequential([keras.Input((2,)), Halved()]).save(tmp_path / "network.keras")
    without_hub(monkeypatch)
    with pytest.raises(UserError, match=r"network\.keras needs the package keras-hub"):
        saved_models.load(tmp_path / "network.keras")


def test_preset_without_a_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="--architecture=keras_hub: names no preset"):
        running.config(tmp_path, "run", architecture="keras_hub:")


@pytest.mark.parametrize(("name", "width"), [("resnet", 64), ("vit", 8)])
def test_presets_of_keras_hub_give_their_features_scaled(keras_hub, presets, name, width):
    preset = str(presets / name)
    network = architectures.build(f"keras_hub:{preset}", (16, 16, 3), trainable="head")
    backbone = keras_hub.models.Backbone.from_preset(preset)
    scaled = IMAGES * [0.01, 0.02, 0.03] + [-1, 0, 1] if name == "resnet" else IMAGES
    expected = ops.convert_to_numpy(backbone(scaled.astype("float32")))
    expected = expected.mean(axis=tuple(range(1, expected.ndim - 1)))
    features = pooled(transfer.backbone_of(network), IMAGES)
    assert features.shape == (3, width)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "needed"), [("resnet", False), ("vit", True)])
def test_stock_models_of_presets_need_keras_hub_for_its_layers_alone(presets, name, needed):
    network = architectures.build(f"keras_hub:{presets / name}", (16, 16, 3), trainable=1)
    model = AssociativeModel(network, 3)
    model.build((None, 16, 16, 3))
    stock = stock_model(model)
    assert ("ViTBackbone" in hub_layers(stock)) == bool(hub_layers(stock)) == needed
    expected = ops.softmax(model(IMAGES))
    np.testing.assert_allclose(pooled(stock, IMAGES), ops.convert_to_numpy(expected), rtol=1e-4)


@running.needs_commands
def test_a_run_on_a_preset_goes_on_and_is_loaded_without_the_preset(presets, tmp_path):
    preset = presets / "resnet"
    settings = {"architecture": f"keras_hub:{preset}", "trainable": "head", "new_size": 16}
    settings["augmentation"] = "none"
    status, run = running.train(
        tmp_path, max_steps=10, cache_dir=str(tmp_path / "cache"), **settings
    )
    assert status == 0
    preset.rename(tmp_path / "elsewhere")
    assert running.resume(run, max_steps=20) == 0
    loaded, _ = load_run(run.path)
    exported = load_model(run.file("model.keras"))
    images = IMAGES[..., :1]
    np.testing.assert_allclose(pooled(loaded, images), pooled(exported, images), rtol=1e-5)
