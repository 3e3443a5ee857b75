"""A trained network with a head on top, of which all, the last layers, or only the head is trained.

Where only the head is trained, the network below it is a function that never changes. What it
returns, the features of an image, need not be computed again in each step: a network with such a
head is given images or their features.
"""

import logging
import numbers
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from semisup.architectures.normalization import Standardization
from semisup.errors import ArgumentError

_logger = logging.getLogger(__name__)

ALL, HEAD = "all", "head"
"""What is trained: everything, or nothing but the head."""

DEFAULT_UNITS = 256
"""Units of the hidden layer of a head."""

_BACKBONE = "backbone"

_DEVIATION = 0.3
"""Of centred features. A linear map to 128 values then begins with embeddings of a norm about 3,
which is what the clustering's norm loss asks for."""

_LEAST_VARIANCE = 1e-12
"""Of features that are all alike."""


class Parts(NamedTuple):
    """A network whose head alone is trained.

    Attributes:
        backbone: functional model from images to features (n, f).
        head: sequential model from features to embeddings (n, d).
    """

    backbone: keras.Model
    head: keras.Model


def with_head(network, embedding_size, units=DEFAULT_UNITS, trainable=ALL, centred=False):
    """Put a head on a network: a hidden layer with ReLU, and a linear embedding.

    Args:
        network: functional or sequential model from images (n, height, width, channels) to features
            (n, f). A softmax classifier at its end is left out: see `without_classifier`.
        embedding_size: width of the embeddings.
        units: units of the hidden layer; 0: the embedding is a linear map of the features.
        trainable: "all", "head", or a number: how many of the last layers of the network that have
            weights are trained.
        centred: whether the head begins with layers that bring features to length 1, and move and
            scale them as `centre` tells.

    Returns:
        A functional model from images to embeddings (n, embedding_size). Frozen layers with batch
        normalisation keep their statistics.

    Raises:
        ArgumentError: if `trainable` is neither of these, or the network does not have as many
            layers with weights.
    """
    network = without_classifier(network)
    backbone = keras.Model(network.inputs[0], network.outputs[0], name=_BACKBONE)
    if trainable != ALL:
        _freeze(backbone, 0 if trainable == HEAD else trainable)
    width = backbone.output_shape[-1]
    layers = [keras.Input((width,), name="features")]
    if centred:
        layers.append(keras.layers.UnitNormalization(dtype="float32", name="unit_length"))
        layers.append(Standardization(name="centring"))
    if units:
        layers.append(keras.layers.Dense(units, activation="relu", name="hidden"))
    layers.append(keras.layers.Dense(embedding_size, name="embedding"))
    head = keras.Sequential(layers, name=HEAD)
    images = keras.Input(backbone.input_shape[1:], dtype="float32", name="images")
    return keras.Model(images, head(backbone(images)), name="network")


def centre(network: Any, examples: Iterable[Any]):
    """Let the head of a network centre features: their mean becomes 0, their deviation 0.3.

    They are of length 1 before. All are scaled alike, by the root of their mean variance, since a
    feature that hardly varies says little.

    Args:
        network: any network; only a head made with `centred` changes, once.
        examples: features (n, f) or (n, views, f), of which the first view counts; at least one.
    """
    found = parts(network)
    if found is None or not isinstance(found.head.layers[0], keras.layers.UnitNormalization):
        return
    unit_length, centring, *_ = found.head.layers
    if np.any(ops.convert_to_numpy(centring.mean)):
        # It was taken over from another run with the rest of the head, which relies on it.
        return
    count = total = squares = 0
    for features in examples:
        units = ops.convert_to_numpy(unit_length(first_view(features))).astype("float64")
        count += len(units)
        total = total + units.sum(axis=0)
        squares += np.square(units).sum()
    mean = total / count
    variance = squares / (count * len(mean)) - np.square(mean).mean()
    deviation = np.sqrt(max(variance, _LEAST_VARIANCE)) / _DEVIATION
    centring.mean.assign(mean.astype("float32"))
    centring.deviation.assign(np.full(len(mean), deviation, "float32"))


def without_classifier(network):
    """Return a network without the softmax classifier at its end, if it has one.

    Args:
        network: functional or sequential model.

    Returns:
        The network up to the input of its last layer with weights, if what follows are
        probabilities; else the network itself.
    """
    classifier = next((layer for layer in reversed(network.layers) if layer.weights), None)
    if not ends_in_probabilities(network) or isinstance(classifier, keras.Model):
        return network
    _logger.info("The softmax classifier at the end of %s is left out.", network.name)
    return keras.Model(network.inputs[0], classifier.input, name=network.name)


def ends_in_probabilities(network):
    """Return whether the last layer of a functional or sequential model is a softmax."""
    last = network.layers[-1]
    activation = getattr(last, "activation", None)
    return isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax


def _freeze(network, trainable):
    """Keep the weights of a network as they are, but for so many of its last layers with weights.

    Nested layers count, too.
    """
    layers = [
        layer
        for layer in network._flatten_layers(include_self=False)
        if layer.weights and not list(layer._flatten_layers(include_self=False))
    ]
    is_number = isinstance(trainable, numbers.Integral) and not isinstance(trainable, bool)
    if not is_number or trainable < 0:
        reason = f"give {ALL!r}, {HEAD!r}, or the number of the last layers that are trained"
        raise ArgumentError("trainable", trainable, reason)
    if trainable > len(layers):
        reason = f"the network has {len(layers)} layers with weights, not {trainable}"
        raise ArgumentError("trainable", trainable, reason)
    for layer in layers[: len(layers) - trainable]:
        layer.trainable = False


def has_head(network: Any) -> bool:
    """Return whether a network was made by `with_head`."""
    return [layer.name for layer in getattr(network, "layers", ())[1:]] == [_BACKBONE, HEAD]


def backbone_of(network: keras.Model) -> keras.Model:
    """Return what is below the head of a network that has one."""
    return network.layers[1]


def without_head(network: Any) -> Any:
    """Return what is below the head of a network, or a network that has none."""
    return backbone_of(network) if has_head(network) else network


def parts(network: Any) -> Parts | None:
    """Return the parts of a network of which only the head is trained, or None for another."""
    if not has_head(network) or backbone_of(network).trainable_variables:
        return None
    return Parts(*network.layers[1:])


def features_of(network: keras.Model, images: Any, training: bool = False) -> Any:
    """Compute what is below the head of a network that has one, from images.

    Args:
        network: a network made by `with_head`.
        images: what it takes.
        training: whether to run it in training mode, where it is trained.

    Returns:
        Features (n, f).
    """
    # Not even dropout may act in a network that is a constant.
    return backbone_of(network)(images, training=training and parts(network) is None)


def takes_features(network: Any, examples: Any) -> bool:
    """Return whether examples are features, which the head of a network takes.

    Args:
        network: any network.
        examples: what a model is given.
    """
    found = parts(network)
    shape = getattr(examples, "shape", None)
    if found is None or shape is None:
        return False
    return len(shape) in (2, 3) and shape[-1] == found.head.input_shape[-1]


def taking(network: Any, examples: Any) -> Any:
    """Return what of a network takes examples: its head if they are features, else all of it."""
    return parts(network).head if takes_features(network, examples) else network


def first_view(features: Any) -> Any:
    """Return the features (n, f) of images as they are, of features of any views of them.

    Args:
        features: (n, f), or (n, views, f).
    """
    return features if len(features.shape) == 2 else features[:, 0]


@keras.saving.register_keras_serializable(package="semisup")
class RandomView(keras.layers.Layer):
    """Draw one of the views of each image, in training: the augmentation of features.

    Takes features (n, views, f), and returns (n, f). Outside of training the first view is taken,
    which is that of the image as it is. What has another shape passes.

    Args:
        seed: integer in [0, 2**31).
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, seed, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, features, training=False):
        """Return a view of each example."""
        if len(features.shape) != 3:
            return features
        if not training:
            return first_view(features)
        count, views = ops.shape(features)[0], features.shape[1]
        drawn = keras.random.randint((count,), 0, views, seed=self.generator)
        chosen = ops.one_hot(drawn, views, dtype=features.dtype)
        return ops.einsum("nv,nvf->nf", chosen, features)

    def compute_output_shape(self, input_shape):
        """Return the shape of one view."""
        return input_shape if len(input_shape) != 3 else (input_shape[0], input_shape[2])

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "seed": self.seed}
