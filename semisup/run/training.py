"""From a configuration to a trained run directory: training, stopping and resuming.

Shared by all tasks: see `semisup.run.task`.
"""

import dataclasses
import functools

import keras

from semisup.architectures import transfer
from semisup.cli import terminal
from semisup.data import sampling
from semisup.errors import UserError, shown
from semisup.machine import backend, environment, hosts, joining, memory
from semisup.run import (
    admission,
    building,
    checkpoints,
    directory,
    features,
    live_settings,
    loading,
)
from semisup.run.session import Session, first_batch


def train(config, task, data=None):
    """Train, or go on training, the model of a configuration.

    Args:
        config: a configuration of the task's class.
        task: its `Task`.
        data: its `TaskData`, if it is loaded already.

    Returns:
        Exit status: 0 when the training is complete, 128 plus the signal's number when a signal
        stopped it.

    Raises:
        UserError: if the data is missing or the run directory cannot be used.
        TrainingError: if a loss is no longer finite.
    """
    backend.set_up(config)
    with joining.joined(config, task) as config:
        run = directory.RunDirectory(config.resolved_logdir)
        with run.lock():
            if not config.overwrite:
                joining.copy_run(run)
            admission.check(run, config, task.name, config.overwrite)
            backend.check_compilation(config)
            with backend.shared_batches(config):
                return _train(config, task, run, data)


def _train(config, task, run, data):
    resumed = bool(checkpoints.list_steps(run.checkpoints)) and not config.overwrite
    if resumed and run.completed_step() != config.max_steps:
        admission.check_sampler(run)
    built = run.self_contained(config) if resumed else config
    if data is None:
        # Data may take minutes to read.
        building.check_network(built)
        data = task.load_data(config, run.sampler if resumed else sampling.VERSION)
    joining.check_data(data.record)
    for note in data.notes:
        terminal.say(note)
    # Not before: preparing a data set draws from the same generators.
    keras.utils.set_random_seed(config.seed)
    model = task.build_model(built, data.record, data)
    step, record = _resume(config, task, run, data, model) if resumed else (0, data.record)
    if step == config.max_steps == run.completed_step():
        terminal.say(f"{run.path} is complete: {step} steps.")
        return 0
    if resumed:
        terminal.say(f"Resuming {run.path} at step {step}.")
    elif config.initial_run:
        record = {**record, "initial_model": loading.begin_with(model, config.initial_run)}
    check_live_settings(config, task, model)
    before = None
    if resumed:
        live_settings.applied(run.read_metrics(), config, task.steered)
        before = run.read_config()["settings"].get("eval_interval")

    found = features.of_run(task, config, model)
    draw = data.batches if found is None else functools.partial(data.batches, inputs=found.views)
    # A pipeline takes time to build.
    data = dataclasses.replace(data, batches=functools.lru_cache(maxsize=2)(draw))
    if found is not None and not resumed:
        features.centre(model, data.batches(step))
    hardware = environment.hardware(backend.sharing_devices())
    _check_batches(model, data, step, found, hardware)
    weak_labels = task.weak_labels(config, data)
    if weak_labels is not None:
        _put_in_force(weak_labels, config, run, record, step)
        # Not once: each evaluation makes new ones.
        data = dataclasses.replace(
            data, batches=lambda step: draw(step, weak_labels=weak_labels.in_force)
        )

    # Nothing is deleted or written before data and model are known to be right.
    admission.begin(run, config, task.name, config.overwrite)
    if not resumed:
        network = getattr(model, "network", model)
        run.keep_network(config, transfer.without_head(network))
    run.write_json("data.json", record)
    run.cut_metrics(step)
    _say_on_what(config, hardware)
    # Only now: what comes before has nothing to save, and stops at once.
    with hosts.stop_signals() as signals:
        session = Session(config, task, run, data, model, step, signals, before, found, weak_labels)
        session.fit()
    return _end(config, session)


def _resume(config, task, run, data, model):
    """Restore a run's latest checkpoint, and return its step and the record of its data."""
    record = run.read_record(task.record_type) or {}
    check_same_data(run, config, record, data.record)
    step = checkpoints.restore_latest(model, run.checkpoints)
    if step > config.max_steps:
        raise UserError(
            f"--max_steps={config.max_steps} is less than the {step} steps that {run.path} "
            "has taken"
        )
    return step, record


def _put_in_force(weak_labels, config, run, record, step):
    """Restore the weak labels of a step, or take those of another run at the beginning."""
    if step:
        path = checkpoints.path_of(run.checkpoints, step)
        weak_labels.restore(checkpoints.further_entries(path), path)
    elif config.weak_labels:
        weak_labels.take_from(config.weak_labels, record["class_names"], config.eval_batch_size)


def _check_batches(model, data, step, found, hardware):
    """Check that memory and devices can take the batches."""
    # An accelerator has memory of its own.
    if found is None and not hardware["accelerators"]:
        memory.check_batch(model, hosts.shared(data.batches)(step))
    if backend.sharing_devices() > 1:
        backend.check_batch(model.named_images(first_batch(data, 0)))


def _say_on_what(config, hardware):
    terminal.say(f"Training on {backend.describe(hardware)}.")
    if config.precision == "bfloat16" and environment.emulates_bfloat16(hardware):
        terminal.say(
            "--precision=bfloat16: this processor has no instructions for it, so that training is "
            "slower and less exact than in float32."
        )


def _end(config, session):
    """Conclude a training, or say why it stopped; return the exit status."""
    is_done, at = session.step >= config.max_steps, f"{session.step} of {config.max_steps}"
    if session.signals.received and not is_done:
        without = " without --overwrite" if config.overwrite else ""
        terminal.say(f"\nStopped at step {at}; the same command{without} goes on from there.")
        return 128 + session.signals.received
    if session.steering.stops and not is_done:
        terminal.say(
            f"\nStopped at step {at}, as {config.live_config} asks; without that line, the same "
            "command goes on from there."
        )
        return 0
    session.finish()
    return 0


def check_live_settings(config, task, model):
    """Make sure that a training does not begin with a file of live settings that it refuses.

    Args:
        config: the configuration.
        task: its `Task`.
        model: its model.

    Raises:
        UserError: if the file says what it may not, or asks to stop.
    """
    if not config.live_config:
        return
    wanted = live_settings.read(config.live_config, config, task.steered, model.loss_names)
    if wanted and wanted.get("stop"):
        raise UserError(
            f"--live_config={config.live_config} asks to stop: take the line out to train"
        )


def check_same_data(run, config, saved, record):
    """Compare the data with that of a run that is to be resumed.

    Args:
        run: the `RunDirectory`.
        config: the configuration with which it is to go on.
        saved: record of the run's data.
        record: record of the data now.

    Raises:
        UserError: if the run was made with other data.
    """
    changed = sorted(name for name in record if saved.get(name) != record[name])
    if changed:
        settings = run.read_config()["settings"]
        moved = [
            f"--{name}={getattr(config, name)} (the run has {shown(settings[name])})"
            for name in config.moved(settings)
        ]
        raise UserError(
            f"the data is not what {run.path} was trained on: {', '.join([*changed, *moved])} "
            "differ; restore the data, or start again with --overwrite"
        )
