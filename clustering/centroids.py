"""k-means on embeddings: it places the centroids once, and serves as a comparison."""

import keras
import numpy as np

from semisup.errors import TrainingError
from semisup.models import averaging

RUNS = 10
"""Times that k-means is run, from other beginnings; the best counts."""


def k_means(embeddings, num_clusters, seed):
    """Clusters embeddings, with the same bits every time.

    One thread computes it: with several, the order of summation would vary.

    Args:
        embeddings: (n, d) float.
        num_clusters: number of clusters, at most n.
        seed: seed of the beginnings.

    Returns:
        A fitted `sklearn.cluster.KMeans`.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return KMeans(num_clusters, n_init=RUNS, random_state=seed).fit(embeddings)


def place(predictor, images, noise, seed):
    """Places a model's centroids by k-means on embeddings, and restarts its optimizer.

    Where the model keeps a moving average of the weights, that takes their place first: at a
    high learning rate, the clusters of the weights of a single step are a matter of chance.

    Args:
        predictor: a `Predictor` of a compiled `ClusteringModel`.
        images: (n, height, width, channels) uint8 training images.
        noise: see `ClusteringModel.place_centroids`.
        seed: seed of k-means and of the noise.

    Returns:
        Values for the log: the mean squared distance of an embedding to its cluster's centre. None
        if the centroids have been placed before; nothing is done then.

    Raises:
        TrainingError: if an embedding is not finite.
    """
    model = predictor.model
    if int(keras.ops.convert_to_numpy(model.centroids_placed)):
        return None
    averaging.put_average(model)
    embeddings = predictor.embeddings(images)
    if not np.all(np.isfinite(embeddings)):
        raise TrainingError(
            "embeddings are not finite when k-means is to place the centroids; a lower "
            "--learning_rate may help"
        )
    found = k_means(embeddings, model.num_classes, seed)
    generator = np.random.default_rng([seed, 0x93A5])
    model.place_centroids(found.cluster_centers_, noise, generator)
    model.optimizer.restart()
    return {"k_means_squared_distance": float(found.inertia_ / len(images))}
