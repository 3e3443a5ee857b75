"""Tests of the benchmark: what it counts, that its bare step is the training's, a run of it."""

import importlib.util
import json
import pathlib

import keras
import numpy as np
import pytest
import running

from semisup.config import TrainConfig
from semisup.errors import UserError
from semisup.models.associative import AssociativeModel
from semisup.task import TASK as task

pytestmark = running.needs_commands

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "benchmark.py"
RNG = np.random.default_rng(0)
LABELS = np.array([0, 0, 1, 1, 2, 2], "int32")
LABELLED = RNG.integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
UNLABELLED = RNG.integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)


@pytest.fixture
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(benchmark, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["benchmark.py", *arguments])
    with pytest.raises(SystemExit) as stopped:
        benchmark.main()
    return stopped.value.code


def test_its_parts_are_found_when_it_runs_as_a_module(benchmark):
    assert benchmark.associations.__name__ == "scripts.associations"


def test_step_flops_are_those_of_a_count_by_hand(benchmark):
    body = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, padding="same", name="first"),
            keras.layers.Conv2D(8, 3, strides=2, padding="same"),
            keras.layers.DepthwiseConv2D(3, padding="same"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    images = keras.Input((8, 8, 1))
    model = AssociativeModel(
        keras.Model(images, keras.layers.Dense(16)(body(images))), num_classes=3
    )
    model.build((None, 8, 8, 1))
    an_image = (
        2 * 2 * (8 * 8 * 4) * (3 * 3 * 1)  # no gradient for pixels
        + 3 * 2 * (4 * 4 * 8) * (3 * 3 * 4)
        + 3 * 2 * (4 * 4 * 8) * (3 * 3)
        + 3 * 2 * 8 * 16
    )
    products = 6 * 5 * 16 + 6 * 6 * 5 + 6 * 16 * 3
    assert benchmark.step_flops(model, 6, 5) == 11 * an_image + 3 * 2 * products


def test_step_of_the_mnist_recipe_takes_35_gflop(benchmark):
    model = task.build_model(TrainConfig(), running.record((28, 28, 1), 10))
    assert benchmark.step_flops(model, 100, 100) == pytest.approx(35.05e9, rel=1e-3)


@pytest.mark.parametrize(
    "similarity", [pytest.param("association", marks=pytest.mark.backend), "none"]
)
def test_bare_steps_train_as_fit_does(benchmark, similarity, tmp_path):
    import tensorflow as tf

    layers = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    network = str(tmp_path / "network.keras")
    keras.Sequential([*layers, keras.layers.Dense(4)]).save(network)
    config = TrainConfig(
        similarity=similarity, visit_weight=0.5, logit_weight=2.0, architecture=network
    )
    inputs = (LABELLED, UNLABELLED) if similarity == "association" else LABELLED
    model, bare = (task.build_model(config, running.record((8, 8, 1), 3)) for _ in range(2))
    bare.set_weights(model.get_weights())
    history = model.fit(
        tf.data.Dataset.from_tensors((inputs, LABELS)).repeat(),
        steps_per_epoch=1,
        epochs=3,
        shuffle=False,
        verbose=0,
    )
    loss = benchmark.bare_steps(bare, config, (inputs, LABELS))(3)
    assert loss == pytest.approx(history.history["total_loss"][-1], rel=1e-4)


def test_each_form_of_the_association_is_timed_and_its_memory_compared(benchmark):
    seconds, memory = benchmark.associations._measure(30, 5, benchmark.associations.CHOSEN, 2)
    assert seconds > 0
    assert memory is None or memory >= 0
    forms = (("all pairs", 8.0, 600), ("as chosen", 2.0, 100))
    measured = [
        {"size": 4096, "classes": 2, "form": form, "seconds": seconds, "memory_mib": memory}
        for form, seconds, memory in (*forms, ("as chosen", 1.0, None))
    ]
    assert benchmark.associations.ratios(measured[:2]) == {
        "seconds at 4,096 + 4,096": 0.25,
        "memory_mib at 4,096 + 4,096": 0.1667,
    }
    assert benchmark.associations.ratios(measured[1:2]) == {}


@pytest.mark.backend
def test_product_rate_is_of_finite_products(benchmark):
    assert 0 < benchmark.product_rate("bfloat16", 16, 20) < np.inf


def test_quartiles_of_rounds(benchmark):
    summary = benchmark._summary([4.0, 1.0, 2.0, 3.0, 5.0])
    assert summary == {"median": 3, "quartiles": [2, 4], "rounds": [4, 1, 2, 3, 5]}


def test_steps_have_to_be_divisible_by_steps_per_execution(benchmark):
    with pytest.raises(UserError, match=r"--steps_per_execution=50 does not divide --steps=30"):
        benchmark.BenchmarkConfig(steps=30, steps_per_execution=50)


def test_output_in_a_missing_folder_is_refused_before_measuring(
    benchmark, monkeypatch, capsys, tmp_path
):
    path = tmp_path / "missing" / "benchmark.json"
    assert run(benchmark, monkeypatch, f"--output={path}") == 2
    assert capsys.readouterr().err == f"benchmark: --output={path}: No such file or directory\n"


@pytest.mark.slow
def test_benchmark_reports_every_contestant(benchmark, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(benchmark, "_PRODUCT_SECONDS", 0.01)
    path = tmp_path / "benchmark.json"
    status = run(
        benchmark,
        monkeypatch,
        "--recipe=mnist_100",
        "--dataset=mnist_5k",
        "--sup_per_batch=1",
        "--unsup_batch_size=10",
        "--precision=bfloat16",
        "--inspection",
        "--similarity_terms",
        "--generated_images=20",
        "--rounds=2",
        "--steps=2",
        f"--output={path}",
    )
    assert status == 0
    report = json.loads(path.read_text())
    assert list(report["rates_per_second"]) == [
        benchmark.TRAINING,
        benchmark.BARE,
        benchmark.FIT,
        benchmark.UNWATCHED,
        benchmark.LOOK,
        *(
            benchmark.TERM + name
            for name in ("association", "MMD, quadratic", "MMD, linear", "CORAL")
        ),
        *(benchmark.GENERATOR + name for name in ("digits", "signs", "MNIST-M, one process")),
        benchmark.PIPELINE,
        "matrix product, float32",
        "matrix product, bfloat16",
    ]
    for measured in (*report["rates_per_second"].values(), *report["ratios"].values()):
        low, high = measured["quartiles"]
        assert len(measured["rounds"]) == 2
        assert 0 < low <= measured["median"] <= high
    assert report["images_per_step"] == [10, 10]
    assert report["memory_mib"].keys() == {"training alone", "all contestants"}
    assert str(tmp_path) not in path.read_text()
    assert "time of CORAL / bare step" in report["ratios"]
    assert "time of a look / 500 steps" in report["ratios"]
    assert "training / bare step" in capsys.readouterr().out
