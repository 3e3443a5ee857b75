"""A watch over the walks of a training, which says when nothing is learnt from them."""

import math
import warnings

import keras
from keras import ops

from semisup.association import EPSILON

INTERVAL = 50
"""Steps between two looks at the values of a step."""

SATURATED, AT_CHANCE = 300, 500
"""Steps that walks have to be saturated, or no better than chance, until it is said."""

CAP = -math.log(EPSILON)
"""What walker and visit loss cannot exceed."""

_NEAR = 2 / 3
_BETTER = 1.05
_GROWTH = 1.01
# Where many steps are taken at once, there are many between two looks.
_LOOKS = 3


class WalkWatch(keras.callbacks.Callback):
    """A callback that warns when nothing is learnt from the walks of an association.

    It says, each at most once, that

    - walker or visit loss has been near its cap for some hundred steps: the similarities saturate
      the softmax, so that each step of a walk is certain and has no gradient;
    - round trips have been no better than chance for some hundred steps.

    Steps count while the loss has a weight, and that no longer grows. `fit` of our models brings a
    watch along, unless it is given one.

    Args:
        softer: what makes walks softer, to continue "try …".
        better: what may lift walks above chance, likewise.
        tell: function to call with each warning, a line of text; None for Python's warnings.
    """

    def __init__(
        self,
        softer='semisup.Association(measure="cosine"), or a higher temperature',
        better="a pretrained network, more labels or a lower learning rate",
        tell=None,
    ):
        super().__init__()
        self.softer = softer
        self.better = better
        self.tell = tell or _warn
        self._first_step = None
        self._taken = 0
        self._weights = {}
        self._since = {}
        self._looks = {}
        self._told = set()

    def on_train_begin(self, logs=None):
        """Ask the model how far it is."""
        if self._first_step is None:
            self._first_step = self._step()

    def on_train_batch_begin(self, batch, logs=None):
        """Remember the first of the steps that are taken at once."""
        self._first_batch = batch

    def on_train_batch_end(self, batch, logs=None):
        """Look at the latest step if it is time."""
        self._taken += batch - self._first_batch + 1
        if self._taken >= INTERVAL:
            self._taken = 0
            # On JAX, access to `self.model` brings its variables up to date.
            values = self.model.latest_values.read()
            self.look(self._step(), values, getattr(self.model, "num_classes", None))

    def _step(self):
        return int(ops.convert_to_numpy(self.model.step))

    def look(self, step, values, num_classes=None):
        """Look at the values of a step, and warn if it is time.

        Args:
            step: training steps taken.
            values: losses, their weights and statistics of the latest step, floats by name.
            num_classes: number of classes that walks begin in, or None if it is not known.
        """
        for name, loss in values.items():
            if name.endswith(("walker_loss", "visit_loss")):
                said = (
                    f"{name.replace('_', ' ')} has been near its cap, {loss:.1f} of {CAP:.1f}, for "
                    "{steps} steps: the similarities are so large that walks are certain, and "
                    f"little is learnt from the unlabelled examples; try {self.softer}"
                )
                weight = values[f"{name}_weight"]
                self._note(step, name, weight, loss > _NEAR * CAP, SATURATED, said)
        accuracy = values.get("round_trip_accuracy")
        if None in (accuracy, num_classes, values.get("walker_loss")):
            return
        chance = num_classes**-0.5
        said = (
            f"round trips have been no better than chance for {{steps}} steps: their accuracy is "
            f"{accuracy:.2f}, that of chance {chance:.2f} with {num_classes} classes; try "
            f"{self.better}"
        )
        weight, loss = values["walker_loss_weight"], values["walker_loss"]
        at_chance = accuracy <= _BETTER * chance and loss <= _NEAR * CAP
        self._note(step, "round_trip_accuracy", weight, at_chance, AT_CHANCE, said)

    def _note(self, step, name, weight, is_bad, patience, said):
        """Note whether something is bad, and say so if it has been for long."""
        grows = weight > _GROWTH * self._weights.get(name, weight)
        self._weights[name] = weight
        if not is_bad or not weight or grows:
            self._since[name], self._looks[name] = step, 0
            return
        self._looks[name] = self._looks.get(name, 0) + 1
        steps = step - self._since.setdefault(name, self._first_step or 0)
        if steps >= patience and self._looks[name] >= _LOOKS and name not in self._told:
            self._told.add(name)
            self.tell(f"step {step}: {said.format(steps=steps)} (docs/good_values.md).")


def watched(callbacks, watch):
    """Return the callbacks of a training with a watch among them.

    Args:
        callbacks: what `fit` was given: None, a callback, several, or a `CallbackList`.
        watch: the `WalkWatch` to add unless there is one.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    callbacks = keras.tree.flatten(callbacks) if callbacks is not None else []
    if any(isinstance(callback, WalkWatch) for callback in callbacks):
        return callbacks
    return [*callbacks, watch]


def _warn(text):
    warnings.warn(text, stacklevel=2)
