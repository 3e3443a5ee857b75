"""What the augmentation layers have in common, and the layer that chains them."""

import operator

import keras
from keras import ops

MAX_PIXEL = 255.0


class RandomImageLayer(keras.layers.Layer):
    """Base of the layers that change every image of a batch by a draw of its own.

    Takes images (n, height, width, channels) in [0, 255] of a known height, width and number of
    channels, or one of them, and returns float32, whatever the global precision. Acts with
    `training=True` only; otherwise images pass as they are and no random number is spent, so that
    an evaluation leaves the training that follows as it was.

    Subclasses implement `augment`, and name the arguments of their constructor, other than the
    seed, in `arguments`; each is kept in an attribute of the same name.

    Args:
        seed: integer in [0, 2**31). The state of the generator is one of the layer's variables.

    Raises:
        TypeError: if the seed is not an integer.
    """

    arguments = ()

    def __init__(self, seed, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.seed = operator.index(seed)
        self.generator = keras.random.SeedGenerator(self.seed)

    def augment(self, images):
        """Return changed images, of the same shape and of any range."""
        raise NotImplementedError

    def call(self, images, training=False):
        """Return what `change` makes of a batch of images, or of one image."""
        rank = len(images.shape)
        if rank not in (3, 4):
            raise ValueError(
                f"{self.name} takes images (n, height, width, channels), or one of them, not "
                f"inputs of shape {tuple(images.shape)}"
            )
        images = ops.cast(images, self.compute_dtype)
        if rank == 3:
            return self.change(images[None], training)[0]
        # Some operations of the backends take no empty batch.
        return self.change(images, training and images.shape[0] != 0)

    def change(self, images, training):
        """Return changed images in training, and the images themselves otherwise."""
        if not training:
            return images
        return ops.clip(self.augment(images), 0.0, MAX_PIXEL)

    def draw(self, images, low, high):
        """Draw a uniform number in [low, high) for each image, (n, 1, 1, 1) float32."""
        shape = (ops.shape(images)[0], 1, 1, 1)
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.generator)

    def choose(self, images, probability):
        """Draw whether each image is chosen, (n, 1, 1, 1) bool, True with the given probability."""
        return self.draw(images, 0.0, 1.0) < probability

    def compute_output_shape(self, input_shape):
        """Return the shape of the input."""
        return input_shape

    def get_config(self):
        """Return the arguments of the constructor."""
        values = {name: getattr(self, name) for name in self.arguments}
        return {**super().get_config(), **values, "seed": self.seed}


@keras.saving.register_keras_serializable(package="semisup")
class Augmentation(keras.layers.Layer):
    """A chain of augmentation layers that acts with `training=True` only.

    Unlike `keras.layers.Pipeline`, it does nothing by default, and stays float32 under mixed
    precision.

    Args:
        layers: layers from float32 images (n, height, width, channels) in [0, 255] to such images;
            the chain takes images of any numeric type.
    """

    def __init__(self, layers, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.layers = list(layers)

    def build(self, input_shape):
        """Build the layers; none of them changes the shape."""
        for layer in self.layers:
            layer.build(input_shape)
        self.built = True

    def call(self, images, training=False):
        """Return changed images in training, and the images themselves otherwise."""
        images = ops.cast(images, self.compute_dtype)
        if training:
            for layer in self.layers:
                images = layer(images, training=True)
        return images

    def compute_output_shape(self, input_shape):
        """Return the shape of the input."""
        return input_shape

    def get_config(self):
        """Return the arguments of the constructor."""
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.layers]
        return {**super().get_config(), "layers": layers}

    @classmethod
    def from_config(cls, config):
        """Make the chain that `get_config` describes."""
        layers = [keras.saving.deserialize_keras_object(layer) for layer in config["layers"]]
        return cls(**{**config, "layers": layers})


def known_size(shape):
    """Return height and width of images of a shape if they are known; else raise ValueError."""
    height, width = shape[-3:-1]
    if None in (height, width):
        raise ValueError(f"images of {height}x{width} pixels: their height and width must be known")
    return height, width


def check_range(name, value, lowest, highest=float("inf")):
    """Return a pair of ordered numbers if it is within bounds; otherwise raise ValueError."""
    low, high = value
    if not lowest <= low <= high <= highest:
        raise ValueError(f"{name} is {value}; needs {lowest} <= low <= high <= {highest}")
    return (low, high)


def check_number(name, value, lowest, highest=float("inf")):
    """Return a number if it is within bounds; otherwise raise ValueError."""
    if not lowest <= value <= highest:
        raise ValueError(f"{name} is {value}; needs a number from {lowest} to {highest}")
    return value
