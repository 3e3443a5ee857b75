"""Loading what a training left behind."""

import hashlib
import importlib
import os

import keras

from semisup.architectures import saved_models, transfer
from semisup.cli.run_options import check_run
from semisup.errors import UserError, first_line, shown
from semisup.models import averaging
from semisup.run import checkpoints
from semisup.run.directory import RunDirectory
from semisup.run.task import MODULES, task_named


def load_model(path):
    """Load the model that a training of any task exported, `model.keras` in the run's directory.

    Unlike `load_run`, it takes nothing but the file, which may have been moved.

    Args:
        path: the file.

    Returns:
        The model, with the weights that the run was evaluated with at its end, compiled with
        Keras' own optimizer.

    Raises:
        UserError: if it is no such file, or made of classes of one's own that are not registered.
    """
    # Their classes are found by Keras once they are imported.
    for module in MODULES.values():
        importlib.import_module(module.rpartition(".")[0])
    model = saved_models.load(path)
    if not model.compiled:
        model.compile()
    return model


def load_run(logdir, step=None, task=None):
    """Load the model of a run of any task from its directory alone.

    Args:
        logdir: directory of the run.
        step: step of the checkpoint to load, or None for the newest that is whole.
        task: the `Task` of the run, where it is one of your own.

    Returns:
        The model (an `AssociativeModel`, a `ClusteringModel`), compiled, with the weights that the
        run is evaluated with (their moving average, if the run keeps one), and the run's
        configuration.

    Raises:
        UserError: if there is no such run or checkpoint, or it is damaged.
    """
    run, config, task = open_run(logdir, task)
    model = restore_model(run, config, task, step)
    averaging.put_average(model)
    return model, config


def open_run(logdir, task=None, output=""):
    """Open the directory of a run.

    Args:
        logdir: directory of the run.
        task: the `Task` that it has to be of, or None for whichever task it names.
        output: another directory for what is written: see `RunDirectory`.

    Returns:
        A `RunDirectory`, the configuration, of the task's class, and the task.

    Raises:
        UserError: if the directory holds no run, a damaged one, or one of another task.
    """
    check_run(logdir)
    run = RunDirectory(logdir, output)
    saved = run.read_config()
    task = task or task_named(saved["task"])
    if saved["task"] != task.name:
        raise UserError(f"{logdir} holds a run of {shown(saved['task'])}, not of {task.name}")
    return run, run.read_settings(task.config_class), task


def open_alike(flag, logdir, class_names):
    """Open the directory of a run with the same classes as another one.

    Args:
        flag: name of the setting that names the directory.
        logdir: the directory.
        class_names: names of the classes.

    Returns:
        A `RunDirectory`.

    Raises:
        UserError: if there is no such run, or it has other classes.
    """
    run, *_ = open_run(logdir)
    if (run.read_record() or {}).get("class_names") != list(class_names):
        raise UserError(f"--{flag}={logdir} is a run with other classes")
    return run


def restore_model(run, config, task, step=None):
    """Build the model of a run and restore a checkpoint.

    Args:
        run: a `RunDirectory`.
        config: its configuration.
        task: its `Task`.
        step: step of the checkpoint, or None for the newest that is whole.

    Returns:
        The compiled model, with the weights as they are trained; it is there to be evaluated.

    Raises:
        UserError: if there is no such checkpoint, or it is damaged.
    """
    data = run.read_record(task.record_type)
    steps = checkpoints.list_steps(run.checkpoints)
    if data is None or not steps:
        raise UserError(f"{run.path} has no checkpoint yet")
    if step is not None and step not in steps:
        raise UserError(
            f"{run.path} has no checkpoint of step {step}; there are {', '.join(map(str, steps))}"
        )
    model = task.build_model(run.self_contained(config), data)
    if step is None:
        checkpoints.restore_latest(model, run.checkpoints, to_evaluate=True, advice=_advice(run))
    else:
        try:
            checkpoints.restore(model, run.checkpoints, step, to_evaluate=True)
        except checkpoints.CheckpointDamaged as error:
            raise UserError(str(error)) from None
    return model


def _advice(run):
    """Return what is left to a user of a run without a whole checkpoint."""
    exported = run.file("model.keras")
    if os.path.exists(exported):
        return (
            f"{exported} has the weights that the training ended with: semisup.load_model loads "
            f"it, and --initial_run={run.path} begins a training with it"
        )
    return "its training has to start again with --overwrite"


def _copy_weights(model, trained):
    network = model.network
    if len(network.weights) != len(trained.network.weights) and transfer.has_head(network):
        network = transfer.backbone_of(network)
    ours, theirs = (
        [weight.shape for weight in each.weights] for each in (network, trained.network)
    )
    if ours != theirs:
        raise ValueError(
            "the weights of its network have other shapes; give the flags of the network that it "
            "was trained with"
        )
    network.set_weights(trained.network.get_weights())
    if model.num_classes == trained.num_classes:
        model.classifier.set_weights(trained.classifier.get_weights())


def step_of(model):
    """Return the number of training steps that a model has taken."""
    return int(keras.ops.convert_to_numpy(model.step))


def begin_with(model, logdir):
    """Set the weights of network and classifier to those that another run ended with.

    A network that has a head, where the other run's has none, takes them below its head. A
    classifier of another number of classes stays as it is.

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
        _copy_weights(model, trained)
    except Exception as error:
        # A damaged file can raise nearly anything.
        raise UserError(
            f"--initial_run={logdir} does not fit this model: {first_line(error)}"
        ) from None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
