"""Loading what a training left behind."""

import hashlib
import os

import keras

from semisup import task
from semisup.architectures import saved_models
from semisup.errors import UserError, first_line, shown
from semisup.models import averaging
from semisup.run import checkpoints
from semisup.run.directory import RunDirectory


def load_model(path):
    """Loads the model that a training exported, `model.keras` in the run's directory.

    Unlike `load_run`, it takes nothing but the file, which may have been moved.

    Args:
        path: the file.

    Returns:
        The model, compiled, with the weights that the run was evaluated with at its end.

    Raises:
        UserError: if it is no such file, or made of classes of one's own that are not registered.
    """
    return saved_models.load(path)


def load_run(logdir, step=None, task=task):
    """Loads the model of a run from its directory alone.

    Args:
        logdir: directory of the run.
        step: step of the checkpoint to load, or None for the newest that is whole.
        task: module of the run's task, by default semi-supervised classification.

    Returns:
        The `AssociativeModel`, compiled, with the weights that the run is evaluated with (their
        moving average, if the run keeps one), and the run's configuration.

    Raises:
        UserError: if there is no such run or checkpoint, or it is damaged.
    """
    run, config = open_run(logdir, task)
    model = restore_model(run, config, task, step)
    averaging.put_average(model)
    return model, config


def open_run(logdir, task):
    """The directory and the configuration of a run.

    Args:
        logdir: directory of the run.
        task: module of its task.

    Returns:
        A `RunDirectory` and the configuration, of the task's class.

    Raises:
        UserError: if the directory holds no run, a damaged one, or one of another task.
    """
    run = RunDirectory(logdir)
    saved = run.read_config()
    if saved is None:
        raise UserError(f"{logdir} holds no run: it has no config.json")
    if saved["task"] != task.NAME:
        raise UserError(f"{logdir} holds a run of {shown(saved['task'])}, not of {task.NAME}")
    return run, run.read_settings(task.Config)


def restore_model(run, config, task, step=None):
    """Builds the model of a run and restores a checkpoint.

    Args:
        run: a `RunDirectory`.
        config: its configuration.
        task: module of its task.
        step: step of the checkpoint, or None for the newest that is whole.

    Returns:
        The compiled model, with the weights as they are trained; it is there to be evaluated.

    Raises:
        UserError: if there is no such checkpoint, or it is damaged.
    """
    data = run.read_record()
    steps = checkpoints.list_steps(run.checkpoints)
    if data is None or not steps:
        raise UserError(f"{run.path} has no checkpoint yet")
    if step is not None and step not in steps:
        raise UserError(
            f"{run.path} has no checkpoint of step {step}; there are {', '.join(map(str, steps))}"
        )
    model = task.build_model(
        run.self_contained(config), tuple(data["image_shape"]), len(data["class_names"])
    )
    if step is None:
        checkpoints.restore_latest(model, run.checkpoints, to_evaluate=True)
    else:
        try:
            checkpoints.restore(model, run.checkpoints, step, to_evaluate=True)
        except checkpoints.CheckpointDamaged as error:
            raise UserError(str(error)) from None
    return model


def step_of(model):
    """Training steps that a model has taken."""
    return int(keras.ops.convert_to_numpy(model.step))


def begin_with(model, logdir):
    """Sets the weights of network and classifier to those that another run ended with.

    Args:
        model: an `EmbeddingClassifier`, built.
        logdir: directory of the other run, of this task or of semi-supervised classification; its
            training is complete.

    Returns:
        Digest of the other run's exported model, to tell later what this one began with.

    Raises:
        UserError: if there is no such run, or its weights don't fit the model.
    """
    path = RunDirectory(logdir).file("model.keras")
    if not os.path.exists(path):
        raise UserError(f"--initial_run={logdir} holds no model.keras: is its training complete?")
    try:
        trained = saved_models.load(path, compile=False)
        parts = [(model.network, trained.network), (model.classifier, trained.classifier)]
        for part, other in parts:
            part.set_weights(other.get_weights())
    except Exception as error:
        # A damaged file can raise nearly anything.
        raise UserError(
            f"--initial_run={logdir} does not fit this model: {first_line(error)}"
        ) from None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
