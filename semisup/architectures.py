"""Networks from images to embeddings, by name (thesis chapter 3 section 4 and chapter 4).

The authors' own networks, every network of `keras.applications`, and models saved as `.keras` files.
A network takes images (n, height, width, channels) with pixels in [0, 255], normalises them in
float32 and returns embeddings (n, d) in the compute type of the dtype policy. The logit layer is not
part of it.
"""

import dataclasses
import difflib
import itertools
import os
from collections.abc import Callable

import keras

from semisup import normalization as normalizations
from semisup.errors import UserError

DEFAULT_EMBEDDING_SIZE = 128


@dataclasses.dataclass(frozen=True)
class _Convolutional:
    """A stack of 3x3 convolutions in blocks, each of which ends in max pooling.

    Attributes:
        blocks: widths of the convolutions, block by block.
        pool_sizes: size of the pooling at the end of each block; the stride is always 2. Blocks
            without one are not pooled.
        strides: strides of convolutions, by their names, where not 1.
        activation: activation of the convolutions.
        embedding_activation: activation of the embedding.
        l2_weight: default weight of half the sum of squares of each kernel.
        batch_normalization: whether convolutions are batch normalised.
        normalization: makes the layer of the default input normalisation.
        normalized_pixels: what that makes of a pixel x, in words.
        least_size: the least height and width that leaves a pixel after the last block.
    """

    blocks: tuple
    normalization: Callable
    normalized_pixels: str
    l2_weight: float
    pool_sizes: tuple = (2, 2, 2)
    strides: dict = dataclasses.field(default_factory=dict)
    activation: str = "elu"
    embedding_activation: str = "elu"
    batch_normalization: bool = False
    least_size: int = 8

    def convolutions(self):
        """Yields (name, width, stride) of each convolution and (name, size, 2) of each pooling."""
        for number, (widths, pool_size) in enumerate(
            itertools.zip_longest(self.blocks, self.pool_sizes), start=1
        ):
            for index, width in enumerate(widths, start=1):
                name = f"conv{number}_{index}"
                yield name, width, self.strides.get(name, 1)
            if pool_size:
                yield f"pool{number}", pool_size, 2

    def build(self, name, input_shape, embedding_size, normalization, l2_weight):
        """Builds the network as a Functional model of that name."""
        _check_size(name, input_shape, self.least_size)
        weight = self.l2_weight if l2_weight is None else l2_weight
        options = {
            "kernel_initializer": "glorot_uniform",
            "kernel_regularizer": _half_squares(weight),
        }
        images = keras.Input(input_shape, dtype="float32", name="images")
        x = (normalization or self.normalization())(images)
        for layer, size, stride in self.convolutions():
            if layer.startswith("pool"):
                x = keras.layers.MaxPooling2D(size, stride, padding="valid", name=layer)(x)
            else:
                x = self._convolution(layer, size, stride, options)(x)
        x = keras.layers.Flatten(name="flatten")(x)
        embeddings = keras.layers.Dense(
            embedding_size, activation=self.embedding_activation, name="embedding", **options
        )(x)
        return keras.Model(images, embeddings, name=name)

    def _convolution(self, name, width, stride, options):
        def apply(x):
            x = keras.layers.Conv2D(
                width,
                3,
                stride,
                padding="same",
                use_bias=not self.batch_normalization,
                name=name,
                **options,
            )(x)
            if self.batch_normalization:
                x = keras.layers.BatchNormalization(
                    momentum=0.99, epsilon=1e-3, scale=False, name=f"{name}_bn"
                )(x)
            return keras.layers.Activation(self.activation, name=f"{name}_{self.activation}")(x)

        return apply
