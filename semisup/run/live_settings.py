"""Settings of a running training that a small file may change (thesis section 2.2).

The file is TOML, with one line for each setting: `learning_rate = 5e-4`, `visit_weight = 0.2`,
`eval_interval = 100`, `stop = true`. It says how the training should differ from its flags; when a
line is removed, the flag's value returns.
"""

import dataclasses
import logging

from semisup.cli import options
from semisup.errors import UserError, shown
from semisup.files import reading
from semisup.machine import hosts
from semisup.run.monitoring import StepCallback

PREFIX = "live/"
"""What the names of changed settings begin with in the log and in TensorBoard."""

_BY_NAME = ("learning_rate", "eval_interval")
_STOP = "stop"

# What it logs begins on a line of its own, below a progress bar.
_logger = logging.getLogger(__name__)


def read(path, config, steered, loss_names):
    """Read and check a file of live settings.

    Args:
        path: the file.
        config: the configuration that the training began with.
        steered: for each loss weight's flag, the names of the losses that it multiplies.
        loss_names: names of the losses that the model has.

    Returns:
        Dictionary with the settings that the file names, or None if there is no such file.

    Raises:
        UserError: if it cannot be read, or a setting is unknown or not allowed.
    """
    # All hosts have to do the same, whatever they can read.
    values = hosts.from_first(lambda: reading.read_toml(path))
    if values is None:
        return None
    try:
        names = [name for name in steered if not set(steered[name]).isdisjoint(loss_names)]
        stops = values.pop(_STOP, False)
        if not isinstance(stops, bool):
            raise UserError(f"{_STOP}={shown(stops)} has to be true or false")
        known = _checked(values, config, steered, [*_BY_NAME, *names, _STOP])
    except UserError as error:
        raise UserError(f"--live_config={path}: {error}") from None
    return {**known, _STOP: True} if stops else known


def _checked(values, config, steered, allowed):
    """Return the values of settings, of the types and in the ranges of their flags."""
    for name, value in values.items():
        if name not in allowed:
            raise UserError(f"{shown(name)}={shown(value)}: only {', '.join(allowed)} can change")
    fields = {name: config.__dataclass_fields__[name] for name in values}
    known = {name: options.checked(fields[name], values[name], f"--{name}") for name in values}
    for name, value in known.items():
        if name in steered and getattr(config, name) == 0 != value:
            raise UserError(
                f"--{name}={value}: it was 0 when the training began, and nothing can scale a loss "
                "that is not computed"
            )
        before = getattr(config, name)
        if before and not _fits(value / before):
            raise UserError(
                f"--{name}={value} is too far from {before}, which the training began with"
            )
    # The configuration checks them against each other and against all other settings.
    dataclasses.replace(config, **known)
    return known


def _fits(factor):
    """Return whether a model can scale by a factor, which is a float32."""
    return abs(factor) <= options.GREATEST[float]


def changes(entries):
    """List what was changed when: step, seconds and new values of each change.

    Args:
        entries: entries of the log of a run.
    """
    found = []
    for entry in entries:
        changed = {n.removeprefix(PREFIX): v for n, v in entry.items() if n.startswith(PREFIX)}
        if changed:
            found.append({"step": entry["step"], "seconds": entry["seconds"], **changed})
    return found


def applied(entries, config, steered):
    """Return the settings that were changed, by name, with their latest values.

    Args:
        entries: entries of the log of a run.
        config: the configuration of the training.
        steered: see `read`.

    Raises:
        UserError: if the log says what no file of live settings could.
    """
    values = {}
    for change in changes(entries):
        values.update(change)
    for name in ("step", "seconds"):
        values.pop(name, None)
    try:
        return _checked(values, config, steered, [*_BY_NAME, *steered])
    except UserError as error:
        raise UserError(f"metrics.jsonl is damaged: {PREFIX}: {error}") from None


class Steering(StepCallback):
    """A callback that applies the file of live settings when the log is written, if it has changed.

    Scales multiply the schedules of learning rate and loss weights; they are weights, and so part
    of each checkpoint. A setting that is not allowed is refused with a line on the screen, and the
    training goes on as before.

    Args:
        config: the configuration of the training.
        steered: see `read`.
        recorder: a `monitoring.Recorder`; changes are recorded.
        entries: entries of the log so far, of a run that is resumed.
        step: see `StepCallback`.
        earlier_interval: the flag `--eval_interval` of a run that is resumed, as it was before.

    Attributes:
        eval_interval: steps between two evaluations.
        stops: whether the file asks to stop.
    """

    def __init__(self, config, steered, recorder, entries, step, earlier_interval=None):
        super().__init__(step, config.steps_per_execution)
        self.config = config
        self._earlier_interval = earlier_interval or config.eval_interval
        self.steered = steered
        self.recorder = recorder
        self.stops = False
        self._applied = applied(entries, config, steered)
        self._refused = None

    @property
    def eval_interval(self):
        """Steps between two evaluations."""
        return int(self._value("eval_interval"))

    def begin(self, model):
        """Restore what was changed before a training was resumed, and look into the file.

        Args:
            model: the model that is trained.
        """
        if self._applied:
            # A change at the checkpoint's own step is in the log, but not in the checkpoint.
            self._scale(model)
        interval = self.config.eval_interval
        if interval != self._earlier_interval and interval != self.eval_interval:
            # The flag is newer than the live change.
            self._apply(model, {"eval_interval": interval})
        self.look(model)

    def on_step(self, logs):
        """Look into the file if it is time."""
        if self.step % self.config.log_interval == 0:
            self.look(self.model)

    def look(self, model):
        """Apply what the file says now.

        Args:
            model: the model that is trained.
        """
        path = self.config.live_config
        if not path:
            return
        try:
            wanted = read(path, self.config, self.steered, model.loss_names)
        except UserError as error:
            if str(error) != self._refused:
                self._refused = str(error)
                _logger.warning("\nstep %d: refused, and nothing changed: %s", self.step, error)
            return
        self._refused = None
        if wanted is None:
            # The file does not exist yet, or is being rewritten: change nothing.
            return
        self.stops = wanted.pop(_STOP, False)
        changed = {
            name: wanted.get(name, getattr(self.config, name))
            for name in sorted(wanted.keys() | self._applied.keys())
        }
        changed = {name: value for name, value in changed.items() if value != self._value(name)}
        if changed:
            self._apply(model, changed)
        if self.stops or "eval_interval" in changed:
            # `fit` ends here; it is called again with epochs of the new length.
            model.stop_training = True

    def _value(self, name):
        return self._applied.get(name, getattr(self.config, name))

    def _apply(self, model, changed):
        for name, value in changed.items():
            _logger.info("\nstep %d: %s = %s (was %s)", self.step, name, value, self._value(name))
        self._applied.update(changed)
        self._scale(model)
        self.recorder.record(
            self.step, {f"{PREFIX}{name}": value for name, value in changed.items()}
        )

    def _scale(self, model):
        model.optimizer.learning_rate_scale.assign(self._factor("learning_rate"))
        for loss, scale in model.scales.items():
            factor = 1.0
            for name, losses in self.steered.items():
                if loss in losses:
                    factor *= self._factor(name)
            scale.assign(factor)

    def _factor(self, name):
        """Return the factor by which a setting's initial value is multiplied."""
        before = getattr(self.config, name)
        return self._value(name) / before if before else 1.0
