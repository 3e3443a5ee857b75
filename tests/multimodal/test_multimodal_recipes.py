"""Tests of the recipes: each parses, and says what it is for."""

from pathlib import Path

import pytest

import multimodal
from multimodal import choices
from multimodal.config import TrainConfig
from semisup.cli import flags

FOLDER = Path(multimodal.__file__).parent / "recipes"
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


def test_every_loss_has_a_recipe_that_differs_in_nothing_else():
    configs = [parse(name) for name in NAMES]
    assert {loss for config in configs for loss in config.losses} == set(choices.LOSSES)
    others = [{**config.to_dict(), "loss": ""} for config in configs]
    assert all(other == others[0] for other in others)
    assert others[0] == {**TrainConfig(fit="crop").to_dict(), "loss": ""}
