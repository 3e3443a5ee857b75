"""Tests of what the README shows: its snippets run, its commands parse, its files exist."""

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

import clustering.config
import clustering.eval
import domain_adaptation.config
import domain_adaptation.eval
import semisup.config
import semisup.eval
from semisup import flags

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.backend
def test_the_snippets_for_a_keras_model_run_and_learn():
    rng = np.random.default_rng(0)

    def images(classes):
        """A bright row at the height of the class, in noise."""
        pictures = rng.integers(0, 100, (len(classes), 10, 10, 1))
        pictures[np.arange(len(classes)), classes] += 150
        return pictures.astype("uint8")

    labels, test_labels = np.arange(100) % 10, np.arange(200) % 10
    network = keras.Sequential(
        [
            keras.Input((10, 10, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="elu"),
        ]
    )
    names = {
        "labelled_images": images(labels),
        "labels": labels,
        "unlabelled_images": images(rng.integers(0, 10, 500)),
        "test_images": images(test_labels),
        "test_labels": test_labels,
        "network": network,
    }
    training, loss = blocks("python")
    assert len([line for line in training.splitlines() if line.strip()]) <= 12
    exec(training, names)
    accuracy = names["model"].evaluate(
        names["test_images"], test_labels, verbose=0, return_dict=True
    )["accuracy"]
    assert accuracy > 0.9
    names["a"], names["b"] = (rng.normal(size=(n, 4)).astype("float32") for n in (100, 30))
    exec(loss, names)
    assert np.isfinite(float(names["loss"]))


def commands(program):
    text = "\n".join(blocks("bash")).replace("\\\n", " ")
    lines = [line.split("#")[0] for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(program)]


@pytest.mark.parametrize(
    ("program", "package", "least"),
    [
        ("semisup", semisup, (3, 2)),
        ("domain-adaptation", domain_adaptation, (5, 1)),
        ("clustering", clustering, (3, 2)),
    ],
)
def test_every_train_and_eval_command_of_the_readme_has_valid_flags(program, package, least):
    train, evaluate = (commands(f"{program}-{binary}") for binary in ("train", "eval"))
    assert len(train) >= least[0]
    assert len(evaluate) >= least[1]
    recipes = ROOT / package.__name__ / "recipes"
    for arguments in train:
        config_class = package.config.TrainConfig
        config = flags.parse(["train", *arguments], config_class, recipes=recipes)
        assert isinstance(config, config_class)
    for arguments in evaluate:
        config_class = package.eval.EvalConfig
        assert isinstance(flags.parse(["eval", *arguments], config_class), config_class)


def test_files_and_scripts_that_the_readme_names_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    scripts = re.findall(r"(scripts/\w+\.\w+)", README)
    assert "docs/associations.png" in links
    for name in {*links, *scripts}:
        assert (ROOT / name).exists(), name


def test_defaults_in_the_readme_are_those_of_the_flags():
    packages = (semisup, domain_adaptation, clustering)
    tables = re.split(r"\| `(?:domain-adaptation|clustering)-train` \| default \|", README)
    for text, package in zip(tables, packages, strict=True):
        rows = re.findall(r"^\| (`--[^|]+) \| ([^|]+) \|", text, flags=re.MULTILINE)
        assert len(rows) >= 8
        for names, values in rows:
            flag_names = re.findall(r"--(\w+)", names)
            values = values.strip().split(", ")
            for name, value in zip(flag_names, values, strict=True):
                default = package.config.TrainConfig.__dataclass_fields__[name].default
                assert float(value.replace(",", "")) == float(default), name
