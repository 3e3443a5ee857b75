"""Tests of what a configuration of an adaptation stands for: its data and its settings."""

import dataclasses

import numpy as np
import pytest
import running
from PIL import Image

from domain_adaptation import task
from domain_adaptation.config import TrainConfig
from semisup.data import datasets
from semisup.data.datasets import DataSet, Split
from semisup.errors import UserError

SETTINGS = {
    "walker_weight_envelope_delay": 0,
    "visit_weight_envelope_delay": 0,
    "discrepancy_weight_envelope_delay": 0,
}


def splits(seed, count, shape, classes=3, labelled=True):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int32) % classes
    return Split(images, labels if labelled else None)


@pytest.fixture
def two_domains(monkeypatch):
    """Grey images of 6 by 8 and coloured ones of 7 by 7, both in three classes."""
    names = ("a", "b", "c")
    data = {
        "grey": DataSet(
            "grey", names, {"train": splits(0, 30, (6, 8, 1)), "test": splits(1, 9, (6, 8, 1))}
        ),
        "coloured": DataSet(
            "coloured",
            names,
            {"train": splits(2, 40, (7, 7, 3)), "test": splits(3, 12, (7, 7, 3))},
        ),
    }
    monkeypatch.setattr(task, "load_dataset", lambda name, **options: data[name])
    return data


def config(**settings):
    values = {"dataset": "grey", "target_dataset": "coloured", "sup_per_batch": 2}
    return TrainConfig(**{**values, "unsup_batch_size": 5, **settings})


def test_batches_hold_labelled_source_images_and_target_images(two_domains):
    data = task.load_data(config())
    (labelled, unlabelled), labels = next(iter(data.batches(0).as_numpy_iterator()))
    source, target = two_domains["grey"].splits["train"], two_domains["coloured"].splits["train"]
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    for image, label in zip(labelled, labels, strict=True):
        (found,) = np.flatnonzero((source.images == image).all(axis=(1, 2, 3)))
        assert source.labels[found] == label
    assert unlabelled.shape == (5, 7, 7, 3)
    assert all((target.images == image).all(axis=(1, 2, 3)).any() for image in unlabelled)


def test_images_are_brought_to_the_greatest_size_and_to_colours(two_domains):
    data = task.load_data(config())
    assert data.image_shape == (7, 8, 3)
    assert data.evaluation is two_domains["coloured"].splits["test"]


def test_target_only_trains_on_target_labels_without_a_similarity_term(two_domains):
    settings = config(target_only=True)
    assert settings.similarity == "none"
    images, labels = next(iter(task.load_data(settings).batches(0).as_numpy_iterator()))
    target = two_domains["coloured"].splits["train"]
    for image, label in zip(images, labels, strict=True):
        (found,) = np.flatnonzero((target.images == image).all(axis=(1, 2, 3)))
        assert target.labels[found] == label


def test_validation_images_are_held_out_of_the_source(two_domains):
    data = task.load_data(config(validation_samples=8))
    source = two_domains["grey"].splits["train"]
    assert len(data.evaluation.labels) == 8
    held_out = [
        int(np.flatnonzero((source.images == image).all(axis=(1, 2, 3)))[0])
        for image in data.evaluation.images
    ]
    assert not set(held_out) & set(np.concatenate(data.class_pools).tolist())


def test_a_target_without_labels_needs_validation_images(two_domains):
    test = two_domains["coloured"].splits["train"].images
    two_domains["coloured"] = DataSet("coloured", (), {"train": Split(test, None)})
    with pytest.raises(UserError, match=r"no labelled test images.*--validation_samples"):
        task.load_data(config())
    assert len(task.load_data(config(validation_samples=8)).evaluation.labels) == 8


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "b", "d"), "only the source has c; only the target has d"),
        (("b", "a", "c"), "the same in another order, a, b, c and b, a, c"),
    ],
)
def test_domains_with_different_classes_are_refused(two_domains, names, message):
    two_domains["coloured"] = dataclasses.replace(two_domains["coloured"], class_names=names)
    with pytest.raises(UserError, match=message):
        task.load_data(config())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"similarity": "dann"}, "--similarity=dann is none of association, mmd, coral, none"),
        ({"target_only": True, "similarity": "mmd"}, "leave --similarity=mmd out"),
        ({"mmd_estimator": "linear"}, "no effect without --similarity=mmd"),
        ({"target_dataset": "grey"}, "source and target are both grey"),
        (
            {"discrepancy_weight_envelope": "none", "discrepancy_weight_envelope_steps": 7},
            "--discrepancy_weight_envelope_steps=7 has no effect",
        ),
    ],
)
def test_settings_that_contradict_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        config(**settings)


@pytest.mark.parametrize(
    ("source", "target", "folder"),
    [
        ("mnist", "mnist_m", "runs/mnist_to_mnist_m"),
        (
            "synthetic_digits_generated/small",
            "svhn",
            "runs/synthetic_digits_generated_small_to_svhn",
        ),
        ("folder:/x/renderings", "folder:/y/photos", "runs/renderings_to_photos"),
    ],
)
def test_a_run_is_named_after_its_domains(source, target, folder):
    assert config(dataset=source, target_dataset=target).resolved_logdir == folder


@pytest.mark.parametrize("similarity", ["association", "mmd", "coral"])
def test_training_reads_no_label_of_the_target(tmp_path, monkeypatch, similarity):
    settings = {**SETTINGS, "similarity": similarity, "max_steps": 20}
    _, usual = running.train(tmp_path, "usual", task=task, **settings)
    load = datasets.load_dataset

    def without_target_labels(name, **options):
        data = load(name, **options)
        if name != "optdigits":
            return data
        train = Split(data.splits["train"].images, None)
        return dataclasses.replace(data, splits={**data.splits, "train": train})

    monkeypatch.setattr(task, "load_dataset", without_target_labels)
    _, blind = running.train(tmp_path, "blind", task=task, **settings)
    running.assert_same_weights(usual, blind, 20)
    assert running.losses(usual) == running.losses(blind)


def test_a_folder_of_images_without_labels_can_be_the_target(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        for split in ("train", "test"):
            folder = tmp_path / "source" / split / name
            folder.mkdir(parents=True)
            for number in range(8):
                pixels = generator.integers(0, 256, (28, 28), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    folder = tmp_path / "target" / "unlabelled"
    folder.mkdir(parents=True)
    for number in range(8):
        pixels = generator.integers(0, 256, (28, 28), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    settings = {
        "dataset": f"folder:{tmp_path / 'source'}",
        "target_dataset": f"folder:{tmp_path / 'target'}",
        "unsup_split": "unlabelled",
        "validation_samples": 4,
        "max_steps": 10,
        "sup_per_batch": 2,
        "unsup_batch_size": 4,
        **SETTINGS,
    }
    status, run = running.train(tmp_path, "run", task=task, **settings)
    assert status == 0
    assert run.read_json("results.json")["evaluated_on"] == "validation images"
