"""Tests of the search: what it refuses, what it samples, and which trials it trains and records."""

import csv
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from unittest import mock

import matplotlib
import numpy as np
import optuna
import pytest
import running

from semisup.errors import TrainingError, UserError
from semisup.run.directory import RunDirectory

# The scripts are no installed package.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from scripts.search import command, figures, folders, spaces
from scripts.search import trials as trials_module

ROOT = Path(__file__).resolve().parents[2]
SPACE = """
learning_rate = {log = [1e-4, 1e-2]}
visit_weight = {linear = [0, 1]}
emb_size = {integer = [32, 256]}
augmentation = {choice = ["none", "affine"]}
"""
FIXED = ("--max_steps=40", "--eval_interval=10", "--validation_samples=500")
MEASURED_ONCE = (FIXED[0], "--eval_interval=40", FIXED[2])


@pytest.fixture(autouse=True)
def draw(monkeypatch):
    """No waiting, and no figures but by this function."""
    monkeypatch.setattr(trials_module, "_POLL_SECONDS", 0)
    draw = figures.draw
    monkeypatch.setattr(figures, "draw", lambda folder, study: [])
    return draw


class FakeTraining:
    """A training that measures at each look at it, and stops and goes on as a real one does.

    Args:
        error: function from the training's configuration and a step to the error, or to an
            exception that it ends with.
        at: called with the training before each step.
    """

    def __init__(self, command, log, lock, error, at=lambda training: None):
        module, *arguments = command
        self.config = spaces.training_config(module.removesuffix(".train"), arguments)
        self.run = RunDirectory(self.config.logdir)
        self.log, self.lock = Path(log), lock
        self.error, self.at = error, at
        self.returncode = None
        os.makedirs(self.run.path, exist_ok=True)
        self.step = max((entry["step"] for entry in self.run.read_metrics()), default=0)
        self.first_step = self.step

    def poll(self):
        if self.returncode is None:
            self.at(self)
        if self.returncode is None:
            self.step += self.config.eval_interval
            error = self.error(self.config, self.step)
            if isinstance(error, Exception):
                with self.log.open("a") as file:
                    file.write(f"step 10 - loss: 3.2\n{error}\n\n")
                self.returncode = 1
                return 1
            self.run.append_metrics({"step": self.step, "seconds": 1.0, "validation_error": error})
            if self.step == self.config.max_steps:
                results = {"step": self.step, "validation_error": error, "wall_time_seconds": 1.0}
                self.run.write_json(
                    "results.json", {**results, "evaluated_on": "validation images"}
                )
                self.returncode = 0
        return self.returncode

    def terminate(self):
        assert self.returncode is None
        self.returncode = 128 + signal.SIGTERM


class Trainer:
    """Starts fake trainings, and remembers them."""

    def __init__(self, error=lambda config, step: config.learning_rate * 10, at=lambda t: None):
        self.error, self.at, self.started = error, at, []

    def __call__(self, command, log, lock):
        self.started.append(FakeTraining(command, log, lock, self.error, self.at))
        return self.started[-1]


@pytest.fixture
def searching(tmp_path):
    """Calls the search in a folder of the test; returns its exit status."""

    def call(trainer=None, space=SPACE, fixed=FIXED, **settings):
        path = tmp_path / "space.toml"
        path.write_text(space)
        settings = {"folder": str(tmp_path / "found"), "space": str(path), "trials": 3, **settings}
        config = command.SearchConfig(**settings)
        return command.search(config, list(fixed), start=trainer or Trainer())

    return call


@pytest.fixture
def folder(tmp_path):
    return folders.SearchFolder(str(tmp_path / "found"))


def recorded(folder):
    return folder.study(folder.description()).get_trials(deepcopy=False)


def name(training):
    return os.path.basename(training.config.logdir)


def states(folder):
    return [trial.state.name for trial in recorded(folder)]


# What is refused


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "nothing varies"),
        ("learning_rate = ", "cannot be read"),
        ("learning_rat = {log = [1, 2]}", "no flag is called 'learning_rat'; did you mean lear"),
        ("learning_rate = [1, 2]", r"give linear or log or choice, like \{linear = \[low, hi"),
        ("learning_rate = {log = [1, 2], linear = [1, 2]}", "give linear or log or choice"),
        ("learning_rate = {exponential = [1, 2]}", "takes numbers; give linear or log or choice"),
        ("learning_rate = {integer = [1, 2]}", "takes numbers; give linear or log or choice"),
        ("emb_size = {linear = [1, 2]}", "takes whole numbers; give integer or log or choice"),
        ("emb_size = {integer = [1, 2.5]}", "--emb_size=2.5 has to be a whole number"),
        ("similarity = {integer = [1, 2]}", "takes texts; give choice"),
        ("pretrained = {choice = [0, 1]}", "--pretrained=0 has to be true or false"),
        ("learning_rate = {log = [1, true]}", "--learning_rate=True has to be a number"),
        ("learning_rate = {log = [1e-3]}", r"give \[low, high\]"),
        ("learning_rate = {log = 1e-3}", r"give \[low, high\]"),
        ("augmentation = {choice = ['none']}", "give a list of two values or more"),
        ("augmentation = {choice = ['none', 'none']}", "occurs twice"),
        ("learning_rate = {log = [1e-2, 1e-4]}", "least value comes first"),
        ("visit_weight = {linear = [1, 1]}", "least value comes first"),
        ("visit_weight = {log = [0, 1]}", "begins above 0"),
        ("visit_weight = {linear = [-1, 1]}", "--visit_weight=-1 is below the least value"),
        ("visit_weight = {linear = [0, inf]}", "--visit_weight=inf is not a finite number"),
        ("visit_weight = {linear = [nan, 1]}", "--visit_weight=nan is not a finite number"),
        ("dropout = {linear = [0, 1]}", "--dropout=1 is above the greatest value"),
        ("augmentation = {choice = ['none', 'affin']}", "--augmentation=affin is none of"),
        ("learning_rate = {log = [1e-9, 1]}", "--minimum_learning_rate=1e-06 is above"),
        ("logdir = {choice = ['a', 'b']}", "logdir cannot be varied: each trial has a folder"),
        ("data_dir = {choice = ['a', 'b']}", "data_dir cannot be varied: it does not change"),
        ("jit_compile = {choice = ['on', 'off']}", "it does not change what is learnt"),
        ("max_steps = {integer = [10, 20]}", "different numbers of steps do not compare"),
        ("dataset = {choice = ['mnist', 'mnist_5k']}", "different images do not compare"),
        ("overwrite = {choice = [true, false]}", "it would delete what a cut-off trial"),
        ("seed = {integer = [0, 9]}", "give --sup_seed=N after --"),
    ],
)
def test_a_wrong_line_of_the_space_is_refused(searching, tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        searching(space=line)
    assert not (tmp_path / "found").exists()


def test_values_that_contradict_only_together_are_refused(searching):
    space = "learning_rate = {log = [1e-4, 1e-2]}\nminimum_learning_rate = {log = [1e-6, 1e-3]}"
    with pytest.raises(UserError, match=r"--minimum_learning_rate=0.001 is above"):
        searching(space=space)


def test_values_that_are_allowed_only_together_are_accepted(searching):
    space = (
        'walker_weight_envelope = {choice = ["linear", "sigmoid"]}\n'
        "walker_weight_envelope_steps = {integer = [10, 20]}"
    )
    assert searching(space=space) == 0


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        (FIXED[:2], r"give --validation_samples=N or --cross_validate=K .*never on test images"),
        ((*FIXED, "--visit_wieght=1"), "Unknown command line flag 'visit_wieght'"),
        ((*FIXED, "--recipe=mnist_10"), "did you mean mnist_100?"),
        ((*FIXED, "--visit_weight=1"), "--visit_weight=1 is given after --, but the search varies"),
        ((*FIXED, "--visit_weight", "1"), "--visit_weight is given after --, but the search"),
        ((*FIXED, "--logdir=a"), "leave --logdir out of the flags after --: each trial has"),
        ((*FIXED, "--overwrite"), "leave --overwrite out .* delete what a cut-off trial"),
        ((*FIXED, "--live_config=a"), "leave --live_config out"),
        ((*FIXED, "--target_dataset=mnist_m"), "give --task=domain_adaptation"),
        ((*FIXED, "mnist"), "unexpected argument 'mnist'"),
    ],
)
def test_wrong_flags_of_the_trainings_are_refused(searching, tmp_path, fixed, message):
    with pytest.raises(UserError, match=message):
        searching(fixed=fixed)
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task=clustering"], "--task=clustering: it has no labels while it trains"),
        (["--folder=a"], "--space: give the TOML file"),
        (["--space=a"], "--folder: give the folder"),
        (
            ["--folder=a", "--space=missing.toml"],
            "--space=missing.toml cannot be read",
        ),
        (["--folder=a", "--space=a", "--jobs=0"], "--jobs=0 is below the least value"),
        (["--max_steps=9"], "--max_steps is a flag of the trainings: give it after --"),
        (["--target_dataset=a"], "--target_dataset is a flag of the trainings"),
        (["--report", "--folder=a", "--jobs=2"], "--jobs=2 has no effect with --report"),
        (["--report", "--folder=missing"], "--folder=missing holds no search"),
        (["--report", "--folder=a", "--", "--seed=1"], "--seed=1 has no effect with --report"),
    ],
)
def test_a_wrong_command_line_exits_2_with_one_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        command.main(["search", *arguments])
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert f"search: {message}" in err
    assert err.count("\n") == 1


def test_help_says_what_the_error_is_measured_on_and_imports_nothing_heavy():
    script = (
        "import sys\nfrom scripts.search import command\n"
        "try: command.main(['search', '--help'])\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'keras', 'tensorflow', 'numpy', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    assert "held out" in result.stdout


def test_pruning_without_evaluations_to_go_by_is_refused(searching):
    with pytest.raises(UserError, match=r"--eval_interval=500 is not before --max_steps=40"):
        searching(fixed=(FIXED[0], FIXED[2]), prune=True)


def test_a_folder_with_other_files_is_refused_and_left_alone(searching, tmp_path):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match=r"is not empty \(letter.txt\) and holds no search"):
        searching()
    assert os.listdir(tmp_path / "found") == ["letter.txt"]


# Sampling


def test_values_lie_in_their_ranges_and_fill_them():
    text = SPACE + "sup_per_batch = {log = [1, 100]}\npretrained = {choice = [true, false]}"
    space = spaces.parse(tomllib.loads(text), "semisup")
    study = optuna.create_study()
    distributions = {dimension.name: dimension.distribution for dimension in space}
    found = []
    for number in range(60):
        study.sampler = trials_module.sampler("random", 0, number)
        found.append(study.ask(distributions).params)
    rates, weights, sizes, batches = (
        np.array([values[name] for values in found])
        for name in ("learning_rate", "visit_weight", "emb_size", "sup_per_batch")
    )
    assert ((rates >= 1e-4) & (rates <= 1e-2)).all()
    assert 0.3 < (rates < 1e-3).mean() < 0.7
    assert ((weights >= 0) & (weights <= 1)).all()
    assert 0.3 < (weights < 0.5).mean() < 0.7
    assert sizes.dtype.kind == batches.dtype.kind == "i"
    assert 32 <= sizes.min() < 64 < 224 < sizes.max() <= 256
    assert 0.3 < (batches < 10).mean() < 0.7
    assert {values["augmentation"] for values in found} == {"none", "affine"}
    assert {values["pretrained"] for values in found} == {True, False}
    assert len({tuple(values.values()) for values in found}) == 60


def test_random_values_depend_on_seed_and_number_of_the_trial_alone(searching, tmp_path):
    def values(name, *calls, **settings):
        path = str(tmp_path / name)
        for trials in calls:
            searching(folder=path, trials=trials, **settings)
        return [trial.params for trial in recorded(folders.SearchFolder(path))]

    at_once = values("one", 3)
    assert values("two", 1, 3) == at_once
    assert values("three", 3, jobs=2) == at_once
    lines = SPACE.strip().splitlines()[::-1]
    assert values("four", 3, space="\n".join(lines)) == at_once
    assert values("five", 3, seed=1) != at_once


def test_tpe_learns_where_the_error_is_low(searching, folder):
    searching(trials=25, sampler="tpe", fixed=MEASURED_ONCE)
    rates = [trial.params["learning_rate"] for trial in recorded(folder)]
    assert np.median(rates[15:]) < 0.5 * np.median(rates[:10])


# Trials


def test_a_training_has_the_fixed_flags_its_own_values_and_its_own_folder(searching, folder):
    trainer = Trainer()
    assert searching(trainer) == 0
    for number, (training, trial) in enumerate(zip(trainer.started, recorded(folder), strict=True)):
        config = training.config
        assert {name: getattr(config, name) for name in trial.params} == trial.params
        assert (config.max_steps, config.validation_samples) == (40, 500)
        assert config.logdir.endswith(f"/found/trial_{number:04d}")
        assert trial.value == config.learning_rate * 10
        assert list(trial.intermediate_values) == [10, 20, 30, 40]


def test_adaptations_are_searched_too(searching, folder):
    trainer = Trainer()
    fixed = ("--max_steps=600", "--eval_interval=300", "--validation_samples=500")
    space = "learning_rate = {log = [1e-4, 1e-2]}\ndiscrepancy_weight = {linear = [0, 1]}"
    settings = {"space": space, "fixed": fixed, "trials": 1}
    with pytest.raises(UserError, match="no flag is called 'discrepancy_weight'"):
        searching(trainer, **settings)
    settings["fixed"] = (*fixed, "--similarity=mmd")
    assert searching(trainer, task="domain_adaptation", **settings) == 0
    assert trainer.started[0].config.target_dataset == "optdigits"
    assert trainer.started[0].config.validation_samples == 500


def test_trials_are_chosen_by_the_cross_validated_error_where_that_is_asked_for(searching, folder):
    def cross_validate(training):
        if training.step == 30:
            error = 0.9 - training.config.learning_rate
            training.run.write_json("cross_validation.json", cross_validation(40, error))

    fixed = (*FIXED[:2], "--cross_validate=3")
    assert searching(Trainer(at=cross_validate), trials=2, fixed=fixed) == 0
    for trial in recorded(folder):
        assert trial.value == 0.9 - trial.params["learning_rate"]
    with pytest.raises(UserError, match=r"--cross_validate=2 \(the search has 3\)"):
        searching(trials=2, fixed=(*FIXED[:2], "--cross_validate=2"))
    with pytest.raises(UserError, match="--cross_validate=3 has no error before the end"):
        searching(trials=2, fixed=fixed, prune=True)


def cross_validation(step, error):
    return {
        "step": step,
        "folds": 3,
        "images": 30,
        "error": error,
        "accuracy": [1 - error] * 3,
        "mean_accuracy": 1 - error,
        "deviation": 0.0,
        "settings": {},
    }


def test_as_many_trainings_run_at_a_time_as_asked_for(searching):
    running_now, together = [], threading.Barrier(2)

    def count(training):
        if training.step == 0:
            together.wait(60)
        running_now.append(sum(t.returncode is None for t in trainer.started))

    trainer = Trainer(at=count)
    searching(trainer, trials=4, jobs=2)
    assert max(running_now) == 2
    assert len(trainer.started) == 4


def test_a_failed_trial_is_recorded_with_its_last_line_and_the_search_goes_on(
    searching, folder, capsys
):
    def error(config, step):
        if config.logdir.endswith("0001"):
            return TrainingError("semisup-train: walker_loss is not finite at step 7")
        return 0.1

    assert searching(Trainer(error)) == 0
    assert states(folder) == ["COMPLETE", "FAIL", "COMPLETE"]
    reason = "exit status 1: semisup-train: walker_loss is not finite at step 7"
    assert recorded(folder)[1].user_attrs["failure"] == reason
    _, _, end = capsys.readouterr().out.partition("3 trials: 2 complete, 1 failed")
    assert f"trial 1 failed: {reason}" in end


def test_a_training_that_ends_well_but_was_not_measured_on_validation_images_has_failed(
    searching, folder
):
    def cheat(training):
        if training.step == 30:
            training.run.write_json("results.json", {"step": 40, "evaluated_on": "test images"})
            training.returncode = 0
            training.log.write_text("Test error 1.00 %\n")

    with pytest.raises(TrainingError, match="no trial is complete"):
        searching(Trainer(at=cheat))
    assert states(folder) == ["FAIL"] * 3


def test_trials_worse_than_the_median_are_stopped_once(searching, folder, capsys):
    def error(config, step):
        return 1 / step + 0.1 * (int(config.logdir[-4:]) > 4)

    trainer = Trainer(error)
    searching(trainer, trials=7, prune=True)
    assert states(folder) == ["COMPLETE"] * 5 + ["PRUNED"] * 2
    assert [training.step for training in trainer.started] == [40] * 5 + [10] * 2
    assert "trial 6: pruned after 10 steps" in capsys.readouterr().out


def test_nothing_is_pruned_unless_asked_for(searching, folder):
    searching(Trainer(lambda config, step: int(config.logdir[-4:]) / 10), trials=7)
    assert states(folder) == ["COMPLETE"] * 7


def test_a_signal_stops_the_trainings_and_the_same_command_goes_on_with_them(
    searching, folder, capsys
):
    both, earlier = threading.Barrier(2), signal.getsignal(signal.SIGINT)

    def interrupt(training):
        if name(training) in ("trial_0002", "trial_0003") and training.step == 20:
            both.wait(60)
            if name(training) == "trial_0002":
                os.kill(os.getpid(), signal.SIGINT)
            while signal.getsignal(signal.SIGINT) is not earlier:
                time.sleep(0.001)

    def in_order(trainer):
        return sorted(trainer.started, key=name)

    trainer = Trainer(at=interrupt)
    assert searching(trainer, trials=5, jobs=2) == 130
    assert [training.returncode for training in in_order(trainer)] == [0, 0, 143, 143]
    assert states(folder) == ["COMPLETE", "COMPLETE", "RUNNING", "RUNNING"]
    assert "the same command goes on" in capsys.readouterr().out
    before = [trial.params for trial in recorded(folder)]

    again = Trainer()
    assert searching(again, trials=5, jobs=2) == 0
    assert "trial 2 goes on" in capsys.readouterr().out
    assert states(folder) == ["COMPLETE"] * 5
    assert [trial.params for trial in recorded(folder)][:4] == before
    assert [training.config for training in in_order(again)[:2]] == [
        training.config for training in in_order(trainer)[2:]
    ]
    assert [training.first_step for training in in_order(again)] == [30, 30, 0]
    assert list(recorded(folder)[2].intermediate_values) == [10, 20, 30, 40]


def test_a_trial_that_was_queued_again_and_then_killed_is_gone_on_with(searching, folder, capsys):
    def crash(training):
        raise RuntimeError("as if by kill -9")

    with pytest.raises(RuntimeError, match="kill -9"):
        searching(Trainer(at=crash), trials=1)
    storage = folder.study(folder.description())._storage
    storage.set_trial_state_values(0, optuna.trial.TrialState.WAITING)
    command.search(command.SearchConfig(folder=folder.path, report=True), [])
    assert "1 trial: 1 cut off" in capsys.readouterr().out
    assert searching(trials=2) == 0
    assert "trial 0 goes on" in capsys.readouterr().out
    assert states(folder) == ["COMPLETE"] * 2


def test_a_record_whose_last_line_is_torn_goes_on(searching, folder):
    searching(trials=1)
    with open(folder.file("trials.journal"), "ab") as file:
        file.write(b'{"op_code": 5, "wor')
    assert searching(trials=2) == 0
    assert states(folder) == ["COMPLETE"] * 2


def test_a_damaged_record_is_named(searching, folder):
    searching(trials=1)
    path = Path(folder.file("trials.journal"))
    path.write_bytes(b"{\n" + path.read_bytes())
    with pytest.raises(UserError, match=r"trials\.journal cannot be used: Expecting"):
        searching(trials=2)


@pytest.mark.parametrize("name", ["trials.journal", "trial_0001.log", ".trial_0001.lock"])
def test_nothing_is_written_through_a_link_in_the_folder(searching, folder, tmp_path, name):
    searching(trials=1)
    mine = tmp_path / "mine"
    mine.write_text("a line\nand no end")
    path = Path(folder.file(name))
    path.unlink(missing_ok=True)
    path.symlink_to(mine)
    if name.endswith(".log"):
        with pytest.raises(OSError), open(mine) as lock:
            trials_module.start_training(["semisup.train", "--help"], path, lock)
    elif name.endswith(".lock"):
        with pytest.raises(OSError):
            folder.lock_trial(1)
    else:
        with pytest.raises(UserError, match="cannot be used"):
            searching(trials=2)
    assert mine.read_text() == "a line\nand no end"


def test_an_error_of_the_search_stops_all_its_trainings_and_loses_none(
    searching, folder, monkeypatch
):
    both = threading.Barrier(2)

    def crash(training):
        if training.step == 20:
            both.wait(60)
            if name(training) == "trial_0000":
                raise OSError("no space left on device")

    monkeypatch.setattr(trials_module, "_POLL_SECONDS", 0.01)
    trainer = Trainer(at=crash)
    with pytest.raises(OSError, match="no space left"):
        searching(trainer, trials=5, jobs=2, fixed=("--max_steps=10000", *FIXED[1:]))
    assert [training.returncode for training in trainer.started] == [143, 143]
    assert states(folder) == ["RUNNING", "RUNNING"]


def test_a_second_process_trains_other_trials_of_the_same_search(searching, folder):
    def join(training):
        if training is first.started[0] and not second.started:
            # Trial 0 is being trained, so that these are for the second process.
            with mock.patch("signal.signal"):
                assert searching(second) == 0

    first, second = Trainer(at=join), Trainer()
    assert searching(first) == 0
    assert [t.config.logdir[-1] for t in first.started] == ["0"]
    assert [t.config.logdir[-1] for t in second.started] == ["1", "2"]
    assert states(folder) == ["COMPLETE"] * 3


def test_a_trial_whose_training_outlives_its_search_is_left_to_it(
    searching, folder, tmp_path, capsys
):
    def crash(training):
        raise RuntimeError("as if by kill -9")

    with pytest.raises(RuntimeError, match="kill -9"):
        searching(Trainer(at=crash), trials=1)
    lock = folder.lock_trial(0)
    script = "import time; print('Training.', flush=True); time.sleep(60)"
    (tmp_path / "outliving.py").write_text(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        orphan = trials_module.start_training(["outliving"], folder.trial(0, ".log"), lock)
    try:
        lock.close()
        trainer = Trainer()
        assert searching(trainer, trials=1) == 0
        assert "Other processes train the trials that are left." in capsys.readouterr().out
        assert not trainer.started
        assert states(folder) == ["RUNNING"]
        # It begins a session of its own, so that Ctrl-C does not reach it.
        assert os.getsid(orphan.pid) == orphan.pid
    finally:
        orphan.terminate()
        orphan.wait()
    assert searching(trainer, trials=1) == 0
    assert [t.config.logdir[-1] for t in trainer.started] == ["0"]


def test_output_of_a_training_is_kept_and_its_last_line_is_the_failure(searching, folder, tmp_path):
    (tmp_path / "failing.py").write_text("import sys; print('one'); sys.exit('train: no data')")

    def start(command, log, lock):
        return trials_module.start_training(["failing"], log, lock)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        patch.setattr(trials_module, "_POLL_SECONDS", 0.01)
        with pytest.raises(TrainingError, match="no trial is complete"):
            searching(start, trials=1)
    assert recorded(folder)[0].user_attrs["failure"] == "exit status 1: train: no data"
    assert sorted(Path(folder.trial(0, ".log")).read_text().split("\n")) == [
        "",
        "one",
        "train: no data",
    ]


# One folder, one search


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"space": SPACE.replace("1e-2", "1e-1")},
            r"learning_rate = \{log = \[0.0001, 0.1\]\} \(the search has learning_rate = \{log = "
            r"\[0.0001, 0.01\]\}\)",
        ),
        (
            {"space": SPACE.replace("visit_weight = {linear = [0, 1]}", "")},
            "without visit_weight",
        ),
        (
            {"fixed": (*FIXED, "--sup_per_class=3")},
            r"--sup_per_class=3 \(the search has 10\); give another",
        ),
        (
            {"fixed": ("--max_steps=50", *FIXED[1:])},
            r"--max_steps=50 \(the search has 40\)",
        ),
        (
            {"task": "domain_adaptation", "fixed": ("--max_steps=600", *FIXED[1:])},
            r"--task=domain_adaptation \(the search has semisup\)",
        ),
    ],
)
def test_another_search_in_the_folder_is_refused_and_the_difference_named(
    searching, changes, message
):
    searching(trials=1)
    trainer = Trainer()
    with pytest.raises(UserError, match=message):
        searching(trainer, **changes)
    assert not trainer.started


def test_another_backend_is_refused(searching, monkeypatch):
    searching(trials=1)
    monkeypatch.setenv("KERAS_BACKEND", "none")
    with pytest.raises(UserError, match=r"KERAS_BACKEND=none \(the search has"):
        searching()


def test_settings_that_change_nothing_may_differ(searching, folder):
    searching(trials=1)
    assert searching(fixed=(*FIXED, "--data_dir=elsewhere", "--max_checkpoints=1")) == 0
    assert states(folder) == ["COMPLETE"] * 3


def test_a_database_keeps_the_trials_and_is_asked_for(searching, folder, tmp_path, capsys):
    url = f"sqlite:///{tmp_path}/trials.db"
    assert searching(storage=url, trials=1) == 0
    assert not os.path.exists(folder.file("trials.journal"))
    with pytest.raises(UserError, match=r"are in a database: give its --storage=URL"):
        searching()
    with pytest.raises(UserError, match=r"--storage has no search found-"):
        searching(storage=f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(UserError, match=r"--storage cannot be used: "):
        searching(storage="mydatabase")
    assert (
        command.search(command.SearchConfig(folder=folder.path, storage=url, report=True), []) == 0
    )
    assert capsys.readouterr().out.count("1 trial: 1 complete") == 2


def test_no_module_is_imported_because_a_file_names_it(searching, folder, tmp_path, monkeypatch):
    searching(trials=1)
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "config.py").write_text("from semisup.config import TrainConfig")
    monkeypatch.syspath_prepend(tmp_path)
    path = Path(folder.file("search.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "task": "strange"}))
    message = "search.json is damaged: task: Invalid enum value 'strange'"
    with pytest.raises(UserError, match=message):
        command.search(command.SearchConfig(folder=folder.path, report=True), [])
    with pytest.raises(UserError, match=message):
        searching()
    assert "strange.config" not in sys.modules


# The report


def test_report_shows_the_best_trials_and_writes_all_of_them(searching, folder, capsys):
    def error(config, step):
        number = int(config.logdir[-4:])
        return TrainingError("it broke") if number == 2 else abs(number - 3) / 100 + 1 / 100

    searching(Trainer(error), trials=6)
    capsys.readouterr()
    config = command.SearchConfig(folder=folder.path, report=True)
    assert command.search(config, []) == 0
    out = capsys.readouterr().out
    table = [line.split() for line in out.strip().splitlines()[:6]]
    assert table[0] == ["trial", "error", *tomllib.loads(SPACE)]
    assert [row[:2] for row in table[1:]] == [
        ["3", "1.00"],
        ["4", "2.00"],
        ["1", "3.00"],
        ["5", "3.00"],
        ["0", "4.00"],
    ]
    assert "6 trials: 5 complete, 1 failed" in out
    with open(folder.file("trials.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [*["complete"] * 2, "failed", *["complete"] * 3]
    for row, trial in zip(rows, recorded(folder), strict=True):
        assert float(row["learning_rate"]) == trial.params["learning_rate"]
        if trial.value is not None:
            assert (float(row["validation_error"]), row["step"]) == (trial.value, "40")
    assert rows[2]["failure"] == "exit status 1: it broke"


def test_command_of_the_best_trial_trains_on_all_images_in_a_new_folder(
    searching, folder, capsys, tmp_path
):
    flagfile = tmp_path / "common.flags"
    flagfile.write_text("--validation_samples=300\n--sup_per_class=7\n")
    for fixed in (FIXED, (*FIXED[:2], "--validation_samples", "9"), (f"--flagfile={flagfile}",)):
        path = str(tmp_path / f"search {len(fixed)}")
        searching(Trainer(), fixed=fixed, folder=path)
        there = folders.SearchFolder(path)
        best = min(recorded(there), key=lambda trial: trial.value)
        line = capsys.readouterr().out.strip().splitlines()[-1]
        program, option, module, *arguments = shlex.split(line)
        assert (program, option, module) == ("python", "-m", "semisup.train")
        config = spaces.training_config("semisup", arguments)
        trained = spaces.training_config("semisup", [*fixed, *spaces.as_flags(best.params)])
        expected = dataclasses.replace(
            trained, validation_samples=0, logdir=os.path.join(path, "best")
        )
        assert config == expected


def searched(searching, folder, trainer, trials):
    """The study of a finished search."""
    searching(trainer, trials=trials, fixed=MEASURED_ONCE)
    return folder.study(folder.description())


def test_figures_of_a_search_are_drawn(searching, folder, draw):
    study = searched(searching, folder, Trainer(), 5)
    names = [os.path.basename(path) for path in draw(folder, study)]
    assert names == ["importance.png", "slices.png", "marginals.png"]
    for name in names:
        assert Path(folder.file(name)).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("count", "reason"),
    [(1, "it needs 4 complete trials, there are 1"), (4, "the errors are equal")],
)
def test_figures_that_cannot_be_drawn_are_left_out_with_the_reason(
    searching, folder, draw, caplog, count, reason
):
    study = searched(searching, folder, Trainer(lambda config, step: 0.1), count)
    names = [os.path.basename(path) for path in draw(folder, study)]
    assert "slices.png" in names
    assert "importance.png" not in names
    assert f"figure importance is left out: {reason}" in caplog.text


def test_importance_finds_the_parameter_that_matters(searching, folder):
    trainer = Trainer(lambda config, step: abs(config.visit_weight - 0.3))
    (axes,) = figures.importance_figure(searched(searching, folder, trainer, 15)).axes
    shares = {
        label.get_text(): bar.get_width()
        for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)
    }
    assert max(shares, key=shares.get) == "visit_weight"
    assert shares["visit_weight"] > 0.7


def test_slices_have_the_axes_of_the_space(searching, folder):
    study = searched(searching, folder, Trainer(), 5)
    trials = trials_module.complete(study)
    with matplotlib.rc_context():
        before = dict(matplotlib.rcParams)
        figure = figures.slices_figure(study)
        assert matplotlib.rcParams == before
    axes = {one.get_xlabel(): one for one in figure.axes}
    assert axes["learning_rate"].get_xscale() == "log"
    assert axes["visit_weight"].get_xscale() == axes["emb_size"].get_xscale() == "linear"
    names = {label.get_text() for label in axes["augmentation"].get_xticklabels()}
    assert names == {"'none'", "'affine'"}
    for name in ("learning_rate", "visit_weight", "emb_size"):
        places = np.asarray(axes[name].collections[0].get_offsets())
        expected = [(trial.params[name], 100 * trial.value) for trial in trials]
        np.testing.assert_allclose(places, expected)


# With real trainings


class RealTraining:
    """A training in this process, by the flags that the search gives it."""

    def __init__(self, command, log, lock):
        from semisup.run import training
        from semisup.task import TASK as task

        config = spaces.training_config("semisup", command[1:])
        # Not in the main thread, signals cannot be noted.
        with mock.patch("signal.signal"):
            self.returncode = training.train(config, task)

    def poll(self):
        return self.returncode


def test_search_over_real_trainings_finds_the_best_of_them(searching, folder, tmp_path, capsys):
    settings = {**running.COMMON, "max_steps": 4, "eval_interval": 2, "sup_per_batch": 3}
    del settings["learning_rate"]
    fixed = [
        *spaces.as_flags(settings),
        f"--architecture={running.tiny_network(tmp_path)}",
        "--validation_samples=300",
        "--similarity=none",
    ]
    space = "learning_rate = {log = [1e-5, 1e-2]}\nbeta1 = {linear = [0.5, 0.95]}"
    with running.untraced():
        assert searching(RealTraining, space=space, fixed=fixed, trials=2) == 0
    found = recorded(folder)
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 2
    for trial in found:
        run = RunDirectory(folder.trial(trial.number))
        results = run.read_json("results.json")
        assert results["evaluated_on"] == "validation images"
        assert results["images"] == 300
        assert results["validation_error"] == trial.value == trial.intermediate_values[4]
        assert list(trial.intermediate_values) == [2, 4]
        assert results["settings"]["learning_rate"] == trial.params["learning_rate"]
    best = min(found, key=lambda trial: trial.value)
    assert f"Trial {best.number} on all training images" in capsys.readouterr().out
