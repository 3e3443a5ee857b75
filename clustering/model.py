"""The fit-able model of deep clustering: network, classifier and trainable centroids.

Two associations are added up (thesis chapter 5, eq. 5 to 9): between the centroids of clusters and
the embeddings of images, and between the embeddings of transformed images and of the images
themselves. The classifier is trained on the centroids, and on images where the transformation loss
has a weight.
"""

import keras
import numpy as np
from keras import ops

from clustering.losses import norm_loss, transformation_loss
from semisup.association import Association
from semisup.embedding_classifier import (
    CLASSIFICATION_LOSS,
    EmbeddingClassifier,
    classification_loss,
    deserialized,
)

NORM_LOSS = "norm_loss"
TRANSFORMATION_LOSS = "transformation_loss"
# The initial spread of clusters, and of the centroids of one cluster, in the authors' code.
_INITIAL_DEVIATION = 0.3
_INITIAL_NOISE = 0.01


@keras.saving.register_keras_serializable(package="clustering")
class ClusteringModel(EmbeddingClassifier):
    """A classifier of images into clusters, trained without labels.

    `fit` takes batches of images alone; `predict` returns the logits of the clusters. Compile with
    an optimizer only, the losses are the model's own:

        model = ClusteringModel(network, num_clusters=10, augmentation=augmentation)
        model.compile(optimizer="adam")
        model.fit(images, batch_size=100, epochs=10)

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
        classifier_regularizer: see `EmbeddingClassifier`.
        joint_batch_statistics: see `EmbeddingClassifier`; the first of the two batches is that of
            the images as they are.

    Attributes:
        centroids: (num_clusters * centroids_per_cluster, d) float32 weight, ordered by cluster.
        centroids_placed: int32 weight, 1 once `place_centroids` has been called.

    Raises:
        ValueError: if a number of clusters, centroids or copies is too small.
    """

    def __init__(
        self,
        network,
        num_clusters,
        augmentation=None,
        cluster_association=None,
        augmentation_association=None,
        norm_weight=1e-5,
        norm_target=1.0,
        transformation_weight=0.0,
        classification_weight=1.0,
        augmentations_per_image=4,
        centroids_per_cluster=4,
        window=None,
        seed=0,
        classifier_regularizer=None,
        joint_batch_statistics=False,
        **kwargs,
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
        super().__init__(
            network,
            num_clusters,
            {
                **_prefixed(lambda term: term.loss_weights, associations),
                NORM_LOSS: norm_weight,
                TRANSFORMATION_LOSS: transformation_weight,
                CLASSIFICATION_LOSS: classification_weight,
            },
            _prefixed(lambda term: dict.fromkeys(term.statistics_names), associations),
            augmentation,
            classifier_regularizer,
            joint_batch_statistics,
            **kwargs,
        )
        self.associations = associations
        self.norm_target = norm_target
        self.augmentations_per_image = augmentations_per_image
        self.centroids_per_cluster = centroids_per_cluster
        self.window = window
        self.seed = seed
        self.centroids_placed = self.add_state("centroids_placed", "int32")
        self.centroids = None

    def build(self, input_shape):
        """Builds network and classifier for images, and creates the centroids."""
        shape = tuple(input_shape)
        super().build(shape if self.window is None else self.window.compute_output_shape(shape))
        if self.centroids is None:
            # The classifier's kernel (d, clusters) knows the width of the embeddings.
            width = self.classifier.kernel.shape[0]
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
        """Points beside the centres of the clusters, as many as each has centroids."""
        repeated = np.repeat(centers, self.centroids_per_cluster, axis=0)
        noise = generator.uniform(-noise, noise, repeated.shape)
        return (repeated + noise).astype("float32")

    def place_centroids(self, centers, noise, generator):
        """Moves the centroids of each cluster to a point, each a little beside it.

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
        """Images as the network takes them, before augmentation: see `EmbeddingClassifier`.

        Args:
            images: (n, height, width, channels), any numeric type.
            training: whether windows are cut at random places.
        """
        if self.window is not None:
            images = self.window(ops.cast(images, "float32"), training=training)
        return super().prepare(images)

    def call(self, images, training=False):
        """Logits of images, or in training their embeddings and those of their transformed copies.

        Args:
            images: (n, height, width, channels).
            training: whether this is a training step.

        Returns:
            Float32 logits (n, num_clusters). In training, a dictionary with the embeddings `plain`
            (n, d) and `augmented` (n * augmentations_per_image, d), ordered by image.
        """
        if not training:
            return self.classify(self.embed(images))
        copies = ops.repeat(images, self.augmentations_per_image, axis=0)
        plain = self.prepare(images, training=True)
        copies = self.augment(self.prepare(copies, training=True))
        if self.separate_passes:
            plain, copies = (self.network(batch, training=True) for batch in (plain, copies))
        else:
            count = ops.shape(images)[0]
            both = self.network(ops.concatenate([plain, copies]), training=True)
            plain, copies = both[:count], both[count:]
        return {"plain": plain, "augmented": copies}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Total loss of a batch (eq. 5 to 9); in training, also advances the step.

        Args:
            x: unused; the images.
            y: unused; there are no labels.
            y_pred: what `call` returned in training.
            sample_weight: unused.
            training: whether this is a training step.

        Returns:
            Scalar float32.

        Raises:
            ValueError: outside training, where there is no loss without labels.
        """
        if not isinstance(y_pred, dict):
            raise ValueError("a clustering has no loss outside training; call predict")
        plain, augmented = y_pred["plain"], y_pred["augmented"]
        centroids = ops.convert_to_tensor(self.centroids)
        images = ops.repeat(ops.arange(ops.shape(plain)[0]), self.augmentations_per_image)
        losses, statistics = {}, {}
        for name, walkers, labels in (
            ("cluster", centroids, self.centroid_labels),
            ("augmentation", augmented, images),
        ):
            found = self.associations[name](walkers, plain, labels)
            for own, results in zip((losses, statistics), found, strict=True):
                own.update({f"{name}_{key}": value for key, value in results.items()})
        losses[NORM_LOSS] = sum(
            norm_loss(points, self.norm_target) for points in (plain, augmented, centroids)
        )
        first = augmented[:: self.augmentations_per_image]
        losses[TRANSFORMATION_LOSS] = transformation_loss(
            plain, first, self.classify(plain), self.classify(first)
        )
        losses[CLASSIFICATION_LOSS] = classification_loss(
            self.centroid_labels, self.classify(centroids)
        )
        return self.combine(losses, statistics, training)

    def named_images(self, batch):
        """The images of a batch: see `EmbeddingClassifier`."""
        return {"images": batch}

    def get_config(self):
        """Arguments of the constructor, parts serialised."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "network": serialize(self.network),
            "num_clusters": self.num_classes,
            "augmentation": serialize(self.augmentation),
            "cluster_association": serialize(self.associations["cluster"]),
            "augmentation_association": serialize(self.associations["augmentation"]),
            "norm_weight": serialize(self.loss_weights[NORM_LOSS]),
            "norm_target": self.norm_target,
            "transformation_weight": serialize(self.loss_weights[TRANSFORMATION_LOSS]),
            "classification_weight": serialize(self.loss_weights[CLASSIFICATION_LOSS]),
            "augmentations_per_image": self.augmentations_per_image,
            "centroids_per_cluster": self.centroids_per_cluster,
            "window": serialize(self.window),
            "seed": self.seed,
            "classifier_regularizer": serialize(self.classifier.kernel_regularizer),
            "joint_batch_statistics": self.joint_batch_statistics,
        }

    @classmethod
    def from_config(cls, config):
        """Inverse of `get_config`."""
        parts = ("network", "augmentation", "cluster_association", "augmentation_association")
        weights = ("norm_weight", "transformation_weight", "classification_weight")
        others = ("window", "classifier_regularizer")
        return cls(**deserialized(config, (*parts, *weights, *others)))


def _prefixed(values_of, associations):
    """Values of each association by name, as `cluster_walker_loss`."""
    return {
        f"{name}_{key}": value
        for name, term in associations.items()
        for key, value in values_of(term).items()
    }
