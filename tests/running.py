"""Running trainings in tests: tiny networks, subprocesses, what they left behind."""

import contextlib
import glob
import importlib
import io
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest

from scripts import processes
from semisup.run import checkpoints, monitoring, training
from semisup.run.directory import RunDirectory
from semisup.task import TASK as task

ROOT = Path(__file__).resolve().parent.parent

# Without compilation, JAX runs each operation by itself, which takes half a minute. PyTorch's
# compiler is one of C++.
COMPILATIONS = {"jax": [True], "torch": [False], "tensorflow": [False, True]}[
    keras.backend.backend()
]
# Arguments of `compile` for a training of a few steps, most of whose time would go into tracing
# and compiling. What the graph itself may spoil is tested with those of TRACED.
FEW_STEPS, TRACED = {
    "jax": ({"jit_compile": True}, {"jit_compile": True}),
    "torch": ({"jit_compile": False}, {"jit_compile": False}),
    "tensorflow": ({"run_eagerly": True}, {"jit_compile": False}),
}[keras.backend.backend()]


def compile_as(monkeypatch, options):
    """Let every model be compiled with these options, as in an example that names none.

    TensorFlow compiles such models by XLA, which takes seconds for each.
    """
    plain = keras.Model.compile
    monkeypatch.setattr(
        keras.Model,
        "compile",
        lambda model, *given, **named: plain(model, *given, **{**options, **named}),
    )


needs_commands = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="no command runs on PyTorch"
)
several_steps_at_once = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras takes one step at a time on PyTorch"
)

# Small, and with all that a resumed training has to restore: dropout, augmentation, schedules.
COMMON = {
    "max_steps": 60,
    "eval_interval": 20,
    "checkpoint_interval": 10,
    "log_interval": 10,
    "eval_batch_size": 300,
    "unsup_batch_size": 20,
    "learning_rate": 3e-3,
    "decay_steps": 25,
    "progress": False,
    "similarity_measure": "dot",
    "temperature": 1.0,
}
WITH_LABELS = {
    "sup_per_batch": 3,
    "augmentation": "inversion",
    "walker_weight_envelope": "linear",
    "walker_weight_envelope_steps": 30,
}
WITHOUT_LABELS = {
    "unsup_samples": 500,
    "num_augmented_samples": 2,
    "reg_warmup_steps": 30,
    "cluster_ramp_steps": 10,
    "warmup_steps": 15,
}


def tiny_network(folder, channels=1):
    """Path of a small network with dropout."""
    path = os.path.join(folder, f"tiny{channels}.keras")
    if not os.path.exists(path):
        layers = keras.layers
        # The file keeps its weights: they have to be the same in every folder.
        keras.utils.set_random_seed(0)
        keras.Sequential(
            [
                keras.Input((28, 28, channels)),
                layers.Rescaling(1 / 255),
                layers.AveragePooling2D(4),
                layers.Flatten(),
                layers.Dense(32, activation="elu"),
                layers.Dropout(0.3),
                layers.Dense(16),
            ]
        ).save(path)
    return path


def config(folder, logdir, task=task, **settings):
    """A task's configuration for a short training in `folder/logdir`."""
    values = {
        "architecture": tiny_network(folder),
        "logdir": os.path.join(folder, logdir),
        **COMMON,
        **(WITHOUT_LABELS if task.name == "clustering" else WITH_LABELS),
        **settings,
    }
    return task.config_class(**values)


def record(image_shape, num_classes):
    """What a model is built from: the record of data with images and classes of these numbers."""
    return {"image_shape": list(image_shape), "class_names": [str(i) for i in range(num_classes)]}


def train(folder, logdir="run", task=task, **settings):
    """Trains for a task in this process.

    Returns:
        The exit status and the `RunDirectory`.
    """
    settings = config(folder, logdir, task, **settings)
    return _train(settings, task), RunDirectory(settings.logdir)


def copy(run, folder, name="run"):
    """Copies a run for a test that changes it.

    Returns:
        The `RunDirectory` of the copy, `folder/name`.
    """
    return RunDirectory(shutil.copytree(run.path, os.path.join(folder, name)))


def cut(run, folder, step, name="run"):
    """Copies a complete run as a kill after a step would have left it.

    Args:
        run: the run.
        folder: folder of the copy.
        step: the last step with a checkpoint.
        name: name of the copy.

    Returns:
        The `RunDirectory` of the copy, whose log goes on after the step.
    """
    copied = copy(run, folder, name)
    for later in checkpoints.list_steps(copied.checkpoints):
        if later > step:
            os.remove(os.path.join(copied.checkpoints, f"step_{later:08d}.npz"))
    for name in ("results.json", "model.keras"):
        os.remove(copied.file(name))
    return copied


def resume(run, task=task, **changes):
    """Trains a run in this process with its own settings, or some other ones.

    Returns:
        The exit status.
    """
    saved = run.read_config()["settings"]
    settings = task.config_class(**{**saved, "logdir": run.path, **changes})
    return _train(settings, task)


def _train(settings, task):
    # As in a process of its own: TensorFlow orders sums by names, which count up.
    keras.backend.clear_session(free_memory=False)
    with untraced() if settings.max_steps <= 5 else contextlib.nullcontext():
        return training.train(settings, task)


def untraced():
    """Let Keras take each step by itself, where the backend can, as FEW_STEPS do."""
    if "run_eagerly" not in FEW_STEPS:
        return contextlib.nullcontext()
    eager = property(lambda model: True, lambda model, value: None)
    return mock.patch.object(keras.Model, "run_eagerly", eager)


def train_until(step, folder, logdir="run", task=task, **settings):
    """Trains in this process until after a step, at which it ends as by a kill: nothing is saved.

    Returns:
        The `RunDirectory`.
    """
    log = monitoring.Logging.on_step

    def log_and_die(callback, logs):
        log(callback, logs)
        if callback.step == step:
            raise _Killed

    with (
        mock.patch.object(monitoring.Logging, "on_step", log_and_die),
        pytest.raises(_Killed),
    ):
        train(folder, logdir, task, **settings)
    run = RunDirectory(os.path.join(folder, logdir))
    assert run.completed_step() == 0
    return run


class _Killed(BaseException):
    """Nobody but `train_until` handles this."""


def weights(run, step):
    """Arrays of a checkpoint by their names."""
    with np.load(os.path.join(run.checkpoints, f"step_{step:08d}.npz")) as archive:
        return {name: archive[name] for name in archive.files}


def assert_same_weights(one, other, step):
    """The checkpoints of two runs hold the same bits."""
    ours, theirs = weights(one, step), weights(other, step)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def losses(run):
    """Entries of the log without those that depend on time."""
    return [
        {
            name: value
            for name, value in entry.items()
            if name not in ("seconds", "steps_per_second")
        }
        for entry in run.read_metrics()
    ]


def events(folder):
    """Events of a TensorBoard folder."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for path in sorted(glob.glob(os.path.join(folder, "events*"))):
        yield from EventFileLoader(path).Load()


def scalars(folder):
    """Values by (tag, step); a pair that was written twice is a mistake."""
    import tensorflow as tf

    values = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "scalars":
                assert (value.tag, event.step) not in values
                values[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return values


def arguments(settings):
    """A configuration as flags."""
    return [f"--{name}={value}" for name, value in settings.to_dict().items() if value != ""]


def call(binary, *flags, package="semisup"):
    """Runs a binary of a package in this process, which spares the imports.

    Returns:
        Exit status, standard output and standard error.
    """
    main = importlib.import_module(f"{package}.{binary}").main
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", [binary, *flags]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return ended.value.code, out.getvalue(), err.getvalue()


def predicted_elsewhere(run, images, folder, package="semisup"):
    """What the exported model of a run says of images in a process that knows nothing but its file.

    Args:
        run: a complete `RunDirectory`.
        images: (n, height, width, channels) uint8.
        folder: an empty folder, where the file is moved to.
        package: package of the run's task.

    Returns:
        (n, k) float32.
    """
    path = shutil.copy(run.file("model.keras"), folder)
    found = os.path.join(folder, "predicted.npy")
    status, _, err = finish(processes.Process(_predict, package, path, images, found))
    assert status == 0, err
    return np.load(found)


def _predict(package, path, images, found):
    model = importlib.import_module(package).load_model(path)
    np.save(found, model.predict(images, verbose=0))


def start(binary, *flags, package="semisup"):
    """Starts a binary of a package, its output captured."""
    return processes.Process(processes.run, f"{package}.{binary}", *flags)


def start_and_kill(step, *flags):
    """Starts a training that kills its own process after a step, its output captured."""
    return processes.Process(_train_and_kill, step, flags)


def _train_and_kill(step, flags):
    log = monitoring.Logging.on_step

    def log_and_kill(callback, logs):
        log(callback, logs)
        if callback.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    monitoring.Logging.on_step = log_and_kill
    processes.run("semisup.train", *flags)


def finish(process, timeout=300):
    """Waits for a binary.

    Returns:
        Exit status, standard output and standard error.
    """
    return process.finish(timeout)


def interrupt(process, number, run, step):
    """Sends a signal when the checkpoint of a step is there."""
    deadline = time.monotonic() + 240
    path = os.path.join(run.checkpoints, f"step_{step:08d}.npz")
    while not os.path.exists(path):
        assert process.poll() is None, finish(process)
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    return finish(process)


KILL, INT = signal.SIGKILL, signal.SIGINT
