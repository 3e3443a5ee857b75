"""k-means on embeddings: it places the centroids once, and serves as a comparison."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from semisup.errors import TrainingError
from semisup.models import averaging
from semisup.models.optimizers import RestartableAdam
from semisup.run import evaluation

RUNS = 10
"""Times that k-means is run, from other beginnings; the best counts."""


def k_means(embeddings, num_clusters, seed):
    """Cluster embeddings, with the same bits every time.

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


class PlaceCentroids(keras.callbacks.Callback):
    """Place a model's centroids by k-means on embeddings before a step, once.

    The optimizer forgets the gradients that it has averaged, where it can: `RestartableAdam` does.
    Where the model keeps a moving average of the weights, that takes their place first: at a high
    learning rate, the clusters of the weights of a single step are a matter of chance.

    Weights that change at the same step are `clustering.Phases`.

    Args:
        images: (n, height, width, channels) images, or whatever else the network takes: an array,
            or a dictionary, list or tuple of arrays; n is at least the number of clusters.
        step: number of training steps after which the centroids are placed, at least 0.
        noise: see `ClusteringModel.place_centroids`.
        seed: seed of k-means and of the noise.
        batch_size: examples in a batch when embeddings are computed.
        predictor: a `Predictor` of the model, or None for one of its own.
        on_placed: function to call afterwards with values for a log: the mean squared distance of
            an embedding to its cluster's centre, `k_means_squared_distance`.

    Raises:
        TypeError: if the images are no arrays.
        ValueError: if `step` is below 0; before the first step, if there are fewer images than
            clusters.
        TrainingError: in training, if an embedding is not finite.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
        >>> model = clustering.ClusteringModel(keras.layers.Dense(2), num_clusters=2)
        >>> model.compile("adam")
        >>> callback = clustering.PlaceCentroids(rows, step=2)
        >>> _ = model.fit(rows, batch_size=10, verbose=0, callbacks=[callback])
        >>> int(model.centroids_placed)
        1
    """

    def __init__(
        self,
        images: Any,
        step: int,
        noise: float = 0.1,
        seed: int = 0,
        batch_size: int = 500,
        predictor: evaluation.Predictor | None = None,
        on_placed: Callable[[dict[str, float]], None] | None = None,
    ):
        super().__init__()
        if step < 0:
            raise ValueError(f"step is {step}: give the steps taken before, at least 0")
        parts = keras.tree.flatten(images)
        if not parts or not all(hasattr(part, "shape") for part in parts):
            raise TypeError(
                f"images are a {type(images).__name__}: give PlaceCentroids an array, or a "
                "dictionary, list or tuple of arrays"
            )
        self.images = images
        self.step = step
        self.noise = noise
        self.seed = seed
        self.batch_size = batch_size
        self.predictor = predictor
        self.on_placed = on_placed

    def on_train_begin(self, logs=None):
        """Forget how far the model was."""
        self._steps = None

    def _begin(self):
        """Ask the model how far it is."""
        # Not asked at every step: on JAX, that would synchronise the state.
        self._steps = int(keras.ops.convert_to_numpy(self.model.step))
        self._is_placed = bool(keras.ops.convert_to_numpy(self.model.centroids_placed))
        clusters = self.model.num_classes
        count = evaluation.rows(self.images)
        if not self._is_placed and count < clusters:
            raise ValueError(
                f"k-means cannot place the centroids of {clusters} clusters by {count} "
                f"images: give PlaceCentroids at least {clusters}"
            )

    def on_train_batch_begin(self, batch, logs=None):
        """Place the centroids if it is time."""
        self._first = batch
        if self._steps is None:
            # Not before: another callback may restore the model when a training begins.
            self._begin()
        if self._steps >= self.step and not self._is_placed:
            self._is_placed = True
            if not self.model.built:
                # On TensorFlow, the first step would build it.
                self.model(keras.tree.map_structure(lambda part: part[:1], self.images))
            # On JAX, `self.model` brings the model up to date, and lets `fit` read it again.
            values = place(self.model, self._embeddings, self.images, self.noise, self.seed)
            if self.on_placed is not None:
                self.on_placed(values)

    def on_train_batch_end(self, batch, logs=None):
        """Count the steps, of which there may be several in one execution."""
        self._steps += batch - self._first + 1

    def _embeddings(self, images):
        if self.predictor is None:
            self.predictor = evaluation.Predictor(self.model, self.batch_size)
        return self.predictor.embeddings(images)


def place(model, embed, images, noise, seed):
    """Place a model's centroids by k-means on embeddings: see `PlaceCentroids`.

    Args:
        model: a built and compiled `ClusteringModel`.
        embed: function from images to (n, d) embeddings.
        images: (n, ...) images.
        noise: see `ClusteringModel.place_centroids`.
        seed: seed of k-means and of the noise.

    Returns:
        Values for the log: the mean squared distance of an embedding to its cluster's centre.

    Raises:
        TrainingError: if an embedding is not finite.
    """
    averaging.put_average(model)
    embeddings = embed(images)
    if not np.all(np.isfinite(embeddings)):
        raise TrainingError(
            "embeddings are not finite when k-means is to place the centroids; a lower learning "
            "rate may help"
        )
    found = k_means(embeddings, model.num_classes, seed)
    generator = np.random.default_rng([seed, 0x93A5])
    model.place_centroids(found.cluster_centers_, noise, generator)
    if isinstance(model.optimizer, RestartableAdam):
        model.optimizer.restart()
    return {"k_means_squared_distance": float(found.inertia_ / len(embeddings))}
