"""Chromatic and other transformations (thesis 2.1.3) that Keras does not do image by image.

Keras' RandomBrightness, RandomContrast, RandomFlip and RandomInvert (with equal factors) draw for
each image, keep within [0, 255] and are used as they are. The others of Keras 3.15 cannot be:

- RandomSaturation leaves the range of the pixels, and refuses grey images;
- RandomHue and RandomColorJitter refuse grey images;
- RandomHue, RandomSaturation and RandomGrayscale advance their random state in evaluation, so that
  training would depend on how often one evaluates;
- RandomGrayscale loses its seed when saved;
- RandomGaussianBlur draws one width for the whole batch, and darkens the borders;
- GaussianNoise takes deviations up to 1 alone, and leaves the range of the pixels;
- RandomCrop (see `RandomWindow`) takes one window for the whole batch.
"""

import keras
import numpy as np
from keras import ops

from semisup.augmentation.base import (
    MAX_PIXEL,
    RandomImageLayer,
    check_number,
    check_range,
    known_size,
)

FOG_GRIDS = (2, 4, 8)


class _ColourLayer(RandomImageLayer):
    """Base of the layers that change colours, which grey images do not have."""

    def have_colours(self, images):
        """Return whether images are RGB, and not grey; raise ValueError for any others."""
        channels = images.shape[-1]
        if channels not in (1, 3):
            raise ValueError(f"{self.name} takes images of 1 or 3 channels, not {channels}")
        return channels == 3


@keras.saving.register_keras_serializable(package="semisup")
class RandomHue(_ColourLayer):
    """Turn the hue of every image by a random angle; grey images stay as they are.

    Args:
        factor: largest turn to either side, as a fraction of the colour circle, in [0, 0.5].
        seed: see `RandomImageLayer`.

    Raises:
        ValueError: if the factor is out of its range.
    """

    arguments = ("factor",)

    def __init__(self, factor, *, seed, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.factor = check_number("factor", factor, 0.0, 0.5)

    def augment(self, images):
        """Return images of another hue."""
        if not self.have_colours(images):
            return images
        turn = self.draw(images, -self.factor, self.factor)
        colors = ops.image.rgb_to_hsv(images / MAX_PIXEL, data_format="channels_last")
        hue = ops.mod(colors[..., :1] + turn, 1.0)
        colors = ops.concatenate([hue, colors[..., 1:]], axis=-1)
        return MAX_PIXEL * ops.image.hsv_to_rgb(colors, data_format="channels_last")


@keras.saving.register_keras_serializable(package="semisup")
class RandomSaturation(_ColourLayer):
    """Multiply the HSV saturation of every image, up to full; grey pixels stay as they are.

    Args:
        factor: (low, high) of the multiplier, 0 or more; 1 changes nothing, 0 leaves no colour.
        seed: see `RandomImageLayer`.

    Raises:
        ValueError: if the factor is out of its range.
    """

    arguments = ("factor",)

    def __init__(self, factor, *, seed, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.factor = check_range("factor", factor, 0.0)

    def augment(self, images):
        """Return images of another saturation."""
        if not self.have_colours(images):
            return images
        value = ops.max(images, axis=-1, keepdims=True)
        chroma = value - ops.min(images, axis=-1, keepdims=True)
        full = value / ops.maximum(chroma, keras.config.epsilon())
        return value - (value - images) * ops.minimum(self.draw(images, *self.factor), full)


@keras.saving.register_keras_serializable(package="semisup")
class RandomGrayscale(_ColourLayer):
    """Remove the colour from some images, which keep their number of channels.

    Args:
        probability: of an image to lose its colour.
        seed: see `RandomImageLayer`.

    Raises:
        ValueError: if the probability is out of its range.
    """

    arguments = ("probability",)

    def __init__(self, probability=0.5, *, seed, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.probability = check_number("probability", probability, 0.0, 1.0)

    def augment(self, images):
        """Return images of which some are grey."""
        if not self.have_colours(images):
            return images
        luma = ops.convert_to_tensor([0.299, 0.587, 0.114], "float32")
        gray = ops.sum(images * luma, axis=-1, keepdims=True)
        return ops.where(self.choose(images, self.probability), gray, images)


@keras.saving.register_keras_serializable(package="semisup")
class RandomGaussianBlur(RandomImageLayer):
    """Blur some images by a Gaussian of random width, reflected at the border.

    Args:
        probability: of an image to be blurred.
        kernel_size: pixels along a side of the kernel, odd.
        sigma: (low, high) standard deviation of the Gaussian in pixels, positive. By default 1.4,
            which OpenCV takes for a kernel of 7 pixels.
        seed: see `RandomImageLayer`.

    Raises:
        ValueError: if an argument is out of its range.
    """

    arguments = ("probability", "kernel_size", "sigma")

    def __init__(self, probability=0.5, kernel_size=7, sigma=(1.4, 1.4), *, seed, **kwargs):
        super().__init__(seed=seed, **kwargs)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; needs an odd number of pixels")
        self.probability = check_number("probability", probability, 0.0, 1.0)
        self.kernel_size = kernel_size
        self.sigma = check_range("sigma", sigma, 1e-3)

    def augment(self, images):
        """Return images of which some are blurred."""
        sigma = self.draw(images, *self.sigma)[:, :, 0, 0]
        steps = ops.arange(self.kernel_size, dtype="float32") - self.kernel_size // 2
        weights = ops.exp(-0.5 * ops.square(steps / sigma))
        weights = weights / ops.sum(weights, axis=1, keepdims=True)
        # A matrix for each axis: compilers that fuse sums of shifted images would evaluate whatever
        # gave the images again for each shift.
        height, width = known_size(images.shape)
        rows = ops.tensordot(weights, _shift_matrices(height, self.kernel_size), 1)
        columns = ops.tensordot(weights, _shift_matrices(width, self.kernel_size), 1)
        blurred = ops.einsum("nij,njwc->niwc", rows, images)
        blurred = ops.einsum("nij,nhjc->nhic", columns, blurred)
        return ops.where(self.choose(images, self.probability), blurred, images)


@keras.saving.register_keras_serializable(package="semisup")
class RandomNoise(RandomImageLayer):
    """Add independent normal noise to every value of every pixel.

    Args:
        stddev: standard deviation of the noise, in the units of the pixels (0 to 255).
        seed: see `RandomImageLayer`.

    Raises:
        ValueError: if the standard deviation is negative.
    """

    arguments = ("stddev",)

    def __init__(self, stddev, *, seed, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.stddev = check_number("stddev", stddev, 0.0)

    def augment(self, images):
        """Return images with noise."""
        noise = keras.random.normal(ops.shape(images), dtype="float32", seed=self.generator)
        return images + self.stddev * noise


@keras.saving.register_keras_serializable(package="semisup")
class RandomFog(RandomImageLayer):
    """Veil every image in drifts of white fog.

    The fog is random values on coarse grids, interpolated linearly and added up, coarser grids
    weighing more. A pixel is blended with white by density times fog; the density is drawn for
    each image.

    Args:
        density: largest density of the fog, in [0, 1]; at 1, its thickest parts hide the image.
        seed: see `RandomImageLayer`.

    Raises:
        ValueError: if the density is out of its range.
    """

    arguments = ("density",)

    def __init__(self, density=0.8, *, seed, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.density = check_number("density", density, 0.0, 1.0)

    def augment(self, images):
        """Return images in fog."""
        count = ops.shape(images)[0]
        height, width = known_size(images.shape)
        fog = 0.0
        for points in FOG_GRIDS:
            values = keras.random.uniform((count, points, points), seed=self.generator)
            rows = _interpolation_matrix(height, points)
            columns = _interpolation_matrix(width, points)
            fog = fog + ops.matmul(ops.matmul(rows, values), columns.T) / points
        fog = fog[..., None] / sum(1 / points for points in FOG_GRIDS)
        veil = self.draw(images, 0.0, self.density) * fog
        return images + veil * (MAX_PIXEL - images)


def _shift_matrices(size, count):
    """Return matrices (count, size, size) of reflected shifts, an odd count of them about 0."""
    positions = np.arange(size) + np.arange(count)[:, None] - count // 2
    period = positions % (2 * size)
    return np.eye(size, dtype="float32")[np.minimum(period, 2 * size - 1 - period)]


def _interpolation_matrix(size, points):
    """Return weights (size, points) that spread evenly spaced values over an axis linearly."""
    positions = np.linspace(0.0, points - 1.0, size)[:, None]
    return np.maximum(0.0, 1.0 - np.abs(positions - np.arange(points))).astype("float32")
