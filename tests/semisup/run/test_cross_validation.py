"""Cross-validation: each label is held out once, and the run is calibrated by all of them."""

import dataclasses
import os

import numpy as np
import pytest
import running

from domain_adaptation.config import TrainConfig as AdaptationConfig
from semisup.config import TrainConfig
from semisup.data import labelled_subset
from semisup.errors import ArgumentError, UserError
from semisup.run import calibration, cross_validation
from semisup.run.directory import RunDirectory
from semisup.run.image_data import compose
from semisup.run.session import Session
from semisup.task import TASK as task

PARTS = 2
SETTINGS = {
    "cross_validate": PARTS,
    "sup_per_class": 5,
    "max_steps": 4,
    "eval_interval": 4,
    "checkpoint_interval": 2,
    "log_interval": 2,
    "inspect_interval": 0,
}


class Interruption(Exception):
    """What stops a training in a test."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose cross-validation was cut off in its second part, and went on."""
    config = running.config(tmp_path_factory.mktemp("cross_validation"), "run", **SETTINGS)
    fit, begun = Session.fit, []

    def cut_off(session):
        begun.append(session.config.fold)
        if begun == [0, 1, 2]:
            session.config = dataclasses.replace(session.config, max_steps=2)
        fit(session)
        if begun == [0, 1, 2]:
            raise Interruption

    with pytest.MonkeyPatch.context() as patch, running.untraced():
        patch.setattr(Session, "fit", cut_off)
        with pytest.raises(Interruption):
            cross_validation.train(config, task)
        assert cross_validation.train(config, task) == 0
        assert cross_validation.train(config, task) == 0
    assert begun == [0, 1, 2, 2]
    return RunDirectory(config.logdir)


def test_each_label_is_in_one_part_and_the_parts_are_alike():
    pools = [np.arange(7), np.arange(10, 15), np.arange(20, 29)]
    parts = [labelled_subset.hold_out_part(pools, 4, number, "abc", seed=3) for number in range(4)]
    held_out = np.concatenate([part for _, part in parts])
    np.testing.assert_array_equal(np.sort(held_out), np.concatenate(pools))
    assert {len(part) for _, part in parts} == {5, 6}
    for kept, part in parts:
        np.testing.assert_array_equal(np.union1d(np.concatenate(kept), part), np.sort(held_out))
        for pool, rest in zip(pools, kept, strict=True):
            assert len(pool) - len(rest) in (len(pool) // 4, -(-len(pool) // 4))


@pytest.mark.parametrize(("count", "most"), [(3, "give at most 3"), (1, "at least 2 of each")])
def test_a_class_with_fewer_labels_than_parts_is_refused(count, most):
    with pytest.raises(ArgumentError, match=rf"class b has {count} labelled images; .*{most}"):
        labelled_subset.hold_out_part([np.arange(5), np.arange(count)], 4, 0, "ab", seed=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cross_validate": 1}, "^--cross_validate=1: give at least 2 parts"),
        ({"cross_validate": 2, "fold": 3}, "^--fold=3 is none of the parts of --cross_validate=2"),
        ({"cross_validate": 2, "validation_samples": 9}, "--validation_samples=9: both hold out"),
        ({"cross_validate": 2, "live_config": "x.toml"}, "--live_config=x.toml: all of its"),
    ],
)
def test_settings_that_contradict_a_cross_validation_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**settings)


def test_an_adaptation_that_moves_the_source_is_not_cross_validated():
    settings = {"trainable": "head", "architecture": "x.keras", "match_means": True}
    with pytest.raises(UserError, match="--match_means and --cross_validate=2"):
        AdaptationConfig(cross_validate=2, **settings)


def test_more_parts_than_labels_of_a_class_are_refused_before_anything_is_written(tmp_path):
    settings = {**SETTINGS, "cross_validate": 6}
    config = running.config(tmp_path, "run", **settings)
    with pytest.raises(UserError, match=r"^--cross_validate=6: class 0 has 5 labelled images"):
        cross_validation.train(config, task)
    assert not RunDirectory(config.logdir).is_begun()


def test_the_parts_that_were_held_out_are_all_labels_of_the_run(run):
    held_out, record = run.read_json("held_out.json"), run.read_record()
    assert sorted(held_out["indices"]) == sorted(record["labelled_indices"])
    found = run.read_json("cross_validation.json")
    assert (found["images"], found["folds"], found["step"]) == (50, PARTS, 4)
    predicted = np.argmax(held_out["logits"], axis=1)
    assert found["error"] == pytest.approx(np.mean(predicted != held_out["labels"]))
    assert found["mean_accuracy"] == pytest.approx(np.mean(found["accuracy"]))
    assert not os.path.exists(run.file("folds"))


def test_a_run_is_calibrated_by_the_labels_that_its_parts_held_out(run):
    known = calibration.read(run, 4)
    assert known.fitted_on == "50 cross-validated labels"
    held_out = run.read_json("held_out.json")
    expected = calibration.fit_temperature(held_out["logits"], np.array(held_out["labels"]))
    assert known.temperature == pytest.approx(expected)


def test_a_part_that_was_cut_off_ends_with_the_bits_of_one_that_is_trained_alone(run, tmp_path):
    _, alone = running.train(tmp_path, fold=2, **SETTINGS)
    held_out, part = (each.read_json("held_out.json") for each in (run, alone))
    count = len(part["labels"])
    assert held_out["indices"][-count:] == part["indices"]
    assert held_out["logits"][-count:] == part["logits"]
    accuracy = run.read_json("cross_validation.json")["accuracy"]
    assert accuracy[1] == pytest.approx(1 - alone.read_results()["validation_error"])


def test_without_test_images_the_labelled_ones_are_measured_and_called_so(tmp_path):
    config = running.config(tmp_path, "run", **SETTINGS)
    data = task.load_data(config)
    assert data.evaluated_on == "test images"
    blind = compose(config, data.class_names, data.train, None, data.train)
    assert (blind.evaluated_on, blind.error_name) == ("training images", "training_error")
    assert blind.fold(1).evaluated_on == "validation images"
    labelled = np.concatenate(blind.class_pools)
    np.testing.assert_array_equal(blind.evaluation.labels, data.train.labels[labelled])


def test_what_cross_validation_wrote_is_described(run):
    found = run.read_json("cross_validation.json")
    text = cross_validation.describe(found)
    assert f"error {100 * found['error']:.2f} % of 50 labelled images" in text
