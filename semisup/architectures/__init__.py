"""Networks from images to embeddings, by name.

The authors' own networks, every network of `keras.applications`, and models saved as `.keras`
files. A network takes images (n, height, width, channels) with pixels in [0, 255], normalises them
in float32 and returns embeddings (n, d) in the compute type of the dtype policy. The layer that
maps embeddings to logits is not part of it.
"""

import difflib
import os
import textwrap

import keras

from semisup.architectures import applications
from semisup.architectures.common import half_squares
from semisup.architectures.convolutional import (
    NETWORKS,
    dann_model,
    mnist_model,
    stl10_model,
    svhn_model,
)
from semisup.errors import UserError

__all__ = [
    "build",
    "dann_model",
    "describe",
    "mnist_model",
    "stl10_model",
    "svhn_model",
    "uses_batch_statistics",
]

_DEFAULT_EMBEDDING_SIZE = 128


def build(
    name,
    input_shape,
    embedding_size=_DEFAULT_EMBEDDING_SIZE,
    normalization=None,
    l2_weight=None,
    pretrained=False,
):
    """Builds a network by its name.

    Args:
        name: `mnist_model`, `svhn_model`, `stl10_model` or `dann_model`; a network of
            `keras.applications`, such as `MobileNetV2`, on which global average pooling and a
            linear embedding are put; both in upper or lower case; or the path of a `.keras` file
            with a model from images to embeddings.
        input_shape: (height, width, channels) of the images.
        embedding_size: width of the embeddings. For a `.keras` file, whose width is its own, either
            that or the default.
        normalization: layer that normalises the images; None: the architecture's own, and nothing
            in front of a `.keras` file.
        l2_weight: weight of half the sum of squares of all kernels; None: the architecture's own,
            which is 0 for `keras.applications`, and what a `.keras` file says.
        pretrained: whether a network of `keras.applications` starts from its ImageNet weights.

    Returns:
        A Keras model from images (n, height, width, channels) to embeddings (n, embedding_size).

    Raises:
        UserError: if the name is unknown, the images don't fit the network, a file cannot be read
            or is no such model, or weights cannot be downloaded.
    """
    input_shape = tuple(input_shape)
    known = None if name.endswith(".keras") else _known_name(name)
    if pretrained and (known is None or known in NETWORKS):
        raise UserError(
            f"--pretrained is for the networks of keras.applications; {name} is none of them"
        )
    if known in NETWORKS:
        return NETWORKS[known].build(known, input_shape, embedding_size, normalization, l2_weight)
    if known is None:
        model = _load(name, input_shape, embedding_size, normalization)
    else:
        model = applications.build(known, input_shape, embedding_size, normalization, pretrained)
    if l2_weight is not None:
        _regularize(model, l2_weight)
    return model


def describe():
    """Text that lists all architectures, for `--architecture=help`."""
    lines = ["Networks of the papers (3x3 convolutions, P: max pooling, /2: stride 2):"]
    lines += [f"  {name:12} {network.describe()}" for name, network in NETWORKS.items()]
    lines += ["", "Networks of keras.applications (--pretrained for their ImageNet weights):"]
    lines += textwrap.wrap(
        ", ".join(applications.names()), 98, initial_indent="  ", subsequent_indent="  "
    )
    lines += ["", "Or the path of a .keras file with a model from images to embeddings."]
    return "\n".join(lines)


def uses_batch_statistics(model):
    """Whether a model, or any model or layer nested in it, is batch normalised.

    Args:
        model: a Keras model or layer.
    """
    return any(
        isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers()
    )


def _known_name(name):
    known = {known.lower(): known for known in (*NETWORKS, *applications.names())}
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=3) or [*NETWORKS]
    raise UserError(
        f"unknown architecture {name!r}; did you mean {', '.join(known[match] for match in near)}? "
        "--architecture=help lists all, and a saved model ends in .keras"
    )


def _load(path, input_shape, embedding_size, normalization):
    if not os.path.isfile(path):
        raise UserError(f"there is no file {path}, which --architecture names")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Whatever a damaged archive makes Keras raise, in one line.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{path} cannot be read as a Keras model: {reason[0]}") from None
    takes, gives = (getattr(model, name, None) for name in ("input_shape", "output_shape"))
    if not (_has_rank(takes, 4) and _has_rank(gives, 2)):
        raise UserError(
            f"{path} is no model from images (n, height, width, channels) to embeddings (n, d): "
            f"it takes {takes} and returns {gives}"
        )
    if any(size not in (None, given) for size, given in zip(takes[1:], input_shape, strict=True)):
        raise UserError(f"{path} takes images of shape {takes[1:]}, not {input_shape}")
    if embedding_size not in (_DEFAULT_EMBEDDING_SIZE, gives[1]):
        raise UserError(
            f"{path} returns embeddings of width {gives[1]}, not --emb_size={embedding_size}"
        )
    if normalization is None:
        return model
    images = keras.Input(input_shape, dtype="float32", name="images")
    return keras.Model(images, model(normalization(images)), name="normalized")


def _has_rank(shape, rank):
    return isinstance(shape, tuple) and len(shape) == rank


def _regularize(model, l2_weight):
    """Replaces the regularisers of all kernels, and those that the model's configuration names."""
    regularizer = half_squares(l2_weight)
    for layer in model._flatten_layers():
        for kind in ("kernel_regularizer", "depthwise_regularizer", "pointwise_regularizer"):
            if hasattr(layer, kind):
                setattr(layer, kind, regularizer)
    for variable in model.trainable_variables:
        if variable.name.endswith("kernel"):
            variable.regularizer = regularizer
