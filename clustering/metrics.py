"""The agreement of clusters with classes that no training saw (thesis chapter 5, section 3.4)."""

import numpy as np

from semisup.run.evaluation import confusion_matrix, per_class_accuracy


def match_clusters(matrix: np.ndarray) -> np.ndarray:
    """Assign clusters to classes, one to one, so that most images agree.

    Args:
        matrix: (classes, clusters) counts, see `evaluation.confusion_matrix`.

    Returns:
        (clusters,) int64 class of each cluster, by the Hungarian method; -1 for the clusters that
        are left over where there are more of them than classes.

    Example:
        >>> clustering.match_clusters(np.array([[1, 8, 0], [7, 2, 3]]))
        array([ 1,  0, -1])
    """
    from scipy.optimize import linear_sum_assignment

    classes, clusters = linear_sum_assignment(matrix, maximize=True)
    matched = np.full(matrix.shape[1], -1, np.int64)
    matched[clusters] = classes
    return matched


def unsupervised_accuracy(
    labels: np.ndarray, clusters: np.ndarray, num_classes: int, num_clusters: int
) -> float:
    """Compute the share of images whose cluster is matched with their class (ACC).

    Args:
        labels: (n,) classes.
        clusters: (n,) clusters.
        num_classes: number of classes.
        num_clusters: number of clusters; images of clusters without a class count as wrong.

    Returns:
        Float in [0, 1].

    Example:
        >>> clustering.unsupervised_accuracy([0, 0, 1, 1], [1, 1, 0, 1], 2, 2)
        0.75
    """
    matched = match_clusters(confusion_matrix(labels, clusters, num_classes, num_clusters))
    return float(np.mean(matched[np.asarray(clusters)] == labels))


def agreement(labels, clusters, class_names, num_clusters):
    """Compare clusters with classes in every way, ready for JSON.

    Args:
        labels: (n,) classes.
        clusters: (n,) clusters.
        class_names: names of the classes.
        num_clusters: number of clusters.

    Returns:
        Dictionary with `accuracy` and `error` (fractions, after the best matching), `nmi` and `ari`
        (normalised mutual information and adjusted Rand index), `matching` (the class of each
        cluster, or None), `per_class_accuracy` (None for a class without images) and
        `confusion_matrix`, whose columns are the matched clusters in the order of the classes, and
        after them the clusters that are left over.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    matrix = confusion_matrix(labels, clusters, len(class_names), num_clusters)
    matched = match_clusters(matrix)
    order = matched_order(matched, len(class_names))
    confusion = np.where(order >= 0, matrix[:, order], 0)
    accuracy = float(np.trace(confusion) / confusion.sum())
    return {
        "accuracy": accuracy,
        "error": 1.0 - accuracy,
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
        "matching": [class_names[i] if i >= 0 else None for i in matched],
        "per_class_accuracy": per_class_accuracy(confusion, class_names),
        "confusion_matrix": confusion.tolist(),
    }


def matched_order(matched, num_classes):
    """Return clusters in the order of their classes, and after them those that are left over.

    Args:
        matched: what `match_clusters` returned.
        num_classes: number of classes.

    Returns:
        Int64 clusters; -1 in the place of a class that has none.
    """
    places = np.full(num_classes, -1, np.int64)
    taken = np.flatnonzero(matched >= 0)
    places[matched[taken]] = taken
    return np.concatenate([places, np.flatnonzero(matched < 0)])
