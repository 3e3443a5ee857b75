"""Networks from images to embeddings, by name.

The authors' own networks, every network of `keras.applications`, models saved as `.keras` files,
and presets of Keras Hub. A network takes images (n, height, width, channels) with pixels in
[0, 255], normalises them in float32 and returns embeddings (n, d) in the compute type of the dtype
policy. The layer that maps embeddings to logits is not part of it.
"""

import difflib
import numbers
import textwrap

import keras

from semisup.architectures import (
    applications,
    convolutional,
    hub,
    residual,
    saved_models,
    transfer,
)
from semisup.architectures.common import half_squares
from semisup.cli import architecture_names
from semisup.errors import ArgumentError, UserError

NETWORKS = {**convolutional.NETWORKS, **residual.NETWORKS}

_DEFAULT_EMBEDDING_SIZE = 128


def build(
    name,
    input_shape,
    embedding_size=_DEFAULT_EMBEDDING_SIZE,
    normalization=None,
    l2_weight=None,
    pretrained=False,
    num_blocks=None,
    dropout=None,
    trainable=transfer.ALL,
    head_units=None,
    centre_features=False,
):
    """Build a network by its name.

    For example, `build("svhn_model", (32, 32, 3), embedding_size=64)`; `describe()` lists all.

    Args:
        name: `mnist_model`, `mnist_model_dropout`, `svhn_model`, `stl10_model`, `dann_model`,
            `resnet_cifar_model` or `resnet_stl10_model`; a network of `keras.applications`, such
            as `MobileNetV2`, on which global average pooling and a linear embedding are put; both
            in upper or lower case; the path of a `.keras` file with a model from images to
            embeddings; or `keras_hub:PRESET`, a backbone of Keras Hub.
        input_shape: (height, width, channels) of the images.
        embedding_size: width of the embeddings. For a `.keras` file, whose width is its own, either
            that or the default.
        normalization: layer that normalises the images; None: the architecture's own, and nothing
            in front of a `.keras` file.
        l2_weight: weight of half the sum of squares of all kernels; None: the architecture's own,
            which is 0 for `keras.applications`, and what a `.keras` file or a preset says.
        pretrained: whether a network of `keras.applications` starts from its ImageNet weights; a
            `.keras` file and a preset have their own in any case.
        num_blocks: blocks in each stage of a `resnet_..._model`, 1 or more; None: the network's.
        dropout: rate of the dropout of a `resnet_..._model` or `mnist_model_dropout`, in [0, 1);
            None: the network's.
        trainable: "all", "head" or a number, see `transfer.with_head`; unless it is "all", the
            network gets a head.
        head_units: units of the hidden layer of a head; None: 256 if something is frozen, else
            there is no head.
        centre_features: whether the head of a frozen network begins with its features centred.

    Returns:
        A Keras model from images (n, height, width, channels) to embeddings (n, embedding_size).

    Raises:
        ValueError: if the name is unknown, `input_shape` is no shape of images or does not fit the
            network, `num_blocks` or `dropout` is given to a network that has no such setting, or
            out of its range, or `trainable` is none of its values, or more layers than there are.
        UserError: if a file or preset cannot be read, is no such model or does not take such
            images, or if weights cannot be downloaded.
    """
    input_shape = tuple(input_shape)
    if len(input_shape) != 3 or not all(
        isinstance(size, numbers.Integral) and size > 0 for size in input_shape
    ):
        raise ArgumentError(
            "input_shape", input_shape, "give (height, width, channels), each at least 1"
        )
    if trainable != transfer.ALL and head_units is None:
        head_units = transfer.DEFAULT_UNITS
    has_head = head_units is not None
    known = None if architecture_names.brings_weights(name) else _known_name(name)
    if pretrained and known in NETWORKS:
        raise ArgumentError(
            "pretrained",
            True,
            f"it is on, and {name} is no network of keras.applications: turn it off",
        )
    settings = _settings(name, NETWORKS.get(known), num_blocks=num_blocks, dropout=dropout)
    if known in NETWORKS:
        model = NETWORKS[known].build(
            known, input_shape, embedding_size, normalization, l2_weight, **settings
        )
    elif architecture_names.is_file(name):
        model = _load(name, input_shape, None if has_head else embedding_size, normalization)
    else:
        width = None if has_head else embedding_size
        if known is None:
            model = hub.build(name, input_shape, width, normalization)
        else:
            model = applications.build(known, input_shape, width, normalization, pretrained)
    if has_head:
        centred = centre_features and trainable == transfer.HEAD
        model = transfer.with_head(model, embedding_size, head_units, trainable, centred)
    if l2_weight is not None and (has_head or known not in NETWORKS):
        _regularize(model, l2_weight)
    return model


def describe():
    """Return a text that lists all architectures."""
    lines = ["Networks of the papers (3x3 convolutions, P: max pooling, D: dropout, /2: stride 2):"]
    lines += [f"  {name:19} {network.describe()}" for name, network in NETWORKS.items()]
    lines += ["", "Networks of keras.applications (pretrained: with their ImageNet weights):"]
    lines += textwrap.wrap(
        ", ".join(applications.names()), 98, initial_indent="  ", subsequent_indent="  "
    )
    lines += [
        "",
        "Or the path of a .keras file with a model from images to embeddings, or keras_hub:PRESET,",
        "a backbone of Keras Hub by its name, or its folder, with its weights.",
    ]
    return "\n".join(lines)


def uses_batch_statistics(model):
    """Return whether training normalises batches in a model, or in any layer nested in it.

    Frozen layers normalise by the statistics that they have, and don't count.

    Args:
        model: a Keras model or layer.
    """
    return any(
        isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for layer in model._flatten_layers()
    )


def check_name(name):
    """Make sure that there is a network of this name, without building it.

    Args:
        name: see `build`. Whether there is a preset of that name is not looked up.

    Raises:
        ValueError: if there is no such network.
        UserError: if there is no such file.
    """
    if architecture_names.is_file(name):
        architecture_names.check_file(name)
    elif not architecture_names.is_preset(name):
        _known_name(name)


def _known_name(name):
    known = {known.lower(): known for known in (*NETWORKS, *applications.names())}
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=3) or [*NETWORKS]
    raise ArgumentError(
        "name",
        name,
        f"there is no such network; did you mean {', '.join(known[match] for match in near)}? A "
        "saved model ends in .keras, a preset of Keras Hub begins with keras_hub:",
    )


def _settings(name, network, **settings):
    """Return the settings that are given, each of which the network must have."""
    given = {setting: value for setting, value in settings.items() if value is not None}
    for setting, value in given.items():
        if network is None or setting not in network.settings:
            owners = [known for known, other in NETWORKS.items() if setting in other.settings]
            raise ArgumentError(
                setting,
                value,
                f"it is for {', '.join(owners[:-1])} and {owners[-1]}; {name} is none of them",
            )
    if given.get("num_blocks", 1) < 1:
        raise ArgumentError("num_blocks", given["num_blocks"], "a stage has 1 block or more")
    if not 0 <= given.get("dropout", 0) < 1:
        raise ArgumentError("dropout", given["dropout"], "a rate is at least 0 and less than 1")
    return given


def _load(path, input_shape, embedding_size, normalization):
    architecture_names.check_file(path)
    model = saved_models.load(path, compile=False)
    takes, gives = (getattr(model, name, None) for name in ("input_shape", "output_shape"))
    if not (_has_rank(takes, 4) and _has_rank(gives, 2)):
        raise UserError(
            f"{path} is no model from images (n, height, width, channels) to embeddings (n, d): "
            f"it takes {takes} and returns {gives}"
        )
    if any(size not in (None, given) for size, given in zip(takes[1:], input_shape, strict=True)):
        raise UserError(f"{path} takes images of shape {takes[1:]}, not {input_shape}")
    _check_values(path, model, input_shape)
    if embedding_size not in (None, _DEFAULT_EMBEDDING_SIZE, gives[1]):
        raise ArgumentError(
            "embedding_size", embedding_size, f"{path} returns embeddings of width {gives[1]}"
        )
    if normalization is None and None not in takes[1:]:
        return model
    # One that takes images of any size gets those of one size, which others are brought to.
    images = keras.Input(input_shape, dtype="float32", name="images")
    normalized = images if normalization is None else normalization(images)
    return keras.Model(images, model(normalized), name="normalized")


def _check_values(path, model, input_shape):
    """Check that a network returns one tensor of floats, and has weights that are float32."""
    embeddings = model.compute_output_spec(keras.KerasTensor((1, *input_shape), "float32"))
    if not isinstance(embeddings, keras.KerasTensor):
        raise UserError(
            f"{path} returns its embeddings in a {type(embeddings).__name__}: save a model that "
            "returns them alone"
        )
    if not keras.backend.is_float_dtype(embeddings.dtype):
        raise UserError(f"{path} returns {embeddings.dtype}, which has no gradient: return floats")
    others = sorted({variable.dtype for variable in model.trainable_variables} - {"float32"})
    if others:
        raise UserError(
            f"{path} has weights of {', '.join(others)}, but all weights are trained in float32: "
            "save it with dtype='float32' or a mixed policy"
        )


def _has_rank(shape, rank):
    return isinstance(shape, tuple) and len(shape) == rank


def _regularize(model, l2_weight):
    """Replace the regularisers of all kernels, and those that the model's configuration names."""
    regularizer = half_squares(l2_weight)
    for layer in model._flatten_layers():
        for kind in ("kernel_regularizer", "depthwise_regularizer", "pointwise_regularizer"):
            if hasattr(layer, kind):
                setattr(layer, kind, regularizer)
    for variable in model.trainable_variables:
        if variable.name.endswith("kernel"):
            variable.regularizer = regularizer
