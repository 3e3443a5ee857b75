"""Tests of the batches for one's own models: what is in them, from whatever they are made."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import semisup

pytestmark = pytest.mark.backend

LABELS = np.repeat([4, 2, 9], [5, 3, 4])
"""Of class 2, there are three examples."""
ROWS = np.stack([np.arange(12), LABELS], axis=1).astype("float32")
"""Rows that tell their index and their class."""
UNLABELLED = np.stack([np.arange(30), np.arange(30)], axis=1).astype("float32")


def take(batches, count=4):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def as_dataset(*arrays, batch=None):
    parts = arrays if len(arrays) > 1 else arrays[0]
    dataset = tf.data.Dataset.from_tensor_slices(parts)
    return dataset if batch is None else dataset.batch(batch)


def without_shapes(*arrays):
    types = tuple(array.dtype for array in arrays)
    return tf.data.Dataset.from_generator(
        lambda: zip(*arrays, strict=True), output_types=types if len(types) > 1 else types[0]
    )


class Rows(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return UNLABELLED


def test_a_batch_has_the_same_number_of_examples_of_every_class_and_all_are_seen_before_one_again():
    batches = take(semisup.pairs((ROWS, LABELS), UNLABELLED, batch_size=10, per_class=2), 6)
    for (few, many), labels in batches:
        np.testing.assert_array_equal(labels, [2, 2, 4, 4, 9, 9])
        np.testing.assert_array_equal(few[:, 1], labels)
        assert many.shape == (10, 2)
    seen = np.concatenate([many[:, 0] for (_, many), _ in batches]).reshape(2, 30)
    for epoch in seen:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(30))
    assert not np.array_equal(*seen)
    fours = np.concatenate([few[2:4, 0] for (few, _), _ in batches])
    np.testing.assert_array_equal(np.sort(fours[:5]), np.arange(5))


def test_a_batch_has_ten_examples_of_each_class_or_as_many_as_the_smallest_class():
    ((few, _), labels), *_ = take(semisup.pairs((ROWS, LABELS), UNLABELLED), 1)
    np.testing.assert_array_equal(labels, np.repeat([2, 4, 9], 3))
    assert len(np.unique(few[:3, 0])) == 3
    many = np.tile(LABELS, 4)
    (_, labels), *_ = take(semisup.pairs((np.tile(ROWS, (4, 1)), many), UNLABELLED), 1)
    assert len(labels) == 30


@pytest.mark.parametrize("stream", [False, True])
def test_one_seed_gives_the_same_batches_and_another_one_others(stream):
    unlabelled = as_dataset(UNLABELLED) if stream else UNLABELLED
    one, again, other = (
        take(semisup.pairs((ROWS, LABELS), unlabelled, 7, seed=seed)) for seed in (3, 3, 4)
    )
    for first, second in zip(keras.tree.flatten(one), keras.tree.flatten(again), strict=True):
        np.testing.assert_array_equal(first, second)
    for place in (0, 1):
        assert not np.array_equal(one[0][0][place], other[0][0][place])


def test_class_numbers_of_one_value_each_need_no_batches():
    rows = np.repeat(ROWS, 2, axis=1)
    unlabelled = np.repeat(UNLABELLED, 2, axis=1)
    single = take(semisup.pairs(as_dataset(rows, LABELS[:, None]), unlabelled), 1)
    arrays = take(semisup.pairs((rows, LABELS[:, None]), unlabelled), 1)
    for found, expected in zip(*map(keras.tree.flatten, (single, arrays)), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("batch", [None, 1, 5])
@pytest.mark.parametrize("labels", [LABELS, np.eye(10)[LABELS]], ids=["numbers", "one_hot"])
def test_data_sets_give_what_arrays_give_batched_or_not(labels, batch):
    labelled = as_dataset(ROWS, labels)
    if batch is not None:
        labelled = labelled.batch(batch, drop_remainder=batch == 1)
    # Their labels are left out.
    unlabelled = as_dataset(UNLABELLED, np.zeros(30), batch=batch)
    batches = take(semisup.pairs(labelled, unlabelled, batch_size=10, per_class=2), 6)
    expected = take(semisup.pairs((ROWS, labels), UNLABELLED, batch_size=10, per_class=2), 6)
    for ((few, _), given), ((same, _), wanted) in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(few, same)
        np.testing.assert_array_equal(given, wanted)
    seen = np.concatenate([many[:, 0] for (_, many), _ in batches])
    assert np.bincount(seen.astype(int)).tolist() == [2] * 30


def test_batches_of_as_many_class_numbers_as_features_are_no_one_hot_labels():
    rows, labels = np.eye(4)[[0, 1, 2, 3, 0, 1]], np.array([0, 1, 0, 1, 0, 1])
    batches = as_dataset(rows, labels).batch(2, drop_remainder=True)
    (((few, _), found),) = take(semisup.pairs(batches, rows, per_class=2), 1)
    np.testing.assert_array_equal(found, [0, 0, 1, 1])
    np.testing.assert_array_equal(few.argmax(axis=1) % 2, found)


def test_examples_may_be_dictionaries_or_tuples_and_memory_mapped(tmp_path):
    mapped = np.memmap(tmp_path / "rows", "float32", "w+", shape=UNLABELLED.shape)
    mapped[:] = UNLABELLED
    labelled = {"row": ROWS, "text": LABELS.astype(str)}
    unlabelled = {"row": mapped, "text": np.arange(30).astype(str)}
    (((few, many), labels),) = take(semisup.pairs((labelled, LABELS), unlabelled, 8), 1)
    np.testing.assert_array_equal(few["row"][:, 1], labels)
    assert [int(text) for text in few["text"]] == labels.tolist()
    assert [int(text) for text in many["text"]] == many["row"][:, 0].tolist()
    both = as_dataset(UNLABELLED, UNLABELLED)
    (((few, many), _),) = take(semisup.pairs(((ROWS, ROWS), LABELS), both, 8), 1)
    assert len(few) == len(many) == 2
    np.testing.assert_array_equal(*many)


def test_folders_of_images_that_keras_reads_can_be_fitted(tmp_path):
    for index, name in enumerate(["train/a", "train/b", "unlabelled"]):
        (tmp_path / name).mkdir(parents=True)
        for number in range(3):
            picture = np.full((8, 8, 3), 60 * index + number, "uint8")
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    settings = {"image_size": (8, 8), "batch_size": 2, "seed": 0}
    read = keras.utils.image_dataset_from_directory
    labelled = read(tmp_path / "train", verbose=False, **settings)
    unlabelled = read(tmp_path / "unlabelled", label_mode=None, verbose=False, **settings)
    batches = semisup.pairs(labelled, unlabelled, batch_size=4)
    (((few, many), labels),) = take(batches, 1)
    np.testing.assert_array_equal(few[:, 0, 0, 0] // 60, labels)
    assert many.shape == (4, 8, 8, 3)
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
    model = semisup.AssociativeModel(network, 2)
    model.compile("adam")
    history = model.fit(batches, steps_per_epoch=2, shuffle=False, verbose=0).history
    assert np.isfinite(history["walker_loss"][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ROWS, UNLABELLED), "labelled is no pair"),
        (((ROWS, LABELS[:5]), UNLABELLED), r"12 labelled examples, and labels of shape \(5,\)"),
        (((ROWS, LABELS + 0.5), UNLABELLED), "neither class numbers nor one-hot"),
        (((ROWS, LABELS.astype(str)), UNLABELLED), "neither class numbers nor one-hot"),
        (
            ((ROWS, LABELS - LABELS.max()), UNLABELLED),
            r"there is a label -\d, and classes begin at 0",
        ),
        (((ROWS, LABELS * 0), UNLABELLED), "all labelled examples are of class 0"),
        (((ROWS, np.eye(10)[LABELS] * (ROWS[:, :1] > 2)), UNLABELLED), "row . of the one-hot"),
        (((ROWS, LABELS), UNLABELLED[:0]), "no unlabelled examples"),
        (((ROWS, LABELS), as_dataset(UNLABELLED).take(0)), "unlabelled data set is empty"),
        (
            ((ROWS, LABELS), as_dataset(UNLABELLED).filter(lambda row: row[0] < 0)),
            "unlabelled data set is empty",
        ),
        (((ROWS, LABELS), UNLABELLED[:, :1]), r"shape \(1,\) don't fit .* shape \(2,\)"),
        (((ROWS, LABELS), as_dataset(UNLABELLED[:, :1])), r"shape \(1,\) don't fit"),
        (((ROWS, LABELS), {"row": UNLABELLED}), r"\{'row': '\(30, 2\)'\} and \(12, 2\)"),
        ((({"a": ROWS, "b": ROWS[:5]}, LABELS), UNLABELLED), "have 5 to 12 rows"),
        (
            (as_dataset(np.ones((12, 10)), np.eye(10, dtype="int32")[LABELS]), np.ones((9, 10))),
            r"batches of 10 class numbers, or one-hot labels of 10 classes: .* \.batch\(11\)",
        ),
        ((as_dataset(ROWS), UNLABELLED), "no pairs"),
        ((as_dataset(ROWS, LABELS).repeat(), UNLABELLED), "leave its repeat"),
        (((ROWS, LABELS), None), "unlabelled examples are a NoneType: give arrays"),
        (((ROWS, LABELS), (row for row in ROWS)), "unlabelled examples are a generator"),
        (((ROWS, LABELS), Rows()), "unlabelled examples are a Rows"),
        (((as_dataset(ROWS), as_dataset(LABELS)), ROWS), "labelled examples are a .*Dataset"),
        (((ROWS, LABELS), without_shapes(UNLABELLED)), "unlabelled data set does not say all of"),
        ((without_shapes(ROWS, LABELS), UNLABELLED), "labelled data set does not say all of its"),
        (((ROWS, LABELS), UNLABELLED, 4.0), "batch_size is 4.0; it has to be a whole number"),
        (((ROWS, LABELS), UNLABELLED, 4, None, -1), "seed is -1; .* at least 0"),
        (((ROWS, LABELS), UNLABELLED, 0), "batch_size is 0"),
        (((ROWS, LABELS), UNLABELLED, 10, 0), "per_class is 0"),
    ],
)
def test_what_cannot_be_right_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        semisup.pairs(*arguments)
