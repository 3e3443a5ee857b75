"""What the fit-able models of all tasks share: a network with a classifier, and a sum of losses.

Each loss has a weight, which may follow a schedule of the step, and is logged beside it.
"""

import keras
from keras import ops

from semisup.architectures import uses_batch_statistics
from semisup.averaging import WeightAverage

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


class EmbeddingClassifier(keras.Model):
    """A network that embeds images, a classifier of the embeddings, and weighted losses.

    Subclasses say in `call` what a training batch becomes, and in `compute_loss` which losses it
    has, which `combine` weights, adds up and logs. Called with images alone, any of them returns
    logits.

    Images may be uint8: they are cast to float32 first, grey images are repeated to RGB and images
    of another size are resized bilinearly where the network's input asks for it.

    Args:
        network: any Keras model or layer from float images (n, height, width, channels) to
            embeddings (n, d).
        num_classes: number of classes, at least 2; labels are integers in [0, num_classes).
        loss_weights: the weight of each loss but the regularisation by the losses' names: numbers,
            or schedules of the step.
        statistics_names: names of what is logged besides.
        augmentation: layer applied to float32 images in training, or None.
        classifier_regularizer: Keras regularizer of the classifier's kernel, or None.
        joint_batch_statistics: pass both batches of a step through a network with batch
            normalisation at once; otherwise, and as the authors did, such a network is called once
            per batch. Networks without it always see one concatenated batch.
        average_decay: decay of a moving average of the weights: see `semisup.averaging`; 0: none.

    Attributes:
        average: the `WeightAverage`, or None.
        step: int32 weight, the number of training steps taken.
        scales: float32 weights by the names of the losses, 1 at first; each multiplies the weight
            of its loss, so that a running training can be steered.
        loss_names: names of the losses in the order of `nonfinite_steps`.
        nonfinite_steps: int32 weight; for each loss, the first step (counted from 1) at which it
            was not finite, or 0.

    Raises:
        ValueError: if `num_classes` is below 2, or `average_decay` below 0 or not below 1.
    """

    def __init__(
        self,
        network,
        num_classes,
        loss_weights,
        statistics_names=(),
        augmentation=None,
        classifier_regularizer=None,
        joint_batch_statistics=False,
        average_decay=0.0,
        **kwargs,
    ):
        # Under mixed precision, Keras would round float images before they are cast to float32.
        super().__init__(**{"autocast": False, **kwargs})
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}; a classifier needs at least 2")
        self.network = network
        self.num_classes = num_classes
        self.augmentation = augmentation
        self.joint_batch_statistics = joint_batch_statistics
        self.classifier = keras.layers.Dense(
            num_classes, kernel_regularizer=classifier_regularizer, name="classifier"
        )
        self.loss_weights = dict(loss_weights)
        self.loss_names = [*self.loss_weights, REGULARIZATION_LOSS, TOTAL_LOSS]
        self.step = self.add_state("step", "int32")
        self.scales = {
            name: self.add_state(f"{name}_scale", "float32", "ones") for name in self.loss_weights
        }
        self.nonfinite_steps = self.add_state(
            "nonfinite_steps", "int32", shape=(len(self.loss_names),)
        )
        self.average = WeightAverage(self, average_decay) if average_decay else None
        weights = [f"{name}_weight" for name in self.loss_weights]
        self.values = {
            name: LatestValue(name) for name in (*self.loss_names, *weights, *statistics_names)
        }

    def add_state(self, name, dtype, initializer="zeros", shape=()):
        """A weight that is saved and not trained."""
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
        self.track_average()
        self.built = True

    def track_average(self):
        """Let the moving average, if there is one, take in all weights that are trained by now."""
        if self.average is not None:
            parts = [weight for layer in self.layers for weight in layer.weights]
            self.average.track([*parts, *self.trainable_weights])

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
        return self.network(self.augment(self.prepare(images), training), training=training)

    def augment(self, images, training=True):
        """Prepared images, changed at random in training where there is an augmentation."""
        if training and self.augmentation is not None:
            return self.augmentation(images, training=True)
        return images

    def classify(self, embeddings):
        """Float32 logits (n, num_classes) of embeddings (n, d)."""
        return ops.cast(self.classifier(embeddings), "float32")

    @property
    def separate_passes(self):
        """Whether the network is called once per batch, and not on both at once."""
        return not self.joint_batch_statistics and uses_batch_statistics(self.network)

    def named_images(self, batch):
        """The images of a training batch by what they are, to be shown.

        Args:
            batch: as `fit` takes it.

        Returns:
            Dictionary from names to (n, height, width, channels) images.
        """
        raise NotImplementedError

    def weight_at(self, name, step):
        """Weight of a loss at a step, what steers a running training left aside.

        Args:
            name: name of the loss.
            step: integer scalar.

        Returns:
            Scalar float32.
        """
        weight = self.loss_weights[name]
        return ops.cast(weight(step) if callable(weight) else weight, "float32")

    def combine(self, losses, statistics, training):
        """Weighted sum of losses and of the network's regularisation; in training, a step is taken.

        Args:
            losses: float32 scalars by their names, of those that have a weight.
            statistics: float32 scalars by their names.
            training: whether this is a training step.

        Returns:
            Scalar float32.
        """
        losses = dict(losses)
        step = ops.convert_to_tensor(self.step)
        weights = {
            name: self.weight_at(name, step) * ops.convert_to_tensor(self.scales[name])
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
            if self.average is not None:
                self.average.update()
            self.step.assign(step + 1)
        return total

    def _record_nonfinite(self, losses, step):
        finite = [
            ops.isfinite(losses[name]) if name in losses else True for name in self.loss_names
        ]
        recorded = ops.convert_to_tensor(self.nonfinite_steps)
        first = ops.logical_and(ops.equal(recorded, 0), ops.logical_not(ops.stack(finite)))
        self.nonfinite_steps.assign(ops.where(first, step, recorded))

    def get_config(self):
        """Arguments that subclasses hand on."""
        decay = 0.0 if self.average is None else self.average.decay
        return {**super().get_config(), "average_decay": decay}


def classification_loss(labels, logits, sample_weight=None):
    """Mean cross-entropy of logits against classes.

    Args:
        labels: (n,) or (n, 1) integer classes.
        logits: (n, classes) float32.
        sample_weight: optional (n,) weights of the examples.

    Returns:
        Scalar float32.
    """
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    if sample_weight is None:
        return ops.mean(losses)
    sample_weight = ops.cast(sample_weight, losses.dtype)
    return ops.sum(losses * sample_weight) / ops.sum(sample_weight)


def deserialized(config, names):
    """A copy of a model's configuration in which parts, by name, are objects again."""
    parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in names}
    return {**config, **parts}
