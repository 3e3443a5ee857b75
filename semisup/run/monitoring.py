"""The visible side of a running training: log, TensorBoard, progress bar.

TensorBoard's scalars are written from the entries of the log, `metrics.jsonl`, and are written anew
when a run is resumed.
"""

import contextlib
import sys
import time

import keras
import numpy as np

from semisup.run import belongings


class StepCallback(keras.callbacks.Callback):
    """A callback that knows the training step.

    It counts the steps, since reading them from the model would synchronise JAX' state.

    Args:
        step: steps taken before the training goes on.
        steps_per_execution: steps between two calls.
    """

    def __init__(self, step, steps_per_execution):
        super().__init__()
        self.step = step
        self.steps_per_execution = steps_per_execution

    def on_train_batch_end(self, batch, logs=None):
        """Count the steps, and call `on_step`."""
        self.step += self.steps_per_execution
        self.on_step(logs)

    def on_step(self, logs):
        """Handle the values of the latest step; `self.step` steps have been taken."""


class Recorder:
    """A writer of entries to the log of a run and to TensorBoard.

    Args:
        run: the `RunDirectory`.
    """

    def __init__(self, run):
        import tensorflow as tf

        self._run = run
        self._started = time.monotonic()
        self._earlier_seconds = 0.0
        # The scalars of a killed run reach beyond its checkpoint: write them anew.
        belongings.remove(run.path, ["train"])
        self.writer = tf.summary.create_file_writer(run.file("train"))
        for entry in run.read_metrics():
            self._write_scalars(entry)
            self._earlier_seconds = entry["seconds"]

    @property
    def seconds(self):
        """Time that the run has taken, in seconds, earlier processes included."""
        return self._earlier_seconds + time.monotonic() - self._started

    def record(self, step, values):
        """Add an entry.

        Args:
            step: training step.
            values: floats by their names; the names are TensorBoard's tags.
        """
        entry = {"step": step, "seconds": round(self.seconds, 3), **values}
        self._run.append_metrics(entry)
        self._write_scalars(entry)

    def _write_scalars(self, entry):
        import tensorflow as tf

        with self.writer.as_default():
            for name, value in entry.items():
                if name not in ("step", "seconds"):
                    tf.summary.scalar(name, value, step=entry["step"])

    def close(self):
        """Write what is buffered."""
        self.writer.close()


class Logging(StepCallback):
    """A callback that records losses, their weights, learning rate and speed at intervals."""

    def __init__(self, recorder, interval, step, steps_per_execution):
        super().__init__(step, steps_per_execution)
        self.recorder = recorder
        self.interval = interval
        self._mark = None

    def on_epoch_begin(self, epoch, logs=None):
        """Forget the time spent in an evaluation."""
        self._mark = None

    def on_step(self, logs):
        """Record an entry if it is time."""
        if self.step % self.interval == 0:
            # On JAX, access to `self.model` brings its variables up to date.
            latest = self.model.latest_values.read()
            values = {tag(name): latest[name] for name in logs if name in latest}
            values["learning_rate"] = self.model.optimizer.learning_rate_at(self.step - 1)
            now = time.monotonic()
            if self._mark is not None:
                mark_step, mark = self._mark
                values["steps_per_second"] = (self.step - mark_step) / (now - mark)
            self.recorder.record(self.step, values)
            self._mark = (self.step, time.monotonic())
            self.recorder.writer.flush()
        elif self._mark is None:
            self._mark = (self.step, time.monotonic())


def tag(name):
    """Return the TensorBoard tag of a value, which groups losses, weights and statistics."""
    if name.endswith("_weight"):
        return f"weights/{name.removesuffix('_weight')}"
    if name.endswith(("_loss", "_above_floor")):
        return f"losses/{name}"
    return name


class ProgressBar(StepCallback):
    """One bar over all steps of a training, or without a terminal a line for every evaluation.

    Args:
        max_steps: steps in all.
        loss_names: names of the losses to show.
        measured_names: names of what evaluations measure, of those to show.
        step: see `StepCallback`.
        steps_per_execution: see `StepCallback`.
    """

    def __init__(self, max_steps, loss_names, measured_names, step, steps_per_execution):
        super().__init__(step, steps_per_execution)
        self.max_steps = max_steps
        self.loss_names = loss_names
        self.measured_names = measured_names
        self._bar = None
        if sys.stdout.isatty():
            names = [self._short(name) for name in loss_names]
            self._bar = keras.utils.Progbar(max_steps, stateful_metrics=[*names, *measured_names])
            self._bar.update(step)

    @staticmethod
    def _short(name):
        return name.removesuffix("_loss")

    def on_step(self, logs):
        """Move the bar."""
        # The last update ends the bar's line: leave it to the evaluation.
        if self._bar is not None and self.step < self.max_steps:
            self._bar.update(self.step, self._shown(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Show what was measured."""
        measured = [(name, logs[name]) for name in self.measured_names if name in (logs or {})]
        if not measured:
            return
        values = [*self._shown(logs), *measured]
        if self._bar is not None:
            self._bar.update(self.step, values)
        else:
            text = " - ".join(f"{name}: {value:.4f}" for name, value in values)
            print(f"step {self.step}/{self.max_steps} - {text}", flush=True)

    def _shown(self, logs):
        return [(self._short(name), logs[name]) for name in self.loss_names if name in logs]


def write_model_graph(writer, network):
    """Write the layers of a functional network for TensorBoard's graph page.

    The nodes are Keras layers, not a backend's operations, so that the page is readable and alike
    on all backends. (TensorBoard itself does not understand models of Keras 3.)

    Args:
        writer: a TensorFlow summary writer.
        network: a Keras model; one that is not functional has no graph, and is left out.
    """
    import tensorflow as tf

    graph, names = tf.compat.v1.GraphDef(), {}
    by_depth = getattr(network, "_functional", network)
    by_depth = getattr(by_depth, "_nodes_by_depth", {})
    for depth in sorted(by_depth, reverse=True):
        for call in by_depth[depth]:
            name = call.operation.name
            # A layer that is called twice has two nodes.
            repeats = sum(used.split("_call")[0] == name for used in names.values())
            names[id(call)] = f"{name}_call{repeats + 1}" if repeats else name
            node = graph.node.add(name=names[id(call)], op=type(call.operation).__name__)
            node.input.extend(names[id(parent)] for parent in call.parent_nodes)
            shapes = node.attr["_output_shapes"].list.shape
            for tensor in call.outputs:
                shapes.append(tf.TensorShape(tensor.shape).as_proto())
    with writer.as_default():
        tf.summary.graph(graph)


def write_input_images(writer, model, batch, step, count=16):
    """Write training images as the network sees them, after augmentation and before scaling.

    Args:
        writer: a TensorFlow summary writer.
        model: an `EmbeddingClassifier`.
        batch: a training batch.
        step: training step of the batch.
        count: how many images of each kind to write.
    """
    import tensorflow as tf

    for name, images in model.named_images(batch).items():
        images = np.asarray(images)
        if images.ndim != 4:
            # Features cannot be seen.
            continue
        chosen = images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]
        shown = model.prepare(chosen)
        augmentation = getattr(model, "augmentation", None)
        if augmentation is not None:
            with kept_states(augmentation):
                shown = model.augment(shown)
        shown = np.clip(keras.ops.convert_to_numpy(shown), 0, 255).astype(np.uint8)
        with writer.as_default():
            tf.summary.image(f"inputs/{name}", shown, step=step, max_outputs=count)


@contextlib.contextmanager
def kept_states(layer):
    """Put the variables of a layer back as they were at the end of a block.

    Looking at a layer must not change a training.

    Args:
        layer: a built Keras layer.
    """
    values = [keras.ops.convert_to_numpy(variable) for variable in layer.variables]
    try:
        yield
    finally:
        for variable, value in zip(layer.variables, values, strict=True):
            variable.assign(value)
