"""The fit-able model: network, classifier and similarity term.

The loss is the classification loss of the labelled batch, plus the losses of a similarity term
that compares the labelled with the unlabelled embeddings, plus the network's regularisation (thesis
eq. 5 and chapter 4, eq. 1). Each loss weight may follow a schedule of the step.
"""

import keras
from keras import ops

from semisup.association import Association
from semisup.embedding_classifier import (
    CLASSIFICATION_LOSS,
    EmbeddingClassifier,
    classification_loss,
    deserialized,
)


@keras.saving.register_keras_serializable(package="semisup")
class AssociativeModel(EmbeddingClassifier):
    """A classifier trained on labelled images and, through associations, on unlabelled ones.

    `fit` takes batches `((labelled_images, unlabelled_images), labels)`; `evaluate` and `predict`
    take images alone, and `predict` returns logits. Without a similarity term, `fit` takes
    `(labelled_images, labels)`. Compile with an optimizer only, the losses are the model's own:

        model = AssociativeModel(network, num_classes=10)
        model.compile(optimizer="adam", metrics=["accuracy"])
        model.fit(batches, steps_per_epoch=500, epochs=10)

    Args and attributes that it shares with the models of other tasks are those of
    `EmbeddingClassifier`.

    Args:
        network: see `EmbeddingClassifier`.
        num_classes: see `EmbeddingClassifier`.
        similarity: an `Association`, another object with its attributes and call, "association"
            for the default one, or None to train on the labels alone.
        augmentation: layer applied to the float32 images of both batches in training, or None.
        classification_weight: weight of the classification loss: a number, or a schedule of the
            step.
        classifier_regularizer: see `EmbeddingClassifier`.
        joint_batch_statistics: see `EmbeddingClassifier`; the first of the two batches is the
            labelled one.

    Raises:
        ValueError: if `num_classes` is below 2, or `similarity` is an unknown name.
    """

    def __init__(
        self,
        network,
        num_classes,
        similarity="association",
        augmentation=None,
        classification_weight=1.0,
        classifier_regularizer=None,
        joint_batch_statistics=False,
        **kwargs,
    ):
        if isinstance(similarity, str):
            if similarity != "association":
                raise ValueError(
                    f"similarity {similarity!r} is neither 'association', None nor a term"
                )
            similarity = Association()
        loss_weights = {CLASSIFICATION_LOSS: classification_weight}
        pair_values = ()
        if similarity is not None:
            loss_weights.update(similarity.loss_weights)
            weights = (f"{name}_weight" for name in similarity.loss_weights)
            pair_values = (*similarity.loss_weights, *weights, *similarity.statistics_names)
        super().__init__(
            network,
            num_classes,
            loss_weights,
            () if similarity is None else similarity.statistics_names,
            augmentation,
            classifier_regularizer,
            joint_batch_statistics,
            **kwargs,
        )
        self.similarity = similarity
        self.classification_weight = classification_weight
        self._pair_values = frozenset(pair_values)

    def call(self, inputs, training=False):
        """Logits of images, or embeddings and logits of a pair of batches.

        Args:
            inputs: images (n, height, width, channels), or a pair of labelled and unlabelled ones.
            training: whether to augment and to run the network in training mode.

        Returns:
            For images, float32 logits (n, num_classes). For a pair, a dictionary with the `logits`
            of the labelled images, and the embeddings `labelled` (n, d) and `unlabelled` (m, d).
        """
        if not isinstance(inputs, (tuple, list)):
            return self.classify(self.embed(inputs, training))
        if self.similarity is None:
            raise ValueError("a model without similarity term takes labelled images alone")
        if self.separate_passes:
            a, b = (self.embed(images, training) for images in inputs)
        else:
            labelled, unlabelled = (self.prepare(images) for images in inputs)
            count = ops.shape(labelled)[0]
            both = self.augment(ops.concatenate([labelled, unlabelled]), training)
            both = self.network(both, training=training)
            a, b = both[:count], both[count:]
        return {"logits": self.classify(a), "labelled": a, "unlabelled": b}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Total loss of a batch; in training, also advances the step.

        Args:
            x: unused; the images.
            y: (n,) integer labels.
            y_pred: what `call` returned.
            sample_weight: optional (n,) weights of the classification loss.
            training: whether this is a training step.

        Returns:
            Scalar float32.
        """
        losses, statistics = {}, {}
        logits = y_pred
        if isinstance(y_pred, dict):
            logits = y_pred["logits"]
            losses, statistics = self.similarity(y_pred["labelled"], y_pred["unlabelled"], y)
        losses = {**losses, CLASSIFICATION_LOSS: classification_loss(y, logits, sample_weight)}
        return self.combine(losses, statistics, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics passed to `compile`, of the logits, beside the latest values of the losses."""
        if isinstance(y_pred, dict):
            return super().compute_metrics(x, y, y_pred["logits"], sample_weight)
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        # Images alone have no similarity term: its values would be those of another batch.
        return {name: value for name, value in results.items() if name not in self._pair_values}

    def named_images(self, batch):
        """Labelled and unlabelled images of a batch: see `EmbeddingClassifier`."""
        inputs, _ = batch
        pair = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        return dict(zip(("labelled", "unlabelled"), pair, strict=False))

    def get_config(self):
        """Arguments of the constructor, parts serialised."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "network": serialize(self.network),
            "num_classes": self.num_classes,
            "similarity": serialize(self.similarity),
            "augmentation": serialize(self.augmentation),
            "classification_weight": serialize(self.classification_weight),
            "classifier_regularizer": serialize(self.classifier.kernel_regularizer),
            "joint_batch_statistics": self.joint_batch_statistics,
        }

    @classmethod
    def from_config(cls, config):
        """Inverse of `get_config`."""
        parts = ("network", "similarity", "augmentation")
        weights = ("classification_weight", "classifier_regularizer")
        return cls(**deserialized(config, (*parts, *weights)))
