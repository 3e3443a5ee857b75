"""The networks of `keras.applications`, with an embedding on top."""

import inspect
import itertools
import types

import keras

from semisup.architectures.common import check_size
from semisup.errors import ArgumentError, UserError, first_line

# By the modules of keras.applications; all others take 32 x 32.
_LEAST_SIZES = {"inception_resnet_v2": 75, "inception_v3": 75, "xception": 71}


def names():
    """Return the names of the networks, sorted."""
    return sorted(
        name
        for name in dir(keras.applications)
        if isinstance(getattr(keras.applications, name), types.FunctionType)
    )


def least_size(name):
    """Return the least height and width of the images that a network takes."""
    return _LEAST_SIZES.get(_module_name(name), 32)


def build(name, input_shape, embedding_size, normalization=None, pretrained=False):
    """Build a network with global average pooling and a linear embedding on top.

    Grey images are repeated to RGB.

    Args:
        name: one of `names()`.
        input_shape: (height, width, channels), with 1 or 3 channels.
        embedding_size: width of the embeddings; None: the pooled features are returned.
        normalization: layer that normalises the images; None: what the network was designed for.
        pretrained: whether to start from the ImageNet weights, which are downloaded once.

    Returns:
        A Functional model from images (n, height, width, channels) in [0, 255] to embeddings
        (n, embedding_size), or features. The body is nested in it.

    Raises:
        ValueError: if the images are too small or have other channels, or if a normalisation is
            given to a network that cannot do without its own.
        UserError: if the weights cannot be downloaded.
    """
    check_size(name, input_shape, least_size(name))
    if input_shape[-1] not in (1, 3):
        raise ValueError(f"{name} takes images with 1 or 3 channels, not {input_shape[-1]}")
    body = _body(
        name, (*input_shape[:2], 3), own_scaling=normalization is None, pretrained=pretrained
    )
    images = keras.Input(input_shape, dtype="float32", name="images")
    x = images if normalization is None else normalization(images)
    if input_shape[-1] == 1:
        x = keras.layers.Concatenate(dtype="float32", name="rgb")([x, x, x])
    if normalization is None:
        x = ApplicationPreprocessing(_module_name(name), name="normalization")(x)
    embeddings = body(x)
    if embedding_size is not None:
        embeddings = keras.layers.Dense(embedding_size, name="embedding")(embeddings)
    return keras.Model(images, embeddings, name=name.lower())


@keras.saving.register_keras_serializable(package="semisup")
class ApplicationPreprocessing(keras.layers.Layer):
    """`preprocess_input` of a module of `keras.applications`, as a layer in float32.

    Args:
        module: name of the module, such as "mobilenet_v2".
        dtype: dtype policy.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, module, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.module = module

    def call(self, images):
        """Bring images (n, height, width, 3) in [0, 255] to what the module's networks take."""
        images = keras.ops.cast(images, self.compute_dtype)
        return getattr(keras.applications, self.module).preprocess_input(images)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "module": self.module}


def _module_name(name):
    return getattr(keras.applications, name).__module__.rsplit(".", 1)[-1]


def _body(name, input_shape, own_scaling, pretrained):
    function = getattr(keras.applications, name)
    arguments = {"include_top": False, "input_shape": input_shape, "pooling": "avg"}
    arguments["weights"] = "imagenet" if pretrained else None
    if not own_scaling:
        if "include_preprocessing" in inspect.signature(function).parameters:
            arguments["include_preprocessing"] = False
        elif _module_name(name) == "efficientnet":
            raise ArgumentError(
                "normalization", None, f"{name} scales its images itself, and takes no other"
            )
    try:
        body = function(**arguments)
    except Exception as error:
        # Keras raises a bare Exception when a download fails.
        if not pretrained:
            raise
        raise UserError(f"no ImageNet weights for {name}: {first_line(error)}") from None
    _scale_in_float32(body)
    return body


def _scale_in_float32(body):
    """Let a network that scales its images itself do so before it rounds them to bfloat16."""
    for layer in itertools.takewhile(lambda layer: not layer.trainable_weights, body.layers):
        if not isinstance(layer, keras.layers.InputLayer):
            for part in layer._flatten_layers():
                part.dtype_policy = "float32"
                if isinstance(part, keras.layers.Normalization) and part.input_mean is not None:
                    # Given statistics were rounded when the layer was built.
                    part.build(layer.input.shape)
