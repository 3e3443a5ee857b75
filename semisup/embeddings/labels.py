"""Checks of labels, shared by every function and model that takes them."""

import keras
import numpy as np
from keras import ops

from semisup.embeddings.types import Tensor


def class_numbers(labels: Tensor, examples: Tensor) -> Tensor:
    """Check the classes of a batch of examples.

    Args:
        labels: (n,) or (n, 1) integers.
        examples: tensor (n, ...) of the examples.

    Returns:
        (n,) int32 tensor.

    Raises:
        ValueError: if there is not exactly one integer for each example. What cannot be known
            before the batch is computed is not checked.
    """
    if labels is None:
        raise ValueError("labels are missing: give one class number for each example")
    count = examples.shape[0]
    advice = f"give ({'n' if count is None else count},) integers, one class for each example"
    _check_known(labels, advice)
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
    if None not in (shape[0], count) and shape[0] != count:
        raise ValueError(f"there are {shape[0]} labels for {count} examples: {advice}")
    return ops.reshape(ops.cast(labels, "int32"), (-1,))


def numbers_of(labels: Tensor, num_classes: int, examples: Tensor) -> Tensor:
    """Return the class numbers of labels that are class numbers or one-hot.

    Args:
        labels: (n,) or (n, 1) class numbers of any numeric type, or (n, num_classes) probabilities,
            whose greatest counts.
        num_classes: number of classes, at least 2.
        examples: tensor (n, ...) of the examples.

    Returns:
        (n,) int32 tensor.

    Raises:
        ValueError: see `class_numbers`.
    """
    if labels is None:
        return class_numbers(labels, examples)
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) == 2 and labels.shape[1] == num_classes:
        labels = ops.argmax(labels, axis=1)
    return class_numbers(ops.cast(labels, "int32"), examples)


def _check_known(labels, advice):
    """Check labels that are known as they are, and no tensors."""
    is_list = isinstance(labels, (list, tuple)) and not any(hasattr(x, "shape") for x in labels)
    if not (is_list or isinstance(labels, np.ndarray)):
        return
    known = np.asarray(labels)
    if known.dtype.kind in "OSU":
        for each in known.ravel().tolist():
            if not isinstance(each, (int, float)):
                raise ValueError(f"labels such as {each!r} are no numbers: {advice}")
    if known.size and known.dtype.kind in "iuO":
        # A statement of its own: AutoGraph converts no assignment within an expression.
        greatest = max(-float(known.min()), float(known.max()))
        if greatest >= 2**31:
            raise ValueError(f"labels reach {greatest:.0f}: {advice}, below 2**31")
