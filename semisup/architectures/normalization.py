"""Input normalisation: layers from pixels in [0, 255] to numbers near zero (thesis 2.1.2).

Each layer takes images (n, height, width, channels), float or uint8, and computes in float32
whatever the dtype policy: bfloat16 would round the pixels before their differences are taken.
"""

import keras
import numpy as np
from keras import ops

from semisup.cli import choices
from semisup.errors import ArgumentError

_CHUNK_BYTES = 16 * 2**20


def build(name, images=None, image_shape=None):
    """Build a normalisation layer by its name.

    The names and what becomes of a pixel x:

    - `unit`: x / 255, in [0, 1].
    - `range`: (x - 127.5) / 127.5, in [-1, 1].
    - `channel`, `pixel`: (x - mean) / standard deviation, over the data set, of each channel or of
      each pixel and channel.
    - `image`: the same over each channel of the image itself.
    - `image_variance`: (x - mean) / variance over each channel of the image itself; see
      `ImageStandardization`.

    Args:
        name: one of `choices.NORMALIZATIONS` except `auto`, which means an architecture's own.
        images: (n, height, width, channels) array or memory map in [0, 255] whose statistics
            `channel` and `pixel` use. Without it their layer has mean 0 and deviation 1, until
            its weights are restored.
        image_shape: (height, width, channels) of the images to normalise, if known; the statistics
            of grey images fit RGB images.

    Returns:
        A Keras layer named `normalization`.

    Raises:
        ValueError: if the name is unknown, or the images' statistics don't fit `image_shape`.
    """
    options = {"name": "normalization"}
    if name == "unit":
        return scaling(0.0, 255.0, **options)
    if name == "range":
        return scaling(127.5, 127.5, **options)
    if name in ("channel", "pixel"):
        if images is None:
            return Standardization(per=name, **options)
        mean, deviation = statistics(images, per=name)
        if image_shape is not None and not _fits(mean.shape, image_shape):
            raise ArgumentError(
                "images",
                None,
                f"the {name} statistics of images of shape {tuple(images.shape[1:])} don't fit "
                f"images of shape {tuple(image_shape)}",
            )
        return Standardization(per=name, mean=mean, deviation=deviation, **options)
    if name == "image":
        return ImageStandardization(**options)
    if name == "image_variance":
        return ImageStandardization(divisor="variance", epsilon=1e-5, **options)
    names = ", ".join(known for known in choices.NORMALIZATIONS if known != "auto")
    raise ValueError(f"normalization {name!r} is none of {names}")


def scaling(offset, scale, **kwargs):
    """Make a layer that normalises by the range of the pixels, (x - offset) / scale.

    Args:
        offset: pixel value that becomes 0.
        scale: distance from it that becomes 1.
        **kwargs: arguments of `keras.layers.Rescaling`, such as `name`.

    Returns:
        A float32 layer.
    """
    return keras.layers.Rescaling(1.0 / scale, offset=-offset / scale, dtype="float32", **kwargs)


def statistics(images, per="channel"):
    """Compute mean and standard deviation of a data set, read in chunks.

    Args:
        images: (n, height, width, channels) uint8 or float array in [0, 255]; a memory map is read
            by a few thousand rows at a time.
        per: "channel" for statistics over images and positions, "pixel" for those over images.

    Returns:
        Two float64 arrays of shape (channels,) or (height, width, channels). The second is 0 where
        all images agree.

    Raises:
        ValueError: if there is no image, or `per` is unknown.
    """
    if len(images) == 0:
        raise ValueError("no images to take the statistics of")
    axes = _reduced_axes(per)
    rows = max(1, _CHUNK_BYTES // (8 * int(np.prod(images.shape[1:]))))
    total = squares = 0.0
    for start in range(0, len(images), rows):
        chunk = np.asarray(images[start : start + rows], "float64")
        total = total + chunk.sum(axis=axes)
        squares = squares + np.square(chunk).sum(axis=axes)
    count = np.prod([images.shape[axis] for axis in axes], dtype="float64")
    mean = total / count
    # Sums of squares of bytes are exact in float64; other pixels may leave -1e-12 here.
    return mean, np.sqrt(np.maximum(squares / count - np.square(mean), 0.0))


@keras.saving.register_keras_serializable(package="semisup")
class Standardization(keras.layers.Layer):
    """Standardise by the statistics of a data set, (x - mean) / deviation (thesis 2.1.2).

    The thesis' formula divides by the variance, but its text wants unit variance, which takes the
    standard deviation. Deviations below one grey level count as one: where hardly any training
    image differs, a test image that does would otherwise become arbitrarily large.

    Mean and deviation are weights, so that checkpoints and `.keras` files carry them.

    Args:
        per: "channel" or "pixel".
        mean: array that broadcasts to (channels,) or (height, width, channels); None: 0.
        deviation: standard deviations, alike; None: 1.
        dtype: dtype policy.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `per` is unknown, or, when built, if the statistics don't fit the images.
    """

    def __init__(self, per="channel", mean=None, deviation=None, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        _reduced_axes(per)
        self.per = per
        self._initial_mean = 0.0 if mean is None else np.asarray(mean, "float32")
        self._initial_deviation = (
            1.0 if deviation is None else np.maximum(np.asarray(deviation, "float32"), 1.0)
        )

    def build(self, input_shape):
        """Create the weights `mean` and `deviation` for images (n, height, width, channels)."""
        image_shape = tuple(input_shape[1:])
        shape = image_shape[-1:] if self.per == "channel" else image_shape
        if not _fits(np.shape(self._initial_mean), shape):
            raise ValueError(
                f"statistics of shape {np.shape(self._initial_mean)} don't fit images of shape "
                f"{image_shape}"
            )
        self.mean = self._add_statistic("mean", shape, self._initial_mean)
        self.deviation = self._add_statistic("deviation", shape, self._initial_deviation)

    def _add_statistic(self, name, shape, value):
        weight = self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)
        weight.assign(np.broadcast_to(np.asarray(value, "float32"), shape))
        return weight

    def call(self, images):
        """Return standardised images, of the same shape."""
        images = ops.cast(images, self.compute_dtype)
        return (images - self.mean) / self.deviation

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self):
        """Return the arguments of the constructor, less the statistics, which are weights."""
        return {**super().get_config(), "per": self.per}


@keras.saving.register_keras_serializable(package="semisup")
class ImageStandardization(keras.layers.Layer):
    """Standardise each channel of each image by itself, (x - mean) / (divisor + epsilon).

    With the variance as the divisor, as in the authors' code for SVHN and domain adaptation, pixels
    in [0, 255] become values around 0.01, which are larger in images of low contrast. No later
    layer could undo that, since the factor differs from image to image.

    Args:
        divisor: "deviation" or "variance", of the pixels of the channel.
        epsilon: keeps an image of a single colour from dividing by zero; it becomes 0.
        dtype: dtype policy.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `divisor` is unknown.
    """

    def __init__(self, divisor="deviation", epsilon=1e-3, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        if divisor not in ("deviation", "variance"):
            raise ValueError(f"divisor {divisor!r} is neither 'deviation' nor 'variance'")
        self.divisor = divisor
        self.epsilon = epsilon

    def call(self, images):
        """Return standardised images, of the same shape."""
        images = ops.cast(images, self.compute_dtype)
        centred = images - ops.mean(images, axis=(1, 2), keepdims=True)
        divisor = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
        if self.divisor == "deviation":
            divisor = ops.sqrt(divisor)
        return centred / (divisor + self.epsilon)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "divisor": self.divisor, "epsilon": self.epsilon}


def _reduced_axes(per):
    if per == "channel":
        return (0, 1, 2)
    if per == "pixel":
        return (0,)
    raise ValueError(f"statistics are per 'channel' or per 'pixel', not per {per!r}")


def _fits(statistics_shape, image_shape):
    """Return whether statistics are those of such images, or of grey images of their size."""
    expected = tuple(image_shape)[len(image_shape) - len(statistics_shape) :]
    return statistics_shape in (expected, (*expected[:-1], 1))
