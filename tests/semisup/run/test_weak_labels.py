"""Tests of trainings that draw unlabelled images by weak labels: resumed to the same bits."""

import io
import json
import os
import shutil

import numpy as np
import pytest
import running

from semisup.config import TrainConfig
from semisup.data.datasets import load_dataset
from semisup.errors import UserError
from semisup.run import loading, weak_labels
from semisup.run.directory import RunDirectory
from semisup.run.evaluation import Predictor

SETTINGS = {"weak_label_share": 0.5, "weak_label_delay": 15, "classes_per_batch": 4, "memory": 20}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A complete run of 60 steps by its own weak labels, which no test may change."""
    status, run = running.train(tmp_path_factory.mktemp("own"), **SETTINGS)
    assert status == 0
    return run


def labels_of(run):
    folder = run.file("weak_labels")
    return {name: np.load(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}


def test_each_evaluation_after_the_delay_keeps_the_networks_predictions(own):
    labels = labels_of(own)
    assert list(labels) == [f"step_000000{step}.npy" for step in (20, 40, 60)]
    model, _ = loading.load_run(own.path)
    images = load_dataset("mnist_5k", splits=("train",)).splits["train"].images
    np.testing.assert_array_equal(labels["step_00000060.npy"], Predictor(model, 300).labels(images))
    assert np.any(labels["step_00000020.npy"] != labels["step_00000040.npy"])


def test_a_training_killed_between_evaluations_draws_by_the_labels_that_were_in_force(
    own, tmp_path
):
    # The labels of steps 40 and 60, of later weights, are still there.
    run = running.cut(own, tmp_path, 30)
    assert running.resume(run) == 0
    running.assert_same_weights(own, run, 60)
    assert running.losses(own) == running.losses(run)


def test_a_last_step_between_evaluations_leaves_the_labels_that_were_in_force(own, tmp_path):
    run = running.cut(own, tmp_path, 30)
    assert running.resume(run, max_steps=30) == 0
    assert run.completed_step() == 30
    assert list(labels_of(run)) == ["step_00000020.npy"]


def test_a_training_killed_in_an_evaluation_makes_the_labels_when_it_is_resumed(own, tmp_path):
    run = running.cut(own, tmp_path, 40)
    os.remove(run.file("weak_labels", "step_00000040.npy"))
    entries = [
        entry
        for entry in run.read_metrics()
        if entry["step"] < 40 or (entry["step"] == 40 and "test_error" not in entry)
    ]
    run.write_text("metrics.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
    assert running.resume(run) == 0
    running.assert_same_weights(own, run, 60)
    assert running.losses(own) == running.losses(run)
    for name, labels in labels_of(own).items():
        np.testing.assert_array_equal(labels_of(run)[name], labels)


def test_labels_of_another_run_are_kept_with_the_run_and_never_made_anew(own, tmp_path):
    other = running.copy(own, tmp_path, "other")
    settings = {**SETTINGS, "weak_labels": other.path, "weak_label_delay": 1, "max_steps": 2}
    status, run = running.train(tmp_path, "run", **settings)
    assert status == 0
    shutil.rmtree(other.path)
    np.testing.assert_array_equal(
        labels_of(run)["step_00000000.npy"], labels_of(own)["step_00000060.npy"]
    )
    assert running.resume(run, max_steps=3) == 0
    assert list(labels_of(run)) == ["step_00000000.npy"]


def test_labels_of_a_run_with_other_classes_or_of_none_are_refused(own, tmp_path):
    images = np.zeros((2, 28, 28, 1), np.uint8)
    labels = weak_labels.WeakLabels(own, images, np.arange(2), 10, 0, fixed=True)
    with pytest.raises(UserError, match="holds no run"):
        labels.of_another_run(str(tmp_path), ["a", "b"], 2)
    with pytest.raises(UserError, match=r"--weak_labels=\S+ is a run with other classes"):
        labels.of_another_run(own.path, ["a", "b"], 2)


def npy(array, shape=None):
    """The bytes of an array in a file, whose header may claim another shape."""
    buffer = io.BytesIO()
    description = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(buffer, {**description, "shape": shape or array.shape})
    return buffer.getvalue() + array.tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"damaged", "cannot be read"),
        (npy(np.int32([0, 1, 2]), shape=(10**14,)), "cannot be read"),
        (npy(np.int32([0, 1, 2]), shape=(10**30,)), "cannot be read"),
        (npy(np.int32([0, 1])), "has labels of other images"),
        (npy(np.float64([0, 1, 2])), "has labels of other images"),
        (npy(np.int32([0, 1, 4])), "has labels of other classes"),
        (npy(np.int32([0, -1, 3])), "has labels of other classes"),
    ],
)
def test_damaged_labels_are_named(tmp_path, content, message):
    run = RunDirectory(tmp_path)
    labels = weak_labels.WeakLabels(run, None, np.arange(3), 4, 10, fixed=False)
    assert labels.in_force(100) is None
    labels.put(20, [0, 1, 3])
    assert labels.in_force(19) is None
    assert labels.in_force(20).tolist() == [0, 1, 3]
    with open(run.file("weak_labels", "step_00000030.npy"), "wb") as file:
        file.write(content)
    with pytest.raises(UserError, match=rf"step_00000030.npy {message}.*; start again") as caught:
        labels.in_force(30)
    assert len(str(caught.value).splitlines()) == 1


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
