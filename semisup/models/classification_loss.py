"""The classification loss of a model: any Keras loss of logits."""

import functools
import inspect

import keras
import numpy as np
from keras import ops

from semisup.embeddings import labels
from semisup.embeddings.measures import known_size
from semisup.models import replicas


class ClassificationLoss:
    """A Keras loss, with checks of what it is given.

    Args:
        loss: None for the cross-entropy against class numbers; a `keras.losses.Loss`, a function
            of true labels and logits, or the name of one of Keras' losses, which is then told that
            it is given logits.

    Attributes:
        loss: the `keras.losses.Loss`.
        name: name of the loss, for messages.
        ignore_class: number of a class whose examples don't count, or None.
        takes_class_numbers: whether labels are class numbers; otherwise they are one-hot. None
            where that is not known, for custom losses.

    Raises:
        ValueError: if the loss cannot be one of logits, or returns no scalar.
    """

    def __init__(self, loss=None):
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if isinstance(loss, (list, tuple, dict)):
            raise ValueError(f"a model has one classification loss, not {loss!r}")
        if isinstance(loss, str):
            loss = _loss_by_name(loss)
        if isinstance(loss, type) or not callable(loss):
            raise ValueError(f"loss {loss!r} is neither a name, a function nor a keras.losses.Loss")
        self.loss = loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)
        function = getattr(loss, "func", loss)
        self.name = getattr(function, "__name__", type(function).__name__)
        if _takes_probabilities(loss):
            raise ValueError(
                f"loss {self.name} takes probabilities, and the model returns logits: "
                "give it from_logits=True"
            )
        _check_is_of_logits(self.name, getattr(self.loss, "fn", function))
        if getattr(self.loss, "reduction", "sum") in (None, "none"):
            raise ValueError(f"loss {self.name} has no reduction: it has to return one number")
        settings = {**getattr(loss, "keywords", {}), **self.loss.get_config()}
        self.ignore_class = settings.get("ignore_class")
        self.takes_class_numbers = None
        known = vars(keras.losses).values()
        if any(function is each or type(function) is each for each in known):
            self.takes_class_numbers = "sparse" in self.name.lower()

    def check_classes(self, y, num_classes):
        """Check class numbers that are known before anything is computed from them.

        JAX would compute a loss of any numbers.

        Args:
            y: labels; only arrays, and what becomes one, are looked at.
            num_classes: number of classes.

        Raises:
            ValueError: if there is a number that is no integer, or is neither a class nor ignored.
        """
        y = labels.known(y) if self.takes_class_numbers else None
        if y is None:
            return
        if y.dtype.kind not in "iuf" or (y.ndim == 2 and y.shape[1] != 1):
            return
        if self.ignore_class is not None:
            y = y[y != self.ignore_class]
        if y.dtype.kind == "f" and np.any(y != np.floor(y)):
            raise ValueError("labels are no whole numbers: give class numbers")
        labels.check_range(y, num_classes, f"the model has {num_classes} classes")

    def counted(self, y):
        """Say which examples the loss is a mean of.

        Args:
            y: labels of n examples, as the loss takes them.

        Returns:
            (n,) booleans, or None if all examples count.
        """
        if self.ignore_class is None:
            return None
        return ops.not_equal(ops.reshape(ops.cast(y, "int32"), (-1,)), self.ignore_class)

    def __call__(self, y, logits, sample_weight=None):
        """Compute the loss of a batch.

        Args:
            y: (n,) or (n, 1) class numbers, or (n, num_classes) floats, as the loss takes them.
            logits: (n, num_classes) float32.
            sample_weight: optional (n,) weights of the examples.

        Returns:
            Scalar float32, as Keras reduces it over these examples; not a number if a label is
            neither a class nor ignored.

        Raises:
            ValueError: if labels are missing or have a shape that the loss does not take.
        """
        self._check(y, logits)
        loss = ops.cast(self.loss(y, logits, sample_weight), "float32") * replicas.count()
        if not self.takes_class_numbers:
            return loss
        # JAX computes a loss of any numbers.
        numbers = ops.cast(y, "int32")
        is_right = ops.logical_and(numbers >= 0, numbers < logits.shape[-1])
        if self.ignore_class is not None:
            is_right = ops.logical_or(is_right, ops.equal(numbers, self.ignore_class))
        return ops.where(ops.all(is_right), loss, float("nan"))

    def _check(self, y, logits):
        if y is None:
            raise ValueError("labels are missing: the classification loss needs them")
        num_classes = logits.shape[-1]
        one_hot = len(y.shape) == 2 and y.shape[1] == num_classes
        if self.takes_class_numbers and one_hot:
            raise ValueError(
                f"labels of shape {tuple(y.shape)} look one-hot, and the loss {self.name} takes "
                "class numbers.\nGive those, or compile with "
                "loss=keras.losses.CategoricalCrossentropy(from_logits=True)"
            )
        if self.takes_class_numbers is False and not one_hot:
            raise ValueError(
                f"labels of shape {tuple(y.shape)} are no match for the loss {self.name}, which "
                f"takes one-hot labels, like the logits of shape {tuple(logits.shape)}: use "
                "keras.utils.to_categorical, or leave the loss out of compile"
            )
        if not one_hot and self.takes_class_numbers is not None:
            labels.class_numbers(ops.cast(y, "int32"), logits)
            return
        given, count = known_size(y), known_size(logits)
        if None not in (given, count) and given != count:
            raise ValueError(f"there are {given} labels for {count} examples")


class _FunctionLoss(keras.losses.Loss):
    """The mean over the examples of what a function of labels and logits returns for each."""

    def __init__(self, function):
        super().__init__(name="classification")
        self.function = function

    def call(self, y_true, y_pred):
        """Return the values of the function, (n,)."""
        return self.function(y_true, y_pred)


def _loss_by_name(name):
    try:
        loss = keras.losses.get(name)
    except ValueError:
        raise ValueError(f"loss {name!r} is none of Keras' losses") from None
    if isinstance(loss, keras.losses.Loss):
        config = loss.get_config()
        return type(loss).from_config(
            {**config, "from_logits": True} if "from_logits" in config else config
        )
    if "from_logits" in inspect.signature(loss).parameters:
        return functools.partial(loss, from_logits=True)
    return loss


_PROBABILITIES = "probabilities"
_NOT_OF_LOGITS = {
    keras.losses.categorical_generalized_cross_entropy: _PROBABILITIES,
    keras.losses.dice: _PROBABILITIES,
    keras.losses.kl_divergence: _PROBABILITIES,
    keras.losses.poisson: _PROBABILITIES,
    keras.losses.tversky: _PROBABILITIES,
    keras.losses.circle: "embeddings",
    keras.losses.ctc: "sequences",
}
"""What losses take that have no form for logits of examples."""


def _check_is_of_logits(name, function):
    for each, taken in _NOT_OF_LOGITS.items():
        if function is not each:
            continue
        advice = ": give a function of labels and logits that takes keras.ops.softmax of the logits"
        raise ValueError(
            f"loss {name} takes {taken}, and the model returns logits"
            f"{advice if taken == _PROBABILITIES else ''}"
        )


def _takes_probabilities(loss):
    if isinstance(loss, keras.losses.Loss):
        return loss.get_config().get("from_logits", True) is False
    parameters = inspect.signature(loss).parameters
    return "from_logits" in parameters and parameters["from_logits"].default is False
