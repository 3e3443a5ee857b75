"""Similarity terms: what a model adds to the classification loss to compare two batches."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from semisup.embeddings.labels import check_known, class_numbers
from semisup.embeddings.types import LossWeight, Tensor


class SimilarityTerm(keras.layers.Layer):
    """Base class of the terms that compare the embeddings of two batches.

    A subclass computes its losses in `call`. `semisup.AssociativeModel` adds them, each times its
    weight, to the classification loss. In a custom training step, `loss` returns the weighted sum.

    Args:
        loss_weights: for each loss by its name, its weight: a number, or a schedule of the step.
        dtype: type in which the term computes, float32 whatever the policy of the network.
        **kwargs: arguments of `keras.layers.Layer`.

    Attributes:
        loss_weights: dictionary of the weights, which may be changed: the next call of `fit` takes
            the new ones, and refuses names that are none of the losses'.
        loss_names: names of the losses, in order.
        statistics_names: names of what a call returns beside the losses.
        compares_logits: whether it takes the classifier's logits in place of embeddings.

    Raises:
        ValueError: if there is not one weight for each loss.

    Example:
        >>> class MeanDistance(semisup.SimilarityTerm):
        ...     loss_names = ("mean_distance_loss",)
        ...
        ...     def __init__(self, weight=1.0, **kwargs):
        ...         super().__init__({"mean_distance_loss": weight}, **kwargs)
        ...
        ...     def call(self, a, b, labels=None):
        ...         difference = keras.ops.mean(a, axis=0) - keras.ops.mean(b, axis=0)
        ...         return {"mean_distance_loss": keras.ops.sum(difference**2)}, {}
        >>> float(MeanDistance(weight=2.0).loss([[0.0]], [[1.0], [3.0]]))
        8.0
    """

    loss_names = ()
    statistics_names = ()
    compares_logits = False

    def __init__(
        self, loss_weights: Mapping[str, LossWeight], dtype: str = "float32", **kwargs: Any
    ):
        super().__init__(dtype=dtype, **kwargs)
        self.loss_weights = dict(loss_weights)
        self.check_weights()
        self.built = True

    def __call__(self, a, b, *args, **kwargs):
        """Call the term: see `call`."""
        labels = args[0] if args else kwargs.get("labels")
        if labels is not None:
            check_known(labels, a)
        return super().__call__(a, b, *args, **kwargs)

    def call(
        self, a: Tensor, b: Tensor, labels: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Compute the losses and statistics of one pair of batches.

        Args:
            a: (n, d) float embeddings of labelled examples, or their logits: see `compares_logits`.
            b: (m, d) float embeddings of unlabelled examples, or their logits.
            labels: (n,) integer classes of `a`.

        Returns:
            Two dictionaries of float32 scalars: the unweighted losses by `loss_names`, and the
            statistics by `statistics_names`.
        """
        raise NotImplementedError

    def compute_output_spec(self, *args, **kwargs):
        """Return symbolic losses and statistics: JAX does not compute them of open batch sizes."""
        return tuple(
            {name: keras.KerasTensor((), "float32") for name in names}
            for names in (self.loss_names, self.statistics_names)
        )

    def loss(self, a: Tensor, b: Tensor, labels: Tensor | None = None, step: int = 0) -> Tensor:
        """Compute the weighted sum of the losses.

        Args:
            a: see `call`.
            b: see `call`.
            labels: see `call`.
            step: training step, for weights that follow a schedule.

        Returns:
            Scalar float32.
        """
        self.check_weights()
        a, b = map(ops.convert_to_tensor, (a, b))
        further = () if labels is None else (class_numbers(labels, a),)
        losses, _ = self(a, b, *further)
        return sum(weight_at(self.loss_weights[name], step) * losses[name] for name in losses)

    def check_weights(self) -> None:
        """Check that there is one weight for each loss.

        Raises:
            ValueError: if there is not.
        """
        check_names(type(self).__name__, self.loss_names, self.loss_weights)

    def check_classes(self, num_classes: int) -> None:
        """Check that the term fits a model; for a subclass that knows of the classes.

        Args:
            num_classes: number of the model's classes.

        Raises:
            ValueError: if the term is one for another number of classes.
        """

    @classmethod
    def from_config(cls, config):
        """Make a term from what `get_config` returned, in which schedules are serialised."""
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{name: deserialize(value) for name, value in config.items()})


class SingleLossTerm(SimilarityTerm):
    """Base class of the terms that have one loss, named in `loss_names`.

    Args:
        weight: weight of the loss: a number, or a schedule of the step.
        **kwargs: arguments of `SimilarityTerm`.

    Attributes:
        weight: see above; may be changed like `loss_weights`.
    """

    def __init__(self, weight: LossWeight = 1.0, **kwargs: Any):
        (name,) = self.loss_names
        super().__init__({name: weight}, **kwargs)

    @property
    def weight(self) -> LossWeight:
        """Weight of the loss: a number, or a schedule of the step."""
        return self.loss_weights[self.loss_names[0]]

    @weight.setter
    def weight(self, weight: LossWeight) -> None:
        self.loss_weights[self.loss_names[0]] = weight

    def get_config(self):
        """Return the arguments of the constructor, a schedule serialised."""
        return {**super().get_config(), "weight": keras.saving.serialize_keras_object(self.weight)}


def loss_weight(name: str) -> property:
    """Make the property of a term that reads and sets the weight of one of its losses.

    Args:
        name: name of the loss.
    """

    def read(term):
        return term.loss_weights[name]

    def write(term, weight):
        term.loss_weights[name] = weight

    return property(read, write, doc=f"Weight of `{name}`: a number, or a schedule of the step.")


def check_names(owner: str, names: Iterable[str], weights: Iterable[str]) -> None:
    """Check that there is one weight for each loss.

    Args:
        owner: who has the losses, for the message.
        names: names of the losses.
        weights: names of the weights, in any order.

    Raises:
        ValueError: if there is a weight of no loss, or a loss without one.
    """
    if set(names) != set(weights):
        raise ValueError(f"{owner} has the losses {', '.join(names)}, not {', '.join(weights)}")


def weight_at(weight: LossWeight, step: Tensor) -> Tensor:
    """Evaluate the weight of a loss at a step.

    Args:
        weight: a number, or a schedule of the step.
        step: integer scalar.

    Returns:
        Scalar float32.
    """
    return ops.cast(weight(step) if callable(weight) else weight, "float32")


def check_term(similarity: Any, num_classes: int | None = None) -> None:
    """Check that an object can serve a model as its similarity term.

    Args:
        similarity: the object.
        num_classes: number of the model's classes, if it has any.

    Raises:
        ValueError: if it is no `SimilarityTerm` and does not have its attributes, or is a term for
            another number of classes.
    """
    if isinstance(similarity, SimilarityTerm):
        similarity.check_weights()
        if num_classes is not None:
            similarity.check_classes(num_classes)
        return
    wanted = (
        "pass a term such as semisup.Association(walker_weight=1.0, visit_weight=1.0), "
        "'association' for the default one, or None"
    )
    if isinstance(similarity, type):
        raise ValueError(f"similarity is the class {similarity.__name__}, not an object: {wanted}")
    if not (
        callable(similarity)
        and hasattr(similarity, "loss_weights")
        and hasattr(similarity, "statistics_names")
    ):
        name = getattr(similarity, "__name__", repr(similarity))
        raise ValueError(f"similarity {name} is no similarity term: {wanted}")


def check_embedding_term(similarity: Any, num_classes: int | None = None) -> None:
    """Check that an object can serve a model as a similarity term of embeddings.

    Args:
        similarity: the object.
        num_classes: see `check_term`.

    Raises:
        ValueError: see `check_term`; or if it compares logits.
    """
    check_term(similarity, num_classes)
    if compares_logits(similarity):
        raise ValueError(
            f"{type(similarity).__name__} compares logits, and this model has embeddings for its "
            "terms: give it to semisup.AssociativeModel or segmentation.SegmentationModel"
        )


def compares_logits(similarity: Any) -> bool:
    """Return whether a similarity term takes logits in place of embeddings."""
    return getattr(similarity, "compares_logits", False)
