"""The fit-able model: network, classifier and similarity term.

The loss is the classification loss of the labelled batch, plus the losses of a similarity term
that compares the labelled with the unlabelled embeddings, plus the network's regularisation (thesis
eq. 5 and chapter 4, eq. 1). Each loss weight may follow a schedule of the step.
"""

import keras
from keras import ops

from semisup.architectures import uses_batch_statistics
from semisup.association import Association

CLASSIFICATION_LOSS = "classification_loss"
REGULARIZATION_LOSS = "regularization_loss"
TOTAL_LOSS = "total_loss"


@keras.saving.register_keras_serializable(package="semisup")
class LatestValue(keras.metrics.Metric):
    """The value of the latest step: what a log of single steps needs, where `Mean` averages."""

    def __init__(self, name, dtype="float32"):
        super().__init__(name=name, dtype=dtype)
        self.value = self.add_variable(shape=(), initializer="zeros", name="value")

    def update_state(self, value):
        """Replaces the value by a scalar."""
        self.value.assign(ops.cast(value, self.dtype))

    def result(self):
        """The latest scalar."""
        return ops.convert_to_tensor(self.value)


@keras.saving.register_keras_serializable(package="semisup")
class AssociativeModel(keras.Model):
    """A classifier trained on labelled images and, through associations, on unlabelled ones.

    `fit` takes batches `((labelled_images, unlabelled_images), labels)`; `evaluate` and `predict`
    take images alone, and `predict` returns logits. Without a similarity term, `fit` takes
    `(labelled_images, labels)`. Compile with an optimizer only, the losses are the model's own:

        model = AssociativeModel(network, num_classes=10)
        model.compile(optimizer="adam", metrics=["accuracy"])
        model.fit(batches, steps_per_epoch=500, epochs=10)

    Images may be uint8: they are cast to float32 first, grey images are repeated to RGB and images
    of another size are resized bilinearly where the network's input asks for it.

    Args:
        network: any Keras model or layer from float images (n, height, width, channels) to
            embeddings (n, d).
        num_classes: number of classes, at least 2; labels are integers in [0, num_classes).
        similarity: an `Association`, another object with its attributes and call, "association"
            for the default one, or None to train on the labels alone.
        augmentation: layer applied to the float32 images of both batches in training, or None.
        classification_weight: weight of the classification loss: a number, or a schedule of the
            step.
        classifier_regularizer: Keras regularizer of the classifier's kernel, or None.
        joint_batch_statistics: pass both batches through a network with batch normalisation at
            once. By default, and as the authors did, such a network is called once per batch,
            labelled first; networks without it always see one concatenated batch.

    Attributes:
        step: int32 weight, the number of training steps taken.
        scales: float32 weights by the names of the losses, 1 at first; each multiplies the weight
            of its loss, so that a running training can be steered.
        loss_names: names of the losses in the order of `nonfinite_steps`.
        nonfinite_steps: int32 weight; for each loss, the first step (counted from 1) at which it
            was not finite, or 0.

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
        super().__init__(**kwargs)
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}; a classifier needs at least 2")
        if isinstance(similarity, str):
            if similarity != "association":
                raise ValueError(
                    f"similarity {similarity!r} is neither 'association', None nor a term"
                )
            similarity = Association()
        self.network = network
        self.num_classes = num_classes
        self.similarity = similarity
        self.augmentation = augmentation
        self.classification_weight = classification_weight
        self.joint_batch_statistics = joint_batch_statistics
        self.classifier = keras.layers.Dense(
            num_classes, kernel_regularizer=classifier_regularizer, name="classifier"
        )

        self.loss_weights = {CLASSIFICATION_LOSS: classification_weight}
        if similarity is not None:
            self.loss_weights.update(similarity.loss_weights)
        self.loss_names = [*self.loss_weights, REGULARIZATION_LOSS, TOTAL_LOSS]
        self.step = self._add_state("step", "int32")
        self.scales = {
            name: self._add_state(f"{name}_scale", "float32", "ones") for name in self.loss_weights
        }
        self.nonfinite_steps = self._add_state(
            "nonfinite_steps", "int32", shape=(len(self.loss_names),)
        )

        values = [*self.loss_names, *(f"{name}_weight" for name in self.loss_weights)]
        pair_values = []
        if similarity is not None:
            values += similarity.statistics_names
            pair_values = [*similarity.loss_weights, *similarity.statistics_names]
            pair_values += [f"{name}_weight" for name in similarity.loss_weights]
        self._pair_values = frozenset(pair_values)
        self.values = {name: LatestValue(name) for name in values}

    def _add_state(self, name, dtype, initializer="zeros", shape=()):
        return self.add_weight(
            shape=shape, dtype=dtype, initializer=initializer, trainable=False, name=name
        )

    def build(self, input_shape):
        """Builds network and classifier for images, or for a pair of batches of images."""
        pair = isinstance(input_shape[0], (tuple, list))
        shape = tuple(input_shape[0] if pair else input_shape)
        if not self.network.built:
            self.network.build(shape)
        prepared = (None, *(getattr(self.network, "input_shape", None) or shape)[1:])
        if self.augmentation is not None and not self.augmentation.built:
            self.augmentation.build(prepared)
        if not self.classifier.built:
            self.classifier.build(self.network.compute_output_shape(prepared))
        self.built = True

    def prepare(self, images):
        """Images as the network takes them, before augmentation.

        Args:
            images: (n, height, width, channels), any numeric type.

        Returns:
            Float32 images with the size and the channels of the network's input, where it has one
            of fixed shape.

        Raises:
            ValueError: if RGB images meet a network for grey ones.
        """
        images = ops.cast(images, "float32")
        expected = getattr(self.network, "input_shape", None)
        if not isinstance(expected, tuple) or len(expected) != 4 or len(images.shape) != 4:
            return images
        _, height, width, channels = expected
        if channels and images.shape[-1] != channels:
            if images.shape[-1] != 1:
                raise ValueError(
                    f"images have {images.shape[-1]} channels, the network takes {channels}"
                )
            images = ops.repeat(images, channels, axis=-1)
        if height and width and images.shape[1:3] != (height, width):
            images = ops.image.resize(images, (height, width), interpolation="bilinear")
        return images

    def embed(self, images, training=False):
        """Embeddings of images.

        Args:
            images: (n, height, width, channels), any numeric type; a uint8 batch is taken as is,
                without scaling.
            training: whether to augment them and run the network in training mode.

        Returns:
            (n, d) embeddings in the network's compute type.
        """
        return self._embed_prepared(self.prepare(images), training)

    def _embed_prepared(self, images, training):
        if training and self.augmentation is not None:
            images = self.augmentation(images, training=True)
        return self.network(images, training=training)

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
        labelled, unlabelled = (self.prepare(images) for images in inputs)
        if not self.joint_batch_statistics and uses_batch_statistics(self.network):
            a = self._embed_prepared(labelled, training)
            b = self._embed_prepared(unlabelled, training)
        else:
            count = ops.shape(labelled)[0]
            both = self._embed_prepared(ops.concatenate([labelled, unlabelled]), training)
            a, b = both[:count], both[count:]
        return {"logits": self.classify(a), "labelled": a, "unlabelled": b}

    def classify(self, embeddings):
        """Float32 logits (n, num_classes) of embeddings (n, d)."""
        return ops.cast(self.classifier(embeddings), "float32")

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
        losses[CLASSIFICATION_LOSS] = _classification_loss(y, logits, sample_weight)

        step = ops.convert_to_tensor(self.step)
        weights = {
            name: _value_at(self.loss_weights[name], step)
            * ops.convert_to_tensor(self.scales[name])
            for name in losses
        }
        total = sum(weights[name] * losses[name] for name in losses)
        if self.losses:
            losses[REGULARIZATION_LOSS] = sum(ops.cast(loss, "float32") for loss in self.losses)
            total = total + losses[REGULARIZATION_LOSS]
        losses[TOTAL_LOSS] = total

        values = {**losses, **statistics}
        values.update({f"{name}_weight": weight for name, weight in weights.items()})
        for name, value in values.items():
            self.values[name].update_state(value)
        if training:
            self._record_nonfinite(losses, step + 1)
            self.step.assign(step + 1)
        return total

    def _record_nonfinite(self, losses, step):
        finite = [
            ops.isfinite(losses[name]) if name in losses else True for name in self.loss_names
        ]
        recorded = ops.convert_to_tensor(self.nonfinite_steps)
        first = ops.logical_and(ops.equal(recorded, 0), ops.logical_not(ops.stack(finite)))
        self.nonfinite_steps.assign(ops.where(first, step, recorded))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics passed to `compile`, of the logits, beside the latest values of the losses."""
        if isinstance(y_pred, dict):
            return super().compute_metrics(x, y, y_pred["logits"], sample_weight)
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        # Images alone have no similarity term: its values would be those of another batch.
        return {name: value for name, value in results.items() if name not in self._pair_values}

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
        config = dict(config)
        for name in (
            "network",
            "similarity",
            "augmentation",
            "classification_weight",
            "classifier_regularizer",
        ):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


def _classification_loss(labels, logits, sample_weight):
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    if sample_weight is None:
        return ops.mean(losses)
    sample_weight = ops.cast(sample_weight, losses.dtype)
    return ops.sum(losses * sample_weight) / ops.sum(sample_weight)


def _value_at(weight, step):
    return ops.cast(weight(step) if callable(weight) else weight, "float32")
