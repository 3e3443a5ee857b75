"""A look into the layers of a running training (thesis section 2.2): gradients, weights, units.

Norms are taken where they cost next to nothing. The optimizer computes those of the gradients in
every step, and they are checked whenever the log is written. Everything else comes from the weights
and the optimizer's averages, at the interval.
"""

import contextlib
import logging
import math
import statistics

import keras
import numpy as np
from keras import ops

from semisup.architectures import layer_calls, transfer
from semisup.models.walk_watch import WalkWatch
from semisup.run import kernel_images
from semisup.run.monitoring import StepCallback

GRADIENT, WEIGHT, UPDATE, DEAD = "gradient_norm/", "weight_norm/", "update_ratio/", "dead_units/"
"""What the tags of a layer's numbers begin with."""

PROBED = 100
"""Images of a batch, at most, that should tell which units are dead."""

_EXPLOSION = 100.0
_EARLIER = 3
# At this step, every loss has its final weight.
_LATE = 2**30

_logger = logging.getLogger(__name__)


class Inspection(StepCallback):
    """A callback that records norms and dead units of each layer, and warns of bad gradients.

    It records these numbers of a layer, in the log and as scalars:

    - `gradient_norm/LAYER`, of the latest step, before the gradient is clipped;
    - `weight_norm/LAYER`;
    - `update_ratio/LAYER`, norm of the latest step's update divided by that of the weights;
    - `dead_units/LAYER`, the share of units (of a convolution: channels) that are not positive on
      any of the probed images, for layers with a nonlinear activation.

    A gradient vanishes if the root of its mean square is below the optimizer's epsilon, so that the
    weights hardly move. It explodes if its norm is not finite, or more than 100 times the median of
    earlier norms under the same loss weights. Steps between two checks are not seen.

    Args:
        recorder: a `monitoring.Recorder`.
        folder: TensorBoard folder for images and histograms, made at the first look.
        interval: steps between two looks; with 0, nothing is looked at or watched.
        watch_interval: steps between two comparisons of the gradients with earlier ones.
        histograms: whether to write histograms of the weights and of their averaged gradients.
        images: function that returns the images to probe with, (n, height, width, channels), as
            the network takes them, or None if there are none.
        step: see `StepCallback`.
        steps_per_execution: see `StepCallback`.
    """

    def __init__(
        self,
        recorder,
        folder,
        interval,
        watch_interval,
        histograms,
        images,
        step,
        steps_per_execution,
    ):
        super().__init__(step, steps_per_execution)
        self.recorder = recorder
        self.folder = folder
        self._writer = None
        self.interval = interval
        self.watch_interval = watch_interval
        self.histograms = histograms
        self.images = images
        self._probe = None
        self._probed = None
        self._first_convolution = None
        self._earlier = {}
        self._loss_weights = None
        self._vanished = set()
        self._exploded = set()

    def on_step(self, logs):
        """Watch the gradients and look into the layers if it is time."""
        if not self.interval:
            return
        if self.step % self.watch_interval == 0:
            self.watch(self.model, logs)
        if self.step % self.interval == 0:
            self.look(self.model, logs)

    def watch(self, model, logs):
        """Warn of gradients that explode.

        Args:
            model: the model that is trained.
            logs: values of the latest step by their names.
        """
        weights = [logs.get(f"{name}_weight") for name in model.loss_weights]
        if weights != self._loss_weights:
            # A loss that has just been switched on may have quite different gradients.
            self._loss_weights = weights
            self._earlier.clear()
        for layer, norm in gradient_norms(model).items():
            earlier = self._earlier.setdefault(layer, [])
            self._tell(layer, explosion(norm, earlier), self._exploded)
            if math.isfinite(norm):
                earlier.append(norm)

    def look(self, model, logs):
        """Record what there is to see of a model now.

        Args:
            model: the model that is trained.
            logs: values of the latest step by their names.
        """
        numbers = layer_norms(model)
        self._warn_of_vanished(model, numbers)
        if self._probed is None:
            self._probed = self.images()
        if self._probe is None and self._probed is not None:
            self._probe = ActivationProbe(transfer.taking(model.network, self._probed))
            # Some networks have no first kernels that can be drawn.
            with contextlib.suppress(ValueError):
                self._first_convolution = layer_calls.first_convolution(model.network)
        if self._probe is not None:
            dead = self._probe.dead_units(self._probed)
            numbers.update({f"{DEAD}{layer}": share for layer, share in dead.items()})
        self.recorder.record(self.step, numbers)
        self._write_pictures(model)

    def _warn_of_vanished(self, model, numbers):
        waits = _waits(model, self.step - 1)
        network = getattr(model, "network", model)
        embedding = {id(variable) for variable in network.trainable_variables}
        for layer, variables in layers_of(model).items():
            norm = numbers[f"{GRADIENT}{layer}"]
            size = sum(math.prod(variable.shape) for variable in variables)
            trouble = vanishing(norm, size, model.optimizer.epsilon)
            # A loss that is not switched on yet gives no gradient; outside the network, only weight
            # decay may be left.
            is_apart = not any(id(variable) in embedding for variable in variables)
            if waits and (norm == 0 or is_apart):
                trouble = None
            self._tell(layer, trouble, self._vanished)

    def _tell(self, layer, trouble, told):
        """Name a layer that is in trouble, once for as long as it is."""
        if trouble is None:
            told.discard(layer)
        elif layer not in told:
            told.add(layer)
            # On a line of its own, below a progress bar.
            _logger.warning(
                "\nstep %d: the gradient of layer %s %s. A lower learning rate, fewer layers or "
                "batch normalisation may help.",
                self.step,
                layer,
                trouble,
            )

    def _write_pictures(self, model):
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self.folder)
        with self._writer.as_default():
            if self._first_convolution is not None:
                kernels = ops.convert_to_numpy(self._first_convolution.kernel)
                picture = kernel_images.grid(kernels)
                tf.summary.image("kernels", picture[None], step=self.step)
            if self.histograms:
                averages = averaged_gradients(model.optimizer)
                for variable, average in zip(model.trainable_variables, averages, strict=True):
                    name = variable.path.removeprefix("model/")
                    for kind, values in (("weights", variable), ("averaged_gradient", average)):
                        values = ops.convert_to_numpy(values)
                        tf.summary.histogram(f"{kind}/{name}", values, step=self.step)
        self._writer.flush()


def walk_watch():
    """Make a `WalkWatch` that names flags, each warning on a line of its own below the bar."""
    return WalkWatch(
        softer="--similarity_measure=cosine, or a higher --temperature",
        better="a pretrained network, more labels or a lower --learning_rate",
        tell=lambda text: _logger.warning("\n%s", text),
    )


def averaged_gradients(optimizer):
    """Return Adam's moving averages of the gradients, in the order of the weights.

    Args:
        optimizer: a built `keras.optimizers.Adam`.
    """
    return [variable for variable in optimizer.variables if variable.name.endswith("_momentum")]


def _waits(model, step):
    """Return whether a loss has no weight at a step, and will have one later."""
    return any(
        float(model.weight_at(name, step)) == 0 and float(model.weight_at(name, _LATE)) > 0
        for name in model.loss_weights
    )


def layers_of(model):
    """Return the trainable variables of each layer.

    Args:
        model: an `EmbeddingClassifier`.

    Returns:
        Dictionary from names to lists of variables, in the model's order. A weight of the model
        itself, such as centroids, is a layer of its own.
    """
    layers = {}
    for variable in model.trainable_variables:
        path = variable.path.removeprefix("model/")
        layers.setdefault(path.rpartition("/")[0] or path, []).append(variable)
    return layers


def gradient_norms(model):
    """Return the norm of each layer's gradient at the latest step, before it is limited.

    Args:
        model: an `EmbeddingClassifier` that has taken a step, compiled with a `SteerableAdam`.

    Returns:
        Floats by the layers' names.
    """
    return _by_layer(model, ops.convert_to_numpy(model.optimizer.gradient_norms))


def layer_norms(model):
    """Return each layer's norms of gradient and weights, and the ratio of update to weights.

    Args:
        model: an `EmbeddingClassifier` that has taken a step, compiled with a `SteerableAdam`.

    Returns:
        Floats by the tags that `Inspection` records.
    """
    values = map(ops.convert_to_numpy, model.trainable_variables)
    weights = _by_layer(model, [_norm(value) for value in values])
    updates = _by_layer(model, [_norm(update) for update in model.optimizer.latest_updates()])
    numbers = {}
    for layer, gradient in gradient_norms(model).items():
        weight, update = weights[layer], updates[layer]
        numbers[f"{GRADIENT}{layer}"] = gradient
        numbers[f"{WEIGHT}{layer}"] = weight
        numbers[f"{UPDATE}{layer}"] = update / weight if weight else 0.0
    return numbers


def _by_layer(model, norms):
    """Compute norms of layers from those of their variables, which come in the model's order."""
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    return {
        layer: _norm([norms[places[id(variable)]] for variable in members])
        for layer, members in layers_of(model).items()
    }


def vanishing(norm, size, epsilon):
    """Describe how a gradient vanishes, if it does: see `Inspection`.

    Args:
        norm: its length.
        size: its number of entries.
        epsilon: that of Adam.

    Returns:
        A text that continues "the gradient …", or None if it does not.
    """
    root = norm / math.sqrt(size)
    return f"vanishes: the root of its mean square is {root:.1e}" if root < epsilon else None


def explosion(norm, earlier):
    """Describe how a gradient explodes, if it does: see `Inspection`.

    Args:
        norm: its length.
        earlier: lengths of the same layer's earlier gradients.

    Returns:
        A text that continues "the gradient …", or None if it does not.
    """
    if not math.isfinite(norm):
        return "explodes: it is not finite"
    if len(earlier) >= _EARLIER:
        median = statistics.median(earlier)
        if norm > _EXPLOSION * median:
            return f"explodes: its length is {norm:.1e}, and the median of the earlier {median:.1e}"
    return None


class ActivationProbe(keras.Model):
    """A model that tells which units of a network do nothing.

    Args:
        network: a Keras model; if it is not functional, no units are known.
    """

    def __init__(self, network):
        super().__init__(name="activation_probe")
        self.network = network
        self._is_known = layer_calls.is_functional(network) and any(
            _is_nonlinear(call.layer) for call in layer_calls.trace(network)[1]
        )
        self.compile(jit_compile=keras.backend.backend() == "jax")

    def call(self, images):
        """Return the greatest output of each unit, (units,) float32, by the layers' names."""
        greatest = {}

        def call(layer, arguments, options):
            outputs = layer_calls.infer(layer, arguments, options)
            if _is_nonlinear(layer) and layer.name not in greatest:
                axes = tuple(range(len(outputs.shape) - 1))
                greatest[layer.name] = ops.cast(ops.max(outputs, axis=axes), "float32")
            return outputs

        layer_calls.run(self.network, images, call)
        return greatest

    def dead_units(self, images):
        """Return the share of units that are not positive on any image.

        Args:
            images: (n, height, width, channels), as the network takes them.

        Returns:
            Floats in [0, 1] by the layers' names.
        """
        if not self._is_known:
            return {}
        greatest = self.predict_on_batch(images)
        return {layer: float(np.mean(values <= 0)) for layer, values in greatest.items()}


def _is_nonlinear(layer):
    activations = keras.activations
    if isinstance(layer, (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)):
        return True
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense, keras.layers.Activation)):
        return layer.activation is not activations.linear
    return False


def _norm(values):
    return float(np.linalg.norm(np.asarray(values, "float64").ravel()))
