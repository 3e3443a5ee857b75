"""A trained model as stock Keras layers alone, which any program with Keras can load.

Layers of Keras Hub count as stock, too: programs that import that package load them.
"""

import keras
import numpy as np

from semisup.architectures import hub, layer_calls
from semisup.architectures.applications import ApplicationPreprocessing
from semisup.architectures.normalization import ImageStandardization, Standardization
from semisup.errors import ArgumentError


def stock_model(model, temperature=1.0):
    """Rebuild a model from the layers of Keras, from pixels to probabilities.

    All layers compute in float32, whatever the model does.

    Args:
        model: a built `EmbeddingClassifier` of images, whose network is a functional or sequential
            model.
        temperature: positive number that divides the logits.

    Returns:
        A functional `keras.Model` with copies of the weights, from images (n, height, width,
        channels) of the shape that the model was built with, 0 to 255, to probabilities
        (n, num_classes).

    Raises:
        ArgumentError: if the network's calls are not known, or it has layers that are neither
            Keras' own, nor Keras Hub's, nor ours.
    """
    if not layer_calls.is_functional(model.network) or len(model.network.inputs) != 1:
        raise ArgumentError(
            "model", None, f"the network {model.network.name} is no functional model of one input"
        )
    copies = _Copies()
    images = keras.Input(model.input_shapes[1:], dtype="float32", name="images")
    x = _fitted(model, images)
    logits = copies(model.classifier, (layer_calls.run(model.network, x, copies),))
    if temperature != 1:
        logits = keras.layers.Rescaling(1 / temperature, dtype="float32", name="calibrated")(logits)
    probabilities = keras.layers.Softmax(dtype="float32", name="probabilities")(logits)
    result = keras.Model(images, probabilities, name=model.name)
    copies.copy_weights()
    return result


def hub_layers(model):
    """Return the names of the classes of Keras Hub that a model needs to be loaded, sorted."""
    classes = hub.classes_of(model)
    return sorted(kind.__name__ for kind in classes if hub.package_of(kind) == hub.PACKAGE)


def _fitted(model, images):
    """Bring images to what the network takes, as `EmbeddingClassifier.prepare` does."""
    window = getattr(model, "window", None)
    if window is not None:
        crop = keras.layers.CenterCrop(window.size, window.size, dtype="float32", name="window")
        images = crop(images)
    _, height, width, channels = model.network.inputs[0].shape
    if channels and images.shape[-1] != channels:
        repeat = keras.layers.Concatenate(dtype="float32", name="channels")
        images = repeat([images] * channels)
    if height and width and tuple(images.shape[1:3]) != (height, width):
        images = keras.layers.Resizing(height, width, dtype="float32", name="size")(images)
    return images


class _Copies:
    """Calls copies of layers in place of the layers: see `layer_calls.run`."""

    def __init__(self):
        self._copies = {}
        self._names = set()

    def __call__(self, layer, arguments, options=None):
        if id(layer) not in self._copies:
            self._copies[id(layer)] = layer, self._copy(layer, *arguments)
        return self._copies[id(layer)][1](*arguments, **(options or {}))

    def copy_weights(self):
        """Give the copies, which have been called, the weights of the layers."""
        for layer, copy in self._copies.values():
            if type(copy) is type(layer) and isinstance(layer, keras.layers.Layer):
                copy.set_weights(layer.get_weights())

    def _copy(self, layer, inputs, *others):
        if isinstance(layer, Standardization):
            return self._statistics(layer)
        if isinstance(layer, ApplicationPreprocessing):
            return self._affine(layer)
        if isinstance(layer, ImageStandardization):
            # Its call is one of Keras' operations, which stand in the graph by themselves.
            return layer.call
        foreign = _foreign_layers(layer)
        if foreign:
            raise ArgumentError(
                "model",
                None,
                f"its network has layers that are not Keras' own: {', '.join(foreign)}",
            )
        config = {**layer.get_config(), "name": self._name(layer.name)}
        if "dtype" in config:
            config["dtype"] = "float32"
        return type(layer).from_config(config)

    def _statistics(self, layer):
        mean, deviation = (keras.ops.convert_to_numpy(part) for part in layer.weights)
        return keras.layers.Normalization(
            axis=-1 if mean.ndim == 1 else (1, 2, 3),
            mean=mean,
            variance=np.square(deviation),
            dtype="float32",
            name=self._name(layer.name),
        )

    def _affine(self, layer):
        """Return a layer that does what scales, moves or exchanges the channels of a pixel."""
        pixels = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype("float32")
        offset, *responses = keras.ops.convert_to_numpy(layer(pixels[:, None, None]))[:, 0, 0]
        kernel, bias = np.subtract(responses, offset)[None, None], offset
        return keras.layers.Conv2D(
            3,
            1,
            kernel_initializer=keras.initializers.Constant(kernel.tolist()),
            bias_initializer=keras.initializers.Constant(bias.tolist()),
            trainable=False,
            dtype="float32",
            name=self._name(layer.name),
        )

    def _name(self, name):
        """Return a name that no other copy has: models within a model may use one twice."""
        free, number = name, 1
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free


def _foreign_layers(layer):
    """Return the names of classes that are not stock, of a layer and its parts."""
    stock = ("keras", hub.PACKAGE)
    classes = hub.classes_of(layer)
    return sorted(kind.__name__ for kind in classes if hub.package_of(kind) not in stock)
