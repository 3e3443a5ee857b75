"""Tests of the folder whose unlabelled images have skewed class shares."""

import numpy as np
import pytest

from scripts import skewed
from semisup.data.datasets import load_dataset
from semisup.errors import UserError


def write(monkeypatch, folder, *flags):
    arguments = ["skewed", "--dataset=mnist_5k", f"--output={folder}", *flags]
    monkeypatch.setattr("sys.argv", arguments)
    skewed.main()


def test_rows_are_kept_from_all_of_a_class_to_a_fraction():
    labels = np.repeat([0, 1, 2, -1], [400, 400, 400, 50])
    labels = np.random.default_rng(1).permutation(labels)
    kept = [skewed.skewed_rows(labels, 3, 16, np.random.default_rng(seed)) for seed in (2, 2, 3)]
    np.testing.assert_array_equal(kept[0], kept[1])
    assert not np.array_equal(kept[0], kept[2])
    for rows in kept:
        assert np.all(np.diff(rows) > 0)
        assert sorted(np.bincount(labels[rows])) == [25, 100, 400]


def test_no_class_is_lost():
    rows = skewed.skewed_rows(np.array([0, 1, 1, 2]), 3, 1e9, np.random.default_rng(0))
    assert len(rows) >= 3


def test_a_folder_has_the_labels_asked_for_and_no_image_twice(monkeypatch, tmp_path, capsys):
    folder = tmp_path / "digits"
    write(monkeypatch, folder, "--labels=3", "--skew=8")
    made = load_dataset(
        f"folder:{folder}", splits=("train", "unlabelled", "test"), cache_dir=str(tmp_path)
    )
    original = load_dataset("mnist_5k", splits=("train", "test"))
    assert np.bincount(made.splits["train"].labels).tolist() == [3] * 10
    images = [made.splits[name].images for name in ("train", "unlabelled")]
    rows = [bytes(image) for part in images for image in part]
    assert len(set(rows)) == len(rows)
    assert set(rows) <= {bytes(image) for image in original.splits["train"].images}
    assert len(made.splits["test"].images) == len(original.splits["test"].images)
    assert f"30 labelled and {len(images[1])} unlabelled images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--skew=0.5"], "--skew=0.5 is no number from 1 on"),
        (["--skew=nan"], "--skew=nan is no number from 1 on"),
        (["--labels=401"], "--labels=401: class . has 400 training images"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(monkeypatch, tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        write(monkeypatch, tmp_path / "digits", *flags)
    assert not (tmp_path / "digits").exists()


def test_a_folder_that_is_not_empty_stays_as_it_is(monkeypatch, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write(monkeypatch, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
