"""The fit-able model of deep clustering: network, classifier and trainable centroids.

Two associations are added up (thesis chapter 5, eq. 5 to 9): between the centroids of clusters and
the embeddings of images, and between the embeddings of transformed images and of the images
themselves. The classifier is trained on the centroids, and on images where the transformation loss
has a weight.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from clustering.certainty import Confidence, SizeEntropy
from clustering.losses import norm_loss, transformation_loss
from semisup.association import Association
from semisup.embeddings.types import LossWeight, Tensor
from semisup.models.embedding_classifier import CLASSIFICATION_LOSS, EmbeddingClassifier
from semisup.models.own_losses import OwnLosses
from semisup.models.weighted_losses import returns_total
from semisup.similarity import SimilarityTerm, check_embedding_term

NORM_LOSS = "norm_loss"
TRANSFORMATION_LOSS = "transformation_loss"
# The initial spread of clusters, and of the centroids of one cluster, in the authors' code.
_INITIAL_DEVIATION = 0.3
_INITIAL_NOISE = 0.01


@keras.saving.register_keras_serializable(package="clustering")
class ClusteringModel(OwnLosses, EmbeddingClassifier):
    """A classifier of images into clusters, trained without labels.

    `fit` takes batches of images alone; `predict` returns the logits of the clusters. Compile with
    an optimizer only, the losses are the model's own. `clustering.PlaceCentroids` places the
    centroids by k-means at a step, and `clustering.Phases` are weights that change there:

        model = ClusteringModel(
            network,
            num_clusters=10,
            augmentation=augmentation,
            cluster_association=Association(Phases(0.0, 1.0, 400), Phases(0.0, 1.0, 400)),
        )
        model.compile(optimizer="adam")
        model.fit(images, batch_size=100, epochs=10, callbacks=[PlaceCentroids(images, step=400)])

    Labels are never used, and there may be none. `evaluate`, and `fit` with `validation_data`,
    measure the losses that need no augmentation (the associations of the centroids, their
    classification, and the norm loss), how sure the classifier is (`confidence`, the mean
    probability of the most probable cluster), and how even the clusters are (`size_entropy`, 1
    where all have the same size). The visit loss grows with the batch: compare evaluations of one
    batch size.

    Args and attributes that it shares with the models of other tasks are those of
    `EmbeddingClassifier`.

    Args:
        network: see `EmbeddingClassifier`.
        num_clusters: number of clusters, at least 2.
        augmentation: layer that changes each float32 image in a way of its own, or None.
        cluster_association: `Association` of centroids with images, or None for the default one.
        augmentation_association: `Association` of transformed images with images, or None for the
            default one.
        norm_weight: weight of `losses.norm_loss`: a number, or a schedule of the step.
        norm_target: length that embeddings and centroids are drawn to.
        transformation_weight: weight of `losses.transformation_loss`, likewise.
        classification_weight: weight of the centroids' classification loss, likewise.
        augmentations_per_image: transformed copies of each image in a batch.
        centroids_per_cluster: trainable centroids of each cluster.
        window: layer that cuts a window out of each image, at a random place in training, or None.
        seed: seed of the centroids' initial values.
        classifier: see `EmbeddingClassifier`.
        classifier_regularizer: see `EmbeddingClassifier`.
        joint_batch_statistics: see `EmbeddingClassifier`; the first of the two batches is that of
            the images as they are.
        average_decay: see `EmbeddingClassifier`.

    Attributes:
        centroids: (num_clusters * centroids_per_cluster, d) float32 weight, ordered by cluster.
        centroids_placed: int32 weight, 1 once `place_centroids` has been called.

    Raises:
        ValueError: if a number of clusters, centroids or copies is too small.

    Example:
        >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu")])
        >>> model = clustering.ClusteringModel(network, num_clusters=3)
        >>> model.compile(optimizer="adam")
        >>> examples = np.random.default_rng(0).normal(size=(32, 2))
        >>> history = model.fit(examples, epochs=2, verbose=0)
        >>> model.predict(examples, verbose=0).shape
        (32, 3)
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        num_clusters: int,
        augmentation: keras.layers.Layer | None = None,
        cluster_association: SimilarityTerm | None = None,
        augmentation_association: SimilarityTerm | None = None,
        norm_weight: LossWeight = 1e-5,
        norm_target: float = 1.0,
        transformation_weight: LossWeight = 0.0,
        classification_weight: LossWeight = 1.0,
        augmentations_per_image: int = 4,
        centroids_per_cluster: int = 4,
        window: keras.layers.Layer | None = None,
        seed: int = 0,
        classifier: keras.layers.Layer | None = None,
        classifier_regularizer: keras.regularizers.Regularizer | None = None,
        joint_batch_statistics: bool = False,
        average_decay: float = 0.0,
        **kwargs: Any,
    ):
        if augmentations_per_image < 1 or centroids_per_cluster < 1:
            raise ValueError(
                "augmentations_per_image and centroids_per_cluster have to be at least 1, not "
                f"{augmentations_per_image} and {centroids_per_cluster}"
            )
        associations = {
            "cluster": cluster_association or Association(),
            "augmentation": augmentation_association or Association(),
        }
        check_embedding_term(associations["cluster"], num_clusters)
        check_embedding_term(associations["augmentation"])
        super().__init__(
            network,
            num_clusters,
            (
                *_prefixed(lambda term: term.loss_weights, associations),
                NORM_LOSS,
                TRANSFORMATION_LOSS,
                CLASSIFICATION_LOSS,
            ),
            _prefixed(lambda term: dict.fromkeys(term.statistics_names), associations),
            augmentation=augmentation,
            classifier=classifier,
            classifier_regularizer=classifier_regularizer,
            joint_batch_statistics=joint_batch_statistics,
            average_decay=average_decay,
            **kwargs,
        )
        self.associations = associations
        self.norm_weight = norm_weight
        self.transformation_weight = transformation_weight
        self.classification_weight = classification_weight
        self.norm_target = norm_target
        self.augmentations_per_image = augmentations_per_image
        self.centroids_per_cluster = centroids_per_cluster
        self.window = window
        self.seed = seed
        self.centroids_placed = self.add_state("centroids_placed", "int32")
        self.centroids = None
        self.evaluation_metrics = [
            Confidence(name="confidence"),
            SizeEntropy(num_clusters, name="size_entropy"),
        ]
        copies = {"augmentation": associations["augmentation"]}
        names = [*_prefixed(lambda term: term.loss_weights, copies), TRANSFORMATION_LOSS]
        self._training_values = frozenset(
            (
                *names,
                *(f"{name}_weight" for name in names),
                *_prefixed(lambda term: dict.fromkeys(term.statistics_names), copies),
            )
        )

    @property
    def loss_weights(self) -> dict[str, LossWeight]:
        """The weight of each loss but the regularisation: see `EmbeddingClassifier`."""
        return {
            **_prefixed(lambda term: term.loss_weights, self.associations),
            NORM_LOSS: self.norm_weight,
            TRANSFORMATION_LOSS: self.transformation_weight,
            CLASSIFICATION_LOSS: self.classification_weight,
        }

    def build(self, input_shape):
        """Create the weights of network and classifier, and the centroids."""
        super().build(input_shape)
        if self.centroids is None:
            width = self.embedding_width
            generator = np.random.default_rng([self.seed, 0xCE27])
            centers = generator.normal(0.0, _INITIAL_DEVIATION, (self.num_classes, width))
            values = self._around(centers, _INITIAL_NOISE, generator)
            # Not assigned: within `fit`, a model is built where that would be lost.
            self.centroids = self.add_weight(
                shape=values.shape,
                dtype="float32",
                initializer=lambda shape, dtype: ops.convert_to_tensor(values, dtype),
                autocast=False,
                name="centroids",
            )
            self.track_average()

    def _around(self, centers, noise, generator):
        """Draw points beside the centres of the clusters, as many as each has centroids."""
        repeated = np.repeat(centers, self.centroids_per_cluster, axis=0)
        noise = generator.uniform(-noise, noise, repeated.shape)
        return (repeated + noise).astype("float32")

    def place_centroids(
        self, centers: np.ndarray, noise: float, generator: np.random.Generator
    ) -> None:
        """Move the centroids of each cluster to a point, each a little beside it.

        Centroids of one cluster that start on the same point have the same gradients, and stay
        together for ever.

        Args:
            centers: (num_clusters, d) float points.
            noise: largest distance from the point along each axis, to either side.
            generator: a NumPy random generator.
        """
        self.centroids.assign(self._around(np.asarray(centers), noise, generator))
        self.centroids_placed.assign(1)

    @property
    def centroid_labels(self):
        """(num_clusters * centroids_per_cluster,) int32 clusters of the centroids."""
        return np.repeat(np.arange(self.num_classes, dtype="int32"), self.centroids_per_cluster)

    def prepare(self, images, training=False):
        """Bring images to what the network takes: see `EmbeddingClassifier`.

        Args:
            images: (n, height, width, channels), any numeric type.
            training: whether windows are cut at random places.
        """
        if self.window is not None:
            images = self.window(ops.cast(images, "float32"), training=training)
        return super().prepare(images)

    def call(self, images: Any, training: bool = False) -> Tensor | dict[str, Tensor]:
        """Compute logits of images, or in training embeddings of them and of transformed copies.

        Args:
            images: (n, height, width, channels), or whatever else the network takes.
            training: whether this is a training step.

        Returns:
            Float32 logits (n, num_clusters). In training, a dictionary with the embeddings `plain`
            (n, d) and `augmented` (n * augmentations_per_image, d), ordered by image.
        """
        if not training:
            return self.classify(self.embed(images))
        copies = keras.tree.map_structure(
            lambda tensor: ops.repeat(tensor, self.augmentations_per_image, axis=0), images
        )
        batches = [
            self.prepare(images, training=True),
            self.augment(self.prepare(copies, training=True)),
        ]
        plain, copies = self.together(lambda batch: self.run_network(batch, training=True), batches)
        return {"plain": plain, "augmented": copies}

    @returns_total
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Compute the total loss of a batch (eq. 5 to 9); in training, also advance the step.

        Args:
            x: the images.
            y: unused; there are no labels.
            y_pred: what `call` returned.
            sample_weight: not taken.
            training: whether this is a training step. Outside of it, the losses of transformed
                copies are left out.

        Returns:
            Scalar float32.

        Raises:
            ValueError: if there are weights.
        """
        self.refuse_weights(sample_weight)
        centroids = ops.convert_to_tensor(self.centroids)
        if isinstance(y_pred, dict):
            plain, augmented = y_pred["plain"], y_pred["augmented"]
        else:
            plain, augmented = self.embed(x), None
        losses, statistics = {}, {}
        found = {"cluster": (centroids, self.centroid_labels)}
        if augmented is not None:
            numbers = ops.arange(ops.shape(plain)[0], dtype="int32")
            found["augmentation"] = (augmented, ops.repeat(numbers, self.augmentations_per_image))
        for name, (walkers, labels) in found.items():
            results = self.associations[name](walkers, plain, labels)
            for own, values in zip((losses, statistics), results, strict=True):
                own.update({f"{name}_{key}": value for key, value in values.items()})
        lengths = (plain, centroids) if augmented is None else (plain, augmented, centroids)
        losses[NORM_LOSS] = sum(norm_loss(points, self.norm_target) for points in lengths)
        if augmented is not None:
            first = augmented[:: self.augmentations_per_image]
            losses[TRANSFORMATION_LOSS] = transformation_loss(
                plain, first, self.classify(plain), self.classify(first)
            )
        losses[CLASSIFICATION_LOSS] = self.classification_loss(
            ops.convert_to_tensor(self.centroid_labels), self.classify(centroids)
        )
        return self.combine(losses, statistics, ops.shape(plain)[0], training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Compute the metrics of the losses; outside training, those of the clusters, too."""
        is_training = isinstance(y_pred, dict)
        if not is_training:
            for metric in self.evaluation_metrics:
                metric.update_state(y_pred)
        hidden = (
            {metric.name for metric in self.evaluation_metrics}
            if is_training
            else self._training_values
        )
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        return {name: value for name, value in results.items() if name not in hidden}

    def named_images(self, batch):
        """Name the images of a batch: see `EmbeddingClassifier`."""
        return {"images": batch}

    def get_config(self):
        """Return the arguments of the constructor, parts serialised."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "num_clusters": self.num_classes,
            "cluster_association": serialize(self.associations["cluster"]),
            "augmentation_association": serialize(self.associations["augmentation"]),
            "norm_weight": serialize(self.norm_weight),
            "norm_target": self.norm_target,
            "transformation_weight": serialize(self.transformation_weight),
            "classification_weight": serialize(self.classification_weight),
            "augmentations_per_image": self.augmentations_per_image,
            "centroids_per_cluster": self.centroids_per_cluster,
            "window": serialize(self.window),
            "seed": self.seed,
        }


def _prefixed(values_of, associations):
    """Return the values of each association by name, as `cluster_walker_loss`."""
    return {
        f"{name}_{key}": value
        for name, term in associations.items()
        for key, value in values_of(term).items()
    }
