"""Tests of the recipes: each parses and says what it reproduces; they cover the tables."""

from pathlib import Path

import pytest

import clustering
from clustering.config import TrainConfig
from semisup.cli import flags

FOLDER = Path(clustering.__file__).parent / "recipes"
OURS = ("mnist_vcnn_average", "mnist_5k_clusters", "photos_clusters")
NAMES = flags.recipe_names(FOLDER)
DATASETS = ("mnist", "frgc", "svhn", "cifar10", "stl10")
LOSSES = ("aug", "clusters", "clusters_aug", "all")


def parse(name):
    return flags.parse(["train", f"--recipe={name}"], TrainConfig, recipes=FOLDER)


def test_every_cell_of_tables_1_and_2_that_is_the_thesis_own_has_a_recipe():
    first = {f"{dataset}_{network}" for dataset in DATASETS for network in ("vcnn", "resnet")}
    second = {
        f"{dataset}_ablation_{key}" for dataset in ("mnist", "cifar10", "stl10") for key in LOSSES
    }
    assert set(NAMES) == {*first, *second, "mnist_thesis", *OURS}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_parses_and_says_table_protocol_and_run_time(name):
    config = parse(name)
    lines = (FOLDER / f"{name}.flags").read_text(encoding="utf-8").splitlines()
    if name in OURS:
        assert lines[0].startswith("# not in the paper, ")
    else:
        assert lines[0].startswith("# ADC table ")
        assert ": published accuracy " in lines[0]
    text = " ".join(line.lstrip("# ") for line in lines)
    assert "Protocol:" in text
    assert "Run time:" in text
    # That of photographs is for any folder.
    assert (config.dataset == "mnist_5k") == (name in ("mnist_5k_clusters", "photos_clusters"))
    if name.endswith(("_vcnn", "_resnet")):
        assert "selected on test accuracy" in text


@pytest.mark.parametrize("dataset", DATASETS)
def test_networks_are_those_that_the_thesis_names(dataset):
    assert parse(f"{dataset}_vcnn").architecture == "mnist_model_dropout"
    residual = parse(f"{dataset}_resnet")
    assert residual.architecture == (
        "resnet_stl10_model" if dataset == "stl10" else "resnet_cifar_model"
    )
    assert residual.emb_size == (128 if dataset == "stl10" else 64)


def test_the_recipe_of_the_defaults_is_what_clustering_train_does_without_a_flag():
    assert parse("mnist_5k_clusters") == flags.parse(["train"], TrainConfig, recipes=FOLDER)


def test_the_thesis_own_settings_are_its_numbers():
    config = parse("mnist_thesis")
    assert (config.cluster_association_weight, config.reg_association_weight) == (1.0, 0.9)
    assert (config.norm_weight, config.trafo_weight) == (1e-5, 2e-5)
    assert (config.norm_target, config.num_augmented_samples) == (1.0, 4)
    assert (config.visit_weight, config.rvisit_weight) == (0.8, 0.8)
    assert (config.learning_rate, config.warmup_steps) == (8e-4, 2000)
    assert (config.decay_steps, config.decay_factor) == (10_000, pytest.approx(1 / 3, abs=1e-4))
    assert (config.beta1, config.beta2, config.reg_warmup_steps) == (0.8, 0.9, 1000)
    assert config.reg_decay_factor == 1.0


@pytest.mark.parametrize("dataset", ["mnist", "cifar10", "stl10"])
def test_the_ablations_differ_in_their_losses_alone(dataset):
    runs = {key: parse(f"{dataset}_ablation_{key}") for key in LOSSES}
    active = {
        key: {
            name
            for name in ("cluster_association", "reg_association", "norm", "trafo")
            if getattr(config, f"{name}_weight") > 0
        }
        for key, config in runs.items()
    }
    assert active == {
        "aug": {"reg_association"},
        "clusters": {"cluster_association", "norm"},
        "clusters_aug": {"cluster_association", "norm", "reg_association"},
        "all": {"cluster_association", "norm", "reg_association", "trafo"},
    }
    for name in ("architecture", "learning_rate", "max_steps", "visit_weight", "unsup_batch_size"):
        assert len({getattr(config, name) for config in runs.values()}) == 1, name
    # Without the associations of augmented images, the phase that has nothing else is left out.
    assert {key for key, config in runs.items() if config.reg_warmup_steps == 0} == {"clusters"}
