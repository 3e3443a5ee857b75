"""Similarities and distances of every pair of embeddings, in float32 whatever their type."""

import math

from keras import ops

from semisup.cli import choices
from semisup.embeddings.types import Tensor


def similarities(a: Tensor, b: Tensor, measure: str = "dot", temperature: float = 1.0) -> Tensor:
    """Compute the similarity of every pair of embeddings (eq. 1), divided by a temperature.

    Args:
        a: (n, d) float embeddings.
        b: (m, d) float embeddings.
        measure: "dot" for the dot product, "cosine" for its cosine, "euclidean" for the negative
            squared Euclidean distance.
        temperature: positive number that divides the similarities; smaller makes walks sharper.

    Returns:
        (n, m) float32 similarities.

    Raises:
        ValueError: if the measure is unknown, the temperature is not positive, or the embeddings
            are not matrices of the same width.
    """
    check_measure(measure, temperature)
    if measure == "euclidean":
        return -squared_distances(a, b) / temperature
    a, b = _multiplied(a, b, measure)
    return ops.matmul(a, ops.transpose(b)) / temperature


def factors(
    a: Tensor, b: Tensor, measure: str = "dot", temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return vectors whose dot products are the similarities of embeddings.

    Args:
        a: see `similarities`.
        b: see `similarities`.
        measure: see `similarities`.
        temperature: see `similarities`.

    Returns:
        Two matrices (n, k) and (m, k), float32.

    Raises:
        ValueError: see `similarities`.
    """
    check_measure(measure, temperature)
    if measure != "euclidean":
        a, b = _multiplied(a, b, measure)
        return a / temperature, b
    a, b = _centred(*embedding_matrices(a, b))
    norms_a, norms_b = (ops.sum(ops.square(x), axis=1, keepdims=True) for x in (a, b))
    a = ops.concatenate([2.0 * a, -norms_a, ops.ones_like(norms_a)], axis=1)
    return a / temperature, ops.concatenate([b, ops.ones_like(norms_b), -norms_b], axis=1)


def check_measure(measure: str, temperature: float) -> None:
    """Check the measure and the temperature of similarities.

    Args:
        measure: see `similarities`.
        temperature: see `similarities`.

    Raises:
        ValueError: if the measure is unknown, or the temperature is no finite positive number.
    """
    if measure not in choices.SIMILARITY_MEASURES:
        raise ValueError(f"measure {measure!r} is none of {', '.join(choices.SIMILARITY_MEASURES)}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature {temperature} is no finite positive number")


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Compute the squared Euclidean distance of every pair of embeddings.

    Args:
        a: (n, d) float embeddings.
        b: (m, d) float embeddings.

    Returns:
        (n, m) float32, at least 0.

    Raises:
        ValueError: if the embeddings are not matrices of the same width.
    """
    a, b = _centred(*embedding_matrices(a, b))
    norms_a = ops.sum(ops.square(a), axis=1)[:, None]
    norms_b = ops.sum(ops.square(b), axis=1)[None, :]
    # Rounding may leave a tiny negative distance between equal embeddings.
    return ops.maximum(norms_a + norms_b - 2.0 * ops.matmul(a, ops.transpose(b)), 0.0)


def embedding_matrices(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return two batches of embeddings as float32 tensors.

    Raises:
        ValueError: if they are not matrices of the same width, or have no rows.
    """
    a, b = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            "embeddings must be matrices of the same width, "
            f"not of shapes {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if 0 in (a.shape[0], b.shape[0]):
        raise ValueError(f"there are {a.shape[0]} and {b.shape[0]} embeddings: give at least one")
    return ops.cast(a, "float32"), ops.cast(b, "float32")


def known_size(x: Tensor) -> int | None:
    """Return how many examples a batch (n, ...) has, or None where that is open.

    JAX has symbols for open sizes, which Keras gives a layer of a functional model, and which can't
    be compared with numbers.
    """
    return x.shape[0] if isinstance(x.shape[0], int) else None


def shares_of(weights: Tensor) -> Tensor:
    """Divide weights (n,) of at least 0 by their sum; if all are 0, all are alike."""
    weights = ops.where(ops.sum(weights) > 0, weights, ops.ones_like(weights))
    return weights / ops.sum(weights)


def _centred(a, b):
    """Move two batches, which leaves their distances as they are, to where float32 is finest."""
    # A batch of open size may be empty, and has no mean then.
    count = ops.cast(ops.maximum(ops.shape(b)[0], 1), b.dtype)
    centre = ops.stop_gradient(ops.sum(b, axis=0) / count)
    return a - centre, b - centre


def _multiplied(a, b, measure):
    a, b = embedding_matrices(a, b)
    return (unit_lengths(a), unit_lengths(b)) if measure == "cosine" else (a, b)


def unit_lengths(x: Tensor) -> Tensor:
    """Scale embeddings (n, d) to length 1; those of length 0 stay as they are."""
    # Squares of large or tiny values would be infinite or 0.
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=1, keepdims=True))
    x = x / ops.where(largest > 0, largest, 1.0)
    squares = ops.sum(ops.square(x), axis=1, keepdims=True)
    # `ops.normalize` has no gradient at 0, which the embedding of a black image may be.
    return x * ops.rsqrt(ops.where(largest > 0, squares, 1.0))
