"""Tests of Monte Carlo dropout: closed forms, passes of small networks, and the evaluation."""

import csv

import keras
import numpy as np
import pytest
import running
from PIL import Image

from clustering.task import TASK as clustering
from semisup.errors import UserError
from semisup.models.associative import AssociativeModel
from semisup.report import uncertainty


def test_entropy_of_certain_and_of_equal_classes():
    certain, equal, half = [1.0, 0.0, 0.0, 0.0], [0.25] * 4, [0.5, 0.5, 0.0, 0.0]
    entropy = uncertainty.predictive_entropy(np.array([certain, equal, half]))
    np.testing.assert_allclose(entropy, [0, np.log(4), np.log(2)])


def test_passes_that_contradict_each_other_are_informative_and_those_that_agree_are_not():
    doubt, one, other = [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]
    passes = np.array([[doubt, one, one], [doubt, other, one]])
    np.testing.assert_allclose(
        uncertainty.mutual_information(passes), [0, np.log(2), 0], atol=1e-12
    )


def test_information_is_never_negative():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 500)
    assert np.all(uncertainty.mutual_information(np.stack([probabilities] * 7)) >= 0)


def test_summary_of_an_entropy_that_tells_wrong_predictions():
    entropy, wrong = np.array([0.1, 0.3, 0.7, 0.2]), np.array([False, False, True, True])
    assert uncertainty.summary(5, entropy, wrong) == {
        "passes": 5,
        "mean_entropy": pytest.approx(0.325),
        "error": 0.5,
        "mean_entropy_right": pytest.approx(0.2),
        "mean_entropy_wrong": pytest.approx(0.45),
        "auroc": 0.75,
    }


@pytest.mark.parametrize("wrong", [None, np.zeros(3, bool), np.ones(3, bool)])
def test_summary_says_nothing_of_a_kind_that_there_is_not(wrong):
    content = uncertainty.summary(5, np.array([0.1, 0.3, 0.2]), wrong)
    assert content["auroc"] is None
    assert (content["error"] is None) == (wrong is None)
    for kind, members in (("right", False), ("wrong", True)):
        known = wrong is not None and np.any(wrong == members)
        assert (content[f"mean_entropy_{kind}"] is not None) == known
    assert "AUROC" not in uncertainty.text(content)


def dropping_model(**options):
    """A model with dropout, also in a nested network, batch normalisation and noise."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    body = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.SpatialDropout2D(0.3),
            layers.BatchNormalization(),
        ]
    )
    images = keras.Input((6, 6, 3))
    x = layers.GaussianNoise(0.5)(layers.Rescaling(1 / 255)(images))
    x = layers.Dropout(0.5)(layers.Flatten()(body(x)))
    network = keras.Model(images, layers.BatchNormalization()(x))
    model = AssociativeModel(network, 3, **options)
    model.build((None, 6, 6, 3))
    return model


def random_images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)


@running.needs_commands
@pytest.mark.backend
def test_a_seed_gives_the_same_bits_and_leaves_the_model_as_it_was():
    model, images = dropping_model(), random_images(16)
    before = [np.array(variable) for variable in model.variables]
    predictor = uncertainty.DropoutPredictor(model, 4, seed=1, batch_size=8)
    first, again = predictor.measure(images), predictor.measure(images)
    predictor.seed = 2
    other = predictor.measure(images)
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(first[0], other[0])
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)
    probabilities, entropy, information = first
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert np.all((information > 0) & (information < entropy))


@pytest.mark.backend
def test_nothing_but_dropout_differs_from_an_evaluation():
    """Rates too small to drop anything leave the prediction, of whatever batch."""
    model, images = dropping_model(), random_images(8)
    for layer in model.network._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 1e-7
    probabilities, _, information = uncertainty.DropoutPredictor(model, 2, 0, 4).measure(images)
    expected = keras.ops.softmax(model(images, training=False))
    np.testing.assert_allclose(probabilities, keras.ops.convert_to_numpy(expected), atol=1e-5)
    np.testing.assert_allclose(information, 0, atol=1e-6)


@pytest.mark.backend
def test_passes_average_to_the_prediction_of_a_linear_network():
    """Dropout keeps the mean; with near equal classes, the softmax is linear enough to."""
    network = keras.Sequential(
        [keras.Input((6, 6, 3)), keras.layers.Flatten(), keras.layers.Dropout(0.2)]
    )
    model = AssociativeModel(network, 3)
    model.build((None, 6, 6, 3))
    kernel = np.random.default_rng(0).normal(0, 2e-5, model.classifier.kernel.shape)
    model.classifier.kernel.assign(kernel)
    images = random_images(4)
    probabilities, _, _ = uncertainty.DropoutPredictor(model, 200, 0).measure(images)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(model(images)))
    np.testing.assert_allclose(probabilities, expected, atol=1e-3)
    assert np.abs(expected - 1 / 3).max() > 5e-3


@pytest.mark.parametrize("rate", [None, 0.0])
def test_a_network_without_dropout_is_refused(rate):
    layers = [] if rate is None else [keras.layers.Dropout(rate)]
    network = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten(), *layers])
    with pytest.raises(UserError, match=r"--mc_dropout=9 .*mnist_model_dropout.*--dropout"):
        uncertainty.DropoutPredictor(AssociativeModel(network, 3), 9, 0)


def evaluate(run, *flags, package="semisup"):
    status, out, err = running.call("eval", f"--logdir={run.path}", *flags, package=package)
    assert status == 0, err
    with open(run.file("uncertainty.csv"), encoding="utf-8", newline="") as file:
        return out, list(csv.DictReader(file))


def test_evaluation_tells_how_sure_the_network_is_of_each_image(whole, tmp_path):
    run = running.copy(whole, tmp_path)
    out, rows = evaluate(run, "--mc_dropout=5")
    content = run.read_json("evaluation.json")
    summary = content["mc_dropout"]
    assert summary["passes"] == 5
    assert [int(row["image"]) for row in rows] == list(range(1000))
    wrong = np.array([row["label"] != row["predicted"] for row in rows])
    entropy = np.array([float(row["entropy"]) for row in rows])
    assert summary["error"] == pytest.approx(wrong.mean())
    assert summary["error"] == pytest.approx(content["error"], abs=0.1)
    assert summary["mean_entropy_wrong"] == pytest.approx(entropy[wrong].mean(), rel=1e-4)
    assert summary["mean_entropy_right"] < summary["mean_entropy_wrong"]
    assert summary["auroc"] > 0.55
    for row in rows:
        assert 0 < float(row["mutual_information"]) < float(row["entropy"]) < np.log(10)
        assert 0.1 <= float(row["probability"]) <= 1
    assert f"average of 5 passes with dropout: error {100 * wrong.mean():.2f} %" in out
    assert run.file("uncertainty.csv") in out
    assert evaluate(run, "--mc_dropout=5")[1] == rows
    evaluate(run)
    assert "mc_dropout" not in run.read_json("evaluation.json")


def test_of_a_clustering_files_are_named_and_wrong_is_what_is_not_matched(tmp_path):
    for split, count in (("train", 20), ("test", 6)):
        for label in range(2):
            folder = tmp_path / "photos" / split / f"shelf_{label}"
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = np.random.default_rng(index).integers(0, 60, (28, 28), np.uint8)
                pixels[14 * label : 14 * label + 14] += 150
                Image.fromarray(pixels).save(folder / f"{index:02d}.png")
    settings = {
        "dataset": f"folder:{tmp_path / 'photos'}",
        "num_clusters": 2,
        "unsup_samples": -1,
        "augmentation": "none",
        "reg_warmup_steps": 3,
        "max_steps": 5,
    }
    _, run = running.train(tmp_path, task=clustering, **settings)
    _, rows = evaluate(run, "--mc_dropout=3", package="clustering")
    assert [row["image"] for row in rows][::6] == ["test/shelf_0/00.png", "test/shelf_1/00.png"]
    assert [row["label"] for row in rows] == ["shelf_0"] * 6 + ["shelf_1"] * 6
    assert {row["predicted"] for row in rows} <= {"0", "1"}
    agreeing = np.mean([row["label"] == f"shelf_{row['predicted']}" for row in rows])
    error = run.read_json("evaluation.json")["mc_dropout"]["error"]
    assert error == pytest.approx(min(agreeing, 1 - agreeing))
