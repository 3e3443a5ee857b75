"""The core trains tasks that it does not know: one of pairs, one with a label for each pixel."""

import dataclasses
import json
from typing import ClassVar

import keras
import numpy as np
import pytest
import running

import semisup
from semisup.cli.options import option
from semisup.cli.settings import RunConfig
from semisup.data import pipelines, sampling
from semisup.errors import UserError
from semisup.eval import EvalConfig
from semisup.models.optimizers import SteerableAdam
from semisup.models.weighted_losses import WeightedLossesModel
from semisup.report.reporting import Reporter, evaluate_run
from semisup.run import loading, training
from semisup.run import task as tasks
from semisup.run.directory import RunDirectory


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyConfig(RunConfig):
    """Settings of the toy tasks."""

    match_weight: float = option(1.0, "Loss", "Weight of the loss.", least=0, most=1e6)
    width: int = option(4, "Network", "Width of the embeddings.", least=1)


class ToyTask(tasks.Task):
    """What the two have in common: examples drawn from a seed, in batches of eight."""

    config_class = ToyConfig
    steered: ClassVar = {"match_weight": ("match_loss",)}

    def load_data(self, config, sampler=sampling.VERSION):
        import tensorflow as tf

        inputs, targets = self.examples(np.random.default_rng(config.seed))
        drawn = sampling.Sampler([np.arange(40)], 8, config.seed)

        def batches(first_step):
            def gather(indices):
                pick = lambda array: tf.gather(array, indices)  # noqa: E731
                return tf.nest.map_structure(pick, inputs), tf.gather(targets, indices)

            return pipelines.in_order(drawn.batches(first_step).map(gather))

        held_out = keras.tree.map_structure(lambda array: array[40:], (inputs, targets))
        return ToyData(
            batches=batches,
            record={"toy": self.name, "shapes": [list(np.shape(targets))]},
            evaluated_on="test examples",
            evaluated_examples=len(held_out[1]),
            held_out=held_out,
        )

    def build_model(self, config, record, data=None):
        assert record["toy"] == self.name
        model = self.model(config)
        model.compile(
            SteerableAdam(config.learning_rate, name="adam"),
            jit_compile=keras.backend.backend() == "jax",
        )
        inputs, _ = self.examples(np.random.default_rng(0))
        model(keras.tree.map_structure(lambda array: array[:2], inputs))
        model.optimizer.build(model.trainable_variables)
        return model

    def predictor(self, model, batch_size, features=None):
        return model

    def measure(self, predictor, data):
        inputs, targets = data.held_out
        found = keras.ops.convert_to_numpy(predictor(inputs, training=False))
        return {self.shown[0]: float(self.mistakes(found, targets))}

    def headline(self, data, measured):
        return f"{self.shown[0]} {measured[self.shown[0]]:.3f}"

    def reporter_class(self):
        return Reporter


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyData(tasks.TaskData):
    """The data of the toy tasks."""

    held_out: tuple


class PairModel(WeightedLossesModel):
    """Embeds vectors of 3 and of 5 numbers, and compares every one with every other."""

    def __init__(self, width, weight):
        super().__init__(["match_loss"], name="model")
        self.width, self.weight = width, weight
        self.one, self.other = keras.layers.Dense(width), keras.layers.Dense(width)

    @property
    def loss_weights(self):
        return {"match_loss": self.weight}

    def get_config(self):
        return {"width": self.width, "weight": self.weight}

    def call(self, inputs, training=False):
        one, other = self.one(inputs["one"]), self.other(inputs["other"])
        return keras.ops.matmul(one, keras.ops.transpose(other))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        diagonal = keras.ops.arange(keras.ops.shape(y_pred)[0])
        losses = keras.ops.sparse_categorical_crossentropy(diagonal, y_pred, from_logits=True)
        count = keras.ops.shape(y_pred)[0]
        return self.combine({"match_loss": keras.ops.mean(losses)}, {}, count, training)


class Pairs(ToyTask):
    """Pairs of different modalities."""

    name = "pairs"
    title = "Pairs"
    shown = ("mismatched",)

    def examples(self, generator):
        hidden = generator.normal(size=(50, 4))
        one = hidden @ generator.normal(size=(4, 3))
        other = hidden @ generator.normal(size=(4, 5))
        inputs = {"one": one.astype("float32"), "other": other.astype("float32")}
        return inputs, np.arange(50)

    def model(self, config):
        return PairModel(config.width, config.match_weight)

    def mistakes(self, found, targets):
        return np.mean(found.argmax(axis=1) != np.arange(len(found)))


class PixelModel(WeightedLossesModel):
    """Classifies each pixel of an image."""

    def __init__(self, width, weight):
        super().__init__(["match_loss"], name="model")
        self.width, self.weight = width, weight
        self.network = keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                keras.layers.Conv2D(width, 3, padding="same", activation="elu"),
                keras.layers.Dropout(0.1),
                keras.layers.Conv2D(2, 1),
            ]
        )

    @property
    def loss_weights(self):
        return {"match_loss": self.weight}

    def get_config(self):
        return {"width": self.width, "weight": self.weight}

    def call(self, inputs, training=False):
        return self.network(keras.ops.cast(inputs, "float32"), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        losses = keras.ops.sparse_categorical_crossentropy(y, y_pred, from_logits=True)
        count = keras.ops.shape(y_pred)[0]
        return self.combine({"match_loss": keras.ops.mean(losses)}, {}, count, training)

    def named_images(self, batch):
        return {"images": batch[0]}

    def prepare(self, images):
        return keras.ops.cast(images, "float32")


class Pixels(ToyTask):
    """A label for each pixel: whether it is bright."""

    name = "pixels"
    title = "Pixels"
    shown = ("pixel_error",)

    def examples(self, generator):
        images = generator.normal(size=(50, 6, 6, 1)).astype("float32")
        return images, (images[..., 0] > 0).astype("int32")

    def model(self, config):
        return PixelModel(config.width, config.match_weight)

    def mistakes(self, found, targets):
        return np.mean(found.argmax(axis=-1) != targets)


def settings(tmp_path, logdir="run", **changes):
    values = {
        "max_steps": 60,
        "eval_interval": 20,
        "checkpoint_interval": 10,
        "log_interval": 10,
        "inspect_interval": 20,
        "learning_rate": 0.05,
        "progress": False,
        **changes,
    }
    return ToyConfig(logdir=str(tmp_path / logdir), **values)


@running.needs_commands
@pytest.mark.parametrize(
    "task", [Pairs(), pytest.param(Pixels(), marks=pytest.mark.backend)], ids=lambda task: task.name
)
def test_a_task_of_ones_own_is_trained_resumed_and_loaded(task, tmp_path):
    assert training.train(settings(tmp_path), task) == 0
    run = RunDirectory(tmp_path / "run")
    results = run.read_results()
    assert results["step"] == 60
    assert results["images"] == 10
    measured = [entry[task.shown[0]] for entry in run.read_metrics() if task.shown[0] in entry]
    assert len(measured) == 3
    assert measured[-1] == results[task.shown[0]] < 0.7
    evaluate_run(EvalConfig(logdir=run.path, figures=True, report=True), task)
    assert run.read_json("evaluation.json")[task.shown[0]] == pytest.approx(measured[-1])
    # Cut off at step 30, and resumed: the same bits.
    running.cut(run, tmp_path, 30, "half")
    assert training.train(settings(tmp_path, "half"), task) == 0
    ours, theirs = (loading.load_run(tmp_path / name, task=task)[0] for name in ("run", "half"))
    for one, other in zip(ours.trainable_variables, theirs.trainable_variables, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        )


def test_a_run_of_an_unknown_task_names_the_tasks_there_are(tmp_path):
    training.train(settings(tmp_path, max_steps=1), Pairs())
    with pytest.raises(UserError, match="no task pairs; there are semisup, domain_adaptation"):
        semisup.load_run(tmp_path / "run")


def test_a_run_directory_names_no_module_to_import(tmp_path):
    training.train(settings(tmp_path, max_steps=1), Pairs())
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "task": "this"}))
    import sys

    with pytest.raises(UserError, match="no task this"):
        semisup.load_run(tmp_path / "run")
    assert "this" not in sys.modules
