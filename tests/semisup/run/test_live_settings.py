"""Tests of live settings: what a file may change, when, and that a resume brings it back."""

import functools
import os
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import running

from semisup.errors import UserError
from semisup.run import checkpoints, live_settings, monitoring
from semisup.task import TASK as task

LOSSES = ("classification_loss", "walker_loss", "visit_loss")


def read(tmp_path, text, **settings):
    path = tmp_path / "live.toml"
    path.write_text(text)
    config = running.config(tmp_path, "run", **settings)
    return live_settings.read(str(path), config, task.steered, LOSSES)


def test_what_a_file_names_is_read_with_the_types_of_the_flags(tmp_path):
    assert read(tmp_path, "learning_rate = 1\nvisit_weight = 0.5\neval_interval = 10") == {
        "learning_rate": 1.0,
        "visit_weight": 0.5,
        "eval_interval": 10,
    }
    assert read(tmp_path, "stop = true") == {"stop": True}
    assert read(tmp_path, "stop = false") == {}


def test_a_missing_file_changes_nothing(tmp_path):
    config = running.config(tmp_path, "run")
    assert live_settings.read(str(tmp_path / "none"), config, task.steered, LOSSES) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate = -1", "--learning_rate=-1 has to be greater than 0"),
        ("learning_rate = 1e-9", "--minimum_learning_rate=1e-06 is above"),
        ("learning_rate = nan", "not a finite number"),
        ("learning_rate = true", "has to be a number"),
        ("learning_rate = 'fast'", "has to be a number"),
        ("eval_interval = 2.5", "has to be a whole number"),
        ("eval_interval = 7", "--steps_per_execution=5 does not divide --eval_interval=7"),
        ("stop = 1", "has to be true or false"),
        ("seed = 1", "only learning_rate, eval_interval, walker_weight"),
        ("walker_weight =", "cannot be read"),
        ("visit_weight = 1.0", "it was 0 when the training began"),
        ("learning_rate = 1e308", "--learning_rate=1e\\+308 is above the greatest value"),
        ("walker_weight = 1e30", "is above the greatest value"),
        ("eval_interval = 100000000000000000000", "is above the greatest value"),
        (f"eval_interval = 0x{'f' * 10_000}", "a number of very many digits is above"),
        ("learning_rate = [[1e-3]]", "has to be a number"),
        ("learning_rate = {a = 1}", "has to be a number"),
        ("learning_rate = 2020-01-01", "has to be a number"),
        ("stop = [[true]]", "has to be true or false"),
        ("'line\\nbreak' = 1", "can change"),
        ("walker_weight = " + "[" * 10_000, "nested too deeply"),
        ("#" * 100_000, "cannot be read: it has more than"),
    ],
)
def test_what_a_flag_could_not_be_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text, steps_per_execution=5, visit_weight=0.0)


def test_a_named_pipe_or_a_file_that_is_no_text_is_refused_at_once(tmp_path):
    config = running.config(tmp_path, "run")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("pipe", "binary", ""):
        with pytest.raises(UserError, match="cannot be read"):
            live_settings.read(str(tmp_path / name), config, task.steered, LOSSES)


@pytest.mark.parametrize(
    "changed",
    [{"live/eval_interval": 0}, {"live/learning_rate": 1e308}, {"live/bogus": 1}],
)
def test_a_log_that_says_what_no_file_could_is_refused(tmp_path, changed):
    config = running.config(tmp_path, "run")
    entries = [{"step": 10, "seconds": 1.0, **changed}]
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged"):
        live_settings.applied(entries, config, task.steered)


def test_a_weight_of_a_loss_that_the_model_lacks_is_refused(tmp_path):
    path = tmp_path / "live.toml"
    path.write_text("walker_weight = 0.5")
    config = running.config(tmp_path, "run", similarity="none")
    with pytest.raises(UserError, match="only learning_rate, eval_interval, logit_weight, stop"):
        live_settings.read(str(path), config, task.steered, ("classification_loss",))


CONSTANT = {
    "decay_steps": 1000,
    "walker_weight_envelope": "none",
    "walker_weight_envelope_steps": 1,
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A training that nobody changed."""
    return running.train(tmp_path_factory.mktemp("plain"), **CONSTANT)[1]


def train_while(folder, logdir, contents):
    """Trains while a file changes: its content by the steps before whose look it is written."""
    path = Path(folder, f"{logdir}.toml")
    log = monitoring.Logging.on_step

    def write_and_log(callback, logs):
        if callback.step in contents:
            path.write_text(contents[callback.step])
        log(callback, logs)

    with mock.patch.object(monitoring.Logging, "on_step", write_and_log):
        return running.train(folder, logdir, live_config=str(path), **CONSTANT)


@pytest.fixture
def train(tmp_path):
    """Trains in a folder of the test: see `train_while`."""
    return functools.partial(train_while, tmp_path)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A training whose rate, weight and interval changed, the weight for a while."""
    kept = "learning_rate = 1e-3\neval_interval = 15"
    contents = {20: f"{kept}\nwalker_weight = 0.25", 30: kept}
    return train_while(tmp_path_factory.mktemp("changed"), "run", contents)[1]


@pytest.fixture(scope="module")
def evaluated_often(tmp_path_factory):
    """A training whose file named the flag's rate at step 20, and a new interval at step 30."""
    rate = "learning_rate = 3e-3"
    contents = {20: rate, 30: f"{rate}\neval_interval = 5"}
    return train_while(tmp_path_factory.mktemp("often"), "run", contents)[1]


def logged(run, name):
    return {entry["step"]: entry[name] for entry in run.read_metrics() if name in entry}


@running.needs_commands
@pytest.mark.backend
def test_rate_and_weights_follow_the_file_from_the_next_look_on(changed):
    rates = logged(changed, "learning_rate")
    assert rates == pytest.approx({10: 3e-3, 20: 3e-3, 30: 1e-3, 40: 1e-3, 50: 1e-3, 60: 1e-3})
    # The line was taken away: the flag's value is back.
    weights = logged(changed, "weights/walker_loss")
    assert weights == pytest.approx({10: 1, 20: 1, 30: 0.25, 40: 1, 50: 1, 60: 1})
    assert logged(changed, "live/walker_weight") == {20: 0.25, 30: 1}
    changes = changed.read_json("results.json")["live_changes"]
    assert [change["step"] for change in changes] == [20, 30]
    assert changes[0]["learning_rate"] == 1e-3


def test_a_changed_rate_changes_what_is_learned_and_the_flags_value_does_not(
    changed, evaluated_often, plain
):
    running.assert_same_weights(plain, evaluated_often, 60)
    assert logged(evaluated_often, "live/learning_rate") == {}
    kernel = "optimizer/adam/learning_rate_scale"
    one, two = running.weights(plain, 60), running.weights(changed, 60)
    assert two[kernel] == pytest.approx(1 / 3)
    dense = next(name for name in one if name.endswith("dense/kernel"))
    assert not np.array_equal(one[dense], two[dense])


def test_evaluations_keep_to_a_new_interval_at_once(evaluated_often):
    assert list(logged(evaluated_often, "test_error")) == [20, 30, 35, 40, 45, 50, 55, 60]


def test_a_changed_interval_changes_no_weight(evaluated_often, plain):
    running.assert_same_weights(plain, evaluated_often, 60)


def test_a_bad_value_is_refused_once_and_the_job_goes_on(tmp_path, capsys):
    path = tmp_path / "live.toml"
    config = running.config(tmp_path, "run", live_config=str(path), **CONSTANT)
    model = task.build_model(config, running.record((28, 28, 1), 10))
    recorder = monitoring.Recorder(running.RunDirectory(config.logdir))
    steering = live_settings.Steering(config, task.steered, recorder, [], 10)
    path.write_text("learning_rate = 1e-3")
    steering.look(model)
    path.write_text("learning_rate = -1")
    for _ in range(3):
        steering.look(model)
    err = capsys.readouterr().err
    assert err.count("step 10: refused, and nothing changed") == 1
    assert err.count("nothing changed") == 1
    assert "learning_rate=-1" in err
    scale = keras.ops.convert_to_numpy(model.optimizer.learning_rate_scale)
    assert scale == pytest.approx(1 / 3)
    recorder.close()


def test_stop_saves_and_the_run_goes_on_when_the_line_is_gone(train, plain, tmp_path, capsys):
    status, run = train("run", {30: "stop = true"})
    assert status == 0
    assert checkpoints.list_steps(run.checkpoints)[-1] == 30
    assert "Stopped at step 30 of 60" in capsys.readouterr().out
    assert run.completed_step() == 0
    with pytest.raises(UserError, match="asks to stop"):
        train("run", {})
    (tmp_path / "run.toml").unlink()
    assert train("run", {})[0] == 0
    running.assert_same_weights(plain, run, 60)


def test_a_resume_brings_changes_back_without_the_file_but_an_interval_that_a_flag_overrules(
    changed, tmp_path, capsys
):
    run = running.cut(changed, tmp_path, 40)
    # Of a file that is missing, nothing is taken back.
    settings = {"eval_interval": 10, "live_config": str(tmp_path / "missing.toml")}
    assert running.resume(run, **settings) == 0
    running.assert_same_weights(changed, run, 60)
    for name in ("losses/total_loss", "learning_rate", "weights/walker_loss"):
        assert logged(run, name) == logged(changed, name)
    assert "eval_interval = 10 (was 15)" in capsys.readouterr().out
    assert list(logged(run, "test_error"))[-3:] == [40, 50, 60]


def test_a_file_that_is_refused_at_the_start_stops_before_anything_is_written(train, tmp_path):
    (tmp_path / "run.toml").write_text("nonsense = 1")
    with pytest.raises(UserError, match="nonsense"):
        train("run", {})
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_value_that_no_float32_scales_to_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"visit_weight=2\.0 is too far from 1e-38"):
        read(tmp_path, "visit_weight = 2", visit_weight=1e-38)
