"""The fit-able model: network, classifier and similarity term.

The loss is the classification loss of the labelled batch, plus the losses of a similarity term
that compares the labelled with the unlabelled embeddings, plus the network's regularisation (thesis
eq. 5 and chapter 4, eq. 1). Each loss weight may follow a schedule of the step.
"""

from typing import Any

import keras
from keras import ops

from semisup.association import Association
from semisup.embeddings import labels
from semisup.embeddings.types import LossWeight, Tensor
from semisup.models import inputs as model_inputs
from semisup.models import replicas
from semisup.models.embedding_classifier import CLASSIFICATION_LOSS, EmbeddingClassifier
from semisup.models.weighted_losses import returns_total
from semisup.similarity import SimilarityTerm, check_term, compares_logits


@keras.saving.register_keras_serializable(package="semisup")
class AssociativeModel(EmbeddingClassifier):
    """A classifier trained on labelled examples and, through associations, on unlabelled ones.

    `fit` takes batches `((labelled, unlabelled), labels)`; `evaluate` and `predict` take examples
    alone, and `predict` returns logits. Without a similarity term, `fit` takes
    `(labelled, labels)`. `compile` takes any Keras loss of logits as classification loss, and has
    one by default. Examples of its `ignore_class` do not count for the similarity term, either: it
    is given those that count, some of them repeated to fill the batch.

    Args and attributes that it shares with the models of other tasks are those of
    `EmbeddingClassifier`.

    Args:
        network: see `EmbeddingClassifier`.
        num_classes: see `EmbeddingClassifier`.
        similarity: a `SimilarityTerm`, "association" for an `Association` without further
            arguments, or None to train on the labels alone.
        augmentation: layer applied to the float32 images of both batches in training, or None.
        classification_weight: weight of the classification loss: a number, or a schedule of the
            step.
        classifier: see `EmbeddingClassifier`.
        classifier_regularizer: see `EmbeddingClassifier`.
        joint_batch_statistics: see `EmbeddingClassifier`; the first of the two batches is the
            labelled one.
        average_decay: see `EmbeddingClassifier`.
        memory: labelled embeddings of the latest steps that the similarity term is given beside
            those of a batch, as constants: they are of classes that the batch may lack.

    Raises:
        ValueError: if `num_classes` is below 2, `similarity` is no term, or `memory` is below 0 or
            not 0 without a term.

    References:
        The loss is eq. 5 of chapter 3 of the thesis, or eq. 1 of chapter 4 with another term.

    Example:
        >>> network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu")])
        >>> model = semisup.AssociativeModel(network, num_classes=2)
        >>> model.compile(optimizer="adam", metrics=["accuracy"])
        >>> generator = np.random.default_rng(0)
        >>> labelled, unlabelled = generator.normal(size=(2, 32, 2))
        >>> labels = (labelled[:, 0] > 0).astype(int)
        >>> history = model.fit((labelled, unlabelled), labels, epochs=2, verbose=0)
        >>> model.predict(unlabelled, verbose=0).shape
        (32, 2)
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        num_classes: int,
        similarity: SimilarityTerm | str | None = "association",
        augmentation: keras.layers.Layer | None = None,
        classification_weight: LossWeight = 1.0,
        classifier: keras.layers.Layer | None = None,
        classifier_regularizer: keras.regularizers.Regularizer | None = None,
        joint_batch_statistics: bool = False,
        average_decay: float = 0.0,
        memory: int = 0,
        **kwargs: Any,
    ):
        if isinstance(similarity, str):
            if similarity != "association":
                raise ValueError(
                    f"similarity {similarity!r} is neither 'association', None nor a term"
                )
            similarity = Association()
        if memory < 0 or (memory and similarity is None):
            raise ValueError(f"memory is {memory}: give at least 0, and 0 without similarity term")
        loss_names, statistics_names = [CLASSIFICATION_LOSS], ()
        if similarity is not None:
            check_term(similarity, num_classes)
            loss_names += similarity.loss_weights
            statistics_names = similarity.statistics_names
        super().__init__(
            network,
            num_classes,
            loss_names,
            statistics_names,
            augmentation=augmentation,
            classifier=classifier,
            classifier_regularizer=classifier_regularizer,
            joint_batch_statistics=joint_batch_statistics,
            average_decay=average_decay,
            **kwargs,
        )
        self.similarity = similarity
        self.memory = memory
        self.classification_weight = classification_weight
        weights = (f"{name}_weight" for name in loss_names[1:])
        self._pair_values = frozenset((*loss_names[1:], *weights, *statistics_names))

    @property
    def loss_weights(self) -> dict[str, LossWeight]:
        """The weight of each loss but the regularisation: see `EmbeddingClassifier`."""
        terms = {} if self.similarity is None else self.similarity.loss_weights
        return {CLASSIFICATION_LOSS: self.classification_weight, **terms}

    def build(self, input_shape):
        """Create the weights, those of the memory among them: see `EmbeddingClassifier`."""
        super().build(input_shape)
        if self.memory:
            logits = compares_logits(self.similarity)
            shape = (self.memory, self.num_classes if logits else self.embedding_width)
            self.memory_embeddings = self.add_state("memory_embeddings", "float32", shape=shape)
            # Classes count from 1: 0 says that a place is empty.
            self.memory_classes = self.add_state("memory_classes", "int32", shape=shape[:1])

    def examples_of(self, inputs):
        """Return the labelled ones of a pair of batches: see `EmbeddingClassifier`."""
        return inputs[0] if model_inputs.is_pair(self.network, inputs) else inputs

    def check_arguments(self, method, arguments):
        """Check known labels: see `CheckedArgumentsModel`."""
        super().check_arguments(method, arguments)
        self.classification_loss.check_classes(arguments.get("y"), self.num_classes)

    def call(self, inputs: Any, training: bool = False) -> Tensor | dict[str, Tensor]:
        """Compute the logits of examples, or embeddings and logits of a pair of batches.

        Args:
            inputs: examples as the network takes them, or a pair of labelled and unlabelled ones.
            training: whether to augment and to run the network in training mode.

        Returns:
            For examples, float32 logits (n, num_classes). For a pair, a dictionary with the
            `logits` of the labelled examples, and what the similarity term compares: `labelled`
            (n, d) and `unlabelled` (m, d), embeddings, or logits (d = num_classes).

        Raises:
            ValueError: if the inputs don't fit the network, or a model without similarity term is
                given a pair.
        """
        if not model_inputs.is_pair(self.network, inputs):
            return self.classify(self.embed(inputs, training))
        if self.similarity is None:
            raise ValueError("a model without similarity term takes labelled examples alone")

        def embed(prepared):
            return self.run_network(self.augment(prepared, training), training)

        a, b = self.together(embed, [self.prepare(examples) for examples in inputs])
        logits = self.classify(a)
        if compares_logits(self.similarity):
            a, b = logits, self.classify(b)
        return {"logits": logits, "labelled": a, "unlabelled": b}

    @returns_total
    def compute_loss(
        self,
        x: Any = None,
        y: Tensor | None = None,
        y_pred: Tensor | dict[str, Tensor] | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Compute the total loss of a batch; in training, also advance the step.

        Args:
            x: unused; the inputs.
            y: (n,) integer labels, or what the classification loss of `compile` takes.
            y_pred: what `call` returned.
            sample_weight: optional (n,) weights of the classification loss.
            training: whether this is a training step.

        Returns:
            Scalar float32.

        Raises:
            ValueError: if the labels don't fit.
        """
        losses, statistics = {}, {}
        logits = y_pred["logits"] if isinstance(y_pred, dict) else y_pred
        classification = self.classification_loss(y, logits, sample_weight)
        counted = self.classification_loss.counted(y)
        count = ops.shape(logits)[0] if counted is None else ops.sum(ops.cast(counted, "int32"))
        if isinstance(y_pred, dict):
            a, numbers = y_pred["labelled"], labels.numbers_of(y, self.num_classes, logits)
            if counted is not None:
                a, numbers = _repeated(a, numbers, counted, count)
            if self.memory and training:
                a, numbers = self._with_memory(a, numbers)
            # Where no example counts, their class is -1. There is nothing to compare then, nor if
            # a batch is empty, as one of open size may be.
            b = y_pred["unlabelled"]
            losses, statistics = self.similarity(
                a, b, ops.maximum(numbers, 0) if counted is not None else numbers
            )
            if counted is not None or None in (a.shape[0], b.shape[0]):
                is_pair = ops.minimum(count, ops.shape(b)[0]) > 0
                losses, statistics = (
                    {name: ops.where(is_pair, value, 0.0) for name, value in values.items()}
                    for values in (losses, statistics)
                )
        losses = {**losses, CLASSIFICATION_LOSS: classification}
        return self.combine(losses, statistics, count, training)

    def _with_memory(self, a, numbers):
        """Return labelled embeddings and classes with those of the latest steps, and keep them."""
        if replicas.count() > 1:
            raise ValueError("memory is not shared by the replicas of a strategy: leave it at 0")
        kept, classes = map(ops.convert_to_tensor, (self.memory_embeddings, self.memory_classes))
        a = ops.cast(a, "float32")
        constants = ops.stop_gradient(a)
        # A place that is still empty holds an example of the batch once more.
        again = ops.arange(self.memory, dtype="int32") % ops.shape(a)[0]
        is_empty = ops.equal(classes, 0)
        others = ops.where(is_empty[:, None], ops.take(constants, again, axis=0), kept)
        other_numbers = ops.where(is_empty, ops.take(numbers, again), classes - 1)
        self.memory_embeddings.assign(ops.concatenate([constants, kept])[: self.memory])
        self.memory_classes.assign(ops.concatenate([numbers + 1, classes])[: self.memory])
        return ops.concatenate([a, others]), ops.concatenate([numbers, other_numbers])

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Compute the metrics passed to `compile`, of the logits, beside those of the losses."""
        if isinstance(y_pred, dict):
            return super().compute_metrics(x, y, y_pred["logits"], sample_weight)
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        # Examples alone have no similarity term: its values would be those of another batch.
        return {name: value for name, value in results.items() if name not in self._pair_values}

    def named_images(self, batch):
        """Name the labelled and unlabelled images of a batch: see `EmbeddingClassifier`."""
        inputs, _ = batch
        pair = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        return dict(zip(("labelled", "unlabelled"), pair, strict=False))

    def get_config(self):
        """Return the arguments of the constructor, parts serialised."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "similarity": serialize(self.similarity),
            "classification_weight": serialize(self.classification_weight),
            "memory": self.memory,
        }


def _repeated(a, numbers, counted, count):
    """Return embeddings and classes with those that count again in place of the others.

    A batch keeps its size, and each that counts comes as often as any other, or once more. Where
    none counts, all have the class -1.
    """
    n = ops.shape(a)[0]
    first = ops.argsort(ops.cast(ops.logical_not(counted), "int32"))
    places = ops.take(first, ops.arange(n, dtype="int32") % ops.maximum(count, 1))
    return ops.take(a, places, axis=0), ops.take(ops.where(counted, numbers, -1), places)
