"""Tests of the script that measures the time to the first predictions."""

import json
import sys

import pytest

from scripts import first_prediction


@pytest.fixture
def commands(monkeypatch):
    """The commands that would have been run, each of which takes two seconds, one of them busy."""
    called = []

    def seconds(module, *flags):
        called.append([module, *flags])
        return [2.0, 1.0]

    monkeypatch.setattr(first_prediction, "_seconds", seconds)
    return called


def test_both_runs_train_and_predict_and_share_the_features(commands, monkeypatch, tmp_path):
    output = tmp_path / "out.json"
    flags = ["--images=new", f"--output={output}", "--dataset=./photos", "--sup_per_class=3"]
    monkeypatch.setattr(sys, "argv", ["first_prediction.py", *flags])
    first_prediction.main()
    modules = [module for module, *_ in commands]
    assert modules == ["semisup.train", "semisup.predict"] * 2
    first, _, second, predicting = commands
    assert first[1:4] == ["--recipe=photos", "--dataset=./photos", "--sup_per_class=3"]
    assert first[-1] == second[-1]
    assert first[-2] != second[-2] == predicting[1]
    times = json.loads(output.read_text())["wall_and_processor_seconds"]
    assert times["features cached"]["both"] == [4.0, 2.0]


def test_a_command_is_measured_and_its_failure_is_that_of_the_script():
    wall, processor = first_prediction._seconds("compileall", "-h")
    assert processor > 0
    assert wall > 0
    with pytest.raises(SystemExit):
        first_prediction._seconds("no_such_module")
