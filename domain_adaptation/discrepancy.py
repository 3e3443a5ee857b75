"""Distances between two domains' embeddings: maximum mean discrepancy (MMD) and CORAL.

Both are baselines for the association: similarity terms that align the embeddings of source and
target without labels (thesis chapter 4, sections 1.2 and 3.2.2).

Everything is computed in float32, whatever the embeddings' type.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from domain_adaptation import choices
from semisup.embeddings.measures import embedding_matrices, squared_distances
from semisup.embeddings.types import LossWeight, Tensor
from semisup.similarity import SingleLossTerm

BANDWIDTHS = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
"""Standard deviations of the Gaussian kernels in the authors' baseline."""


def gaussian_mixture_kernel(
    x: Tensor, y: Tensor, bandwidths: Sequence[float] = BANDWIDTHS
) -> Tensor:
    """Compute the sum of Gaussian kernels of every pair of embeddings.

    Args:
        x: (n, d) float embeddings.
        y: (m, d) float embeddings.
        bandwidths: standard deviations of the kernels, each above 0.

    Returns:
        (n, m) float32 in (0, number of bandwidths].

    Raises:
        ValueError: if the embeddings are not matrices of the same width.

    Example:
        >>> kernel = domain_adaptation.gaussian_mixture_kernel
        >>> np.round(kernel([[0.0], [1.0]], [[0.0]], bandwidths=[1.0]), 3)
        array([[1.   ],
               [0.607]], dtype=float32)
    """
    return _mixture(squared_distances(x, y), bandwidths)


def squared_mmd(x: Tensor, y: Tensor, bandwidths: Sequence[float] = BANDWIDTHS) -> Tensor:
    """Estimate the squared MMD of two samples, with a bias, in quadratic time.

    Args:
        x: (n, d) float embeddings of one domain.
        y: (m, d) float embeddings of the other.
        bandwidths: see `gaussian_mixture_kernel`.

    Returns:
        Scalar float32, at least 0 but for rounding; 0 if the samples are equal.

    Raises:
        ValueError: if the embeddings are not matrices of the same width.

    References:
        Gretton et al.: A Kernel Two-Sample Test, JMLR 2012, eq. 5.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> x, y = generator.normal(size=(50, 4)), generator.normal(size=(50, 4))
        >>> bool(domain_adaptation.squared_mmd(x, y) < domain_adaptation.squared_mmd(x, y + 1.0))
        True
    """
    within_x = ops.mean(gaussian_mixture_kernel(x, x, bandwidths))
    within_y = ops.mean(gaussian_mixture_kernel(y, y, bandwidths))
    return within_x + within_y - 2.0 * ops.mean(gaussian_mixture_kernel(x, y, bandwidths))


def linear_squared_mmd(x: Tensor, y: Tensor, bandwidths: Sequence[float] = BANDWIDTHS) -> Tensor:
    """Estimate the squared MMD of two samples, without bias, in linear time.

    The estimate averages over pairs of neighbouring examples of each sample, which have to be in
    random order. If the samples differ in size, the rest of the larger one is unused, as is an odd
    last example.

    Args:
        x: (n, d) float embeddings of one domain, in random order, n at least 2.
        y: (m, d) float embeddings of the other, likewise.
        bandwidths: see `gaussian_mixture_kernel`.

    Returns:
        Scalar float32; may be negative. 0 where a sample has no pair.

    Raises:
        ValueError: if the embeddings are not matrices of the same width.

    References:
        Gretton et al.: A Kernel Two-Sample Test, JMLR 2012, lemma 14.

    Example:
        >>> x, y = [[0.0], [1.0]], [[3.0], [4.0]]
        >>> round(float(domain_adaptation.linear_squared_mmd(x, y, bandwidths=[1.0])), 3)
        1.077
    """
    x, y = embedding_matrices(x, y)
    sizes = (x.shape[0], y.shape[0])
    # JAX slices only by Python's integers.
    pairs = (ops.minimum(*map(_count, (x, y))) if None in sizes else min(sizes)) // 2
    (x1, x2), (y1, y2) = ((z[: 2 * pairs : 2], z[1 : 2 * pairs : 2]) for z in (x, y))

    def kernel(a, b):
        return _mixture(ops.sum(ops.square(a - b), axis=1), bandwidths)

    differences = kernel(x1, x2) + kernel(y1, y2) - kernel(x1, y2) - kernel(x2, y1)
    return ops.sum(differences) / ops.cast(ops.maximum(_count(differences), 1), "float32")


def coral_distance(x: Tensor, y: Tensor) -> Tensor:
    """Compute the squared distance of two samples' covariances, over 4 d².

    A single example has no covariance; it is taken as 0, so that a last batch of one image leaves
    the training finite.

    Args:
        x: (n, d) float embeddings of one domain.
        y: (m, d) float embeddings of the other.

    Returns:
        Scalar float32, at least 0.

    Raises:
        ValueError: if the embeddings are not matrices of the same width.

    References:
        Sun, Saenko: Deep CORAL, ECCV 2016 workshops, eq. 1.

    Example:
        >>> x, y = [[0.0], [2.0]], [[0.0], [4.0]]
        >>> float(domain_adaptation.coral_distance(x, y))
        9.0
    """
    x, y = embedding_matrices(x, y)
    difference = _covariance(x) - _covariance(y)
    return ops.sum(ops.square(difference)) / (4.0 * x.shape[1] ** 2)


@keras.saving.register_keras_serializable(package="domain_adaptation")
class MaximumMeanDiscrepancy(SingleLossTerm):
    """The MMD of two batches' embeddings, as a similarity term of an `AssociativeModel`.

    Args:
        weight: weight of the loss: a number, or a schedule of the step.
        estimator: "quadratic" for `squared_mmd`, as in the authors' baseline, or "linear" for
            `linear_squared_mmd` of the batches in random order.
        bandwidths: see `gaussian_mixture_kernel`.
        seed: seed of the random order.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if the estimator is unknown, or a bandwidth is not positive.

    Example:
        >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> term = domain_adaptation.MaximumMeanDiscrepancy(weight=0.5)
        >>> model = semisup.AssociativeModel(network, num_classes=2, similarity=term)
    """

    loss_names = ("mmd_loss",)

    def __init__(
        self,
        weight: LossWeight = 1.0,
        estimator: str = "quadratic",
        bandwidths: Sequence[float] = BANDWIDTHS,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(weight, **kwargs)
        if estimator not in choices.MMD_ESTIMATORS:
            known = ", ".join(choices.MMD_ESTIMATORS)
            raise ValueError(f"MMD estimator {estimator!r} is none of {known}")
        bandwidths = tuple(map(float, bandwidths))
        if not bandwidths or min(bandwidths) <= 0:
            raise ValueError(f"bandwidths have to be greater than 0, not {bandwidths}")
        self.estimator = estimator
        self.bandwidths = bandwidths
        self.seed = seed
        if estimator == "linear":
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, a, b, labels=None):
        """Compute losses and statistics of one pair of batches.

        Args:
            a: (n, d) float embeddings of source images, in any order.
            b: (m, d) float embeddings of target images.
            labels: unused: MMD does not look at classes.

        Returns:
            A dictionary with the `mmd_loss`, a float32 scalar, and an empty one.
        """
        if self.estimator == "quadratic":
            return {"mmd_loss": squared_mmd(a, b, self.bandwidths)}, {}
        # A labelled batch is ordered by class, so that neighbours are no random pairs. Shuffle row
        # numbers, since Keras on JAX shuffles each column of a matrix by itself.
        a, b = (
            ops.take(z, keras.random.shuffle(ops.arange(_count(z)), seed=self.seed_generator), 0)
            for z in (a, b)
        )
        return {"mmd_loss": linear_squared_mmd(a, b, self.bandwidths)}, {}

    def get_config(self):
        """Return the arguments of the constructor, with the schedule serialised."""
        return {
            **super().get_config(),
            "estimator": self.estimator,
            "bandwidths": list(self.bandwidths),
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="domain_adaptation")
class CorrelationAlignment(SingleLossTerm):
    """CORAL of two batches' embeddings, as a similarity term of an `AssociativeModel`.

    Deep CORAL, as published, compares the logits; this term compares embeddings, as the others do.

    Args:
        weight: weight of the loss: a number, or a schedule of the step.
        **kwargs: arguments of `keras.layers.Layer`.

    Example:
        >>> term = domain_adaptation.CorrelationAlignment(weight=10.0)
        >>> float(term.loss([[0.0], [2.0]], [[0.0], [4.0]]))
        90.0
    """

    loss_names = ("coral_loss",)

    def call(self, a, b, labels=None):
        """Compute losses and statistics of one pair of batches.

        Args:
            a: (n, d) float embeddings of source images.
            b: (m, d) float embeddings of target images.
            labels: unused.

        Returns:
            A dictionary with the `coral_loss`, a float32 scalar, and an empty one.
        """
        return {"coral_loss": coral_distance(a, b)}, {}


def _mixture(squared_distances, bandwidths):
    return sum(ops.exp(-squared_distances / (2.0 * width**2)) for width in bandwidths)


def _covariance(x):
    centred = x - ops.mean(x, axis=0, keepdims=True)
    degrees = ops.maximum(ops.cast(_count(x), "float32") - 1.0, 1.0)
    return ops.matmul(ops.transpose(centred), centred) / degrees


def _count(x):
    return ops.shape(x)[0]
