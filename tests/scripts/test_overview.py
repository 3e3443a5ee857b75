"""Tests of the overview of the dissertation's own numbers: what stands, and what is missing."""

from pathlib import Path

import pytest

from scripts import overview, published
from scripts.rows import Row

FOLDER = Path("results")


def number_of(setting, method="ours", statistic="mean"):
    """The dissertation's first own number of a setting."""
    return next(
        number
        for number in published.numbers()
        if number.own and (number.setting, number.method) == (setting, method)
        if number.statistic == statistic
    )


def row_of(number, *errors, step=10_000, changes=(), note="", comparable=True):
    """A row of a number, with a run for each error."""
    run = {"step": step, "recipe": number.recipe, "note": note, "comparable": comparable}
    return Row(number, number.recipe, changes, number.metric, errors, (run,) * len(errors), FOLDER)


def standing_of(number, *rows):
    return next(one for one in overview.standings(rows) if one.number == number)


def test_115_numbers_are_the_dissertations_own_and_three_of_them_have_no_recipe():
    own = [number for number in published.numbers() if number.own]
    assert len(own) == 115
    assert [(number.place, number.setting) for number in own if not number.recipe] == [
        ("cvpr17/5", "SVHN to MNIST, source only"),
        ("cvpr17/5", "SVHN to MNIST, target only"),
        ("iccv17/text 3.2.1", "Synthetic Signs to GTSRB"),
    ]
    for number in published.numbers():
        assert not number.recipe or number.own == (number.paper != "further"), number


def test_several_runs_with_the_recipes_own_settings_stand_and_others_are_trials():
    number = number_of("MNIST, 100 labels")
    assert standing_of(number).row is None
    full = row_of(number, 0.9, 1.1)
    for trial in (
        row_of(number, 0.9),
        row_of(number, 0.9, 1.1, changes=("max_steps=5",), step=5),
        row_of(number, 0.9, 1.1, note="half of it"),
        row_of(number, 0.9, 1.1, comparable=False),
    ):
        assert standing_of(number, trial).trial is trial
        assert standing_of(number, trial).full is None
        assert standing_of(number, trial, full).full is full
        assert standing_of(number, trial, full).trial is None


def test_the_trial_of_most_steps_then_of_most_seeds_then_of_fewest_changes_is_shown():
    number = number_of("MNIST, 1,000 labels")
    worst_first = [
        row_of(number, 1.0, 1.0, step=500, changes=("max_steps=500",)),
        row_of(number, 1.0, step=900, changes=("max_steps=900",)),
        row_of(number, 1.0, 1.0, step=900, changes=("max_steps=900", "visit_weight=2")),
        row_of(number, 1.0, 1.0, step=900, changes=("max_steps=900",)),
    ]
    for count, best in enumerate(worst_first, start=1):
        assert standing_of(number, *worst_first[:count]).trial is best


@pytest.mark.parametrize(
    ("setting", "method", "needs"),
    [
        ("MNIST, 1,000 labels", "ours", ["time"]),
        ("MNIST", "ResNet", ["a GPU"]),
        ("SVHN, 500 labels", "ours", ["SVHN"]),
        ("STL-10", "VCNN", ["STL-10", "a GPU"]),
        ("SVHN to MNIST, target only", "ours", ["a recipe", "SVHN"]),
    ],
)
def test_what_is_not_measured_at_full_budget_says_what_it_needs(setting, method, needs):
    number = number_of(setting, method)
    assert standing_of(number).needs == needs
    if number.recipe:
        assert standing_of(number, row_of(number, 1.0, 2.0)).needs == []


def test_every_data_set_that_is_not_complete_is_one_of_a_number():
    lacking = {name for standing in overview.standings([]) for name in standing.lacking}
    assert lacking == set(overview.data_at_hand())


def test_the_overview_has_a_line_for_every_number_and_counts_them():
    full, short = number_of("MNIST, 100 labels"), number_of("MNIST, all labels")
    other = number_of("SVHN to MNIST", "DA_MMD")
    rows = [
        row_of(full, 0.9, 1.1),
        row_of(short, 0.5, step=20, changes=("max_steps=20",)),
        row_of(other, 30.0, step=12_000, note="SVHN: a part", comparable=False),
    ]
    found = overview.standings(rows)
    text = overview.markdown(found, lambda text, folder: f"[{text}](there)")
    assert overview.counts(found) in text
    assert overview.counts(found).endswith(
        "own, 1 is measured at full budget, 2 in trials, 112 not at all."
    )
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    members = [line for line in lines[2:] if not line.startswith("| **")]
    assert len(members) == 115
    assert (
        "| MNIST, 100 labels | 0.89 % ± 0.08 | [**1.00 % ± 0.14**](there); 2 seeds, 10,000 steps; "
        "+0.11 | - | - |"
    ) in members
    assert (
        "| MNIST, all labels | 0.36 % ± 0.03 | - | [**0.50 %**](there); 1 seed, 20 of 10,000 "
        "steps; +0.14 | time |"
    ) in members
    assert (
        "| SVHN to MNIST, DA_MMD | 28.48 % | - | [**30.00 %**](there), **other data** [1]; 1 seed, "
        "12,000 steps; not comparable | SVHN, a GPU |"
    ) in members
    tables = [line for line in lines if line.startswith("| **")]
    assert "table 1: test error** |  | **1 of 3** | **1 of 3** |  |" in tables[0]
    assert len(tables) == len({number.place for number in published.numbers() if number.own})
