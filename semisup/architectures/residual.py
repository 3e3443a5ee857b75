"""Residual networks of the experiments on deep clustering (chapter 5 section 3.1).

Their blocks are pre-activated (He et al. 2016, "Identity mappings in deep residual networks"):
batch normalisation and ReLU come before a convolution, and nothing comes after the sum.

What the thesis leaves open follows the authors' code: every stage, also the first, begins with a
projection of the pre-activated input; a linear embedding comes last; convolutions have no biases,
start by variance scaling (the embedding by Glorot's uniform distribution) and don't decay. Their
dropout before the embedding also acted when they evaluated; here it acts in training only.
"""

import dataclasses
import math
from typing import ClassVar

import keras

from semisup.architectures.common import check_size, half_squares, scaling_by_128


@dataclasses.dataclass(frozen=True)
class ResidualNetwork:
    """A residual network, described by what tells it from the others.

    Attributes:
        settings: names of the further arguments that `build` takes.
        stem: width of the convolution in front of the stages.
        widths: width of each stage.
        strides: stride of the first block of each stage.
        pool_size: size and stride of the max pooling in front of the stages, or None.
        num_blocks: default number of blocks of each stage.
        dropout: default rate of the dropout of the averaged features.
        l2_weight: default weight of half the sum of squares of the kernels.
    """

    settings: ClassVar[tuple] = ("num_blocks", "dropout")

    stem: int
    widths: tuple
    strides: tuple
    pool_size: int | None = None
    num_blocks: int = 3
    dropout: float = 0.0
    l2_weight: float = 0.0

    @property
    def least_size(self):
        """The least height and width that leave 2 x 2 pixels after the last stage."""
        return 2 * math.prod(self.strides) * (self.pool_size or 1)

    def build(
        self,
        name,
        input_shape,
        embedding_size,
        normalization=None,
        l2_weight=None,
        num_blocks=None,
        dropout=None,
    ):
        """Build the network: see `semisup.architectures.build`."""
        check_size(name, input_shape, self.least_size)
        num_blocks = self.num_blocks if num_blocks is None else num_blocks
        dropout = self.dropout if dropout is None else dropout
        regularizer = half_squares(self.l2_weight if l2_weight is None else l2_weight)
        images = keras.Input(input_shape, dtype="float32", name="images")
        x = (normalization or scaling_by_128())(images)
        x = _convolution(x, self.stem, 3, 1, "conv", regularizer)
        if self.pool_size:
            x = keras.layers.MaxPooling2D(self.pool_size, name="pool")(x)
        for stage, (width, stride) in enumerate(zip(self.widths, self.strides, strict=True), 1):
            for block in range(1, num_blocks + 1):
                path = f"stage{stage}_block{block}"
                first = block == 1
                x = _block(x, width, stride if first else 1, first, path, regularizer)
        x = _activation(x, "")
        x = keras.layers.GlobalAveragePooling2D(name="average")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name="dropout")(x)
        embeddings = keras.layers.Dense(
            embedding_size, kernel_regularizer=regularizer, name="embedding"
        )(x)
        return keras.Model(images, embeddings, name=name)

    def describe(self):
        """Describe input normalisation, body, embedding, defaults and L2 weight in a line."""
        body = [str(self.stem), *([f"P{self.pool_size}"] if self.pool_size else [])]
        for width, stride in zip(self.widths, self.strides, strict=True):
            body.append(f"{self.num_blocks}x{width}" + (f"/{stride}" if stride > 1 else ""))
        return (
            f"(x - 128) / 128; {' '.join(body)} (blocks x width), batch norm and relu before "
            f"convolutions; linear embedding; dropout {self.dropout:g}; L2 {self.l2_weight:g}"
        )


def _block(x, width, stride, projects, path, regularizer):
    """Add a pre-activated block of two convolutions; `projects`: by a projected shortcut."""
    shortcut = x
    x = _activation(x, f"{path}_", "1")
    if projects:
        shortcut = _convolution(x, width, 1, stride, f"{path}_shortcut", regularizer)
    x = _convolution(x, width, 3, stride, f"{path}_conv1", regularizer)
    x = _activation(x, f"{path}_", "2")
    x = _convolution(x, width, 3, 1, f"{path}_conv2", regularizer)
    return keras.layers.Add(name=f"{path}_add")([shortcut, x])


def _activation(x, prefix, suffix=""):
    x = keras.layers.BatchNormalization(momentum=0.997, epsilon=1e-5, name=f"{prefix}bn{suffix}")(x)
    return keras.layers.Activation("relu", name=f"{prefix}relu{suffix}")(x)


def _convolution(x, width, kernel_size, stride, name, regularizer):
    """Add a convolution without bias whose padding does not depend on the images' size."""
    if stride > 1 and kernel_size > 1:
        # "same" would pad images of even size below and to the right only.
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        width,
        kernel_size,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        kernel_initializer="variance_scaling",
        kernel_regularizer=regularizer,
        name=name,
    )(x)


NETWORKS = {
    # The thesis has it on all data sets but STL-10, with 3 blocks to a stage for MNIST and FRGC, 5
    # for SVHN and CIFAR-10, and embeddings of width 64.
    "resnet_cifar_model": ResidualNetwork(stem=16, widths=(16, 32, 64), strides=(1, 2, 2)),
    # That for ImageNet of half the width, with a smaller stem. The thesis runs it on windows of
    # 64 x 64 pixels, which shrink to 32, 32, 16 and 8.
    "resnet_stl10_model": ResidualNetwork(
        stem=32, widths=(32, 64, 128, 256), strides=(1, 1, 2, 2), pool_size=2
    ),
}
