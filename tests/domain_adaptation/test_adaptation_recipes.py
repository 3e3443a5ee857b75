"""Tests of the recipes: each parses and says what it reproduces; they cover the tables."""

from pathlib import Path

import pytest

import domain_adaptation
from domain_adaptation.config import TrainConfig
from semisup.cli import flags

FOLDER = Path(domain_adaptation.__file__).parent / "recipes"
NAMES = flags.recipe_names(FOLDER)
PAIRS = {
    "mnist_to_mnist_m": ("mnist", "mnist_m"),
    "synthetic_digits_to_svhn": ("synthetic_digits_generated", "svhn_cropped"),
    "svhn_to_mnist": ("svhn_cropped", "mnist"),
    "synthetic_signs_to_gtsrb": ("synthetic_signs_generated", "gtsrb_cropped"),
}
DIGITS = {"mnist_to_usps": ("mnist", "usps"), "usps_to_mnist": ("usps", "mnist")}
DIGIT_TERMS = {"": "association", "_mmd": "mmd", "_coral": "coral", "_source_only": "none"}
KINDS = ("", "_fixed", "_mmd", "_source_only", "_target_only")
PHOTOS = {
    "photos_to_photos": "association",
    "photos_to_photos_mmd": "mmd",
    "photos_to_photos_coral": "coral",
    "photos_to_photos_source_only": "none",
    "photos_to_photos_target_only": "none",
}
FURTHER_DIGITS = [pair + kind for pair in DIGITS for kind in DIGIT_TERMS]


def parse(name):
    return flags.parse(["train", f"--recipe={name}"], TrainConfig, recipes=FOLDER)


def test_every_cell_of_the_thesis_own_has_a_recipe():
    cells = {pair + kind for pair in PAIRS for kind in KINDS}
    assert set(NAMES) == {*cells, "svhn_to_mnist_swapped", *PHOTOS, *FURTHER_DIGITS}


@pytest.mark.parametrize("name", sorted(set(NAMES) - {*PHOTOS, *FURTHER_DIGITS}))
def test_a_recipe_parses_and_says_table_protocol_and_run_time(name):
    config = parse(name)
    lines = (FOLDER / f"{name}.flags").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(("# ICCV table 2, ", "# CVPR table 5, "))
    assert ": published " in lines[0]
    text = "\n".join(lines)
    assert "# Protocol:" in text
    assert "# Run time:" in text
    assert config.architecture == "svhn_model"
    assert config.learning_rate == 1e-4


@pytest.mark.parametrize("name", PHOTOS)
def test_recipes_for_photographs_train_a_head_as_long_for_each_term(name):
    config = parse(name)
    assert config.similarity == PHOTOS[name]
    assert (config.trainable, config.fit, config.max_steps) == ("head", "crop", 300)
    assert config.match_means == (PHOTOS[name] != "none")
    # Another network may take the place of the one with ImageNet weights.
    assert config.pretrained


@pytest.mark.parametrize("pair", DIGITS)
def test_recipes_for_two_kinds_of_digits_differ_in_nothing_but_data_and_term(pair):
    terms = {kind: parse(pair + kind) for kind in DIGIT_TERMS}
    assert {kind: config.similarity for kind, config in terms.items()} == DIGIT_TERMS
    assert {(config.dataset, config.target_dataset) for config in terms.values()} == {DIGITS[pair]}
    shared = ("architecture", "new_size", "augmentation", "sup_per_batch", "learning_rate")
    shared += ("decay_steps", "max_steps", "clip_norm", "logit_weight")
    first = parse("mnist_to_usps")
    for config in terms.values():
        assert all(getattr(config, name) == getattr(first, name) for name in shared)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_recipes_of_a_pair_differ_in_their_similarity_term(pair):
    terms = {kind: parse(pair + kind) for kind in KINDS}
    assert [config.similarity for config in terms.values()] == [
        *("association", "association", "mmd", "none", "none")
    ]
    assert [kind for kind, config in terms.items() if config.target_only] == ["_target_only"]
    assert {(c.dataset, c.target_dataset) for c in terms.values()} == {PAIRS[pair]}
    assert len({c.new_size for c in terms.values()}) == 1


@pytest.mark.parametrize("pair", PAIRS)
def test_the_fixed_parameters_are_those_of_table_2(pair):
    config = parse(f"{pair}_fixed")
    assert config.visit_weight == 0.5
    assert config.walker_weight_envelope_delay == config.visit_weight_envelope_delay == 500
    assert config.unsup_batch_size == 100
    classes = 43 if "signs" in pair else 10
    assert 80 < classes * config.sup_per_batch <= 100


@pytest.mark.parametrize(
    ("pair", "delay", "visit", "labelled", "unlabelled", "steps"),
    [
        ("synthetic_signs_to_gtsrb", 0, 0.1, 24, 1032, 12_000),
        ("mnist_to_mnist_m", 500, 0.6, 100, 1000, 12_000),
        ("svhn_to_mnist", 500, 0.2, 100, 1000, 12_000),
        ("synthetic_digits_to_svhn", 2000, 0.2, 100, 1000, 20_000),
    ],
)
def test_the_tuned_recipes_have_the_settings_that_the_authors_released(
    pair, delay, visit, labelled, unlabelled, steps
):
    config = parse(pair)
    for name in ("walker", "visit"):
        assert getattr(config, f"{name}_weight_envelope_delay") == delay
        assert getattr(config, f"{name}_weight_envelope") == "linear"
        assert getattr(config, f"{name}_weight_envelope_steps") == 1
    assert (config.walker_weight, config.visit_weight) == (1, visit)
    assert (config.sup_per_batch, config.unsup_batch_size) == (labelled, unlabelled)
    assert (config.max_steps, config.decay_steps, config.decay_factor) == (steps, 9000, 0.33)
    assert config.augmentation == ("inversion" if pair == "mnist_to_mnist_m" else "none")


@pytest.mark.parametrize("flag", ["--trainable=all", "--similarity=none", "--target_only"])
def test_later_flags_may_make_void_what_a_recipe_for_photographs_sets(flag):
    arguments = ["--recipe=photos_to_photos", "--dataset=./a", "--target_dataset=./b", flag]
    arguments += ["--target_test_split=test"]
    config = flags.parse(["train", *arguments], TrainConfig, recipes=FOLDER)
    assert not config.match_means
    assert config.feature_views == (0 if flag == "--trainable=all" else 1)
