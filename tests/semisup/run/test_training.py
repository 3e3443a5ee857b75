"""Tests of training as a whole: resuming bit for bit, stopping, refusing, recording."""

import dataclasses
import json
import os
import re
import shutil
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
import running

from semisup.data import labelled_subset, sampling
from semisup.data.datasets import Split
from semisup.errors import TrainingError, UserError
from semisup.eval import EvalConfig
from semisup.models import schedules
from semisup.models.associative import AssociativeModel
from semisup.report import reporting
from semisup.run import admission, calibration, checkpoints, loading, monitoring, training
from semisup.run.image_data import compose
from semisup.run.session import Session, segments
from semisup.task import TASK as task


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A complete run of 20 steps, which no test may change."""
    return running.train(tmp_path_factory.mktemp("short"), max_steps=20)[1]


@pytest.fixture(scope="module")
def other(short, tmp_path_factory):
    """A run of 10 steps of another seed, in place of `short`."""
    run = running.copy(short, tmp_path_factory.mktemp("other"))
    assert running.resume(run, seed=3, overwrite=True, max_steps=10) == 0
    return run


@pytest.fixture(scope="module")
def extended(short, tmp_path_factory):
    """A run of 20 steps that was trained on to 60, after what may happen in between.

    A log cut short by a kill, and the file of its network gone.
    """
    folder = tmp_path_factory.mktemp("extended")
    run = running.copy(short, folder)
    with open(run.file("metrics.jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": 30, "seconds": 1.0, "x": 1.0}) + "\n")
        file.write('{"step": 40, "sec')
    saved = run.read_config()
    saved["settings"]["architecture"] = str(folder / "gone.keras")
    run.write_json("config.json", saved)
    assert running.resume(run, max_steps=60, max_checkpoints=2) == 0
    return run


def test_a_killed_training_resumes_to_the_same_bits(whole, tmp_path, capsys):
    killed = running.config(tmp_path, "killed")
    run = running.RunDirectory(killed.logdir)
    status, *_ = running.finish(running.start_and_kill(35, *running.arguments(killed)))
    assert status == -running.KILL
    assert checkpoints.list_steps(run.checkpoints)[-1] == 30
    assert running.resume(run) == 0
    assert "at step 30" in capsys.readouterr().out
    running.assert_same_weights(whole, run, 60)
    assert running.losses(whole) == running.losses(run)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    settings = running.config(tmp_path, "stopped", max_steps=5000)
    run = running.RunDirectory(settings.logdir)
    process = running.start("train", *running.arguments(settings))
    status, out, err = running.interrupt(process, running.INT, run, 10)
    assert status == 128 + running.INT, err
    stopped = checkpoints.list_steps(run.checkpoints)[-1]
    assert f"Stopped at step {stopped} of 5000; the same command goes on" in out
    assert "Traceback" not in err


@running.needs_commands
@pytest.mark.backend
def test_a_training_stopped_between_intervals_goes_on_to_the_same_bits(
    whole, tmp_path, monkeypatch
):
    log = monitoring.Logging.on_step

    def terminate(callback, logs):
        log(callback, logs)
        if callback.step == 27:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(monitoring.Logging, "on_step", terminate)
        status, stopped = running.train(tmp_path, "stopped")
    assert status == 128 + signal.SIGTERM
    assert checkpoints.list_steps(stopped.checkpoints)[-1] == 27
    status, resumed = running.train(tmp_path, "stopped")
    assert status == 0
    running.assert_same_weights(whole, resumed, 60)
    # The evaluations are at the same steps, though an epoch of fit was cut in two.
    assert running.losses(whole) == running.losses(resumed)


def test_one_seed_gives_the_same_bits_and_another_seed_others(whole, short, other):
    running.assert_same_weights(whole, short, 20)
    one, two = (running.weights(run, 10) for run in (whole, other))
    name = next(name for name in one if name.endswith("dense/kernel"))
    assert not np.array_equal(one[name], two[name])
    indices = [run.read_json("data.json")["labelled_indices"] for run in (whole, short, other)]
    assert indices[0] == indices[1] != indices[2]


def test_a_longer_training_goes_on_from_a_shorter_one(whole, extended):
    running.assert_same_weights(whole, extended, 60)
    assert extended.read_json("results.json")["step"] == 60


def test_a_complete_training_is_not_repeated(short, tmp_path, capsys):
    run = running.copy(short, tmp_path)
    before = os.stat(run.file("results.json")).st_mtime_ns
    assert running.resume(run) == 0
    assert "is complete" in capsys.readouterr().out
    assert os.stat(run.file("results.json")).st_mtime_ns == before


def test_a_run_whose_batches_were_drawn_otherwise_cannot_go_on_but_be_evaluated(
    short, tmp_path, capsys
):
    run = running.copy(short, tmp_path)
    saved = run.read_json("config.json")
    assert saved.pop("sampler") == sampling.VERSION
    for content in ({**saved, "sampler": sampling.VERSION + 1}, saved):
        run.write_json("config.json", content)
        with pytest.raises(UserError, match=r"draws other batches.*evaluate it.*--overwrite"):
            running.resume(run, max_steps=40)
        assert run.read_json("config.json") == content
        assert run.completed_step() == 20
    assert running.resume(run) == 0
    assert "is complete" in capsys.readouterr().out
    reporting.evaluate_run(EvalConfig(logdir=run.path), task)
    assert run.read_json("evaluation.json")["step"] == 20


def test_a_run_directory_holds_config_log_results_export_and_events(whole):
    run = whole
    entries = run.read_metrics()
    assert [entry["step"] for entry in entries if "test_error" in entry] == [20, 40, 60]
    logged = [entry for entry in entries if "learning_rate" in entry]
    assert [entry["step"] for entry in logged] == [10, 20, 30, 40, 50, 60]
    np.testing.assert_allclose(
        [entry["learning_rate"] for entry in logged],
        3e-3 * 0.33 ** np.array([0, 0, 1, 1, 1, 2]),
        rtol=1e-5,
    )
    # The weight of the step that was just taken, counted from 0.
    np.testing.assert_allclose(
        [entry["weights/walker_loss"] for entry in logged[:3]],
        [9 / 30, 19 / 30, 29 / 30],
        rtol=1e-5,
    )
    for name in (
        "losses/total_loss",
        "losses/walker_loss",
        "losses/walker_loss_above_floor",
        "losses/visit_loss",
        "losses/visit_loss_above_floor",
        "losses/classification_loss",
        "round_trip_accuracy",
        "weights/visit_loss",
    ):
        assert all(np.isfinite(entry[name]) for entry in logged), name
    results = run.read_json("results.json")
    assert results["test_error"] == entries[-1]["test_error"]
    assert results["step"] == 60
    assert results["images"] == 1000
    assert {"python", "keras", "numpy"} <= results["versions"].keys()
    assert os.path.isfile(run.file("model.keras"))
    assert any(name.startswith("events") for name in os.listdir(run.file("train")))
    record = run.read_json("data.json")
    assert len(set(record["labelled_indices"])) == 100


def test_max_checkpoints_are_kept_beside_the_first(extended):
    assert checkpoints.list_steps(extended.checkpoints) == [10, 50, 60]


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_is_put_aside(
    whole, short, tmp_path, caplog
):
    run = running.copy(short, tmp_path)
    newest = Path(run.checkpoints, "step_00000020.npz")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(content)
    running.resume(run, max_steps=60, checkpoint_interval=15, max_checkpoints=1)
    assert re.search(r"step_00000020.*falling back", caplog.text)
    running.assert_same_weights(whole, run, 60)
    assert checkpoints.list_steps(run.checkpoints) == [10, 60]
    assert os.path.exists(f"{newest}.damaged")


@pytest.fixture
def model(tmp_path):
    """A model like that of `short`."""
    return task.build_model(running.config(tmp_path, "run"), running.record((28, 28, 1), 10))


def test_a_checkpoint_of_another_network_is_refused_with_the_entry(short, model, tmp_path, caplog):
    run = running.copy(short, tmp_path)
    path = os.path.join(run.checkpoints, "step_00000020.npz")
    arrays = running.weights(run, 20)
    name = next(name for name in arrays if name.endswith("dense/kernel"))
    np.savez(path, **{**arrays, name: arrays[name][:-1]})
    assert checkpoints.restore_latest(model, run.checkpoints) == 10
    assert "dense/kernel has shape (48, 32), not (49, 32)" in caplog.text
    arrays.pop(name)
    np.savez(path, **arrays)
    assert checkpoints.restore_latest(model, run.checkpoints) == 10
    assert re.search("lacks .*dense/kernel", caplog.text)


def test_an_initial_run_of_another_network_is_told_without_words_of_keras(model, tmp_path):
    images = keras.Input((28, 28, 1))
    network = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images)))
    other = AssociativeModel(network, num_classes=10)
    other.build((None, 28, 28, 1))
    other.save(tmp_path / "model.keras")
    message = f"--initial_run={tmp_path} does not fit this model: the weights of its network have"
    with pytest.raises(UserError, match=re.escape(message)):
        loading.begin_with(model, str(tmp_path))


def test_a_run_whose_every_checkpoint_is_damaged_is_refused(short, tmp_path):
    run = running.copy(short, tmp_path)
    for step in checkpoints.list_steps(run.checkpoints):
        with open(os.path.join(run.checkpoints, f"step_{step:08d}.npz"), "wb") as file:
            file.write(b"nothing")
    with pytest.raises(UserError, match="--overwrite"):
        running.resume(run, max_steps=40)
    Path(run.file("model.keras")).touch()
    with pytest.raises(UserError, match=r"model\.keras has the weights") as caught:
        loading.load_run(run.path)
    assert "--overwrite" not in str(caught.value)


def test_other_settings_are_refused_with_their_list_unless_overwritten(short, other, tmp_path):
    run = running.copy(short, tmp_path)
    with pytest.raises(UserError) as refusal:
        running.resume(run, seed=3, visit_weight=0.5)
    assert "--seed=3 (the run has 0)" in str(refusal.value)
    assert "--visit_weight=0.5 (the run has 1.0)" in str(refusal.value)
    assert run.read_json("config.json")["settings"]["seed"] == 0
    assert other.read_json("config.json")["settings"]["seed"] == 3
    assert checkpoints.list_steps(other.checkpoints) == [10]


def test_an_overwrite_that_fails_deletes_nothing(short, tmp_path):
    run = running.copy(short, tmp_path)
    with pytest.raises(UserError, match="sup_per_class"):
        running.resume(run, sup_per_class=401, overwrite=True)
    assert checkpoints.list_steps(run.checkpoints) == [10, 20]
    assert run.read_json("config.json")["settings"]["sup_per_class"] == 10


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_holds_no_run_is_left_alone(tmp_path, overwrite):
    photos = tmp_path / "run" / "train"
    photos.mkdir(parents=True)
    (photos / "cat.png").write_text("mine")
    with pytest.raises(UserError, match=r"not empty \(train\) and holds no run"):
        running.train(tmp_path, overwrite=overwrite)
    assert (photos / "cat.png").read_text() == "mine"


def test_an_overwrite_leaves_a_folder_alone_whose_configuration_is_another_programs(tmp_path):
    photos = tmp_path / "run" / "train"
    photos.mkdir(parents=True)
    (photos / "cat.png").write_text("mine")
    (tmp_path / "run" / "config.json").write_text('{"name": "mine"}')
    with pytest.raises(UserError, match=r"config\.json is damaged: it lacks task"):
        running.train(tmp_path, overwrite=True)
    assert (photos / "cat.png").read_text() == "mine"


def test_a_run_that_begins_again_keeps_the_network_that_it_begins_with(short, tmp_path):
    run = running.copy(short, tmp_path)
    stale = Path(run.file("network.keras"))
    before = stale.read_bytes()
    shutil.rmtree(run.checkpoints)
    stale.write_bytes(b"an earlier one")
    assert running.resume(run, max_steps=2) == 0
    assert stale.read_bytes() == before


def test_images_without_labels_are_refused_in_a_line():
    images = np.zeros((20, 4, 4, 1), "uint8")
    labelled, blind = Split(images, np.arange(20, dtype="int32") % 2), Split(images, None)
    config = task.config_class(sup_per_class=2)
    for train, test, message in (
        (blind, labelled, "the images to train on have no labels"),
        (labelled, blind, "no labelled test images .* give --validation_samples"),
    ):
        with pytest.raises(UserError, match=message):
            compose(config, ("a", "b"), train, test)


def test_what_a_kill_left_of_the_first_file_does_not_bar_a_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f".config.json.{'0' * 16}.tmp.json").write_text("{")
    admission.check(
        running.RunDirectory(tmp_path / "run"), running.config(tmp_path, "run"), task.name
    )


def test_fewer_steps_than_were_taken_are_refused_and_nothing_is_rewritten(short, tmp_path):
    run = running.copy(short, tmp_path)
    with pytest.raises(UserError, match="--max_steps=10 is less than the 20 steps"):
        running.resume(run, max_steps=10, eval_interval=10)
    assert run.read_json("results.json")["step"] == 20
    assert run.read_config()["settings"]["max_steps"] == 20


def test_results_of_a_shorter_training_are_gone_while_it_is_extended(short, tmp_path, monkeypatch):
    run = running.copy(short, tmp_path)

    def stop(session):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "fit", stop)
        with pytest.raises(KeyboardInterrupt):
            running.resume(run, max_steps=40)
    assert run.completed_step() == 0


def test_a_training_that_ended_before_its_results_writes_them(short, tmp_path):
    run = running.copy(short, tmp_path)
    results = run.read_results()
    os.remove(run.file("results.json"))
    assert running.resume(run) == 0
    assert run.read_results()["test_error"] == results["test_error"]


def test_a_signal_during_an_evaluation_saves_too(whole, tmp_path, monkeypatch):
    evaluate = Session.evaluate

    def terminate(session, step):
        signal.raise_signal(signal.SIGTERM)
        return evaluate(session, step)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "evaluate", terminate)
        # The first call of fit ends with the evaluation at 40.
        status, run = running.train(tmp_path, eval_interval=40, checkpoint_interval=50)
    assert status == 128 + signal.SIGTERM
    assert checkpoints.list_steps(run.checkpoints)[-1] == 40
    assert running.resume(run) == 0
    running.assert_same_weights(whole, run, 60)


def test_a_run_from_before_a_setting_existed_goes_on_with_its_default_alone(short, tmp_path):
    run = running.copy(short, tmp_path)
    saved = run.read_config()
    config = task.config_class(**saved["settings"])
    del saved["settings"]["clip_norm"]
    run.write_json("config.json", saved)
    with pytest.raises(UserError, match=r"--clip_norm=2.0 \(the run has none: it is older\)"):
        admission.check(run, dataclasses.replace(config, clip_norm=2.0), task.name)
    admission.check(run, config, task.name)


def test_a_resume_with_other_training_images_is_refused(short, tmp_path):
    run = running.copy(short, tmp_path)
    record = run.read_record()
    names = ("train_fingerprint", "unlabelled_fingerprint")
    assert all(len(record[name]) >= 8 for name in names)
    config = run.read_settings(task.config_class)
    run.write_json("data.json", {**record, **dict.fromkeys(names, "0" * 16)})
    with pytest.raises(UserError, match=", ".join(names)):
        running.resume(run, max_steps=40)
    for name in names:
        with pytest.raises(UserError, match=name):
            training.check_same_data(run, config, record, {**record, name: "0" * 16})


@pytest.mark.parametrize("name", ["config.json", "data.json"])
@pytest.mark.parametrize("content", ["{}", "[]", "{", "\xff"])
def test_a_damaged_file_of_a_run_is_named(short, tmp_path, name, content):
    settings = task.config_class(**short.read_config()["settings"])
    run = running.copy(short, tmp_path)
    with open(run.file(name), "w", encoding="latin-1") as file:
        file.write(content)
    with pytest.raises(UserError, match=name):
        training.train(dataclasses.replace(settings, logdir=run.path, max_steps=40), task)
    with pytest.raises(UserError, match=name):
        loading.load_run(run.path)


def test_a_full_disk_leaves_no_half_written_checkpoint(model, tmp_path, monkeypatch):
    def full(*arguments, **arrays):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.np, "savez", full)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.save(model, tmp_path / "checkpoints", 20, keep=1)
    assert os.listdir(tmp_path / "checkpoints") == []
    checkpoints.save(model, tmp_path / "checkpoints", 20, keep=1)
    assert checkpoints.list_steps(tmp_path / "checkpoints") == [20]


def test_a_run_does_not_depend_on_the_file_of_its_network(whole, extended):
    assert not os.path.exists(extended.read_config()["settings"]["architecture"])
    running.assert_same_weights(whole, extended, 60)


def test_a_second_trainer_is_kept_out_while_the_first_lives(tmp_path):
    run = running.RunDirectory(tmp_path / "run")
    with run.lock(), pytest.raises(UserError, match="another process"):
        running.train(tmp_path)
    with run.lock():
        assert run.is_training()


def test_a_log_line_cut_short_by_a_kill_is_dropped(whole, extended):
    assert running.losses(extended) == running.losses(whole)


def test_a_loss_that_is_not_finite_stops_with_step_name_and_last_checkpoint(tmp_path, monkeypatch):
    def explode(envelope, step):
        return keras.ops.where(step >= 2, float("inf"), 1.0)

    monkeypatch.setattr(schedules.Envelope, "__call__", explode)
    with pytest.raises(TrainingError) as stop:
        running.train(tmp_path, checkpoint_interval=1, max_steps=5)
    assert "total_loss is not finite at step 3" in str(stop.value)
    assert "the last good checkpoint is step 2" in str(stop.value)
    run = running.RunDirectory(tmp_path / "run")
    for step in checkpoints.list_steps(run.checkpoints):
        assert all(np.all(np.isfinite(array)) for array in running.weights(run, step).values())


def test_a_run_on_held_out_images_is_calibrated_and_its_error_called_validation_error_everywhere(
    tmp_path, capsys
):
    _, run = running.train(tmp_path, max_steps=4, validation_samples=300)
    fitted = calibration.read(run, 4)
    assert fitted.fitted_on == "300 validation images"
    results = run.read_json("results.json")
    assert results["evaluated_on"] == "validation images"
    assert results["images"] == 300
    assert [entry["step"] for entry in run.read_metrics() if "validation_error" in entry] == [4]
    assert f"Validation error {100 * results['validation_error']:.2f} %" in capsys.readouterr().out
    reporting.evaluate_run(EvalConfig(logdir=run.path, report=True), task)
    content = run.read_json("evaluation.json")
    assert content["temperature"] == pytest.approx(fitted.temperature, rel=1e-4)
    assert content["evaluated_on"] == "validation images"
    assert content["error"] == results["validation_error"]
    for part in ("train", "eval"):
        assert ("validation_error", 4) in running.scalars(run.file(part))
    for name in ("results.json", "metrics.jsonl", "evaluation.json", "report.html"):
        assert "test_error" not in Path(run.file(name)).read_text(encoding="utf-8")


def test_an_earlier_versions_run_on_held_out_images_is_evaluated_on_the_same_ones(
    tmp_path, capsys, monkeypatch
):
    def at_random(labels, samples, class_names, seed):
        return labelled_subset.hold_out_regardless_of_class(len(labels), samples, seed)

    with monkeypatch.context() as earlier:
        earlier.setattr(labelled_subset, "hold_out", at_random)
        _, run = running.train(tmp_path, max_steps=4, validation_samples=301)
    config = run.read_json("config.json")
    del config["sampler"]
    run.write_json("config.json", config)
    for name in ("results.json", "metrics.jsonl"):
        path = Path(run.file(name))
        path.write_text(path.read_text().replace("validation_error", "test_error"))
    error = run.read_json("results.json")["test_error"]
    assert run.read_results()["validation_error"] == error
    status, _ = running.train(tmp_path, max_steps=4, validation_samples=301)
    assert status == 0
    assert "is complete" in capsys.readouterr().out
    reporting.evaluate_run(EvalConfig(logdir=run.path, report=True), task)
    assert run.read_json("evaluation.json")["error"] == error
    page = Path(run.file("report.html")).read_text(encoding="utf-8")
    assert "validation_error" in page
    assert "test_error" not in page
    with pytest.raises(UserError, match="draws other batches"):
        running.train(tmp_path, max_steps=40, validation_samples=301)


def test_training_on_the_labels_alone_writes_no_association(tmp_path):
    _, run = running.train(tmp_path, max_steps=2, log_interval=2, similarity="none")
    logged = {name for entry in run.read_metrics() for name in entry}
    assert "losses/classification_loss" in logged
    assert "losses/walker_loss" not in logged
    assert run.read_json("data.json")["unlabelled_images"] == 0


@pytest.mark.parametrize(
    ("step", "last", "interval", "expected"),
    [
        (0, 100, 20, [(0, 20, 5)]),
        (0, 50, 20, [(0, 20, 2), (40, 10, 1)]),
        (7, 50, 20, [(7, 13, 1), (20, 20, 1), (40, 10, 1)]),
        (45, 50, 20, [(45, 5, 1)]),
        (50, 50, 20, []),
        (0, 10, 20, [(0, 10, 1)]),
    ],
)
def test_segments_end_epochs_at_the_intervals_and_at_the_last_step(step, last, interval, expected):
    assert segments(step, last, interval) == expected
