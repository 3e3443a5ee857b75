"""The losses of deep clustering beside the associations (thesis chapter 5, section 2.2).

Everything is computed in float32, whatever the embeddings' type.
"""

from keras import ops

from semisup.embeddings.types import Tensor


def norm_loss(embeddings: Tensor, target: float = 1.0) -> Tensor:
    """Sum up the squared distances of the embeddings' lengths from a target (eq. 7).

    The thesis does not say whether it means sum or mean. The authors' code, from which its weights
    of 1e-5 to 2e-4 come, sums, so the regularisation grows with the batch.

    Args:
        embeddings: (n, d) float embeddings or centroids.
        target: length that they are drawn to; 1 in the thesis, 3 in the authors' best runs.

    Returns:
        Scalar float32, at least 0.

    Example:
        >>> float(clustering.norm_loss([[3.0, 4.0], [0.0, 1.0]]))
        16.0
    """
    embeddings = ops.cast(embeddings, "float32")
    # The root has no derivative at 0.
    lengths = ops.sqrt(ops.maximum(ops.sum(ops.square(embeddings), axis=1), 1e-12))
    return ops.sum(ops.square(lengths - target))


def transformation_loss(
    plain: Tensor, transformed: Tensor, plain_logits: Tensor, transformed_logits: Tensor
) -> Tensor:
    """Compute how far embeddings are from being similar just where clusters are (eq. 4).

    For images i and transformed images j, the mean of

        |1 - f(x_i) . f(t(x_j)) - cross_entropy(o_i, o_j)|

    where the cross-entropy is between the cluster distributions of the logits o. In the thesis, the
    images themselves are among the transformed ones; the authors' code and `ClusteringModel` take
    only one transformed copy of each.

    Args:
        plain: (n, d) float embeddings of images.
        transformed: (m, d) float embeddings of transformed images.
        plain_logits: (n, k) float logits of the images.
        transformed_logits: (m, k) float logits of the transformed images.

    Returns:
        Scalar float32, at least 0.

    Example:
        >>> embeddings, logits = [[1.0, 0.0], [-1.0, 0.0]], [[1.0, -1.0], [-1.0, 1.0]]
        >>> loss = clustering.transformation_loss(embeddings, embeddings, logits, logits)
        >>> round(float(loss), 3)
        0.238
    """
    plain, transformed = (ops.cast(batch, "float32") for batch in (plain, transformed))
    products = ops.matmul(plain, ops.transpose(transformed))
    distributions = ops.softmax(ops.cast(plain_logits, "float32"), axis=1)
    log_distributions = ops.log_softmax(ops.cast(transformed_logits, "float32"), axis=1)
    cross_entropies = -ops.matmul(distributions, ops.transpose(log_distributions))
    return ops.mean(ops.abs(1.0 - products - cross_entropies))
