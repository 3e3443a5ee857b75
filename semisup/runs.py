"""Loading what a training left behind."""

import keras

from semisup import checkpoints, optimizers, task
from semisup.config import TrainConfig
from semisup.errors import UserError
from semisup.run_directory import RunDirectory


def load_run(logdir, step=None):
    """Loads the model of a run from its directory alone.

    Args:
        logdir: directory of the run.
        step: step of the checkpoint to load, or None for the newest that is whole.

    Returns:
        The `AssociativeModel`, compiled, with the weights that the run is evaluated with (their
        moving average, if the run keeps one), and the run's `TrainConfig`.

    Raises:
        UserError: if there is no such run or checkpoint, or it is damaged.
    """
    run, config = open_run(logdir)
    model = restore_model(run, config, step)
    optimizers.put_average(model)
    return model, config


def open_run(logdir):
    """The directory and the configuration of a run.

    Args:
        logdir: directory of the run.

    Returns:
        A `RunDirectory` and a `TrainConfig`.

    Raises:
        UserError: if the directory holds no run, or a damaged one.
    """
    run = RunDirectory(logdir)
    saved = run.read_config()
    if saved is None:
        raise UserError(f"--logdir={logdir} holds no run: it has no config.json")
    return run, TrainConfig.from_dict(saved["settings"])


def restore_model(run, config, step=None):
    """Builds the model of a run and restores a checkpoint.

    Args:
        run: a `RunDirectory`.
        config: its `TrainConfig`.
        step: step of the checkpoint, or None for the newest that is whole.

    Returns:
        The compiled model, with the weights as they are trained.

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
        checkpoints.restore_latest(model, run.checkpoints)
    else:
        try:
            checkpoints.restore(model, run.checkpoints, step)
        except checkpoints.CheckpointDamaged as error:
            raise UserError(str(error)) from None
    return model


def step_of(model):
    """Training steps that a model has taken."""
    return int(keras.ops.convert_to_numpy(model.step))
