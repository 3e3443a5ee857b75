"""Tests of the baselines on features, and of their command."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import baselines

from scripts import heads
from semisup.data import labelled_subset
from semisup.errors import UserError
from semisup.run.features import centred


@pytest.fixture(scope="module")
def features():
    """Features (2, 60, 8) of three classes, plain and of one view, and the classes."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    centres = 6.0 * generator.normal(size=(3, 8))
    return centres[labels] + 0.5 * generator.normal(size=(2, 60, 8)), labels


@pytest.mark.parametrize("name", ["logistic_regression", "label_spreading", "self_training"])
def test_each_baseline_labels_separate_classes_from_one_label_each(features, name):
    rows, labels = features
    labelled = np.array([3, 25, 47])
    predicted, settings = baselines.predict(name, rows, labelled, labels[labelled] + 4)
    assert baselines.accuracy(predicted, labels + 4, labelled) > 95
    # Where none is chosen, the first of each setting is used.
    assert settings == {name: grid[0] for name, grid in baselines.METHODS[name][1].items()}


def test_cross_validation_chooses_the_setting_that_predicts_held_out_labels(features):
    rows, labels = features
    seen = []

    def method(features, labelled, given, seed, right):
        seen.append(len(labelled))
        return labels if right else np.roll(labels, 30)

    labelled = np.concatenate([np.arange(4) + 20 * place for place in range(3)])
    methods = {"method": (method, {"right": (False, True)})}
    original, baselines.METHODS = baselines.METHODS, methods
    try:
        predicted, settings = baselines.predict("method", rows, labelled, labels[labelled], folds=2)
    finally:
        baselines.METHODS = original
    assert settings == {"right": True}
    assert np.array_equal(predicted, labels)
    assert seen == [6, 6, 6, 6, 12]


def test_accuracy_leaves_out_the_images_with_labels():
    assert baselines.accuracy(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), [1]) == pytest.approx(
        200 / 3
    )


def test_fixmatch_labels_separate_classes_and_does_so_again_with_the_same_seed(features):
    rows, labels = features
    labelled = np.array([3, 25, 47])
    settings = {"threshold": 0.8, "learning_rate": 0.03, "steps": 15}
    first, second = (
        baselines.fixmatch(centred(rows), labelled, labels[labelled], 1, **settings)
        for _ in range(2)
    )
    assert baselines.accuracy(first, labels, labelled) > 95
    assert np.array_equal(first, second)


def test_the_head_learns_from_the_labels_that_the_baselines_see(features, monkeypatch):
    rows, labels = features
    views = np.moveaxis(rows.astype("float32"), 0, 1)
    photographs = heads.Photographs(("a", "b", "c"), labels.astype("int32"), views)
    arguments = SimpleNamespace(
        dataset="mnist_5k", architecture="x", new_size=8, cache_dir="", sup_per_class=1
    )
    flags = (
        "--max_steps=20",
        "--eval_interval=20",
        "--checkpoint_interval=20",
        "--log_interval=20",
    )
    monkeypatch.setattr(baselines, "HEADS", {"association": flags})
    predicted = baselines.predict_by_head("association", photographs, 5, arguments)
    chosen = labelled_subset.choose_labelled(labels, 1, photographs.class_names, 5)
    assert baselines.accuracy(predicted, labels, np.concatenate(chosen)) > 90


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--sup_per_class=4"], "--sup_per_class=4 leaves no image to test on: there are 12 of 3"),
        (["--sup_per_class=2", "--cross_validate=3"], "--cross_validate=3: give 0, or from 2 on"),
        (["--cross_validate=1"], "--cross_validate=1: give 0, or from 2 on up to"),
        (["--seeds=0"], "argument --seeds: 0 is no number from 1 on"),
        (["--sup_per_class=-1"], "argument --sup_per_class: -1 is no number from 1 on"),
    ],
)
def test_what_would_measure_nothing_is_refused_in_a_line(monkeypatch, capsys, given, words):
    photographs = heads.Photographs(("a", "b", "c"), np.repeat(range(3), 4), np.zeros((12, 1, 2)))
    monkeypatch.setattr(baselines, "load", lambda arguments: photographs)
    monkeypatch.setattr("sys.argv", ["baselines", "--dataset=d", "--architecture=a", *given])
    with pytest.raises((SystemExit, UserError)) as refused:
        baselines.main()
    assert words in f"{refused.value}{capsys.readouterr().err}"
