"""Augmentation for deep clustering (thesis chapter 5): pipelines for `semisup.augmentation.build`.

The parameters are those of the authors' code, which augmented images in [-1, 1]; ours are in
[0, 255]. Hence

- brightness: a shift of up to d there is one of d / 2 of the range of the pixels;
- noise: a standard deviation of 0.05 there is 0.05 * 127.5 grey levels;
- contrast: the same multiplier of the distance from the channel's mean, which Keras writes as
  distances from 1;
- rotation: what comes in at the border is 0 there, and 127.5, mid-grey, here;
- saturation and hue: the same numbers, but of valid colours, where the authors converted images
  with negative values to HSV;
- values are clipped after each layer rather than after the last: what brightness clips is lost to
  the contrast that follows.
"""

import keras

from semisup.augmentation import RandomAffine, RandomHue, RandomNoise, RandomSaturation

_HALF_RANGE = 127.5


def _pipeline(
    *, rotation, crop, flip, brightness, saturation=None, contrast=None, hue=None, noise=0.05
):
    """Translate the authors' parameters to the steps of a pipeline.

    Args:
        rotation: largest angle in degrees, to either side.
        crop: largest fraction of height and width that is cropped away.
        flip: whether half of the images are mirrored left to right.
        brightness: largest shift to either side, of pixels in [-1, 1].
        saturation: (low, high) of the multiplier, or None.
        contrast: (low, high) of the multiplier, or None.
        hue: largest turn to either side as a fraction of the colour circle, or None.
        noise: standard deviation, of pixels in [-1, 1].

    Returns:
        (layer class, its arguments without seed) in the order of application.
    """
    affine = {
        "rotation": rotation,
        "crop": crop,
        "interpolation": "nearest",
        "fill_mode": "constant",
        "fill_value": _HALF_RANGE,
    }
    steps = [(RandomAffine, affine)]
    if flip:
        steps.append((keras.layers.RandomFlip, {"mode": "horizontal"}))
    if saturation:
        steps.append((RandomSaturation, {"factor": saturation}))
    steps.append((keras.layers.RandomBrightness, {"factor": brightness / 2}))
    if contrast:
        low, high = contrast
        steps.append((keras.layers.RandomContrast, {"factor": (1 - low, high - 1)}))
    if hue:
        steps.append((RandomHue, {"factor": hue}))
    steps.append((RandomNoise, {"stddev": noise * _HALF_RANGE}))
    return tuple(steps)


_COLORS = {"saturation": (0.7, 1.3), "contrast": (0.4, 1.8)}

PIPELINES = {
    "mnist": _pipeline(rotation=15.0, crop=0.2, flip=False, brightness=0.5),
    "svhn": _pipeline(rotation=15.0, crop=0.3, flip=False, brightness=0.5, **_COLORS, hue=0.5),
    "stl10": _pipeline(
        rotation=15.0,
        crop=0.33,
        flip=True,
        # A quarter of all images is shifted so far that more than half of their range is clipped.
        brightness=1.3,
        saturation=(0.7, 1.2),
        contrast=(0.2, 1.8),
        hue=0.1,
    ),
    "cifar10": _pipeline(rotation=10.0, crop=0.2, flip=True, brightness=0.5, **_COLORS, hue=0.2),
    "frgc": _pipeline(rotation=10.0, crop=0.2, flip=True, brightness=0.5, **_COLORS, hue=0.2),
    "coil20": _pipeline(rotation=10.0, crop=0.2, flip=True, brightness=0.5),
    "ytf": _pipeline(rotation=10.0, crop=0.2, flip=True, brightness=0.5, **_COLORS, hue=0.1),
}

# Data sets that resemble the one that a pipeline was made for.
_ALIKE = {
    "mnist_5k": "mnist",
    "usps": "mnist",
    "optdigits": "mnist",
    "mnist_m": "mnist",
    "mnist_m_generated": "mnist",
    "emnist": "mnist",
    "synthetic_digits": "svhn",
    "synthetic_digits_generated": "svhn",
    "svhn_cropped": "svhn",
}


def resolve(name, dataset):
    """Return the name of the pipeline that a name stands for on a data set.

    Args:
        name: one of `choices.AUGMENTATIONS`.
        dataset: name of the data set, for `auto`: the pipeline of that name; that of `mnist` or
            `svhn` for other handwritten digits and house numbers; and that of `cifar10`, which
            mirrors images, for all others, also grey ones, on which its saturation and hue have no
            effect. A configuration or version that follows the name does not count.

    Returns:
        One of `choices.AUGMENTATIONS` except `auto`.
    """
    if name != "auto":
        return name
    dataset = dataset.partition("/")[0].partition(":")[0]
    if dataset in PIPELINES:
        return dataset
    return _ALIKE.get(dataset, "cifar10")
