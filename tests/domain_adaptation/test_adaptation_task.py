"""Tests of what a configuration of an adaptation stands for: its data and its settings."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import running
from PIL import Image

from domain_adaptation import reporting as adaptation_reporting
from domain_adaptation import task as adaptation_task
from domain_adaptation.config import TrainConfig
from domain_adaptation.eval import EvalConfig
from domain_adaptation.task import TASK as task
from semisup.data import datasets
from semisup.data.datasets import DataSet, Split
from semisup.errors import UserError
from semisup.report import reporting
from semisup.run.session import first_batch

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
            "grey",
            names,
            {"train": splits(0, 30, (6, 8, 1)), "test": splits(1, 9, (6, 8, 1))},
            (6, 8, 1),
        ),
        "coloured": DataSet(
            "coloured",
            names,
            {"train": splits(2, 40, (7, 7, 3)), "test": splits(3, 12, (7, 7, 3))},
            (7, 7, 3),
        ),
    }
    monkeypatch.setattr(adaptation_task, "load_dataset", lambda name, **options: data[name])
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


def test_a_share_of_each_unlabelled_batch_is_drawn_from_the_labelled_images(two_domains):
    target = splits(2, 40, (6, 8, 1))
    two_domains["coloured"] = dataclasses.replace(
        two_domains["coloured"], splits={"train": target, "test": target}, image_shape=(6, 8, 1)
    )
    settings = {"sup_per_class": 4, "unsup_batch_size": 10, "labelled_in_unlabelled": 0.4}
    data = task.load_data(config(**settings))
    source, labelled = two_domains["grey"].splits["train"], np.concatenate(data.class_pools)
    batches = [(a, b) for (a, b), _ in data.batches(0).take(6).as_numpy_iterator()]

    def place(images, image):
        return np.flatnonzero((images == image).all(axis=(1, 2, 3)))

    for _, unlabelled in batches:
        assert all(len(place(target.images, image)) for image in unlabelled[:6])
        assert {place(source.images, image).item() for image in unlabelled[6:]} <= set(labelled)
    # Twelve labelled images are passed over in two epochs of three batches.
    drawn = [place(source.images, image).item() for _, b in batches for image in b[6:]]
    assert sorted(drawn) == sorted([*labelled, *labelled])
    later = next(iter(data.batches(4).as_numpy_iterator()))[0]
    np.testing.assert_array_equal(later[1], batches[4][1])


def test_labelled_images_of_another_size_are_no_part_of_an_unlabelled_batch(two_domains):
    with pytest.raises(UserError, match=r"--labelled_in_unlabelled=0.5: labelled images of .*size"):
        task.load_data(config(labelled_in_unlabelled=0.5))


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_share_that_leaves_no_image_of_a_kind_is_refused(share):
    with pytest.raises(UserError, match=f"--labelled_in_unlabelled={share} leaves no labelled or"):
        config(labelled_in_unlabelled=share)


@pytest.mark.parametrize("settings", [{}, {"similarity": "none"}, {"target_only": True}])
def test_images_are_brought_to_the_greatest_size_and_to_colours(two_domains, settings):
    data = task.load_data(config(**settings))
    assert data.image_shape == (7, 8, 3)
    assert data.evaluation is two_domains["coloured"].splits["test"]


def test_a_recipes_envelope_can_be_switched_off(two_domains):
    assert config(walker_weight_envelope="none", walker_weight_envelope_steps=1)


def test_target_only_trains_on_target_labels_without_a_similarity_term(two_domains):
    settings = config(target_only=True)
    assert settings.similarity == "none"
    images, labels = next(iter(task.load_data(settings).batches(0).as_numpy_iterator()))
    target = two_domains["coloured"].splits["train"]
    for image, label in zip(images, labels, strict=True):
        (found,) = np.flatnonzero((target.images == image).all(axis=(1, 2, 3)))
        assert target.labels[found] == label


@pytest.mark.parametrize(("target_only", "domain"), [(False, "grey"), (True, "coloured")])
def test_validation_images_are_held_out_of_the_labelled_domain(two_domains, target_only, domain):
    data = task.load_data(config(validation_samples=8, target_only=target_only))
    source = two_domains[domain].splits["train"]
    assert len(data.evaluation.labels) == 8
    held_out = [
        int(np.flatnonzero((source.images == image).all(axis=(1, 2, 3)))[0])
        for image in data.evaluation.images
    ]
    assert not set(held_out) & set(np.concatenate(data.class_pools).tolist())


def test_a_target_without_labels_needs_validation_images(two_domains):
    unlabelled = Split(two_domains["coloured"].splits["train"].images, None)
    two_domains["coloured"] = dataclasses.replace(
        two_domains["coloured"], class_names=(), splits={"train": unlabelled}
    )
    with pytest.raises(UserError, match=r"no labelled test images.*--validation_samples"):
        task.load_data(config())
    assert len(task.load_data(config(validation_samples=8)).evaluation.labels) == 8


def test_what_was_found_is_said_of_both_domains_also_where_lines_are_alike(two_domains):
    for name, data in two_domains.items():
        two_domains[name] = dataclasses.replace(data, notes=(name, "  sizes: 8 x 8"))
    notes = task.load_data(config()).notes
    assert notes == ("grey", "  sizes: 8 x 8", "coloured", "  sizes: 8 x 8")


def test_a_target_with_another_class_is_refused(two_domains):
    names = ("a", "b", "d")
    two_domains["coloured"] = dataclasses.replace(two_domains["coloured"], class_names=names)
    with pytest.raises(UserError, match="only the source has c; only the target has d"):
        task.load_data(config())


@pytest.mark.parametrize(("names", "places"), [(("b", "a", "c"), [1, 0, 2]), (("c", "b"), [2, 1])])
def test_the_targets_classes_are_matched_by_name(two_domains, names, places):
    parts = {name: splits(4, 12, (7, 7, 3), classes=len(names)) for name in ("train", "test")}
    two_domains["coloured"] = DataSet("coloured", names, parts, (7, 7, 3))
    data = task.load_data(config())
    assert data.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(data.target_test.labels, np.array(places)[parts["test"].labels])
    assert data.evaluation is data.target_test


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"similarity": "dann"}, "--similarity=dann is none of association, mmd, coral, none"),
        ({"target_only": True, "similarity": "mmd"}, "leave --similarity=mmd out"),
        ({"mmd_estimator": "linear"}, "no effect without --similarity=mmd"),
        ({"target_dataset": "grey"}, "source and target are both grey"),
        ({"dataset": "svhn", "target_dataset": "svhn_cropped"}, "are both svhn_cropped"),
        (
            {"max_steps": 500},
            "--walker_weight_envelope_delay=500 is not before --max_steps=500: nothing would be",
        ),
        (
            {"similarity": "coral", "unsup_batch_size": 1},
            "--unsup_batch_size=1: --similarity=coral compares pairs",
        ),
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
            "runs/synthetic_digits_generated_small_to_svhn_cropped",
        ),
        ("folder:/x/renderings", "folder:/y/photos", "runs/renderings_to_photos"),
    ],
)
def test_a_run_is_named_after_its_domains(source, target, folder):
    assert config(dataset=source, target_dataset=target).resolved_logdir == folder


@pytest.fixture
def without_target_labels(monkeypatch):
    """Returns a function after which the target's training images have no labels."""
    load = datasets.load_dataset

    def without(name, **options):
        data = load(name, **options)
        if name != "optdigits":
            return data
        train = Split(data.splits["train"].images, None)
        return dataclasses.replace(data, splits={**data.splits, "train": train})

    return lambda: monkeypatch.setattr(adaptation_task, "load_dataset", without)


def test_training_reads_no_label_of_the_target(tmp_path, without_target_labels):
    settings = {**SETTINGS, "max_steps": 4, "eval_interval": 4, "log_interval": 2}
    _, usual = running.train(tmp_path, "usual", task=task, **settings)
    without_target_labels()
    _, blind = running.train(tmp_path, "blind", task=task, **settings)
    running.assert_same_weights(usual, blind, 4)
    assert running.losses(usual) == running.losses(blind)


@pytest.mark.parametrize("similarity", ["association", "mmd", "coral"])
def test_batches_hold_no_label_of_the_target(tmp_path, without_target_labels, similarity):
    config = running.config(tmp_path, "run", task, similarity=similarity, **SETTINGS)
    usual = first_batch(task.load_data(config), 7)
    without_target_labels()
    blind = first_batch(task.load_data(config), 7)
    (labelled, unlabelled), labels = usual
    assert len(labels) == len(labelled)
    for one, other in zip((labelled, unlabelled, labels), (*blind[0], blind[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def write_images(folder, count=8, colours=False):
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(count):
        shape = (28, 28, 3) if colours else (28, 28)
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def folder_settings(tmp_path, **settings):
    for name in ("a", "b"):
        for split in ("train", "test"):
            write_images(tmp_path / "source" / split / name)
    write_images(tmp_path / "target" / "unlabelled", colours=True)
    return {
        "dataset": f"folder:{tmp_path / 'source'}",
        "target_dataset": f"folder:{tmp_path / 'target'}",
        "architecture": running.tiny_network(tmp_path, channels=3),
        "max_steps": 4,
        "eval_interval": 4,
        "checkpoint_interval": 4,
        "log_interval": 2,
        "sup_per_batch": 1,
        "unsup_batch_size": 2,
        "augmentation": "none",
        **SETTINGS,
        **settings,
    }


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A run on two folders, measured on images that were held out of the source."""
    folder = tmp_path_factory.mktemp("adapted")
    settings = folder_settings(folder, validation_samples=4)
    status, _ = running.train(folder, task=task, **settings)
    assert status == 0
    return folder


def moved(adapted, folder):
    """Copies the run and its folders of images, for a test that changes them."""
    shutil.copytree(adapted, folder, dirs_exist_ok=True)
    config = folder / "run" / "config.json"
    config.write_text(config.read_text().replace(str(adapted), str(folder)))
    return running.RunDirectory(folder / "run")


def test_a_folder_of_images_without_labels_can_be_the_target(adapted):
    results = running.RunDirectory(adapted / "run").read_json("results.json")
    assert results["evaluated_on"] == "validation images"
    assert "validation_error" in results
    assert "test_error" not in results


def test_a_target_folder_may_have_labels_for_its_test_images_alone(tmp_path):
    settings = folder_settings(tmp_path)
    for name in ("a", "b"):
        write_images(tmp_path / "target" / "test" / name, count=3, colours=True)
    status, run = running.train(tmp_path, "run", task=task, **settings)
    assert status == 0
    for name in ("source", "target"):
        (tmp_path / name).rename(tmp_path / f"moved_{name}")
    moved = {
        "dataset": str(tmp_path / "moved_source"),
        "target_dataset": str(tmp_path / "moved_target"),
    }
    status, _ = running.train(tmp_path, "run", task=task, **{**settings, **moved})
    assert status == 0
    evaluation = EvalConfig(logdir=run.path, eval_batch_size=4, **moved)
    reporting.evaluate_run(evaluation, task)
    content = run.read_json("evaluation.json")
    assert content["source"]["images"] == 16, "grey"
    assert content["target"]["images"] == 6, "coloured"


def test_test_images_of_the_target_may_come_after_the_training(adapted, tmp_path):
    run = moved(adapted, tmp_path)
    for name in ("a", "b"):
        write_images(tmp_path / "target" / "test" / name, count=3, colours=True)
    reporting.evaluate_run(EvalConfig(logdir=run.path), task)
    assert run.read_json("evaluation.json")["target"]["images"] == 6


@pytest.mark.parametrize(
    ("similarity", "name", "value"),
    [
        ("association", "discrepancy_weight", 0.1),
        ("mmd", "temperature", 0.5),
        ("coral", "similarity_measure", "cosine"),
    ],
)
def test_a_setting_of_another_term_is_refused(similarity, name, value):
    with pytest.raises(UserError, match=f"--{name}={value} has no effect with --similarity="):
        config(similarity=similarity, **{name: value})
    config(similarity="none", **{name: value})


def test_other_test_images_than_those_of_the_training_are_refused(adapted, tmp_path):
    run = moved(adapted, tmp_path)
    write_images(tmp_path / "source" / "test" / "a" / "more", count=1)
    with pytest.raises(UserError, match="the source test images are not those of the training"):
        reporting.evaluate_run(EvalConfig(logdir=run.path), task)


def test_a_new_image_of_more_than_8_bits_is_as_dark_as_among_those_of_the_target(tmp_path):
    for domain, value in (("source", 255), ("target", 4095)):
        folder = tmp_path / domain / "train" / "a"
        folder.mkdir(parents=True)
        Image.fromarray(np.full((8, 8), value, "uint16")).save(folder / "a.png")
    config = task.config_class(
        dataset=f"folder:{tmp_path / 'source'}", target_dataset=f"folder:{tmp_path / 'target'}"
    )
    preparation = task.preparation(config, {"image_shape": (8, 8, 1)})
    Image.fromarray(np.full((8, 8), 2047, "uint16")).save(tmp_path / "half.png")
    assert np.all(preparation.of_file(tmp_path / "half.png") == 127)


def test_a_run_with_a_further_similarity_term_is_titled_by_its_name():
    for similarity, title in (("mmd", "MMD"), ("means", "means"), ("none", "source only")):
        config = SimpleNamespace(target_only=False, similarity=similarity)
        assert adaptation_reporting.title(config) == title
