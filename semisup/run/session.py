"""One process' share of a training: its steps, from the first to the last or to a signal."""

import math

import keras
import numpy as np

from semisup.architectures import transfer
from semisup.cli import terminal
from semisup.errors import TrainingError
from semisup.machine import backend, environment, hosts
from semisup.models import averaging
from semisup.models.weighted_losses import REGULARIZATION_LOSS
from semisup.run import (
    callbacks,
    checkpoints,
    inspection,
    live_settings,
    monitoring,
    projector,
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
            callbacks.Checkpointing(self._save, config, signals, step, spe),
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
                self._save(self.model)
                return True
            if self.steering.eval_interval != interval:
                return False
        return True

    def _evaluate_if_due(self):
        step = self.step
        if step and step % self.steering.eval_interval == 0:
            if not self._measured(step):
                self.evaluate(step)
            elif self.weak_labels is not None:
                # The checkpoint was written before the evaluation that made new ones.
                with averaging.averaged_weights(self.model):
                    self.weak_labels.refresh(step, self.predictor)

    def _keep(self, values):
        # At once: it may have taken long to change the model, which was saved here before.
        self._save(self.model)
        self.recorder.record(self.step, values)

    def _save(self, model):
        further = None if self.weak_labels is None else self.weak_labels.entries(self.step)
        checkpoints.save(
            model, self.run.checkpoints, self.step, self.config.max_checkpoints, further
        )

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
            # A training that goes on from a last step between two evaluations has to draw as one
            # that did not end there.
            if self.weak_labels is not None and step % self.steering.eval_interval == 0:
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


def first_batch(data, step):
    """Return the batch that training at a step begins with, as NumPy arrays.

    Args:
        data: what the task's `load_data` returned.
        step: the step.
    """
    return next(iter(data.batches(step).as_numpy_iterator()))
