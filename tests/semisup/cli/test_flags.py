"""Tests of the command line: what a flag takes as its value, and what it does not."""

import re

import pytest

from semisup.cli import flags
from semisup.config import TrainConfig
from semisup.errors import UserError


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--augmentation", "--seed=3"], "augmentation"),
        (["--augmentation", "-seed=3"], "augmentation"),
        (["--augmentation", "--noprogress"], "augmentation"),
        (["-logdir", "-noprogress"], "logdir"),
        (["--augmentation"], "augmentation"),
        (["--logdir", "--"], "logdir"),
        (["--max_steps", "--seed", "3"], "max_steps"),
        (["--recipe", "--seed=3"], "recipe"),
        (["--recipe"], "recipe"),
        (["--logdir", "--recipe=mnist_100"], "logdir"),
        (["--flagfile", "--seed=3"], "flagfile"),
        (["--flagfile"], "flagfile"),
        (["--flagfile=FILE"], "augmentation"),
        (["--flagfile", "FILE"], "augmentation"),
    ],
)
def test_a_flag_without_a_value_does_not_take_the_next_flag(tmp_path, arguments, name):
    path = tmp_path / "wrong.flags"
    path.write_text("# A comment\n--augmentation\n--seed=3\n")
    arguments = [argument.replace("FILE", str(path)) for argument in arguments]
    with pytest.raises(UserError, match=f"^--{name} needs a value$"):
        flags.parse(["train", *arguments], TrainConfig, recipes="semisup/recipes")


def test_values_may_follow_their_flags_and_be_negative(tmp_path):
    path = tmp_path / "right.flags"
    path.write_text("--sup_seed\n-1\n--augmentation\naffine\n")
    argv = [
        "train",
        "--sup_per_class",
        "-1",
        "--logdir",
        "-x",
        "--l2_weight",
        "-1.0",
        "--noprogress",
    ]
    config = flags.parse([*argv, f"--flagfile={path}"], TrainConfig)
    assert (config.sup_per_class, config.logdir, config.l2_weight) == (-1, "-x", -1.0)
    assert (config.sup_seed, config.augmentation, config.progress) == (-1, "affine", False)
    assert flags.parse(["train", "--logdir="], TrainConfig).logdir == ""


@pytest.mark.parametrize("first", ["--seed=3", "# seeds", "", "--noprogress"])
def test_a_file_of_flags_may_begin_with_a_byte_order_mark(tmp_path, first):
    path = tmp_path / "marked.flags"
    path.write_text(f"{first}\n--max_steps=7\n", encoding="utf-8-sig")
    config = flags.parse(["train", f"--flagfile={path}", "--logdir", "//x"], TrainConfig)
    expected = (3 if first == "--seed=3" else TrainConfig().seed, 7, first != "--noprogress", "//x")
    assert (config.seed, config.max_steps, config.progress, config.logdir) == expected


@pytest.mark.parametrize("name", ["none.flags", ""])
def test_a_file_of_flags_that_cannot_be_opened_is_named(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(UserError, match=rf"^--flagfile={re.escape(str(path))}: (No such|Is a)"):
        flags.parse(["train", f"--flagfile={path}"], TrainConfig)


def test_a_file_of_flags_that_is_no_text_is_told_in_one_line(tmp_path):
    path = tmp_path / "binary.flags"
    path.write_bytes(b"--seed=3\n\xff\xfe")
    with pytest.raises(UserError, match="--flagfile: it is no text"):
        flags.parse(["train", f"--flagfile={path}"], TrainConfig)
    with pytest.raises(UserError, match="no recipe is called ''"):
        flags.parse(["train", "--recipe=", "--seed=3"], TrainConfig, recipes="semisup/recipes")


def test_a_value_for_a_flag_that_is_switched_off_is_told_in_one_line():
    with pytest.raises(UserError, match=r"^--noprogress=true does not take an argument; leave"):
        flags.parse(["train", "--noprogress=true"], TrainConfig)


def test_a_name_of_any_length_is_told_in_one_short_line():
    with pytest.raises(UserError, match=r"^Unknown command line flag 'xxx") as caught:
        flags.parse(["train", "--" + "x" * 5000], TrainConfig)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--max_steps=1.5", "--max_steps=1.5: give a whole number"),
        ("--seed=", "--seed=: give a whole number"),
        ("--learning_rate=fast", "--learning_rate=fast: give a number"),
        ("--progress=maybe", "--progress=maybe: give true or false"),
    ],
)
def test_a_value_of_another_type_is_told_in_plain_words(flag, message):
    with pytest.raises(UserError, match=re.escape(message) + "$"):
        flags.parse(["semisup-train", flag], TrainConfig)


@pytest.mark.parametrize("trainable", ["all", "5"])
def test_what_a_recipe_sets_and_a_later_flag_makes_void_has_its_default(trainable):
    recipe = ["--recipe=photos", "--dataset=folder:photos", f"--trainable={trainable}"]
    config = flags.parse(["train", *recipe], TrainConfig, recipes="semisup/recipes")
    assert (config.trainable, config.centre_features) == (trainable, False)
    assert (config.temperature, config.max_steps) == (0.2, 300)
    own = [*recipe, "--centre_features"]
    with pytest.raises(UserError, match="--centre_features has no effect without"):
        flags.parse(["train", *own], TrainConfig, recipes="semisup/recipes")
