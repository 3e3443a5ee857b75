"""The callbacks that end or interrupt a training: bad losses, checkpoints, signals, evaluations."""

import math

import keras

from semisup.errors import TrainingError
from semisup.run import checkpoints
from semisup.run.monitoring import StepCallback


class StopWhenNotFinite(StepCallback):
    """A callback that raises a `TrainingError` when a loss is NaN or infinite."""

    def __init__(self, run, step, steps_per_execution):
        super().__init__(step, steps_per_execution)
        self.run = run

    def on_step(self, logs):
        """Raise `TrainingError` if a loss of the latest step is not finite."""
        if math.isfinite(logs["total_loss"]):
            return
        model = self.model
        steps = keras.ops.convert_to_numpy(model.nonfinite_steps)
        first = min(
            (step, name) for step, name in zip(steps, model.loss_names, strict=True) if step
        )
        saved = checkpoints.list_steps(self.run.checkpoints)
        last = f"step {saved[-1]} in {self.run.checkpoints}" if saved else "none"
        raise TrainingError(
            f"{first[1]} is not finite at step {first[0]}; the last good checkpoint is {last}. "
            "A lower --learning_rate or loss weight may help."
        )


class Checkpointing(StepCallback):
    """A callback that saves at intervals, early on, at the end, and when a signal asks it to."""

    def __init__(self, save, config, signals, step, steps_per_execution):
        super().__init__(step, steps_per_execution)
        self.save = save
        self.config = config
        self.signals = signals

    def on_step(self, logs):
        """Save a checkpoint if it is time."""
        config = self.config
        due = self.step % config.checkpoint_interval == 0
        first_or_last = self.step in (config.log_interval, config.max_steps)
        if due or first_or_last or self.signals.received:
            # To ask for a callback's model brings its weights up to date under JAX.
            self.save(self.model)
        if self.signals.received:
            self.model.stop_training = True


class Evaluation(StepCallback):
    """A callback that evaluates at the end of each epoch."""

    def __init__(self, evaluate, step, steps_per_execution):
        super().__init__(step, steps_per_execution)
        self.evaluate = evaluate

    def on_epoch_end(self, epoch, logs=None):
        """Evaluate, unless the epoch was cut short."""
        if not self.model.stop_training:
            logs.update(self.evaluate(self.step))


class Agreement(StepCallback):
    """A callback that lets hosts agree on the signals that they have received, at intervals.

    Args:
        signals: the `StopSignals`.
        interval: steps between two agreements.
        step: see `StepCallback`.
        steps_per_execution: see `StepCallback`.
    """

    def __init__(self, signals, interval, step, steps_per_execution):
        super().__init__(step, steps_per_execution)
        self.signals = signals
        self.interval = interval

    def on_step(self, logs):
        """Agree if it is time."""
        if self.step % self.interval == 0:
            self.signals.agree()
