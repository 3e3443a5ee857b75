"""Affine transformations (thesis 2.1.3), one map and one resampling for each image, and windows.

A map `A p + b` takes a position `p` in the new image, in pixels from the centre, x before y, to the
position in the old image whose value it shows. The pixels are gathered here rather than by
`keras.ops.image.affine_transform`: XLA does not compile TensorFlow's operation behind that one, and
it takes a single border rule for the whole batch.
"""

import math
import operator

import keras
import numpy as np
from keras import ops

from semisup.augmentation.base import RandomImageLayer, check_number, check_range, known_size

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
INTERPOLATIONS = ("bilinear", "nearest")


def resample(images, matrices, offsets, interpolation, fill_modes, chosen, fill_value=0.0):
    """Resample images through affine maps of their positions.

    Args:
        images: (n, height, width, channels) float32 of known height, width and channels.
        matrices: (n, 2, 2) float32, `A`.
        offsets: (n, 2) float32, `b` in pixels.
        interpolation: "bilinear" or "nearest".
        fill_modes: border rules to choose from, of `FILL_MODES`.
        chosen: (n, 1) int32, the index of each image's rule in `fill_modes`.
        fill_value: value beyond the border of "constant".

    Returns:
        (n, height, width, channels) float32.
    """
    height, width = known_size(images.shape)
    channels = images.shape[-1]
    count = ops.shape(images)[0]
    pixels = ops.reshape(images, (count * height * width, channels)) - fill_value
    first_pixel = ops.arange(count, dtype="int32")[:, None] * (height * width)

    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    grid = np.mgrid[:height, :width].reshape(2, 1, height * width)
    grid = ops.convert_to_tensor(grid, "float32")
    new_x, new_y = grid[1] - center_x, grid[0] - center_y
    # Sums of products rather than a matrix product: accelerators round the factors of those.
    x = matrices[:, 0, :1] * new_x + matrices[:, 0, 1:] * new_y + offsets[:, :1] + center_x
    y = matrices[:, 1, :1] * new_x + matrices[:, 1, 1:] * new_y + offsets[:, 1:] + center_y

    rows = _neighbours(y, height, interpolation, fill_modes, chosen)
    columns = _neighbours(x, width, interpolation, fill_modes, chosen)
    total = 0.0
    for row, row_weight in rows:
        for column, column_weight in columns:
            values = ops.take(pixels, first_pixel + row * width + column, axis=0)
            total = total + (row_weight * column_weight)[..., None] * values
    return ops.reshape(total + fill_value, (count, height, width, channels))


def _neighbours(position, size, interpolation, fill_modes, chosen):
    """Return the indices along one axis that a position draws on, and weights, all (n, pixels)."""
    if interpolation == "nearest":
        candidates = [(ops.floor(position + 0.5), ops.ones_like(position))]
    else:
        below = ops.floor(position)
        candidates = [(below, below + 1.0 - position), (below + 1.0, position - below)]
    return [
        _within_border(ops.cast(index, "int32"), weight, size, fill_modes, chosen)
        for index, weight in candidates
    ]


def _within_border(index, weight, size, fill_modes, chosen):
    """Return indices in [0, size), and the weights, 0 for those without a pixel."""
    clipped = ops.clip(index, 0, size - 1)
    inside = clipped
    for rule, mode in enumerate(fill_modes):
        if mode == "wrap":
            folded = ops.mod(index, size)
        elif mode == "reflect":
            period = ops.mod(index, 2 * size)
            folded = ops.minimum(period, 2 * size - 1 - period)
        else:
            folded = clipped
        if mode == "constant":
            weight = ops.where((chosen == rule) & (index != clipped), 0.0, weight)
        inside = ops.where(chosen == rule, folded, inside)
    return inside, weight


class RandomResampling(RandomImageLayer):
    """Base of the layers that resample every image through a random affine map.

    Subclasses implement `draw_maps`.

    Args:
        interpolation: "bilinear" or "nearest".
        fill_mode: what lies beyond the border: "constant" (`fill_value`), "nearest" (aaa|abcd|ddd),
            "reflect" (cba|abcd|dcb) or "wrap" (bcd|abcd|abc). Of a sequence of these, one is drawn
            for each image.
        fill_value: value beyond the border of "constant", in [0, 255].
        seed: see `RandomImageLayer`.

    Raises:
        ValueError: if an argument is unknown or out of its range.
    """

    arguments = ("interpolation", "fill_mode", "fill_value")

    def __init__(
        self, interpolation="bilinear", fill_mode="nearest", fill_value=0.0, *, seed, **kwargs
    ):
        super().__init__(seed=seed, **kwargs)
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation {interpolation!r} is none of {', '.join(INTERPOLATIONS)}"
            )
        fill_modes = (fill_mode,) if isinstance(fill_mode, str) else tuple(fill_mode)
        if not fill_modes or not set(fill_modes) <= set(FILL_MODES):
            raise ValueError(f"fill_mode {fill_mode!r} is none of {', '.join(FILL_MODES)}")
        self.interpolation = interpolation
        self.fill_mode = fill_modes[0] if len(fill_modes) == 1 else fill_modes
        self.fill_value = check_number("fill_value", fill_value, 0.0, 255.0)
        self._fill_modes = fill_modes

    def draw_maps(self, images):
        """Draw matrices (n, 2, 2) and offsets (n, 2) in pixels, both float32."""
        raise NotImplementedError

    def augment(self, images):
        """Return images resampled through random maps."""
        matrices, offsets = self.draw_maps(images)
        rules = len(self._fill_modes)
        chosen = ops.cast(self.draw(images, 0.0, float(rules))[:, :, 0, 0], "int32")
        return resample(
            images,
            matrices,
            offsets,
            self.interpolation,
            self._fill_modes,
            ops.minimum(chosen, rules - 1),
            self.fill_value,
        )


@keras.saving.register_keras_serializable(package="semisup")
class RandomAffine(RandomResampling):
    """Rotate, scale, shear, translate and crop every image at random, in one resampling.

    All draws are uniform. The crop comes last: a window of the same fraction of height and width,
    at any place within the image, is enlarged to the image's size.

    Args:
        rotation: largest angle in degrees, to either side.
        scale: (low, high) magnification about the centre, both positive.
        shear: largest shear to either side, in pixels of x for each pixel of y.
        translation: largest shift to either side, as a fraction of height and of width.
        crop: largest fraction of height and width that is cropped away, in [0, 1).
        **kwargs: arguments of `RandomResampling`, of which `seed` is required.

    Raises:
        ValueError: if an argument is unknown or out of its range.
    """

    arguments = ("rotation", "scale", "shear", "translation", "crop", *RandomResampling.arguments)

    def __init__(
        self, rotation=0.0, scale=(1.0, 1.0), shear=0.0, translation=0.0, crop=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.rotation = check_number("rotation", rotation, 0.0, 180.0)
        self.scale = check_range("scale", scale, 1e-3)
        self.shear = check_number("shear", shear, 0.0)
        self.translation = check_number("translation", translation, 0.0)
        self.crop = check_number("crop", crop, 0.0, 1.0 - 1e-3)

    def draw_maps(self, images):
        """Draw matrices (n, 2, 2) and offsets (n, 2) in pixels, both float32."""
        height, width = known_size(images.shape)
        size = ops.convert_to_tensor([width, height], "float32")
        angle = self._draw(images, -self.rotation, self.rotation) * (math.pi / 180.0)
        shear = self._draw(images, -self.shear, self.shear)
        scale = self._draw(images, *self.scale)
        window = 1.0 - self._draw(images, 0.0, self.crop)
        place = size * (1.0 - window) * self._draw(images, -0.5, 0.5, 2)
        shift = size * self._draw(images, -self.translation, self.translation, 2)

        # (1 / scale) [[1, shear], [0, 1]] times the rotation's matrix.
        cosine, sine = ops.cos(angle), ops.sin(angle)
        first = ops.concatenate([cosine + shear * sine, shear * cosine - sine], axis=1) / scale
        second = ops.concatenate([sine, cosine], axis=1) / scale
        matrices = ops.stack([first, second], axis=1)
        offsets = ops.sum(matrices * (place - shift)[:, None, :], axis=2)
        return matrices * window[:, :, None], offsets

    def _draw(self, images, low, high, numbers=1):
        shape = (ops.shape(images)[0], numbers)
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.generator)


@keras.saving.register_keras_serializable(package="semisup")
class RandomNormalAffine(RandomResampling):
    """Add normal noise to the identity map of every image, as the authors did for SVHN.

    The map's matrix is `I + matrix_stddev * N(0, 1)` in each of its four entries, its offset
    `translation_stddev * N(0, 1)` pixels in x and y, about the image's centre.

    Args:
        matrix_stddev: standard deviation of the matrix' entries.
        translation_stddev: standard deviation of the offset in pixels.
        fill_mode: see `RandomResampling`.
        **kwargs: further arguments of `RandomResampling`, of which `seed` is required.

    Raises:
        ValueError: if an argument is unknown or out of its range.
    """

    arguments = ("matrix_stddev", "translation_stddev", *RandomResampling.arguments)

    def __init__(
        self, matrix_stddev=0.15, translation_stddev=2.0, fill_mode=("wrap", "reflect"), **kwargs
    ):
        super().__init__(fill_mode=fill_mode, **kwargs)
        self.matrix_stddev = check_number("matrix_stddev", matrix_stddev, 0.0)
        self.translation_stddev = check_number("translation_stddev", translation_stddev, 0.0)

    def draw_maps(self, images):
        """Draw matrices (n, 2, 2) and offsets (n, 2) in pixels, both float32."""
        count = ops.shape(images)[0]
        noise = keras.random.normal((count, 2, 3), dtype="float32", seed=self.generator)
        matrices = ops.eye(2, dtype="float32") + self.matrix_stddev * noise[:, :, :2]
        return matrices, self.translation_stddev * noise[:, :, 2]


@keras.saving.register_keras_serializable(package="semisup")
class RandomWindow(RandomImageLayer):
    """Cut a window out of every image: in training at a random place, otherwise in the centre.

    Places are whole pixels, all alike probable, and drawn for each image, where Keras' RandomCrop
    takes one for the whole batch. Unlike the other layers, this one changes the images' shape and
    always acts, so that it cannot be part of an `Augmentation`. The centre leaves the odd pixel of
    a margin below and to the right. The thesis clusters STL-10 by such windows (chapter 5 section
    3.5).

    Args:
        size: height and width of the window in pixels, 1 or more.
        seed: see `RandomImageLayer`.

    Raises:
        ValueError: if the size is not positive, or, when called, if the images are smaller.
    """

    arguments = ("size",)

    def __init__(self, size, *, seed, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.size = check_number("size", operator.index(size), 1)

    def change(self, images, training):
        """Return windows (n, size, size, channels) of images (n, height, width, channels)."""
        height, width, channels = images.shape[1:]
        rows, columns = self._margins(images.shape)
        if not training:
            top, left = rows // 2, columns // 2
            return images[:, top : top + self.size, left : left + self.size]
        count = ops.shape(images)[0]
        first_pixel = ops.arange(count, dtype="int32")[:, None, None] * (height * width)
        window = ops.arange(self.size, dtype="int32")
        row = self._draw(count, rows) + window[:, None]
        column = self._draw(count, columns) + window
        pixels = ops.reshape(images, (count * height * width, channels))
        return ops.take(pixels, first_pixel + row * width + column, axis=0)

    def compute_output_shape(self, input_shape):
        """Return the shape of the windows."""
        self._margins(input_shape)
        return (*input_shape[:-3], self.size, self.size, input_shape[-1])

    def _draw(self, count, margin):
        """Draw a whole number from 0 to the margin for each image, (n, 1, 1) int32."""
        return keras.random.randint((count, 1, 1), 0, margin + 1, "int32", seed=self.generator)

    def _margins(self, shape):
        """Return how many rows and columns a window leaves out of images of a shape."""
        height, width = known_size(shape)
        if min(height, width) < self.size:
            raise ValueError(
                f"images of {height}x{width} pixels are smaller than a window of {self.size}"
            )
        return height - self.size, width - self.size
