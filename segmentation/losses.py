"""The loss of self-training, the baseline of an association: labels by the classifier itself."""

from typing import Any

import keras
from keras import ops

from semisup.embeddings.types import LossWeight
from semisup.similarity import SingleLossTerm


@keras.saving.register_keras_serializable(package="segmentation")
class SelfTraining(SingleLossTerm):
    """The cross-entropy of unlabelled examples against the classes that they are taken for.

    Only those count of whose class the classifier is sure enough (pseudo-labels); the sum over them
    is divided by the number of all.

    Args:
        weight: weight of the loss: a number, or a schedule of the step.
        confidence: least probability of a class that counts.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if the confidence is not in [0, 1].

    Example:
        >>> term = segmentation.SelfTraining(confidence=0.9)
        >>> sure, unsure = [4.0, 0.0], [1.0, 0.0]
        >>> round(float(term.loss([[0.0, 0.0]], [sure, unsure])), 4)
        0.0091
    """

    loss_names = ("self_training_loss",)
    statistics_names = ("confident_share",)
    compares_logits = True

    def __init__(self, weight: LossWeight = 1.0, confidence: float = 0.9, **kwargs: Any):
        if not 0 <= confidence <= 1:
            raise ValueError(f"confidence is {confidence}: give a probability")
        super().__init__(weight, **kwargs)
        self.confidence = confidence

    def call(self, a, b, labels=None):
        """Compute the loss of the logits of unlabelled examples.

        Args:
            a: (n, classes) float logits of labelled examples, which don't count.
            b: (m, classes) float logits of unlabelled examples.
            labels: unused.

        Returns:
            Two dictionaries of float32 scalars: the loss, and the share of examples that count.
        """
        logs = ops.log_softmax(ops.cast(b, "float32"), axis=-1)
        best = ops.max(logs, axis=-1)
        sure = ops.cast(ops.stop_gradient(ops.exp(best)) >= self.confidence, "float32")
        # The greatest logarithm is that of the class that the classifier says.
        return (
            {"self_training_loss": -ops.mean(sure * best)},
            {"confident_share": ops.mean(sure)},
        )

    def get_config(self):
        """Return the arguments of the constructor, schedules serialised."""
        return {**super().get_config(), "confidence": self.confidence}
