"""Batches for `fit` of one's own models, from arrays or `tf.data` sets of any structure."""

import contextlib
import numbers
from typing import Any

import keras
import numpy as np

from semisup.data import pipelines, sampling

PER_CLASS = 10
"""Labelled examples of each class in a batch, where the classes have as many."""


def pairs(
    labelled: Any,
    unlabelled: Any,
    batch_size: int = 100,
    per_class: int | None = None,
    seed: int = 0,
    buffer_size: int = 1000,
) -> Any:
    """Make batches for `AssociativeModel.fit`: pairs of labelled and unlabelled examples.

    Each batch has the same number of labelled examples of every class, in the order of the classes.
    Examples are drawn at random, and all are seen before one is seen again.

    Labelled examples are few, so those of a data set are read into memory, once. Unlabelled data
    sets stay streams, of which only `buffer_size` examples are in memory. Arrays are taken as they
    are; memory-mapped ones are read row by row.

    Args:
        labelled: `(examples, labels)`, arrays with n rows, where `examples` may also be a
            dictionary or a tuple of arrays; or a finite `tf.data.Dataset` of such pairs, batched or
            not. Labels are class numbers, or one-hot.
        unlabelled: examples of the same structure, arrays with m rows or a `tf.data.Dataset`,
            batched or not. If these are pairs of examples and labels, the labels are left out.
        batch_size: unlabelled examples in a batch.
        per_class: labelled examples of each class in a batch; a class that has fewer repeats some.
            None: 10, or as many as the smallest class has.
        seed: seed of the order.
        buffer_size: examples among which those of an unlabelled data set are shuffled; arrays are
            shuffled as a whole.

    Returns:
        An endless `tf.data.Dataset` of `((labelled, unlabelled), labels)`: give `fit` its
        `steps_per_epoch`. Two with the same seed have the same batches, as far as a data set that
        is given gives its examples in the same order; an unlabelled data set is shuffled by
        TensorFlow, whose global seed counts, too (`keras.utils.set_random_seed`).

    Raises:
        ValueError: if an argument is not what it should be, or examples and labels, or labelled and
            unlabelled examples, don't fit together.

    Example:
        >>> rows, labels = np.arange(8.0).reshape(4, 2), np.array([0, 0, 1, 1])
        >>> batches = semisup.pairs((rows, labels), np.zeros((9, 2)), batch_size=5, per_class=1)
        >>> (labelled, unlabelled), labels = next(iter(batches))
        >>> labelled.shape, unlabelled.shape, labels.numpy()
        (TensorShape([2, 2]), TensorShape([5, 2]), array([0, 1]))
    """
    import tensorflow as tf

    for name, number, least in (
        ("batch_size", batch_size, 1),
        ("per_class", 1 if per_class is None else per_class, 1),
        ("buffer_size", buffer_size, 1),
        ("seed", 0 if seed is None else seed, 0),
    ):
        if not isinstance(number, numbers.Integral) or number < least:
            raise ValueError(f"{name} is {number!r}; it has to be a whole number, at least {least}")
    examples, labels = _labelled_arrays(labelled)
    pools = _pools(labels)
    if per_class is None:
        per_class = min(PER_CLASS, *map(len, pools))
    indices = sampling.Sampler(pools, per_class, seed, sampling.LABELLED).batches()
    few = _gathered((examples, labels), indices)
    if isinstance(unlabelled, tf.data.Dataset):
        if _is_empty(unlabelled):
            raise ValueError("the unlabelled data set is empty")
        many = _stream(unlabelled, few.element_spec[0], batch_size, seed, buffer_size)
    else:
        unlabelled = _without_labels(_structure(unlabelled, "unlabelled"), examples)
        pool = np.arange(_count(unlabelled, "unlabelled"))
        _check_rows(unlabelled, examples)
        drawn = sampling.Sampler([pool], batch_size, seed, sampling.UNLABELLED).batches()
        many = _gathered(unlabelled, drawn)
    return pipelines.training_batches(few, many)


def _labelled_arrays(labelled):
    """Return the examples and the labels of a pair or a data set as arrays."""
    import tensorflow as tf

    if isinstance(labelled, tf.data.Dataset):
        labelled = _read(labelled)
    if not isinstance(labelled, (tuple, list)) or len(labelled) != 2:
        raise ValueError(
            "labelled is no pair (examples, labels) of arrays, and no tf.data.Dataset of such pairs"
        )
    examples = _structure(labelled[0], "labelled")
    labels = np.asarray(labelled[1])
    count = _count(examples, "labelled")
    if labels.ndim not in (1, 2) or len(labels) != count:
        raise ValueError(f"there are {count} labelled examples, and labels of shape {labels.shape}")
    return examples, labels


def _read(dataset):
    """Read a data set of pairs, batched or not, into arrays."""
    import tensorflow as tf

    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(
            f"the labelled data set has no pairs (examples, labels), but elements {spec}"
        )
    _check_ranks(spec, "labelled")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the labelled data set has no end: leave its repeat() out")
    is_batched = _is_batched(*spec)
    batches = list((dataset if is_batched else dataset.batch(256)).as_numpy_iterator())
    if not batches:
        raise ValueError("the labelled data set is empty")
    if is_batched and spec[1].shape.rank == 1 and spec[1].shape.is_fully_defined():
        _check_are_numbers([labels for _, labels in batches])
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)


def _check_ranks(spec, name):
    """Check that a data set says how many axes its elements have."""
    if any(part.shape.rank is None for part in keras.tree.flatten(spec)):
        raise ValueError(f"the {name} data set does not say all of its shapes: {spec}")


def _check_are_numbers(batches):
    """Check that what looks like batches of class numbers cannot be one-hot labels, each of one."""
    one_hot = all(np.count_nonzero(labels) == 1 == labels.sum() for labels in batches)
    if one_hot and len({int(labels.argmax()) for labels in batches}) > 1:
        count = len(batches[0])
        raise ValueError(
            f"the labelled data set has batches of {count} class numbers, or one-hot labels of "
            f"{count} classes: give arrays, or batches of another size, by .batch({count + 1}) say"
        )


def _is_batched(examples, labels):
    """Return whether a data set of pairs comes in batches, by what it says of them."""
    if labels.shape.rank != 1:
        return labels.shape.rank == 2
    count = labels.shape[0]
    shapes = [part.shape for part in keras.tree.flatten(examples)]
    counts = [shape[0] if shape.rank else 0 for shape in shapes]
    if count is not None and any(other not in (None, count) for other in counts):
        return False
    # Otherwise they are one-hot.
    return count is None or labels.dtype.is_integer


def _structure(examples, name):
    """Return examples as arrays with rows: one, or a dictionary or a tuple of them."""
    if isinstance(examples, dict):
        return {key: _structure(part, name) for key, part in examples.items()}
    if isinstance(examples, tuple):
        return tuple(_structure(part, name) for part in examples)
    if not isinstance(examples, list) and not hasattr(examples, "shape"):
        raise ValueError(
            f"{name} examples are a {type(examples).__name__}: give arrays, or one tf.data.Dataset"
        )
    if isinstance(examples, np.memmap):
        return examples
    array = np.asarray(examples)
    # As `fit` does with arrays.
    return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array


def _count(examples, name):
    """Return how many rows all arrays of a structure have."""
    counts = [len(part) if part.ndim else 0 for part in keras.tree.flatten(examples)]
    if not counts or min(counts) == 0:
        raise ValueError(f"there are no {name} examples")
    if min(counts) != max(counts):
        raise ValueError(
            f"the arrays of the {name} examples have {min(counts)} to {max(counts)} rows"
        )
    return counts[0]


def _pools(labels):
    """Return the indices of the examples of each class, in the order of the classes."""
    is_one_hot = labels.ndim == 2 and labels.shape[1] > 1
    if is_one_hot and labels.dtype.kind in "iubf":
        unclear = np.flatnonzero(np.sum(labels == labels.max(axis=1, keepdims=True), axis=1) != 1)
        if len(unclear):
            raise ValueError(
                f"row {unclear[0]} of the one-hot labels tells no class: leave examples without a "
                "label out of the labelled ones"
            )
    numbers = labels.argmax(axis=1) if is_one_hot else labels.reshape(-1)
    kind = numbers.dtype.kind
    if kind not in "iubf" or (kind == "f" and not np.all(numbers == np.round(numbers))):
        raise ValueError("labels are neither class numbers nor one-hot")
    classes = np.unique(numbers)
    if classes[0] < 0:
        raise ValueError(
            f"there is a label {classes[0]}, and classes begin at 0: leave examples without a "
            "label out of the labelled ones"
        )
    if len(classes) < 2:
        raise ValueError(f"all labelled examples are of class {classes[0]}; give two classes")
    return [np.flatnonzero(numbers == number) for number in classes]


def _gathered(arrays, indices):
    """Return batches of rows of arrays."""
    source = pipelines.source(arrays)
    return indices.map(lambda chosen: pipelines.gather(source, chosen))


def _without_labels(examples, like):
    """Return unlabelled examples, without labels that may go with them.

    Args:
        examples: structure of arrays or of what describes tensors.
        like: that of the labelled examples.

    Raises:
        ValueError: if the examples don't have that structure.
    """
    pair = isinstance(examples, tuple) and len(examples) == 2
    for candidate in (examples, *(examples[:1] if pair else ())):
        with contextlib.suppress(TypeError, ValueError):
            keras.tree.assert_same_structure(candidate, like)
            return candidate
    raise ValueError(
        "unlabelled examples have another structure than labelled ones: their shapes are "
        f"{_shapes(examples)} and {_shapes(like)}"
    )


def _shapes(structure):
    return keras.tree.map_structure(lambda part: str(tuple(part.shape)), structure)


def _check_rows(unlabelled, labelled):
    """Check that the shapes of unlabelled examples are those of labelled ones, but for the first.

    Args:
        unlabelled: structure of arrays or of what describes tensors.
        labelled: the same.
    """
    pairs = zip(*map(keras.tree.flatten, (unlabelled, labelled)), strict=True)
    for ours, theirs in pairs:
        sizes = zip(ours.shape[1:], theirs.shape[1:], strict=False)
        same = len(ours.shape) == len(theirs.shape)
        if not same or any(None not in both and both[0] != both[1] for both in sizes):
            raise ValueError(
                f"unlabelled examples of shape {tuple(ours.shape[1:])} don't fit labelled ones of "
                f"shape {tuple(theirs.shape[1:])}"
            )


def _is_empty(dataset):
    import tensorflow as tf

    count = dataset.cardinality()
    if count == tf.data.UNKNOWN_CARDINALITY:
        return not list(dataset.take(1))
    return count == 0


def _stream(dataset, labelled, batch_size, seed, buffer_size):
    """Return shuffled, endless batches of the examples of a data set, batched or not."""
    _check_ranks(dataset.element_spec, "unlabelled")
    spec = _without_labels(dataset.element_spec, labelled)
    if spec is not dataset.element_spec:
        dataset = dataset.map(lambda examples, labels: examples)
    ranks = [len(keras.tree.flatten(each)[0].shape) for each in (spec, labelled)]
    if ranks[0] == ranks[1]:
        dataset = dataset.unbatch()
    dataset = dataset.shuffle(buffer_size, seed=seed).repeat()
    batches = dataset.batch(batch_size, drop_remainder=True)
    _check_rows(batches.element_spec, labelled)
    return batches
