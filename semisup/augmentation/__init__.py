"""Augmentation of images on the device: layers, and pipelines of them by name (thesis 2.1.3).

All layers take and return float32 images (n, height, width, channels) in [0, 255], draw for every
image on its own, and act in training only; `RandomWindow` alone changes the shape, always. In a
`tf.data` pipeline they run under TensorFlow alone.
"""

import keras
import numpy as np

from semisup.augmentation.appearance import (
    RandomFog,
    RandomGaussianBlur,
    RandomGrayscale,
    RandomHue,
    RandomNoise,
    RandomSaturation,
)
from semisup.augmentation.base import Augmentation
from semisup.augmentation.geometry import RandomAffine, RandomNormalAffine, RandomWindow

__all__ = [
    "Augmentation",
    "RandomAffine",
    "RandomFog",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomNoise",
    "RandomNormalAffine",
    "RandomSaturation",
    "RandomWindow",
    "build",
]

PIPELINES = {
    # Mild enough for digits, which neither flips nor large turns leave valid.
    "affine": (
        (RandomAffine, {"rotation": 10.0, "scale": (0.9, 1.1), "shear": 0.1, "translation": 0.07}),
    ),
    # MNIST to MNIST-M: digits that are always white on black, inverted half of the time.
    "inversion": ((keras.layers.RandomInvert, {"factor": (0.5, 0.5)}),),
    # The authors' parameters except for brightness: their 1.3, on images in [-1, 1], would clip
    # more than half of the values in a quarter of all images, of which the thesis warns.
    "stl10": (
        (RandomAffine, {"rotation": 10.0, "crop": 0.2, "interpolation": "nearest"}),
        (keras.layers.RandomFlip, {"mode": "horizontal"}),
        (RandomSaturation, {"factor": (0.5, 1.2)}),
        (keras.layers.RandomBrightness, {"factor": 0.3}),
        (RandomHue, {"factor": 0.1}),
        (RandomGrayscale, {"probability": 0.5}),
    ),
    "svhn": (
        (RandomNormalAffine, {"matrix_stddev": 0.15, "translation_stddev": 2.0}),
        (RandomGaussianBlur, {"probability": 0.5, "kernel_size": 7}),
    ),
}


def build(name, seed, pipelines=PIPELINES):
    """Build an augmentation pipeline by its name.

    Args:
        name: a name of the pipelines, or "none".
        seed: integer, 0 or more; the seeds of the pipeline's layers derive from it.
        pipelines: for each name, (layer class, its arguments without seed) in the order of
            application.

    Returns:
        An `Augmentation` from float32 images (n, height, width, channels) in [0, 255] to such
        images, or None for "none".

    Raises:
        ValueError: if the name is unknown, or the seed is negative.
    """
    if name == "none":
        return None
    if name not in pipelines:
        raise ValueError(f"augmentation {name!r} is none of {', '.join(('none', *pipelines))}")
    steps = pipelines[name]
    # Of 31 bits, since PyTorch keeps them as int32.
    seeds = (np.random.SeedSequence(seed).generate_state(len(steps)) >> 1).tolist()
    layers = [
        layer(**arguments, seed=layer_seed, dtype="float32")
        for (layer, arguments), layer_seed in zip(steps, seeds, strict=True)
    ]
    return Augmentation(layers, name=f"{name}_augmentation")
