"""Losses of pairs of an image and a sentence, which say that they belong together.

Each is a similarity term of two batches of embeddings of length 1, row by row the pairs. The number
of a pair's image is its label: pairs with the same label are never wrong ones of each other.
"""

from typing import Any

import keras
from keras import ops

from semisup.association import target_distribution
from semisup.embeddings.labels import class_numbers
from semisup.embeddings.measures import known_size
from semisup.embeddings.types import LossWeight, Tensor
from semisup.similarity import SingleLossTerm


@keras.saving.register_keras_serializable(package="multimodal")
class PearsonCorrelation(SingleLossTerm):
    """Pearson's correlation of similarities with 1 for matching and -1 for wrong pairs.

    There are as many wrong pairs as matching ones: each image with the next pair's sentence. The
    loss is 1 minus the correlation (thesis figure 6.1).

    Args:
        weight: weight of the loss: a number, or a schedule of the step.
        **kwargs: arguments of `SimilarityTerm`.

    Example:
        >>> images = sentences = np.eye(3)
        >>> round(float(multimodal.PearsonCorrelation().loss(images, sentences, [0, 1, 2])), 3)
        0.0
    """

    loss_names = ("pearson_loss",)

    def call(self, a: Tensor, b: Tensor, labels: Tensor | None = None):
        """Compute the loss: see `SimilarityTerm`."""
        labels = _image_numbers(a, b, labels)
        matching = ops.sum(a * b, axis=1)
        wrong = ops.sum(a * ops.roll(b, 1, axis=0), axis=1)
        is_wrong = ops.cast(ops.not_equal(labels, ops.roll(labels, 1)), "float32")
        similarities = ops.concatenate([matching, wrong])
        targets = ops.concatenate([ops.ones_like(matching), -ops.ones_like(wrong)])
        shares = ops.concatenate([ops.ones_like(matching), is_wrong])
        shares = shares / ops.sum(shares)
        x = similarities - ops.sum(shares * similarities)
        y = targets - ops.sum(shares * targets)
        variances = ops.sum(shares * x * x) * ops.sum(shares * y * y)
        correlation = ops.sum(shares * x * y) * ops.rsqrt(ops.maximum(variances, 1e-12))
        return {"pearson_loss": 1.0 - correlation}, {}


@keras.saving.register_keras_serializable(package="multimodal")
class InfoNCE(SingleLossTerm):
    """Cross-entropy of the choice of the right sentence of the batch for an image, and vice versa.

    Where several sentences of the batch are right, each should be as probable as the others.

    Args:
        weight: weight of the loss: a number, or a schedule of the step.
        temperature: positive number that divides the similarities.
        **kwargs: arguments of `SimilarityTerm`.

    Raises:
        ValueError: if the temperature is not positive.

    Example:
        >>> images = sentences = np.eye(3)
        >>> round(float(multimodal.InfoNCE(temperature=1.0).loss(images, sentences, [0, 1, 2])), 3)
        0.551
    """

    loss_names = ("infonce_loss",)

    def __init__(self, weight: LossWeight = 1.0, temperature: float = 0.1, **kwargs: Any):
        super().__init__(weight, **kwargs)
        if temperature <= 0:
            raise ValueError(f"temperature {temperature} is not positive")
        self.temperature = temperature

    def call(self, a: Tensor, b: Tensor, labels: Tensor | None = None):
        """Compute the loss: see `SimilarityTerm`."""
        labels = _image_numbers(a, b, labels)
        logits = ops.matmul(a, ops.transpose(b)) / self.temperature
        target = target_distribution(labels)
        of_sentences = ops.sum(target * ops.log_softmax(logits, axis=1), axis=1)
        of_images = ops.sum(target * ops.log_softmax(ops.transpose(logits), axis=1), axis=1)
        return {"infonce_loss": -0.5 * (ops.mean(of_sentences) + ops.mean(of_images))}, {}

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="multimodal")
class Hinge(SingleLossTerm):
    """How far a matching pair's similarity is from being greater by a margin than that of others.

    The mean over all wrong pairs of an image with a sentence, each compared with the image's and
    with the sentence's own match.

    Args:
        weight: weight of the loss: a number, or a schedule of the step.
        margin: the margin, above 0.
        **kwargs: arguments of `SimilarityTerm`.

    Raises:
        ValueError: if the margin is not positive.

    Example:
        >>> images, sentences = np.eye(3), np.roll(np.eye(3), 1, axis=0)
        >>> round(float(multimodal.Hinge(margin=0.2).loss(images, images, [0, 1, 2])), 3)
        0.0
        >>> round(float(multimodal.Hinge(margin=0.2).loss(images, sentences, [0, 1, 2])), 3)
        1.4
    """

    loss_names = ("hinge_loss",)

    def __init__(self, weight: LossWeight = 1.0, margin: float = 0.2, **kwargs: Any):
        super().__init__(weight, **kwargs)
        if margin <= 0:
            raise ValueError(f"margin {margin} is not positive")
        self.margin = margin

    def call(self, a: Tensor, b: Tensor, labels: Tensor | None = None):
        """Compute the loss: see `SimilarityTerm`."""
        labels = _image_numbers(a, b, labels)
        similarities = ops.matmul(a, ops.transpose(b))
        matching = ops.sum(a * b, axis=1)
        is_wrong = ops.cast(ops.not_equal(labels[:, None], labels[None, :]), "float32")
        excess = ops.relu(self.margin + similarities - matching[:, None])
        excess = excess + ops.relu(self.margin + similarities - matching[None, :])
        return {"hinge_loss": ops.sum(is_wrong * excess) / ops.maximum(ops.sum(is_wrong), 1.0)}, {}

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "margin": self.margin}


def _image_numbers(images, sentences, labels):
    """Check that two batches are pairs, row by row, and return the numbers (n,) of their images."""
    counts = known_size(images), known_size(sentences)
    if None not in counts and counts[0] != counts[1]:
        raise ValueError(
            f"there are {counts[0]} images and {counts[1]} sentences: give pairs, row by row"
        )
    return class_numbers(labels, images)
