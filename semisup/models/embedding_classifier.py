"""What the fit-able models of all tasks share: a network with a classifier, and a sum of losses.

Each loss has a weight, which may follow a schedule of the step, and is logged beside it.
"""

import itertools
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from semisup.architectures import transfer, uses_batch_statistics
from semisup.embeddings.types import Tensor
from semisup.models import exporting
from semisup.models import inputs as model_inputs
from semisup.models.classification_loss import ClassificationLoss
from semisup.models.embedding_model import EmbeddingModel
from semisup.models.walk_watch import WalkWatch, watched

CLASSIFICATION_LOSS = "classification_loss"


class EmbeddingClassifier(EmbeddingModel):
    """A network that embeds examples, a classifier of the embeddings, and weighted losses.

    Subclasses say in `call` what a training batch becomes, and in `compute_loss` which losses it
    has, which `combine` weights, adds up and logs. Called with examples alone, any of them returns
    logits.

    Args:
        network: see `EmbeddingModel`.
        num_classes: number of classes, at least 2; labels are integers in [0, num_classes).
        loss_names: names of the losses that have a weight.
        statistics_names: names of what is logged besides.
        augmentation: see `EmbeddingModel`.
        classifier: layer or model from embeddings to logits (n, num_classes); None for a dense
            layer.
        classifier_regularizer: Keras regularizer of the dense layer's kernel, or None.
        joint_batch_statistics: pass both batches of a step through a network with batch
            normalisation at once; otherwise, and as the authors did, such a network is called once
            per batch. Networks without it see one concatenated batch, where that is possible.
        average_decay: see `WeightedLossesModel`.

    Attributes:
        embedding_width: d, once the model is built.

    Raises:
        ValueError: if `num_classes` is below 2, `average_decay` below 0 or not below 1, or the
            network or the classifier is none.
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        num_classes: int,
        loss_names: Sequence[str],
        statistics_names: Sequence[str] = (),
        augmentation: keras.layers.Layer | None = None,
        classifier: keras.layers.Layer | None = None,
        classifier_regularizer: keras.regularizers.Regularizer | None = None,
        joint_batch_statistics: bool = False,
        average_decay: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(
            network, loss_names, statistics_names, augmentation, average_decay, **kwargs
        )
        num_classes = operator.index(num_classes)
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}; a classifier needs at least 2")
        _check_classifier(classifier, classifier_regularizer)
        self.num_classes = num_classes
        self.joint_batch_statistics = joint_batch_statistics
        self.classifier = classifier or keras.layers.Dense(
            num_classes, kernel_regularizer=classifier_regularizer, name="classifier"
        )
        # A layer, since a cast would lose the embeddings' mask.
        self.to_float32 = keras.layers.Identity(dtype="float32", name="logits")
        self.classification_loss = ClassificationLoss()
        self.input_types = None
        self.embedding_width = None
        self._walk_watch = WalkWatch()

    def check_arguments(self, method, arguments):
        """Let a `WalkWatch` watch over the walks of a training: see `CheckedArgumentsModel`."""
        super().check_arguments(method, arguments)
        if method == "fit":
            arguments["callbacks"] = watched(arguments.get("callbacks"), self._walk_watch)

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str = "adam",
        loss: keras.losses.Loss | Callable | str | None = None,
        loss_weights: None = None,
        **kwargs: Any,
    ) -> None:
        """Configure the model for training: see `keras.Model.compile`.

        Args:
            optimizer: see `keras.Model.compile`.
            loss: the classification loss, of logits; None for the cross-entropy against class
                numbers. See `ClassificationLoss`.
            loss_weights: not taken: the weights of the losses are arguments of the model and of
                its terms.
            **kwargs: see `keras.Model.compile`.

        Raises:
            ValueError: if the loss cannot be used, or there are loss weights.
        """
        if loss_weights is not None:
            raise ValueError(
                "compile takes no loss_weights: they are arguments of the model, such as "
                "classification_weight, and of its similarity term"
            )
        classification_loss = ClassificationLoss(loss)
        super().compile(optimizer=optimizer, **kwargs)
        # Not handed on: Keras would build a loss of its own that nothing uses.
        self.loss = loss
        self.classification_loss = classification_loss

    def get_compile_config(self):
        """Return the arguments of `compile`, for `compile_from_config`."""
        config = super().get_compile_config()
        return config and {**config, "loss": keras.saving.serialize_keras_object(self.loss)}

    def __call__(self, inputs, *args, **kwargs):
        """Call the model: see `call`."""
        if not self.built:
            self.input_types = model_inputs.types_of(self.examples_of(inputs))
        return super().__call__(inputs, *args, **kwargs)

    def examples_of(self, inputs):
        """Return those of the inputs of a call that are classified.

        Args:
            inputs: tensors, or their shapes, as `call` takes them.

        Returns:
            The same without what only serves training.
        """
        return inputs

    def build(self, input_shape):
        """Create the weights of network and classifier.

        Args:
            input_shape: shape of the inputs of `call`, or a structure of shapes.

        Raises:
            ValueError: if the inputs don't fit the network, the network returns no embeddings, or
                the logits don't fit the classes.
        """
        self.input_shapes = model_inputs.any_batch_size(self.examples_of(input_shape))
        examples = model_inputs.symbolic(self.network, self.input_shapes, self.input_types)
        prepared = self.prepare(examples)
        if self.augmentation is not None and not self.augmentation.built:
            self.augmentation.build(keras.tree.map_structure(lambda part: part.shape, prepared))
        if transfer.takes_features(self.network, examples):
            # The model is one of images, whatever it is trained on.
            self.input_shapes = self.network.input_shape
            examples = model_inputs.symbolic(self.network, self.input_shapes)
            prepared = self.prepare(examples)
        self.input_types = model_inputs.types_of(examples)
        embeddings = self.network(prepared)
        if not hasattr(embeddings, "shape"):
            count = len(keras.tree.flatten(embeddings))
            raise ValueError(
                f"the network returns {count} outputs: it has to return embeddings (n, d)"
            )
        self.embedding_width = embeddings.shape[-1]
        logits = self.classifier(embeddings)
        if len(logits.shape) != 2:
            raise ValueError(
                f"the network returns outputs of shape {tuple(embeddings.shape)}: it has to return "
                "embeddings (n, d), by keras.layers.GlobalAveragePooling2D or Flatten at its end, "
                "say"
            )
        if logits.shape[-1] != self.num_classes:
            raise ValueError(
                f"the classifier returns {logits.shape[-1]} numbers for {self.num_classes} classes"
            )
        self.track_average()
        self.built = True

    def together(self, function, batches):
        """Apply a function to several batches, by one call of it where that is possible.

        Args:
            function: from a batch to embeddings, one for each example.
            batches: list of batches of prepared examples.

        Returns:
            List of the batches' embeddings.
        """
        if self.separate_passes or not model_inputs.can_be_joined(batches):
            return [function(batch) for batch in batches]
        # A list: of a tuple, Keras does not join TensorFlow's sparse tensors.
        embeddings = function(
            keras.tree.map_structure(lambda *parts: ops.concatenate([*parts]), *batches)
        )
        ends = [0]
        for batch in batches:
            ends.append(ends[-1] + ops.shape(keras.tree.flatten(batch)[0])[0])
        return [embeddings[start:end] for start, end in itertools.pairwise(ends)]

    def classify(self, embeddings: Tensor) -> Tensor:
        """Compute the float32 logits (n, num_classes) of embeddings (n, d)."""
        return self.to_float32(self.classifier(embeddings))

    @property
    def separate_passes(self):
        """Return whether the network is called once per batch, and not on both at once."""
        return not self.joint_batch_statistics and uses_batch_statistics(self.network)

    def inference_model(self) -> keras.Model:
        """Make a functional model from the network's inputs to logits, with this model's weights.

        Returns:
            A `keras.Model`; images that it takes are float32, of the size that the model was built
            with.

        Raises:
            ValueError: if the model is not built.
        """
        if not self.built:
            raise ValueError("the model is not built: call it, or build(input_shape), first")
        inputs = model_inputs.placeholders(self.network, self.input_shapes, self.input_types)
        return keras.Model(inputs, self(inputs, training=False), name=self.name)

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Export the model for inference, from the network's inputs to logits.

        Args:
            filepath: see `keras.Model.export`.
            format: see `keras.Model.export`; files of "litert" and "onnx" compute in float32.
            verbose: see `keras.Model.export`.
            input_signature: see `keras.Model.export`.
            **kwargs: see `keras.Model.export`.

        Raises:
            ValueError: if the model is not built.
        """
        settings = {"verbose": verbose, "input_signature": input_signature, **kwargs}
        exporting.export(self, filepath, format, **settings)

    def get_build_config(self):
        """Return what `build_from_config` needs: shapes and types of the inputs."""
        return {"input_shape": self.input_shapes, "input_types": self.input_types}

    def build_from_config(self, config):
        """Build the model as one was that is loaded.

        Args:
            config: what `get_build_config` returned, by this or an earlier version.
        """
        if config.get("input_shape") is not None:
            self.input_types = config.get("input_types")
            self.build(model_inputs.as_shapes(config["input_shape"]))

    def get_config(self):
        """Return the arguments that all tasks' models share, parts serialised."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "classifier": serialize(self.classifier),
            "joint_batch_statistics": self.joint_batch_statistics,
        }


def _check_classifier(classifier, regularizer):
    if classifier is None:
        return
    if not isinstance(classifier, keras.layers.Layer):
        raise ValueError(f"classifier {classifier!r} is no Keras layer or model")
    if regularizer is not None:
        raise ValueError("classifier_regularizer is that of the default classifier: leave it out")
    last = getattr(classifier, "layers", None) or [classifier]
    activation = getattr(last[-1], "activation", None)
    if isinstance(last[-1], keras.layers.Softmax) or activation in (
        keras.activations.softmax,
        keras.activations.sigmoid,
    ):
        raise ValueError(
            f"the classifier {classifier.name} ends in probabilities: leave its last activation "
            "out, so that it returns logits"
        )
