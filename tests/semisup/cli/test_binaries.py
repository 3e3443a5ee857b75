"""Tests of the commands as a user meets them: help, mistakes, evaluation, following."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import running
import tensorflow as tf
from PIL import Image

from semisup.cli import flags
from semisup.config import TrainConfig
from semisup.data.datasets import load_dataset
from semisup.errors import TrainingError, UserError
from semisup.machine import backend, environment
from semisup.report import reporting
from semisup.run import loading
from semisup.run.directory import RunDirectory
from semisup.task import TASK as task


@pytest.fixture(scope="module")
def trained(whole, tmp_path_factory):
    """A complete run of 60 steps."""
    return running.copy(whole, tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize("binary", ["train", "eval"])
def test_help_names_the_flags_and_imports_nothing_heavy(binary):
    script = (
        f"import sys; sys.argv = ['x', '--help']\nfrom semisup import {binary}\n"
        f"try: {binary}.main()\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'keras', 'tensorflow', 'numpy', 'jax'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--logdir" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--walker_wieght=3"], "Unknown command line flag 'walker_wieght'. Did you mean"),
        (["--sup_per_class=ten"], "--sup_per_class=ten"),
        (["--sup_per_class=0"], "--sup_per_class=0"),
        (["--visit_weight=-1"], "--visit_weight=-1.0 is below the least value"),
        (["--learning_rate=nan"], "--learning_rate=nan is not a finite number"),
        (["--learning_rate=inf"], "is not a finite number"),
        (["--similarity_measure=manhattan"], "is none of auto, dot, cosine, euclidean"),
        (["--steps_per_execution=7"], "the nearest that divides every interval is 5"),
        (["mnist"], "unexpected argument 'mnist'"),
        (["--target_dataset=mnist_m"], "domain-adaptation-train"),
        (["--recipe=mnist_10"], "did you mean mnist_100?"),
        (["--flagfile=missing.flags"], "missing.flags"),
        (["--minimum_learning_rate=1"], "is above --learning_rate"),
        (["--walker_weight_envelope_steps=9"], "has no effect"),
    ],
)
def test_a_wrong_flag_exits_2_with_one_line_and_imports_nothing_heavy(arguments, message):
    exits_2_at_once("semisup.train", arguments, message)


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("semisup.train", ["--dataset=folder:/nowhere"], "--dataset=/nowhere: there is no such"),
        ("semisup.train", ["--architecture=no.keras"], "--architecture=no.keras: there is no such"),
        ("multimodal.train", ["--dataset=/nowhere"], "--dataset=/nowhere: there is no such folder"),
        ("semisup.eval", ["--logdir=nowhere"], "nowhere holds no run"),
        ("semisup.predict", ["--logdir=nowhere"], "nowhere holds no run"),
        ("semisup.export", ["--logdir=nowhere", "--output=a.keras"], "nowhere holds no run"),
        ("multimodal.search", ["a dog", "--images=.", "--logdir=nowhere"], "nowhere holds no run"),
        ("segmentation.predict", ["--logdir=nowhere", "--images=."], "nowhere holds no run"),
    ],
)
def test_a_path_to_nothing_exits_2_with_one_line_and_imports_nothing_heavy(
    command, arguments, message
):
    exits_2_at_once(command, arguments, message)


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("semisup.predict", ["--images=nowhere"], "--images=nowhere: there is no such folder"),
        ("semisup.predict", ["--dataset=folder:/no"], "--dataset=/no: there is no such folder"),
        ("semisup.eval", ["--dataset=/no"], "--dataset=/no: there is no such folder"),
        ("semisup.predict", ["--output=no/a.csv"], "--output=no/a.csv: there is no folder no"),
        ("semisup.export", ["--output=no/a.keras"], "--output=no/a.keras: there is no folder no"),
        ("multimodal.search", ["a dog", "--images=nowhere"], "--images=nowhere: there is no such"),
        ("segmentation.predict", ["--images=nowhere"], "--images=nowhere: there is no such folder"),
    ],
)
def test_what_is_given_to_a_run_is_looked_for_before_the_run_is_loaded(
    tmp_path, command, arguments, message
):
    (tmp_path / "config.json").touch()
    exits_2_at_once(command, [f"--logdir={tmp_path}", *arguments], message)


def test_a_run_that_goes_on_may_lack_what_its_paths_name(tmp_path):
    arguments = {"architecture": "gone.keras", "dataset": f"folder:{tmp_path / 'gone'}"}
    config = TrainConfig(logdir=str(tmp_path), **arguments)
    with pytest.raises(UserError, match="there is no such folder"):
        config.check_paths()
    (tmp_path / "config.json").touch()
    config.check_paths()


def exits_2_at_once(command, arguments, message):
    script = (
        f"import sys; sys.argv = ['x', *{arguments!r}]\nimport {command} as command\n"
        "try: command.main()\nexcept SystemExit as end:\n"
        "  assert not {'keras', 'tensorflow'} & set(sys.modules)\n  raise"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--architecture=mnist_modle"], "did you mean mnist_model"),
        (["--sup_per_class=401"], "400 training images"),
        (["--unsup_split=extra"], "extra"),
    ],
)
def test_wrong_data_exits_2_with_one_line_and_leaves_no_run(tmp_path, arguments, message):
    status, _, err = running.call("train", f"--logdir={tmp_path / 'run'}", *arguments)
    assert status == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_evaluation_counts_every_test_image_once(trained):
    status, out, err = running.call("eval", f"--logdir={trained.path}", "--eval_batch_size=333")
    assert status == 0, err
    content = trained.read_json("evaluation.json")
    assert content["step"] == 60
    assert content["images"] == 1000
    matrix = np.array(content["confusion_matrix"])
    np.testing.assert_array_equal(matrix.sum(axis=1), np.full(10, 100))
    np.testing.assert_allclose(content["error"], 1 - np.trace(matrix) / 1000)
    np.testing.assert_allclose(content["error"], trained.read_json("results.json")["test_error"])
    for label, accuracy in enumerate(content["per_class_accuracy"].values()):
        np.testing.assert_allclose(accuracy, matrix[label, label] / 100)
    assert f"{100 * content['error']:.2f} %" in out


def test_evaluation_of_an_earlier_checkpoint_and_of_one_that_is_missing(trained, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in Path(trained.path).rglob("*")}
    output = tmp_path / "measured"
    flags = f"--logdir={trained.path}", f"--output={output}", "--report"
    status, out, _ = running.call("eval", *flags, "--step=20")
    assert status == 0
    assert "step 20:" in out
    # The run itself may be one that can only be read.
    assert {path: path.stat().st_mtime_ns for path in Path(trained.path).rglob("*")} == before
    written = {"evaluation.json", "predictions.csv", "report.html", "eval", "figures"}
    assert set(os.listdir(output)) >= written - {"figures"}
    assert RunDirectory(trained.path, output).read_json("evaluation.json")["step"] == 20
    status, _, err = running.call("eval", f"--logdir={trained.path}", "--step=21")
    assert status == 2
    assert "there are 10, 20, 30, 40, 50, 60" in err


def test_figures_are_drawn_from_the_run_directory_alone(trained, tmp_path, quick_tsne):
    moved = tmp_path / "moved"
    shutil.copytree(trained.path, moved)
    status, out, err = running.call("eval", f"--logdir={moved}", "--figures")
    assert status == 0, err
    names = {"associations.png", "confusion.png", "neighbours.png", "tsne.png"}
    assert set(os.listdir(moved / "figures")) == names
    for name in names:
        with Image.open(moved / "figures" / name) as image:
            assert image.size[0] > 400
            assert np.asarray(image.convert("L")).std() > 5
        assert name in out


def test_following_evaluates_each_new_checkpoint_until_the_training_is_complete(tmp_path):
    settings = running.config(tmp_path, "run", max_steps=60, checkpoint_interval=20)
    os.mkdir(settings.logdir)
    follower = running.start(
        "eval", f"--logdir={settings.logdir}", "--follow", "--poll_seconds=0.1"
    )
    trainer = running.start("train", *running.arguments(settings))
    assert running.finish(trainer)[0] == 0
    status, out, err = running.finish(follower)
    assert status == 0, err
    steps = [int(step) for step in re.findall(r"^step (\d+):", out, flags=re.MULTILINE)]
    assert steps == sorted(set(steps))
    assert steps[-1] == 60


def test_following_names_a_damaged_checkpoint_and_keeps_to_the_one_before(
    whole, tmp_path, monkeypatch
):
    run, drawn = running.copy(whole, tmp_path), []
    Path(run.checkpoints, "step_00000070.npz").write_bytes(b"damaged")
    monkeypatch.setattr(
        "semisup.report.illustration.draw", lambda run, step, drawings: drawn.append(step) or []
    )
    status, _, err = running.call("eval", f"--logdir={run.path}", "--follow", "--figures")
    assert status == 0, err
    assert re.search(r"step_00000070.npz cannot be read \(.*\); it is left out", err)
    assert drawn == [run.read_json("evaluation.json")["step"]] == [60]


def test_following_a_folder_that_is_no_run_exits_2_at_once(tmp_path):
    def follow(folder, message):
        status, _, err = running.call("eval", f"--logdir={folder}", "--follow")
        assert status == 2
        assert message in err
        assert len(err.splitlines()) == 1

    follow(tmp_path / "missing", "there is no such folder")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("mine")
    follow(tmp_path / "photos", "holds no run, and none can begin there: it holds cat.png")
    follow(tmp_path / "photos" / "cat.png", "there is no such folder")
    run = running.RunDirectory(tmp_path / "run")
    settings = running.config(tmp_path, "run").to_dict()
    content = {"task": "semisup", "settings": settings, "backend": "tensorflow"}
    run.write_json("config.json", content)
    follow(run.path, "has no checkpoint, and no training is running there")
    run.write_json("config.json", {**content, "task": "clustering"})
    follow(run.path, "holds a run of clustering, not of semisup")


def test_following_waits_in_an_empty_folder_and_for_a_run_that_is_being_trained(
    tmp_path, monkeypatch, capsys
):
    run = running.RunDirectory(tmp_path / "run")
    os.mkdir(run.path)
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            settings = running.config(tmp_path, "run").to_dict()
            content = {"task": "semisup", "settings": settings, "backend": "tensorflow"}
            run.write_json("config.json", content)
        if len(waited) == 5:
            os.mkdir(run.checkpoints)
            open(os.path.join(run.checkpoints, "step_00000010.npz"), "w").close()

    monkeypatch.setattr(reporting.time, "sleep", sleep)
    with run.lock():
        reporting._wait_until(reporting._is_begun, run, "a training to begin", 7)
        reporting._wait_until(reporting._has_checkpoint, run, "a checkpoint", 7)
    assert waited == [7] * 5
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"Waiting for a training to begin in {run.path} ..."
    assert second == f"Waiting for a checkpoint in {run.path} ..."


def test_evaluation_refuses_other_data_than_that_of_the_training(trained, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(trained.path, moved)
    record = json.loads((moved / "data.json").read_text())
    record["evaluation_fingerprint"] = "0" * 16
    (moved / "data.json").write_text(json.dumps(record))
    status, _, err = running.call("eval", f"--logdir={moved}")
    assert status == 2
    assert "not those of the training" in err
    assert len(err.strip().splitlines()) == 1


def test_a_loaded_run_predicts_with_the_error_that_it_recorded(trained):
    model, config = loading.load_run(trained.path)
    assert config.max_steps == 60
    test = load_dataset("mnist_5k", splits=("test",)).splits["test"]
    predicted = model.predict(test.images, verbose=0).argmax(axis=1)
    assert np.mean(predicted != test.labels) == trained.read_json("results.json")["test_error"]


def test_the_exported_model_predicts_like_the_run(trained, tmp_path):
    images = load_dataset("mnist_5k", splits=("test",)).splits["test"].images[:50]
    model, _ = loading.load_run(trained.path)
    expected = model.predict(images, verbose=0)
    exported = running.predicted_elsewhere(trained, images, tmp_path)
    np.testing.assert_allclose(exported, expected, atol=1e-5)


def test_what_is_no_exported_model_is_refused(tmp_path):
    (tmp_path / "model.keras").write_text("nonsense")
    with pytest.raises(UserError, match=r"model\.keras cannot be read as a Keras model"):
        loading.load_model(tmp_path / "model.keras")


def write_photos(folder):
    """Images of two classes, bright at the top or at the bottom, of one size."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 4), ("unlabeled", 20)):
        for index in range(count if split != "unlabeled" else count // 2):
            for label in (0, 1):
                pixels = generator.integers(0, 60, (16, 16, 3))
                pixels[8 * label : 8 * label + 8] += 150
                name = ("top", "bottom")[label]
                target = folder / split / ("" if split == "unlabeled" else name)
                target.mkdir(parents=True, exist_ok=True)
                image = Image.fromarray(pixels.astype("uint8"))
                image.save(target / f"{name}{index}.png")


def photo_network(folder):
    """Path of a small network for `write_photos`."""
    layers = keras.layers
    path = str(folder / "photos.keras")
    stack = [layers.Rescaling(1 / 255), layers.AveragePooling2D(4), layers.Flatten()]
    keras.Sequential([keras.Input((16, 16, 3)), *stack, layers.Dense(16)]).save(path)
    return path


def test_a_folder_of_images_is_learnt_and_evaluated_after_it_has_moved(tmp_path):
    write_photos(tmp_path / "photos")
    for split in ("train", "test"):
        top = tmp_path / "photos" / split / "top"
        (top / "top0.png").rename(top / os.fsdecode(b"\xe9.png"))
        (top / "notes.txt").touch()
        # As an old archive in Latin-1 unpacks it.
        top.rename(top.with_name(os.fsdecode(b"t\xf6p")))
    logdir = tmp_path / "run"
    flags = [
        f"--dataset={tmp_path / 'photos'}",
        "--sup_per_class=-1",
        "--sup_per_batch=4",
        "--unsup_batch_size=8",
        f"--architecture={photo_network(tmp_path)}",
        "--learning_rate=1e-2",
        "--augmentation=affine",
        "--max_steps=60",
        "--eval_interval=20",
        f"--logdir={logdir}",
        "--average_decay=0.9",
        "--projector",
    ]
    status, out, err = running.call("train", *flags)
    assert status == 0, err
    results = json.loads((logdir / "results.json").read_text())
    assert results["test_error"] == 0
    assert json.loads((logdir / "data.json").read_text())["class_names"] == [
        "bottom",
        r"t\xf6p",
    ]
    assert "photos: 12 images to train with, in 2 classes of 6: bottom 6, t\\xf6p 6\n" in out
    assert "skipped: 2 other files, such as test/t\\xf6p/notes.txt" in out
    assert "Unlabelled batches are drawn from the 20 images of unlabelled" in out
    assert {"embeddings.tsv", "classes.tsv", "sprite.png", "projector_config.pbtxt"} <= set(
        os.listdir(logdir / "train")
    )
    assert "Test error 0.00 %" in out
    (tmp_path / "photos").rename(tmp_path / "moved")
    status, out, err = running.call("train", f"--dataset={tmp_path / 'moved'}", *flags[1:])
    assert status == 0, err
    assert "is complete: 60 steps" in out
    write_photos(tmp_path / "others")
    status, _, err = running.call("train", f"--dataset={tmp_path / 'others'}", *flags[1:])
    assert status == 2
    assert "class_names, evaluation_fingerprint" in err
    assert f"--dataset=folder:{tmp_path / 'others'} (the run has folder:{tmp_path.anchor}" in err
    moved = f"--data_dir={tmp_path / 'moved'}"
    status, _, err = running.call("eval", f"--logdir={logdir}", moved, "--projector", "--report")
    assert status == 0, err
    assert r"t\xf6p" in (logdir / "report.html").read_text(encoding="utf-8")
    for name in ("embeddings.tsv", "classes.tsv", "sprite.png", "projector_config.pbtxt"):
        # The same images, model and classes as at the end of the training.
        assert (logdir / "eval" / name).read_bytes() == (logdir / "train" / name).read_bytes()
    with open(logdir / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == results["images"]
    assert r"test/t\xf6p/\xe9.png" in {row["image"] for row in rows}
    for row in rows:
        assert row["image"].startswith(f"test/{row['label']}/")
        assert row["predicted"] == row["label"]
        assert 0.5 < float(row["probability"]) <= 1


def test_a_folder_without_test_images_is_measured_on_held_out_ones(tmp_path):
    write_photos(tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos" / "test")
    shutil.rmtree(tmp_path / "photos" / "unlabeled")
    for name in ("top", "bottom"):
        (tmp_path / "photos" / "train" / name).rename(tmp_path / "photos" / name)
    (tmp_path / "photos" / "train").rmdir()
    settings = {
        "dataset": f"folder:{tmp_path / 'photos'}",
        "architecture": photo_network(tmp_path),
        "sup_per_class": 1,
        "unsup_batch_size": 4,
        "max_steps": 2,
    }
    with pytest.raises(UserError, match=r"give --validation_samples.* the folders bottom, top;"):
        running.train(tmp_path, **settings)
    status, run = running.train(tmp_path, validation_samples=4, **settings)
    assert status == 0
    assert run.read_json("results.json")["evaluated_on"] == "validation images"


def test_a_folder_with_one_class_is_refused(tmp_path):
    write_photos(tmp_path / "photos")
    for split in ("train", "test"):
        shutil.rmtree(tmp_path / "photos" / split / "top")
    with pytest.raises(UserError, match="1 class; a classifier needs two"):
        running.train(tmp_path, dataset=f"folder:{tmp_path / 'photos'}")


def test_precision_bfloat16_computes_in_it_and_keeps_float32_weights(tmp_path):
    config = running.config(
        tmp_path, "run", architecture="mnist_model", precision="bfloat16", max_steps=10
    )
    model = task.build_model(config, running.record((28, 28, 1), 10))
    layer = model.network.get_layer("conv2_1")
    assert layer.compute_dtype == "bfloat16"
    assert layer.kernel.dtype == "float32"
    assert model.classifier.compute_dtype == "bfloat16"
    assert model.network.get_layer("normalization").compute_dtype == "float32"


def test_precision_bfloat16_is_refused_for_a_saved_network():
    with pytest.raises(UserError, match="--precision=bfloat16"):
        TrainConfig(architecture="mine.keras", precision="bfloat16")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("--x=1 is wrong"), 2, "program: --x=1 is wrong"),
        (TrainingError("no longer finite"), 1, "program: no longer finite"),
        (OSError(28, "No space left on device", "a/b"), 1, "program: a/b: No space left on device"),
        (
            tf.errors.ResourceExhaustedError(None, None, "run/train/x; No space left on device"),
            1,
            "program: run/train/x; No space left on device",
        ),
        (KeyboardInterrupt(), 130, "program: interrupted"),
        (MemoryError(), 1, "program: out of memory; smaller batches take less"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."),
            1,
            "program: out of memory; smaller batches take less",
        ),
    ],
)
def test_errors_become_a_line_and_an_exit_status(capsys, error, status, line):
    def fail():
        raise error

    with pytest.raises(SystemExit) as stopped:
        flags.guard(fail, "program")
    assert stopped.value.code == status
    assert capsys.readouterr().err.strip() == line


@pytest.mark.parametrize(
    ("backend", "reason"), [("jaxx", ""), ("torch", ": no command runs on PyTorch")]
)
def test_a_backend_that_commands_do_not_run_on_exits_2_with_one_line(tmp_path, backend, reason):
    ended = subprocess.run(
        [sys.executable, "-m", "semisup.train", f"--logdir={tmp_path / 'run'}"],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    line = f"KERAS_BACKEND={backend} has to be tensorflow or jax, and be installed{reason}"
    assert (ended.returncode, ended.stderr.strip()) == (2, f"semisup-train: {line}")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """What a process prints of Keras and of other packages after it has imported Keras."""
    home = tmp_path_factory.mktemp("home")
    settings = {"backend": "torch", "image_data_format": "channels_first"}
    (home / "keras.json").write_text(json.dumps(settings))
    code = (
        "import sys\n"
        "from semisup.cli import terminal\n"
        "terminal.import_quietly()\n"
        "import keras\n"
        "print(keras.backend.backend(), keras.config.image_data_format())\n"
        "print(*{'jax', 'matplotlib', 'pandas', 'sklearn'} & sys.modules.keys())\n"
        "import matplotlib, pandas, sklearn\n"
        "print(matplotlib.__name__, pandas.__name__, sklearn.__name__)\n"
    )
    environment = {**os.environ, "KERAS_HOME": str(home)}
    environment.pop("KERAS_BACKEND", None)
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_settings_of_keras_in_the_users_home_are_not_obeyed(imported):
    assert imported[0] == "tensorflow channels_last"


def test_packages_that_keras_takes_if_they_are_there_wait_until_they_are_needed(imported):
    assert imported[1:] == ["", "matplotlib pandas sklearn"]


def test_paths_in_the_users_home_are_found(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunDirectory("~/run").path == str(tmp_path / "run")
    config = TrainConfig(
        data_dir="~/data", architecture="~/net.keras", live_config="~/live.toml", logdir="x"
    )
    assert config.data_dir == str(tmp_path / "data")
    assert config.architecture == str(tmp_path / "net.keras")
    assert config.live_config == str(tmp_path / "live.toml")


def test_a_folder_of_data_is_found_from_everywhere_and_a_bucket_is_kept(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert TrainConfig(data_dir="data").data_dir == str(tmp_path / "data")
    assert TrainConfig(data_dir="gs://tfds-data").data_dir == "gs://tfds-data"
    assert TrainConfig().data_dir == ""


def test_xla_that_gives_other_bits_on_a_gpu_is_refused(monkeypatch):
    import tensorflow as tf

    config = TrainConfig(jit_compile="on")
    backend.check_compilation(config)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    with pytest.raises(UserError, match="add --nodeterministic"):
        backend.check_compilation(config)
    backend.check_compilation(TrainConfig(jit_compile="on", deterministic=False))


def test_hardware_is_the_gpu_that_is_used_by_its_name(monkeypatch):
    import tensorflow as tf

    assert environment.hardware()["accelerators"] == []
    gpus = [SimpleNamespace(name="GPU:0"), SimpleNamespace(name="GPU:1")]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
    names = {"GPU:0": {"device_name": "the first"}, "GPU:1": {"device_name": "the second"}}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: names[gpu.name])
    assert environment.hardware()["accelerators"] == ["the first"]


def test_a_training_says_what_it_runs_on_and_that_a_gpu_is_not_used(tmp_path, monkeypatch):
    gpu = {"cores": 16, "accelerators": ["NVIDIA H100"]}
    assert backend.describe(gpu) == "NVIDIA H100"
    assert backend.describe({**gpu, "accelerators": ["NVIDIA H100"] * 4}) == "4 x NVIDIA H100"
    processor = {"cores": 16, "accelerators": []}
    monkeypatch.setattr(backend, "_NVIDIA", str(tmp_path / "nvidia0"))
    assert backend.describe(processor) == "16 CPU cores"
    (tmp_path / "nvidia0").touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "not on the NVIDIA GPU" in backend.describe(processor)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert backend.describe(processor) == "16 CPU cores"


def test_following_ends_when_nobody_trains_any_more(whole, tmp_path):
    run = running.cut(whole, tmp_path, 20)
    status, out, err = running.call(
        "eval", f"--logdir={run.path}", "--follow", "--poll_seconds=0.1"
    )
    assert status == 0, err
    assert "has stopped at step 20" in out


def test_averaged_weights_are_evaluated_and_exported_while_training_goes_on(whole, tmp_path):
    _, averaged = running.train(tmp_path, "averaged", average_decay=0.9)
    parts = running.cut(averaged, tmp_path, 30)
    assert running.resume(parts) == 0
    running.assert_same_weights(averaged, parts, 60)
    kernel = next(name for name in running.weights(whole, 60) if name.endswith("dense/kernel"))
    np.testing.assert_array_equal(
        running.weights(whole, 60)[kernel], running.weights(averaged, 60)[kernel]
    )
    of_average, raw = (loading.load_run(run.path)[0] for run in (averaged, whole))
    assert not np.array_equal(
        np.asarray(of_average.trainable_variables[0]), np.asarray(raw.trainable_variables[0])
    )
