"""The image backbones of Keras Hub, with global average pooling, where that package is installed.

Convolutional backbones mostly consist of Keras' own layers: these are taken out of the backbone, so
that what is trained and saved does not need Keras Hub. Others, transformers say, stay whole.
"""

import importlib
import importlib.util
import logging
import os

import keras

from semisup.cli.architecture_names import PRESET
from semisup.errors import UserError, first_line

PACKAGE = "keras_hub"

_INSTALL = "pip install '.[hub]' installs it"

_logger = logging.getLogger(__name__)


def build(name, input_shape, embedding_size, normalization=None):
    """Build a backbone with its weights, global average pooling and a linear embedding on top.

    Grey images are repeated to RGB. Tokens are averaged as the places of a feature map are.

    Args:
        name: `keras_hub:PRESET`, where the preset is a name that Keras Hub knows, whose files are
            downloaded once, or a folder.
        input_shape: (height, width, channels).
        embedding_size: width of the embeddings; None: the pooled features are returned.
        normalization: layer that normalises the images; None: the scaling of the preset.

    Returns:
        A Functional model from images (n, height, width, channels) in [0, 255] to embeddings
        (n, embedding_size), or features (n, f).

    Raises:
        UserError: if Keras Hub is not installed, the preset cannot be read, is no backbone for
            images, or does not take such images.
    """
    package = imported(name)
    preset = name.removeprefix(PRESET)
    backbone = _backbone(package, name, preset)
    takes = backbone.input_shape[1:]
    channels = takes[-1]
    sizes = zip(takes, (*input_shape[:2], channels), strict=True)
    fits = all(size in (None, given) for size, given in sizes)
    if not fits or input_shape[-1] not in (1, channels):
        raise UserError(f"{name} takes images of shape {takes}, not {tuple(input_shape)}")
    images = keras.Input(input_shape, dtype="float32", name="images")
    x = images if normalization is None else normalization(images)
    if input_shape[-1] != channels:
        x = keras.layers.Concatenate(dtype="float32", name="rgb")([x] * channels)
    scaling = _scaling(package, name, preset) if normalization is None else None
    x = x if scaling is None else scaling(x)
    if set(map(package_of, classes_of(backbone)[1:])) == {"keras"}:
        backbone = keras.Model(backbone.inputs[0], backbone.outputs[0], name=backbone.name)
    features = backbone(x)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="pooling")(features)
    elif len(features.shape) == 3:
        features = keras.layers.GlobalAveragePooling1D(name="pooling")(features)
    if embedding_size is not None:
        features = keras.layers.Dense(embedding_size, name="embedding")(features)
    return keras.Model(images, features, name=backbone.name)


def classes_of(layer):
    """Return the classes of a layer or an operation, first, and of the layers in it, each once."""
    parts = layer._flatten_layers() if isinstance(layer, keras.layers.Layer) else [layer]
    return list(dict.fromkeys(map(type, parts)))


def package_of(kind):
    """Return the name of the package that a class is defined in."""
    return kind.__module__.partition(".")[0]


def imported(name):
    """Import Keras Hub, so that Keras finds its classes, and return it.

    Args:
        name: what needs it.

    Raises:
        UserError: if it is not installed.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError(f"{name} needs the package keras-hub: {_INSTALL}")
    try:
        return importlib.import_module(PACKAGE)
    except ImportError as error:
        raise UserError(
            f"{name} needs the package keras-hub, which cannot be imported: {first_line(error)}"
        ) from None


def _backbone(package, name, preset):
    try:
        backbone = package.models.Backbone.from_preset(preset)
    except Exception as error:
        # Of a download, a folder or a class: nearly anything may be raised.
        raise UserError(f"{name} cannot be read as a preset: {first_line(error)}") from None
    takes, gives = (getattr(backbone, part, None) for part in ("input_shape", "output_shape"))
    if not (isinstance(takes, tuple) and len(takes) == 4 and isinstance(gives, tuple)):
        raise UserError(f"{name} is no backbone for images: it takes {takes} and returns {gives}")
    return backbone


def _scaling(package, name, preset):
    """Return the layer that scales the pixels as the preset says, or None if it says nothing."""
    try:
        converter = package.layers.ImageConverter.from_preset(preset)
    except Exception as error:
        if not os.path.isdir(preset):
            raise UserError(f"{name} cannot be read as a preset: {first_line(error)}") from None
        _logger.warning(
            "%s says nothing of how pixels are scaled: they reach its network as 0 to 255", name
        )
        return None
    if converter.scale is None and converter.offset is None:
        return None
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="normalization")
