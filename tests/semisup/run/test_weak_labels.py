"""Tests of trainings that draw unlabelled images by weak labels: resumed to the same bits."""

import json
import shutil

import numpy as np
import pytest
import running

from semisup.config import TrainConfig
from semisup.data.datasets import load_dataset
from semisup.errors import UserError
from semisup.run import checkpoints, loading, weak_labels
from semisup.run.evaluation import Predictor

SETTINGS = {"weak_label_share": 0.5, "weak_label_delay": 15, "classes_per_batch": 4, "memory": 20}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A complete run of 60 steps by its own weak labels, which no test may change."""
    status, run = running.train(tmp_path_factory.mktemp("own"), **SETTINGS)
    assert status == 0
    return run


def labels_of(run):
    """The weak labels that each checkpoint keeps, by its step."""
    found = {}
    for step in checkpoints.list_steps(run.checkpoints):
        entries = checkpoints.further_entries(checkpoints.path_of(run.checkpoints, step))
        found[step] = entries["weak_labels"]
    return found


def test_checkpoints_keep_the_predictions_of_the_latest_evaluation_after_the_delay(own):
    labels = labels_of(own)
    assert not any(len(labels[step]) for step in labels if step <= 20)
    images = load_dataset("mnist_5k", splits=("train",)).splits["train"].images
    for step in (30, 50):
        model, _ = loading.load_run(own.path, step=step - 10)
        np.testing.assert_array_equal(labels[step], Predictor(model, 300).labels(images))
    np.testing.assert_array_equal(labels[30], labels[40])
    assert np.any(labels[30] != labels[50])


def test_a_training_killed_between_evaluations_draws_by_the_labels_that_were_in_force(
    own, tmp_path
):
    # The labels of steps 40 and 60, of later weights, are still there.
    run = running.cut(own, tmp_path, 30)
    assert running.resume(run) == 0
    running.assert_same_weights(own, run, 60)
    assert running.losses(own) == running.losses(run)


def test_a_training_that_ended_between_evaluations_goes_on_by_the_labels_in_force(own, tmp_path):
    run = running.cut(own, tmp_path, 20)
    assert running.resume(run, max_steps=30) == 0
    np.testing.assert_array_equal(labels_of(run)[30], labels_of(own)[30])
    assert running.resume(run, max_steps=60) == 0
    running.assert_same_weights(own, run, 60)


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_training_killed_around_an_evaluation_makes_its_labels_again(own, tmp_path, is_recorded):
    # The checkpoint of step 40 was written before the evaluation, and keeps the labels of step 20.
    run = running.cut(own, tmp_path, 40)
    entries = [
        entry
        for entry in run.read_metrics()
        if entry["step"] < 40
        or (entry["step"] == 40 and (is_recorded or "test_error" not in entry))
    ]
    run.write_text("metrics.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
    assert running.resume(run) == 0
    running.assert_same_weights(own, run, 60)
    assert running.losses(own) == running.losses(run)


def test_labels_of_another_run_are_kept_with_the_run_and_never_made_anew(own, tmp_path):
    other = running.copy(own, tmp_path, "other")
    settings = {**SETTINGS, "weak_labels": other.path, "weak_label_delay": 1, "max_steps": 2}
    status, run = running.train(tmp_path, "run", **settings)
    assert status == 0
    shutil.rmtree(other.path)
    model, _ = loading.load_run(own.path)
    images = load_dataset("mnist_5k", splits=("train",)).splits["train"].images
    expected = Predictor(model, 300).labels(images)
    assert running.resume(run, max_steps=3) == 0
    for labels in labels_of(run).values():
        np.testing.assert_array_equal(labels, expected)


def test_labels_of_a_run_with_other_classes_or_of_none_are_refused(own, tmp_path):
    images = np.zeros((2, 28, 28, 1), np.uint8)
    labels = weak_labels.WeakLabels(images, np.arange(2), 10, 0, fixed=True)
    with pytest.raises(UserError, match="holds no run"):
        labels.take_from(str(tmp_path), ["a", "b"], 2)
    with pytest.raises(UserError, match=r"--weak_labels=\S+ is a run with other classes"):
        labels.take_from(own.path, ["a", "b"], 2)


def test_the_checkpoint_of_a_step_keeps_the_labels_by_which_it_was_taken():
    class Predictions:
        def labels(self, images):
            return images + 1

    made = weak_labels.WeakLabels(np.arange(3), np.array([0, 2]), 9, 15, fixed=False)
    for step in (10, 20, 30, 30):
        made.refresh(step, Predictions())
        made._images = made._images + 1
    assert made.entries(20)["weak_labels"].size == 0
    assert made.entries(30)["weak_labels"].tolist() == [2, 4]
    assert made.entries(30)["weak_labels_step"] == 20
    assert made.in_force.tolist() == made.entries(31)["weak_labels"].tolist() == [3, 5]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "keeps no weak labels"),
        (np.int32([0, 1]), "has weak labels of other images"),
        (np.float64([0, 1, 2]), "has weak labels of other images"),
        (np.int32([0, 1, 4]), "has weak labels of other classes"),
        (np.int32([0, -1, 3]), "has weak labels of other classes"),
    ],
)
def test_labels_of_another_training_are_named(labels, message):
    here = weak_labels.WeakLabels(None, np.arange(3), 4, 10, fixed=False)
    there = weak_labels.WeakLabels(None, np.arange(3), 4, 10, fixed=False)
    here.restore(there.entries(5), "path")
    assert here.in_force is None
    good = {**there.entries(5), "weak_labels": np.int32([0, 1, 3])}
    here.restore(good, "path")
    assert here.in_force.tolist() == [0, 1, 3]
    bad = {} if labels is None else {**good, "weak_labels": labels}
    with pytest.raises(UserError, match=rf"^path {message}; start again with --overwrite$"):
        here.restore(bad, "path")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes_per_batch": 1}, "--classes_per_batch=1: walks need at least 2 classes"),
        ({"weak_label_delay": 5}, "--weak_label_delay=5 has no effect without --weak_label_share"),
        (
            {"weak_label_share": 0.001},
            "--weak_label_share=0.001 of the 100 unlabelled images in a batch is no",
        ),
        ({"weak_label_share": 0.5, "similarity": "none"}, "no effect with --similarity=none"),
    ],
)
def test_settings_that_have_no_effect_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**settings)


def test_more_classes_in_a_batch_than_there_are_are_refused(tmp_path):
    with pytest.raises(UserError, match="--classes_per_batch=11: there are 10 classes"):
        running.train(tmp_path, classes_per_batch=11)
