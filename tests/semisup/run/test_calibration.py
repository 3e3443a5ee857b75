"""Calibration: the temperature and the expected calibration error."""

import json

import numpy as np
import pytest

from semisup.errors import UserError
from semisup.run import calibration
from semisup.run.directory import RunDirectory

RNG = np.random.default_rng(0)


def test_calibration_error_is_the_weighted_distance_of_confidence_and_accuracy():
    # Three of four right at 90 %, one of two at 60 %; the bins of these are different ones.
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 2)
    labels = np.array([0, 0, 0, 1, 1, 0])
    error = calibration.expected_calibration_error(probabilities, labels)
    assert error == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)


def test_calibration_error_agrees_with_a_loop_over_the_bins():
    probabilities = RNG.dirichlet(np.ones(4), 500)
    labels = RNG.integers(0, 4, 500)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert calibration.expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_temperature_undoes_a_factor_of_the_logits():
    logits = RNG.normal(size=(4000, 3)) * 2
    labels = (logits + RNG.gumbel(size=logits.shape)).argmax(axis=1)
    assert calibration.fit_temperature(logits * 5, labels) == pytest.approx(5, rel=0.1)
    assert calibration.fit_temperature(logits[:0], labels[:0]) == 1


def test_confidence_is_matched_to_an_accuracy_by_the_temperature():
    logits = RNG.normal(size=(200, 4)) * 5
    temperature = calibration.match_confidence(logits, 0.7)
    confidence = calibration.Calibration(temperature).probabilities(logits).max(axis=1)
    assert confidence.mean() == pytest.approx(0.7, abs=1e-3)
    assert calibration.match_confidence(logits[:0], 0.7) == 1
    # No temperature makes four classes less sure than chance, or surer than certain.
    assert calibration.match_confidence(logits, 0.2) == 100
    assert calibration.match_confidence(logits, 1.0) == 0.01


def test_a_head_is_made_as_sure_as_a_classifier_of_its_features_is_right(tmp_path):
    run, labels = RunDirectory(tmp_path), np.arange(300) % 3
    features = RNG.normal(size=(300, 5)) + 1.2 * np.eye(5)[labels]
    seen = np.arange(60)
    logits = features[:, :3] * 20
    fitted = calibration.calibrate_by_features(run, 4, features[seen], labels[seen], logits[60:], 0)
    assert calibration.read(run, 4) == fitted
    confidence = fitted.probabilities(logits[60:]).max(axis=1).mean()
    accuracy = run.read_json("calibration.json")["expected_accuracy"]
    assert confidence == pytest.approx(accuracy, abs=1e-3)
    right = (logits[60:].argmax(axis=1) == labels[60:]).mean()
    assert abs(accuracy - right) < 0.15


def test_labels_that_are_all_found_make_no_head_perfectly_sure(tmp_path):
    run, labels = RunDirectory(tmp_path), np.arange(12) % 3
    logits = RNG.normal(size=(100, 3))
    calibration.calibrate_by_features(run, 4, 10 * np.eye(3)[labels], labels, logits, 0)
    assert run.read_json("calibration.json")["expected_accuracy"] == pytest.approx(13 / 14)


def test_single_labels_or_few_other_images_say_nothing_of_confidence(tmp_path):
    run, features, logits = RunDirectory(tmp_path), np.eye(4), np.eye(3)[np.arange(40) % 3]
    for labels, others in (([0, 1, 2, 2], 40), ([0, 0, 1, 1], 29)):
        labels = np.array(labels)
        found = calibration.calibrate_by_features(run, 4, features, labels, logits[:others], 0)
        assert found.temperature == 1
    assert calibration.read(run) is None


def test_three_right_predictions_count_as_four_of_five():
    logits, labels = np.eye(3) * 4, np.arange(3)
    temperature = calibration.fit_temperature(logits, labels)
    confidence = calibration.Calibration(temperature).probabilities(logits).max()
    assert confidence == pytest.approx(4 / 5, abs=1e-3)


def test_a_run_keeps_its_calibration_for_one_step(tmp_path):
    run = RunDirectory(tmp_path)
    logits = RNG.normal(size=(50, 3)) * 9
    fitted = calibration.calibrate(run, 7, logits, RNG.integers(0, 3, 50), "validation images")
    assert fitted.temperature > 1
    assert calibration.read(run, 7) == fitted
    assert calibration.read(run, 8) is None
    assert calibration.read(run) == fitted
    content = json.loads((tmp_path / "calibration.json").read_text())
    assert content["expected_calibration_error"] < content["uncalibrated_error"]
    (tmp_path / "calibration.json").write_text('{"temperature": 0, "step": 7, "fitted_on": ""}')
    with pytest.raises(UserError, match=r"calibration.json is damaged: temperature"):
        calibration.read(run, 7)


def test_the_calibration_of_the_newest_checkpoint_is_kept_and_read(tmp_path):
    run, labels = RunDirectory(tmp_path), RNG.integers(0, 3, 50)
    logits = RNG.normal(size=(50, 3)) * 9
    (tmp_path / "checkpoints").mkdir()
    for step in (7, 9):
        (tmp_path / "checkpoints" / f"step_{step:08d}.npz").touch()
    newest = calibration.calibrate(run, 9, logits, labels, "images")
    older = calibration.calibrate(run, 7, logits / 2, labels, "images")
    assert older.temperature < newest.temperature
    assert calibration.read(run) == calibration.read(run, 9) == newest
    assert calibration.read(run, 7) is None
    (tmp_path / "checkpoints" / "step_00000012.npz").touch()
    assert calibration.read(run) is None
