"""Tests of the recipes: each parses, says what it is for, and is comparable with the others."""

from pathlib import Path

import pytest

import segmentation
from segmentation import choices
from segmentation.config import TrainConfig
from semisup.cli import flags

FOLDER = Path(segmentation.__file__).parent / "recipes"
NAMES = flags.recipe_names(FOLDER)


def parse(name):
    return flags.parse(["train", f"--recipe={name}"], TrainConfig, recipes=FOLDER)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_parses_and_says_protocol_and_run_time(name):
    # Whose images they are, no recipe can know.
    assert parse(name).dataset == ""
    text = (FOLDER / f"{name}.flags").read_text(encoding="utf-8")
    assert "not in the paper" in text.splitlines()[0]
    assert "# Protocol:" in text
    assert "# Run time:" in text


def test_what_is_learnt_without_labels_is_all_that_recipes_differ_in():
    configs = [parse(name).to_dict() for name in NAMES]
    assert {config["similarity"] for config in configs} == set(choices.SIMILARITY_TERMS)
    others = [{**config, "similarity": "", "head_units": -1} for config in configs]
    assert all(other == {**TrainConfig().to_dict(), "similarity": ""} for other in others)
