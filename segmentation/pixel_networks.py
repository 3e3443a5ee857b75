"""Networks from images to features of their pixels, on a grid of every fourth row and column.

A pixel is an example: such a network takes images (n, height, width, channels) and returns features
(n * rows * columns, f), image after image and row after row. So all that is made for networks whose
examples are images serves for pixels, too: heads, frozen layers, associations.
"""

import dataclasses
import math

import keras
from keras import ops

from segmentation.choices import STRIDE
from semisup import architectures
from semisup.architectures import saved_models, transfer
from semisup.cli import architecture_names
from semisup.errors import ArgumentError, UserError
from semisup.run import building

_WIDEST = 32
"""Stride of the coarsest map that is taken: maps of a single pixel only weight channels."""

_ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
)


def grid_of(image_shape):
    """Return the rows and columns of the embeddings of an image.

    Args:
        image_shape: (height, width, channels).
    """
    height, width, _ = image_shape
    return -(-height // STRIDE), -(-width // STRIDE)


def build(config, image_shape):
    """Build the network of a configuration: features of pixels, and a head on them.

    Args:
        config: a `TrainConfig`.
        image_shape: (height, width, channels).

    Returns:
        A functional model from images to embeddings (n * rows * columns, d) of their pixels, made
        by `transfer.with_head`.

    Raises:
        UserError: if there is no such network, or it has no maps of features.
    """
    if config.embedding == "patch":
        features = patches(image_shape, config.patch_size)
    else:
        features = hypercolumns(_network(config, image_shape), image_shape, config.architecture)
    trainable = config.trainable
    try:
        return transfer.with_head(
            features,
            config.emb_size,
            transfer.DEFAULT_UNITS if config.head_units < 0 else config.head_units,
            int(trainable) if trainable.isdecimal() else trainable,
            config.centre_features,
        )
    except ArgumentError as error:
        raise UserError(f"--{error}") from None


def patches(image_shape, size):
    """Make a network without weights that cuts out the patch around each pixel of the grid.

    Args:
        image_shape: (height, width, channels).
        size: height and width of a patch.

    Returns:
        A functional model to (n * rows * columns, size * size * channels), from -1 to 1.
    """
    images = keras.Input(image_shape, dtype="float32", name="images")
    scaled = keras.layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="scale")(images)
    return keras.Model(images, Patches(size, name="patches")(scaled), name="patch_network")


def hypercolumns(network, image_shape, name="the network"):
    """Make a network that joins maps of features of several strides, at the finest of them.

    From each stride of 4 or more, the map at the end of the last block is taken: a sum, or a
    normalised map without an activation; where there is none, the last map.

    Args:
        network: Keras model from images; what follows its last map is left out.
        image_shape: (height, width, channels) of the images, whatever the network was built for.
        name: what the network is called, for messages.

    Returns:
        A functional model to (n * rows * columns, f).

    Raises:
        UserError: if it has no such maps, or does not take such images.
    """
    try:
        before, body = _convolutional(network, image_shape)
        images = body.inputs[0]
        maps = list(_ends_of_blocks(body, image_shape).values())
        if before:
            # What scales the images stands before a body that is a model itself.
            body = keras.Model(images, maps)
            shape = (*image_shape[:2], before[0].input.shape[-1])
            x = images = keras.Input(shape, dtype="float32", name="images")
            for layer in before:
                x = layer(x)
            maps = keras.tree.flatten(body(x))
    except (ArgumentError, AttributeError, IndexError, ValueError) as error:
        raise UserError(f"--architecture={name} has no maps of features: {error}") from None
    if not maps:
        raise UserError(f"--architecture={name} has no maps of features of stride {STRIDE} or more")
    joined = Hypercolumns(*grid_of(image_shape), name="hypercolumns")(maps)
    return keras.Model(images, joined, name="hypercolumn_network")


def _network(config, image_shape):
    """Load or build the network below the hypercolumns, in full."""
    if architecture_names.is_file(config.architecture):
        return saved_models.load(config.architecture, compile=False)
    # As if without a head: that of pixels is put on later.
    config = dataclasses.replace(config, trainable="all", head_units=-1, network_learning_rate=0.0)
    if config.architecture.lower() not in architectures.NETWORKS:
        # Grey images are repeated before they reach it.
        image_shape = (*image_shape[:2], 3)
    return building.build_network(config, image_shape)


def _convolutional(network, image_shape):
    """Return the layers before the body of a network, and the body up to its last map."""
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    nested = [layer for layer in layers if isinstance(layer, keras.Model)]
    if nested:
        inner, body = _convolutional(nested[-1], image_shape)
        return [*layers[: layers.index(nested[-1])], *inner], body
    maps = [layer.output for layer in layers if _is_map(layer)]
    body = keras.Model(network.inputs[0], maps[-1])
    shape = (*image_shape[:2], body.input_shape[-1])
    if body.input_shape[1:] == shape:
        return [], body
    resized = keras.models.clone_model(body, input_tensors=keras.Input(shape, name="images"))
    resized.set_weights(body.get_weights())
    return [], resized


def _is_map(layer):
    try:
        return len(layer.output.shape) == 4
    except (AttributeError, ValueError):
        # It has several outputs, or is called several times.
        return False


def _ends_of_blocks(body, image_shape):
    """Return for each stride the map of features to take."""
    last, ends = {}, {}
    for layer in body.layers[1:]:
        if _is_map(layer):
            stride = 2 ** round(math.log2(image_shape[0] / layer.output.shape[1]))
            last[stride] = layer.output
            if _ends_block(layer):
                ends[stride] = layer.output
    return {
        stride: ends.get(stride, last[stride]) for stride in last if STRIDE <= stride <= _WIDEST
    }


def _ends_block(layer):
    if isinstance(layer, keras.layers.Add):
        return True
    following = [node.operation for node in layer._outbound_nodes]
    is_linear = not any(isinstance(operation, _ACTIVATIONS) for operation in following)
    return isinstance(layer, keras.layers.BatchNormalization) and is_linear


@keras.saving.register_keras_serializable(package="segmentation")
class Hypercolumns(keras.layers.Layer):
    """Join maps of features of several sizes, resized bilinearly to one grid, pixel by pixel.

    Args:
        rows: rows of the grid.
        columns: columns of the grid.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, rows, columns, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.rows = rows
        self.columns = columns

    def call(self, maps):
        """Return the features (n * rows * columns, f) of maps (n, height, width, channels)."""
        grid = (self.rows, self.columns)
        resized = [
            ops.image.resize(each, grid, interpolation="bilinear", data_format="channels_last")
            for each in maps
        ]
        joined = ops.concatenate(resized, axis=-1)
        return ops.reshape(joined, (-1, joined.shape[-1]))

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "rows": self.rows, "columns": self.columns}


@keras.saving.register_keras_serializable(package="segmentation")
class Patches(keras.layers.Layer):
    """Cut out the patch around each pixel of a grid; beyond the border, it is 0.

    Args:
        size: height and width of a patch.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, size, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = size

    def call(self, images):
        """Return the patches (n * rows * columns, f) of images (n, height, width, channels)."""
        cut = ops.image.extract_patches(
            images, self.size, strides=STRIDE, padding="same", data_format="channels_last"
        )
        return ops.reshape(cut, (-1, cut.shape[-1]))

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "size": self.size}
