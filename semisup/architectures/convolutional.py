"""The authors' networks: blocks of 3x3 convolutions, max pooling, an embedding.

Where the thesis (chapter 3 section 4, chapter 4 section 3.2) and the authors' code disagree, these
networks follow the code, from which the published numbers came. In all of them, pooling has stride
2 (thesis: 1) and no padding, kernels start by Glorot's uniform distribution and biases at zero, and
the L2 weights are other than the thesis' 1e-4.
"""

import dataclasses
import itertools
from collections.abc import Callable

import keras

from semisup.architectures import normalization as normalizations
from semisup.architectures.common import check_size, half_squares, scaling_by_128


@dataclasses.dataclass(frozen=True)
class ConvolutionalNetwork:
    """A network of the authors, described by what tells it from the others.

    Attributes:
        pixels: what the default normalisation makes of a pixel x, in words.
        normalization: makes the layer that does so.
        blocks: widths of the convolutions of each block.
        l2_weight: default weight of half the sum of squares of the kernels.
        pool_sizes: sizes of the max pooling that ends each block; blocks beyond them have none.
        strided: names of the convolutions with stride 2.
        activation: activation of the convolutions.
        embedding_activation: activation of the embedding.
        batch_normalization: whether each convolution is batch normalised.
        dropped_pools: names of the poolings that dropout follows.
        dropout: default rate of that dropout.
        least_size: least height and width that leave a pixel after the last block.
    """

    pixels: str
    normalization: Callable
    blocks: tuple
    l2_weight: float
    pool_sizes: tuple = (2, 2, 2)
    strided: tuple = ()
    activation: str = "elu"
    embedding_activation: str = "elu"
    batch_normalization: bool = False
    dropped_pools: tuple = ()
    dropout: float = 0.0
    least_size: int = 8

    @property
    def settings(self):
        """The names of the further arguments that `build` takes for this network."""
        return ("dropout",) if self.dropped_pools else ()

    def build(
        self,
        name,
        input_shape,
        embedding_size,
        normalization=None,
        l2_weight=None,
        dropout=None,
    ):
        """Build the network: see `semisup.architectures.build`."""
        check_size(name, input_shape, self.least_size)
        dropout = self.dropout if dropout is None else dropout
        kernels = {
            "kernel_initializer": "glorot_uniform",
            "kernel_regularizer": half_squares(self.l2_weight if l2_weight is None else l2_weight),
        }
        images = keras.Input(input_shape, dtype="float32", name="images")
        x = (normalization or self.normalization())(images)
        for block, (widths, pool_size) in enumerate(self._pooled_blocks(), start=1):
            for index, width in enumerate(widths, start=1):
                x = self._convolve(x, width, f"conv{block}_{index}", kernels)
            if pool_size:
                # No padding, unlike the convolutions: 28 -> 14 -> 7 -> 3.
                x = keras.layers.MaxPooling2D(pool_size, 2, "valid", name=f"pool{block}")(x)
            if dropout and f"pool{block}" in self.dropped_pools:
                x = keras.layers.Dropout(dropout, name=f"pool{block}_dropout")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        embeddings = keras.layers.Dense(
            embedding_size, activation=self.embedding_activation, name="embedding", **kernels
        )(x)
        return keras.Model(images, embeddings, name=name)

    def describe(self):
        """Describe input normalisation, body, embedding and L2 weight in a line."""
        body = []
        for block, (widths, pool_size) in enumerate(self._pooled_blocks(), start=1):
            for index, width in enumerate(widths, start=1):
                body.append(f"{width}/2" if f"conv{block}_{index}" in self.strided else str(width))
            if pool_size:
                body.append(f"P{pool_size}")
            if f"pool{block}" in self.dropped_pools:
                body.append(f"D{self.dropout:g}")
        activation = self.activation + (" after batch norm" if self.batch_normalization else "")
        return (
            f"{self.pixels}; {' '.join(body)}, {activation}; "
            f"{self.embedding_activation} embedding; L2 {self.l2_weight:g}"
        )

    def _pooled_blocks(self):
        return itertools.zip_longest(self.blocks, self.pool_sizes)

    def _convolve(self, x, width, name, kernels):
        x = keras.layers.Conv2D(
            width,
            3,
            strides=2 if name in self.strided else 1,
            padding="same",
            activation=None if self.batch_normalization else self.activation,
            use_bias=not self.batch_normalization,
            name=name,
            **kernels,
        )(x)
        if not self.batch_normalization:
            return x
        x = keras.layers.BatchNormalization(
            momentum=0.99, epsilon=1e-3, scale=False, name=f"{name}_bn"
        )(x)
        return keras.layers.Activation(self.activation, name=f"{name}_{self.activation}")(x)


_MNIST = ConvolutionalNetwork(
    pixels="x / 255",
    normalization=lambda: normalizations.build("unit"),
    blocks=((32, 32), (64, 64), (128, 128)),
    l2_weight=1e-3,
)

_SVHN = ConvolutionalNetwork(
    pixels="(x - mean) / variance of each image's channel",
    normalization=lambda: normalizations.build("image_variance"),
    blocks=((32, 32, 32), (64, 64, 64), (128, 128, 128)),
    l2_weight=1e-4,
)

NETWORKS = {
    # The thesis' generic network.
    "mnist_model": _MNIST,
    # The VCNN of chapter 5. The authors keep 0.8 of the values; the thesis names no dropout.
    "mnist_model_dropout": dataclasses.replace(
        _MNIST,
        pixels="(x - 128) / 128",
        normalization=scaling_by_128,
        dropped_pools=("pool1", "pool2"),
        dropout=0.2,
    ),
    # The network of the SVHN and of all domain adaptation experiments. The thesis (chapter 4
    # section 3.2) draws two convolutions to a block.
    "svhn_model": _SVHN,
    # The network of the STL-10 experiment (chapter 3 section 4.2). The thesis leaves out the last
    # convolution, batch normalisation (without gamma, and in place of biases), the scaling of the
    # pixels, and that the embedding is linear. Images of 96 pixels shrink to 48, 23, 11 and 5.
    "stl10_model": ConvolutionalNetwork(
        pixels="(x - 128) / 128",
        normalization=scaling_by_128,
        blocks=((32, 64), (64, 128), (128, 256), (128,)),
        l2_weight=5e-3,
        pool_sizes=(3, 2, 2),
        strided=("conv1_2",),
        embedding_activation="linear",
        batch_normalization=True,
        least_size=17,
    ),
    # The authors' stand-in for DANN's network, which they gave embeddings of width 2048. DANN's
    # paper has fewer and larger convolutions. No table of the thesis uses this network.
    "dann_model": dataclasses.replace(_SVHN, activation="relu", embedding_activation="relu"),
}
