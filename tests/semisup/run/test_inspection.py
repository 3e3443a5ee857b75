"""Tests of the look into the layers: norms and units against NumPy, and what is warned of."""

import keras
import numpy as np
import pytest
import running

from clustering.task import TASK as clustering
from semisup.architectures import layer_calls
from semisup.models import optimizers, walk_watch
from semisup.run import building, inspection, monitoring
from semisup.task import TASK as semi_supervised

SHORT = {
    "max_steps": 4,
    "eval_interval": 4,
    "checkpoint_interval": 4,
    "log_interval": 1,
    "inspect_interval": 2,
}


def logged(run, prefix):
    return {
        entry["step"]: {n: v for n, v in entry.items() if n.startswith(prefix)}
        for entry in run.read_metrics()
        if any(name.startswith(prefix) for name in entry)
    }


@pytest.mark.parametrize(
    "task",
    # Of a clustering, k-means at step 30 restarts the averages.
    [
        pytest.param(semi_supervised, marks=[pytest.mark.backend, running.needs_commands]),
        clustering,
    ],
)
def test_norms_are_those_of_the_latest_step(tmp_path, monkeypatch, task):
    """Adam's averages before and after a step tell its gradient, and the weights its update."""
    snapshots = {}
    log = monitoring.Logging.on_step

    def keep(callback, logs):
        log(callback, logs)
        if callback.step in (35, 36):
            model = callback.model
            means = inspection.averaged_gradients(model.optimizer)
            named = {"weights": model.trainable_variables, "means": means}
            snapshots[callback.step] = {
                name: [keras.ops.convert_to_numpy(variable) for variable in variables]
                for name, variables in named.items()
            }
            snapshots["layers"] = [
                variable.path.removeprefix("model/") for variable in model.trainable_variables
            ]
            snapshots["decay"] = model.optimizer.beta_1

    monkeypatch.setattr(monitoring.Logging, "on_step", keep)
    settings = {"inspect_interval": 36, "clip_norm": 0.0, "max_steps": 40, "eval_interval": 40}
    _, run = running.train(tmp_path, task=task, **settings)
    (numbers,) = [entry for entry in run.read_metrics() if entry["step"] == 36]
    before, after, decay = snapshots[35], snapshots[36], snapshots["decay"]
    for place, path in enumerate(snapshots["layers"]):
        layer, _, kind = path.rpartition("/")
        if kind == "bias":
            continue
        members = [
            i for i, other in enumerate(snapshots["layers"]) if other.rpartition("/")[0] == layer
        ]
        members = members if layer else [place]

        def length(arrays, members=members):
            return np.sqrt(sum(np.square(arrays[i], dtype="float64").sum() for i in members))

        gradients = [
            (new - decay * old) / (1 - decay)
            for new, old in zip(after["means"], before["means"], strict=True)
        ]
        updates = [new - old for new, old in zip(after["weights"], before["weights"], strict=True)]
        name = layer or path
        assert numbers[f"gradient_norm/{name}"] == pytest.approx(length(gradients), rel=1e-3)
        assert numbers[f"weight_norm/{name}"] == pytest.approx(length(after["weights"]), rel=1e-5)
        ratio = length(updates) / length(after["weights"])
        assert numbers[f"update_ratio/{name}"] == pytest.approx(ratio, rel=1e-2)


@pytest.mark.backend
def test_units_that_are_never_positive_are_dead():
    inputs = keras.Input((4, 4, 1))
    convolution = keras.layers.Conv2D(4, 1, activation="relu", name="conv")
    dense = keras.layers.Dense(5, name="embedding")
    network = keras.Model(inputs, dense(keras.layers.Flatten()(convolution(inputs))))
    convolution.set_weights([np.ones((1, 1, 1, 4)), np.array([0.0, -2.0, -0.5, -9.0])])
    images = np.random.default_rng(0).uniform(0, 1, (6, 4, 4, 1)).astype("float32")
    shares = inspection.ActivationProbe(network).dead_units(images)
    # A linear layer has no dead units.
    assert shares == {"conv": 0.5}


def test_a_network_that_is_not_functional_is_not_probed():
    assert inspection.ActivationProbe(keras.layers.Dense(3)).dead_units(np.ones((2, 4))) == {}


@pytest.mark.parametrize(
    ("norm", "earlier", "text"),
    [
        (1.0, [], None),
        (1.0, [0.5, 0.5, 0.5], None),
        (60.0, [0.5, 0.5, 0.5], "explodes: its length is 6.0e+01"),
        (60.0, [0.5, 0.5], None),
        (float("nan"), [], "explodes: it is not finite"),
    ],
)
def test_gradients_explode_far_above_their_median(norm, earlier, text):
    found = inspection.explosion(norm, earlier)
    assert found is None if text is None else found.startswith(text)


def test_gradients_vanish_below_epsilon():
    found = inspection.vanishing(1e-8, 100, 1e-8)
    assert found == "vanishes: the root of its mean square is 1.0e-09"
    assert inspection.vanishing(0.0, 100, 1e-8).startswith("vanishes")
    assert inspection.vanishing(1e-6, 100, 1e-8) is None


def test_a_layer_whose_gradient_explodes_in_a_logged_step_is_named(tmp_path, monkeypatch, capsys):
    apply = optimizers.SteerableAdam.apply

    def with_an_explosion(optimizer, grads, trainable_variables=None):
        # At step 4 alone, when the envelope has ended.
        factor = keras.ops.where(keras.ops.equal(optimizer.iterations, 3), 1e4, 1.0)
        grads = [keras.ops.multiply(grads[0], factor), *grads[1:]]
        apply(optimizer, grads, trainable_variables)

    monkeypatch.setattr(optimizers.SteerableAdam, "apply", with_an_explosion)
    settings = {"walker_weight_envelope": "none", "walker_weight_envelope_steps": 1}
    running.train(tmp_path, **SHORT, **settings)
    err = capsys.readouterr().err
    assert err.count("explodes: its length is") == 1
    assert "step 4: the gradient of layer dense" in err


def test_without_an_interval_nothing_is_watched(tmp_path):
    run = running.RunDirectory(tmp_path)
    off = inspection.Inspection(None, run.path, 0, 10, False, None, 10, 1)
    # There is no model to look at.
    off.on_step({})


def test_a_loss_that_is_switched_on_is_no_explosion(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(inspection, "_EXPLOSION", 1.0 + 1e-6)
    monkeypatch.setattr(inspection, "_EARLIER", 1)
    # Its weight differs each time that the gradients are watched.
    settings = {"walker_weight_envelope": "linear", "walker_weight_envelope_steps": 4}
    running.train(tmp_path, **SHORT, **settings)
    assert "explodes" not in capsys.readouterr().err


@pytest.mark.parametrize("visit_weight", [1.0, 0.0])
def test_a_layer_whose_gradient_vanishes_is_named_once(tmp_path, monkeypatch, capsys, visit_weight):
    apply = optimizers.SteerableAdam.apply

    def without_first(optimizer, grads, trainable_variables=None):
        apply(optimizer, [grads[0] * 0, grads[1] * 0, *grads[2:]], trainable_variables)

    monkeypatch.setattr(optimizers.SteerableAdam, "apply", without_first)
    # Every weight is there at once, or off for good.
    settings = {"walker_weight_envelope": "none", "walker_weight_envelope_steps": 1}
    running.train(tmp_path, visit_weight=visit_weight, **SHORT, **settings)
    err = capsys.readouterr().err
    assert "step 2: the gradient of layer dense" in err
    assert err.count("vanishes") == 1


@pytest.mark.parametrize("decay", [0.0, 1e-12])
def test_a_loss_whose_time_has_not_come_is_no_reason_to_warn(tmp_path, monkeypatch, capsys, decay):
    # The classifier has a gradient all the same, that of its decay.
    monkeypatch.setattr(building, "classifier_regularizer", lambda: keras.regularizers.L2(decay))
    settings = {"logit_weight_envelope": "linear", "logit_weight_envelope_delay": 3}
    running.train(tmp_path, **SHORT, **settings)
    assert "vanishes" not in capsys.readouterr().err


def test_looking_changes_no_weight_and_traces_the_network_for_the_first_look_alone(
    tmp_path, monkeypatch
):
    # Keras remembers each tracing for ever.
    traced, trace = [], layer_calls.trace
    monkeypatch.setattr(layer_calls, "trace", lambda net: traced.append(net) or trace(net))
    _, plain = running.train(tmp_path, "plain", **{**SHORT, "inspect_interval": 0})
    assert traced == []
    _, looked = running.train(tmp_path, "looked", histograms=True, **SHORT)
    assert len(traced) == 2
    running.assert_same_weights(plain, looked, 4)
    assert logged(plain, "gradient_norm/") == {}
    assert list(logged(looked, "gradient_norm/")) == [2, 4]


def test_kernels_and_histograms_reach_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(6, 3, strides=4, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(8),
        ]
    )
    path = str(tmp_path / "convolution.keras")
    network.save(path)
    settings = {**SHORT, "inspect_interval": 4, "histograms": True}
    _, run = running.train(tmp_path, architecture=path, **settings)
    events = EventAccumulator(run.file("layers"), size_guidance={"tensors": 0})
    events.Reload()
    tags = events.Tags()["tensors"]
    assert "kernels" in tags
    kinds = {tag.partition("/")[0] for tag in tags}
    assert {"weights", "averaged_gradient"} <= kinds
    assert list(logged(run, "dead_units/")) == [4]


def test_walks_that_are_saturated_are_named_once_with_the_flags(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(walk_watch, "INTERVAL", 1)
    monkeypatch.setattr(walk_watch, "SATURATED", 4)
    monkeypatch.setattr(walk_watch, "CAP", 0.1)
    settings = {"walker_weight_envelope": "none", "walker_weight_envelope_steps": 1}
    running.train(tmp_path, max_steps=4, eval_interval=4, visit_weight=0.0, **settings)
    err = capsys.readouterr().err
    assert err.count("\nstep 4: walker loss has been near its cap") == 1
    assert "--similarity_measure=cosine, or a higher --temperature" in err
