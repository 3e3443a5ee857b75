"""Tests of the recipes: each parses and says what it reproduces; they cover the tables."""

from pathlib import Path

import pytest

import semisup
from semisup.cli import flags
from semisup.config import TrainConfig

FOLDER = Path(semisup.__file__).parent / "recipes"
NAMES = flags.recipe_names(FOLDER)


def parse(name, *overrides):
    return flags.parse(["train", f"--recipe={name}", *overrides], TrainConfig, recipes=FOLDER)


def test_every_cell_of_tables_1_to_4_table_5s_pretraining_and_stl10_has_a_recipe():
    assert {
        *("mnist_100", "mnist_1000", "mnist_all"),
        *("svhn_500", "svhn_1000", "svhn_2000"),
        "svhn_grid",
        *("mnist_visit", "svhn_visit"),
        "svhn_pretraining",
        "stl10",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_parses_and_says_table_protocol_and_run_time(name):
    config = parse(name)
    # Where these folders are, no recipe can know.
    assert (config.dataset == "mnist_5k") == (name in ("photos", "mnist_skewed"))
    text = (FOLDER / f"{name}.flags").read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert "table" in first or "section" in first or "not in the paper" in first
    assert "# Protocol:" in text
    assert "# Run time:" in text


@pytest.mark.parametrize(
    ("name", "labels"), [("mnist_100", 100), ("mnist_1000", 1000), ("svhn_500", 500)]
)
def test_a_recipes_labels_add_up_to_its_name(name, labels):
    assert 10 * parse(name).sup_per_class == labels


def test_a_later_flag_overrides_a_recipe_and_an_earlier_one_does_not():
    assert parse("mnist_100", "--max_steps=5").max_steps == 5
    argv = ["train", "--max_steps=5", "--recipe=mnist_100"]
    assert flags.parse(argv, TrainConfig, recipes=FOLDER).max_steps == 10_000


def test_the_grid_of_table_3_leaves_labels_and_unlabelled_images_open():
    text = (FOLDER / "svhn_grid.flags").read_text(encoding="utf-8")
    set_flags = [line.split("=")[0] for line in text.splitlines() if line.startswith("--")]
    assert not {"--sup_per_class", "--unsup_samples"} & set(set_flags)
