"""Metrics of a clustering that need no labels: its confidence, and how even its clusters are."""

import keras
from keras import ops


def size_entropy(sizes):
    """Compute the entropy of shares as a fraction of its greatest value.

    Args:
        sizes: (k,) numbers of examples, k at least 2.

    Returns:
        Scalar float32 in [0, 1]: 1 where all sizes are the same, 0 where one has everything.
    """
    sizes = ops.cast(sizes, "float32")
    shares = sizes / ops.maximum(ops.sum(sizes), 1.0)
    # What is empty adds nothing: 0 log 0 is 0.
    entropy = -ops.sum(shares * ops.log(ops.maximum(shares, 1e-12)))
    # Rounding may reach beyond 1.
    return ops.minimum(entropy / ops.log(float(sizes.shape[0])), 1.0)


class Confidence(keras.metrics.Mean):
    """Mean probability of the most probable cluster, in (0, 1]."""

    def update_state(self, logits):
        """Take a batch into account.

        Args:
            logits: (n, k) float logits of the clusters.
        """
        super().update_state(ops.max(ops.softmax(logits, axis=1), axis=1))


class SizeEntropy(keras.metrics.Metric):
    """Entropy of the clusters' shares of the examples: see `size_entropy`.

    Args:
        num_clusters: number of clusters, k.
        name: name of the metric.
    """

    def __init__(self, num_clusters, name="size_entropy"):
        super().__init__(name=name, dtype="float32")
        self.sizes = self.add_variable(shape=(num_clusters,), initializer="zeros", name="sizes")

    def update_state(self, logits):
        """Take a batch into account: see `Confidence`."""
        clusters = ops.argmax(logits, axis=1)
        members = ops.one_hot(clusters, self.sizes.shape[0], dtype="float32")
        self.sizes.assign(self.sizes + ops.sum(members, axis=0))

    def result(self):
        """Return the entropy of the shares: see `size_entropy`."""
        return size_entropy(ops.convert_to_tensor(self.sizes))
