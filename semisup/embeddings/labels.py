"""Checks of labels, shared by every function and model that takes them."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from semisup.embeddings.measures import known_size
from semisup.embeddings.types import Tensor


def class_numbers(labels: Tensor, examples: Tensor) -> Tensor:
    """Check the classes of a batch of examples.

    Args:
        labels: (n,) or (n, 1) integers.
        examples: tensor (n, ...) of the examples.

    Returns:
        (n,) integer tensor, int32 unless the backend has 64 bits and the labels do.

    Raises:
        ValueError: if there is not exactly one integer for each example. What cannot be known
            before the batch is computed is not checked.
    """
    if labels is None:
        raise ValueError("labels are missing: give one class number for each example")
    check_known(labels, examples)
    advice = _advice(examples)
    labels = ops.convert_to_tensor(labels)
    shape = tuple(labels.shape)
    if len(shape) == 2 and shape[1] != 1:
        raise ValueError(
            f"labels of shape {shape} look one-hot: {advice}, such as their argmax along axis 1"
        )
    if len(shape) not in (1, 2):
        raise ValueError(f"labels have shape {shape}: {advice}")
    kind = keras.backend.standardize_dtype(labels.dtype)
    if "int" not in kind and kind != "bool":
        raise ValueError(f"labels have type {kind}: {advice}")
    given, count = known_size(labels), known_size(examples)
    if None not in (given, count) and given != count:
        raise ValueError(f"there are {given} labels for {count} examples: {advice}")
    # In 32 bits, numbers that differ could be the same.
    kind = "int64" if "64" in kind or kind == "uint32" else "int32"
    return ops.reshape(ops.cast(labels, kind), (-1,))


def numbers_of(labels: Tensor, num_classes: int, examples: Tensor) -> Tensor:
    """Return the class numbers of labels that are class numbers or one-hot.

    Args:
        labels: (n,) or (n, 1) class numbers of any numeric type, or (n, num_classes) probabilities,
            whose greatest counts.
        num_classes: number of classes, at least 2.
        examples: tensor (n, ...) of the examples.

    Returns:
        (n,) integer tensor.

    Raises:
        ValueError: see `class_numbers`.
    """
    if labels is None:
        return class_numbers(labels, examples)
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) == 2 and labels.shape[1] == num_classes:
        labels = ops.argmax(labels, axis=1)
    return class_numbers(ops.cast(labels, "int32"), examples)


def known(labels: Tensor) -> np.ndarray | None:
    """Return labels as an array, or None where they have no values yet, as in a graph."""
    if not (isinstance(labels, (list, tuple)) or hasattr(labels, "__array__")):
        return None
    try:
        return np.asarray(labels)
    except Exception:  # each backend has an exception of its own
        return None


def check_known(labels: Tensor, examples: Tensor) -> None:
    """Check labels that are known, before a backend makes them numbers of 32 bits.

    Args:
        labels: see `class_numbers`.
        examples: see `class_numbers`.

    Raises:
        ValueError: if there are labels that are no numbers, or that 32 bits do not hold.
    """
    values = known(labels)
    if values is None:
        return
    if values.dtype.kind in "OSU":
        for each in values.ravel().tolist():
            if not isinstance(each, (int, float)):
                raise ValueError(f"labels such as {each!r} are no numbers: {_advice(examples)}")
    if values.size and values.dtype.kind in "iuO":
        least, greatest = values.min(), values.max()
        if least < -(2**31) or greatest >= 2**31:
            raise ValueError(
                f"labels are from {least} to {greatest}: {_advice(examples)}, from -2**31 to below "
                "2**31"
            )


def check_range(values: np.ndarray, count: int, counted: str) -> None:
    """Check that known class numbers are those of some classes.

    Args:
        values: integers.
        count: number of classes.
        counted: who has as many classes, for the message.

    Raises:
        ValueError: if there is a number below 0, or not below the number of classes.
    """
    if values.size and (values.min() < 0 or values.max() >= count):
        raise ValueError(
            f"labels are from {values.min()} to {values.max()}, and {counted}: "
            f"give numbers from 0 to {count - 1}"
        )


def have_shares(labels: Tensor, class_shares: Sequence[float]) -> Tensor:
    """Say whether the class of every label has a share, as a scalar bool.

    Args:
        labels: (n,) integer tensor.
        class_shares: the share of each class.

    Raises:
        ValueError: if it is known that one has none.
    """
    count, values = len(class_shares), known(labels)
    if values is not None:
        check_range(values, count, f"there are {count} class_shares")
    return ops.all(ops.logical_and(labels >= 0, labels < count))


def shares_of_each(class_shares: Sequence[float], labels: Tensor) -> Tensor:
    """Return the share of the class of each label, (n,) float32; that of any class for no class."""
    shares = ops.convert_to_tensor(class_shares, "float32")
    return ops.take(shares, ops.clip(labels, 0, len(class_shares) - 1))


def renumbered(labels: Tensor) -> Tensor:
    """Return known integer labels as numbers from 0, equal where they are; others as they are."""
    values = known(labels)
    if values is None or values.dtype.kind not in "iu":
        return labels
    return np.unique(values, return_inverse=True)[1].reshape(values.shape).astype("int32")


def _advice(examples):
    count = known_size(examples)
    return f"give ({'n' if count is None else count},) integers, one class for each example"
