"""From a configuration to a trained run directory: training, stopping and resuming.

Shared by all tasks: see `semisup.run.task`.
"""

import dataclasses
import functools
import math

import keras
import numpy as np

from semisup.architectures import transfer
from semisup.cli import terminal
from semisup.data import sampling
from semisup.errors import TrainingError, UserError, shown
from semisup.machine import backend, environment, hosts, joining, memory
from semisup.models import averaging
from semisup.models.weighted_losses import REGULARIZATION_LOSS
from semisup.run import (
    building,
    callbacks,
    checkpoints,
    directory,
    features,
    inspection,
    live_settings,
    loading,
    monitoring,
    projector,
)


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
            run.check(config, task.name, config.overwrite)
            backend.check_compilation(config)
            with backend.shared_batches(config):
                return _train(config, task, run, data)


def _train(config, task, run, data):
    resumed = bool(checkpoints.list_steps(run.checkpoints)) and not config.overwrite
    if resumed and run.completed_step() != config.max_steps:
        run.check_sampler()
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
    step, record = 0, data.record
    if resumed:
        saved = run.read_record(task.record_type) or {}
        check_same_data(run, config, saved, record)
        record = saved
        step = checkpoints.restore_latest(model, run.checkpoints)
        if step > config.max_steps:
            raise UserError(
                f"--max_steps={config.max_steps} is less than the {step} steps that {run.path} "
                "has taken"
            )
        if step == config.max_steps == run.completed_step():
            terminal.say(f"{run.path} is complete: {step} steps.")
            return 0
        terminal.say(f"Resuming {run.path} at step {step}.")
    elif config.initial_run:
        record = {**record, "initial_model": loading.begin_with(model, config.initial_run)}
    check_live_settings(config, task, model)
    if resumed:
        live_settings.applied(run.read_metrics(), config, task.steered)
    before = run.read_config()["settings"].get("eval_interval") if resumed else None
    found = features.of_run(task, config, model)
    if found is not None:
        batches = functools.partial(data.batches, inputs=found.views)
        data = dataclasses.replace(data, batches=batches)
    # A pipeline takes time to build.
    once = functools.lru_cache(maxsize=2)(data.batches)
    drawn, data = data.batches, dataclasses.replace(data, batches=once)
    if found is not None and not resumed:
        features.centre(model, data.batches(step))
    hardware = environment.hardware(backend.sharing_devices())
    # An accelerator has memory of its own.
    if found is None and not hardware["accelerators"]:
        memory.check_batch(model, hosts.shared(data.batches)(step))
    weak_labels = task.weak_labels(config, run, data)
    labels = None
    if weak_labels is not None and config.weak_labels and not resumed:
        labels = weak_labels.of_another_run(
            config.weak_labels, record["class_names"], config.eval_batch_size
        )
    if backend.sharing_devices() > 1:
        backend.check_batch(model.named_images(first_batch(data, 0)))
    # Nothing is deleted or written before data and model are known to be right.
    run.begin(config, task.name, config.overwrite)
    if not resumed:
        network = getattr(model, "network", model)
        run.keep_network(config, transfer.without_head(network))
    run.write_json("data.json", record)
    run.cut_metrics(step)
    if weak_labels is not None:
        weak_labels.forget_after(step)
        if labels is not None:
            weak_labels.put(0, labels)
        # Not once: an evaluation that was missed makes the labels of the step that is gone on from.
        data = dataclasses.replace(
            data, batches=lambda step: drawn(step, weak_labels=weak_labels.in_force(step))
        )
    terminal.say(f"Training on {backend.describe(hardware)}.")
    # Only now: what comes before has nothing to save, and stops at once.
    with hosts.stop_signals() as signals:
        session = Session(config, task, run, data, model, step, signals, before, found, weak_labels)
        session.fit()
    if signals.received and session.step < config.max_steps:
        without = " without --overwrite" if config.overwrite else ""
        terminal.say(
            f"\nStopped at step {session.step} of {config.max_steps}; "
            f"the same command{without} goes on from there."
        )
        return 128 + signals.received
    if session.steering.stops and session.step < config.max_steps:
        terminal.say(
            f"\nStopped at step {session.step} of {config.max_steps}, as {config.live_config} "
            "asks; without that line, the same command goes on from there."
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


def first_batch(data, step):
    """Return the batch that training at a step begins with, as NumPy arrays.

    Args:
        data: what the task's `load_data` returned.
        step: the step.
    """
    return next(iter(data.batches(step).as_numpy_iterator()))


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


class Session:
    """One process' share of a run: from a step to the last one, or to a signal."""

    def __init__(
        self,
        config,
        task,
        run,
        data,
        model,
        step,
        signals,
        earlier_interval=None,
        found=None,
        weak_labels=None,
    ):
        self.config = config
        self.task = task
        self.run = run
        self.data = data
        self.model = model
        self.signals = signals
        self.weak_labels = weak_labels
        self.first_step = step
        self.predictor = task.predictor(model, config.eval_batch_size, found)
        self.recorder = monitoring.Recorder(run)
        spe = config.steps_per_execution
        self.steering = live_settings.Steering(
            config,
            task.steered,
            self.recorder,
            run.read_metrics(),
            step,
            earlier_interval,
        )
        self.callbacks = [
            callbacks.Agreement(signals, config.log_interval, step, spe),
            callbacks.StopWhenNotFinite(run, step, spe),
            monitoring.Logging(self.recorder, config.log_interval, step, spe),
            self._inspection(step),
            inspection.walk_watch(),
            self.steering,
            callbacks.Checkpointing(run, config, signals, step, spe),
            callbacks.Evaluation(self.evaluate, step, spe),
            *task.callbacks(config, data, self.predictor, self._keep),
        ]
        if config.progress:
            shown = [name for name in model.loss_names if name != REGULARIZATION_LOSS]
            self.callbacks.append(
                monitoring.ProgressBar(config.max_steps, shown, task.shown, step, spe)
            )

    @property
    def step(self):
        """Steps taken."""
        return self.callbacks[0].step

    def fit(self):
        """Train to the last step, or until a signal."""
        self._write_start()
        self.steering.begin(self.model)
        while self.step < self.config.max_steps:
            self._evaluate_if_due()
            if self._fit_segments():
                break

    def _fit_segments(self):
        """Train until the last step, a stop, or a change of the evaluation interval.

        Returns:
            Whether the training ends here.
        """
        interval = self.steering.eval_interval
        calls = segments(self.step, self.config.max_steps, interval)
        if self.weak_labels is not None:
            # Batches are drawn ahead, so that every evaluation has to begin new ones.
            calls = one_by_one(calls)
        for start, length, epochs in calls:
            self.model.fit(
                hosts.shared(self.data.batches)(start),
                steps_per_epoch=length,
                epochs=epochs,
                shuffle=False,
                verbose=0,
                callbacks=self.callbacks,
            )
            if not self.model.stop_training and self.step != start + epochs * length:
                raise TrainingError(
                    f"Keras has taken {self.step - start} of {epochs * length} steps: another "
                    "limit than --max_steps is set"
                )
            self.signals.agree()
            if self.signals.received or self.steering.stops:
                # A signal may have come while `fit` evaluated, after its last chance to save.
                self._save()
                return True
            if self.steering.eval_interval != interval:
                return False
        return True

    def _evaluate_if_due(self):
        step = self.step
        if step and step % self.steering.eval_interval == 0 and not self._measured(step):
            self.evaluate(step)

    def _keep(self, values):
        # At once: it may have taken long to change the model, which was saved here before.
        self._save()
        self.recorder.record(self.step, values)

    def _save(self):
        checkpoints.save(self.model, self.run.checkpoints, self.step, self.config.max_checkpoints)

    def _inspection(self, step):
        def probed_images():
            *_, images = (None, *self.model.named_images(first_batch(self.data, 0)).values())
            if images is None:
                return None
            prepared = self.model.prepare(images[: inspection.PROBED])
            if transfer.takes_features(self.model.network, prepared):
                prepared = transfer.first_view(prepared)
            return keras.ops.convert_to_numpy(prepared)

        config = self.config
        return inspection.Inspection(
            self.recorder,
            self.run.file("layers"),
            config.inspect_interval,
            config.log_interval,
            config.histograms,
            probed_images,
            step,
            config.steps_per_execution,
        )

    def _write_start(self):
        writer, step = self.recorder.writer, self.first_step
        monitoring.write_model_graph(writer, getattr(self.model, "network", self.model))
        batch = first_batch(self.data, step)
        monitoring.write_input_images(writer, self.model, batch, step)
        writer.flush()

    def _measured(self, step):
        """Return what an evaluation of a step measured, or nothing."""
        for entry in reversed(self.run.read_metrics()):
            if entry["step"] == step and not entry.keys().isdisjoint(self.task.shown):
                return {name: entry[name] for name in entry if name not in ("step", "seconds")}
        return {}

    def evaluate(self, step):
        """Measure and record what the task measures, and return it."""
        with averaging.averaged_weights(self.model):
            measured = self.task.measure(self.predictor, self.data)
            if self.weak_labels is not None:
                self.weak_labels.refresh(step, self.predictor)
        # Last, so that an evaluation that was cut short is made again.
        self.recorder.record(step, measured)
        return measured

    def finish(self):
        """Write results, export and projector of the trained model."""
        config, run = self.config, self.run
        measured = self._measured(config.max_steps) or self.evaluate(config.max_steps)
        averaging.put_average(self.model)
        run.write_model(self.model)
        self.task.conclude(run, config, self.predictor, self.data)
        if config.projector:
            projector.project(run.file("train"), self.task, self.data, self.predictor)
        entries = run.read_metrics()
        speeds = [entry["steps_per_second"] for entry in entries if "steps_per_second" in entry]
        run.write_json(
            "results.json",
            {
                "settings": config.to_dict(),
                "step": config.max_steps,
                **measured,
                "evaluated_on": self.data.evaluated_on,
                "images": self.data.evaluated_examples,
                "live_changes": live_settings.changes(entries),
                "wall_time_seconds": round(self.recorder.seconds, 1),
                "median_steps_per_second": float(np.median(speeds)) if speeds else None,
                "git_commit": environment.git_commit(),
                "backend": keras.backend.backend(),
                "versions": environment.versions(),
                "environment": environment.variables(),
                "hardware": environment.hardware(backend.sharing_devices()),
            },
        )
        self.recorder.close()
        headline = self.task.headline(self.data, measured)
        terminal.say(
            f"\n{headline} after {config.max_steps} steps. Results and TensorBoard log: {run.path}"
        )


def one_by_one(calls):
    """Return calls of `fit`, as `segments` lists them, of one epoch each."""
    return [
        (start + epoch * length, length, 1)
        for start, length, epochs in calls
        for epoch in range(epochs)
    ]


def segments(step, max_steps, interval):
    """List calls of `fit` that end an epoch at every multiple of an interval, and at the last step.

    Args:
        step: step to begin at.
        max_steps: last step.
        interval: steps of an epoch.

    Returns:
        List of (first step, steps of an epoch, epochs), without empty ones.
    """
    calls = []
    if step % interval and step < max_steps:
        length = min(math.ceil(step / interval) * interval, max_steps) - step
        calls.append((step, length, 1))
        step += length
    epochs = max(0, (max_steps - step) // interval)
    if epochs:
        calls.append((step, interval, epochs))
        step += epochs * interval
    if step < max_steps:
        calls.append((step, max_steps - step, 1))
    return calls
