"""Tests of what programmers and users are told of arguments that cannot be taken."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from domain_adaptation.config import TrainConfig as AdaptationConfig
from semisup.config import TrainConfig
from semisup.data.datasets import Split
from semisup.errors import ArgumentError, UserError, rephrased
from semisup.run import building, image_data, training


def test_an_argument_error_names_the_argument_and_its_value_on_one_line():
    error = ArgumentError("name", "a\nb", "it is unknown")
    assert str(error) == r"name=a\nb: it is unknown"
    assert isinstance(error, ValueError)
    assert str(ArgumentError("labels", None, "they are missing")) == "labels: they are missing"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_users_are_told_by_the_flag_and_of_other_arguments_by_the_reason():
    for message, expected in (
        ({"a": "--flag={value}: {reason}; ask"}, "--flag=3: no; ask"),
        ({}, "no"),
    ):
        with pytest.raises(UserError) as caught, rephrased(**message):
            raise ArgumentError("a", 3, "no")
        assert str(caught.value) == expected


def test_braces_in_what_was_given_are_left_alone():
    message = r"^--flag=\{x\}: class \{y\}$"
    with pytest.raises(UserError, match=message), rephrased(a="--flag={value}: {reason}"):
        raise ArgumentError("a", "{x}", "class {y}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "mnist_modell"}, "--architecture=mnist_modell: .*mnist_model.*=help"),
        ({"new_size": 4}, "images of 4x4 pixels .* mnist_model.* 8x8 .*; --new_size enlarges"),
        ({"num_blocks": 2}, "--num_blocks=2: .* resnet_cifar_model"),
        ({"dropout": 0.5}, "--dropout=0.5: .* mnist_model_dropout"),
        ({"pretrained": True}, "--pretrained: .* keras.applications"),
        (
            {"architecture": "EfficientNetB0", "normalization": "unit", "new_size": 32},
            "EfficientNetB0 .*; leave --normalization at auto",
        ),
    ],
)
def test_users_are_told_of_a_wrong_network_by_flags(settings, message):
    config = TrainConfig(**{"logdir": "run", "architecture": "mnist_model", **settings})
    size = config.new_size or 28
    with pytest.raises(UserError, match=message):
        building.build_network(config, (size, size, 3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sup_per_class": 5}, "^--sup_per_class=5: class a has 4 training images; .* at most 4"),
        ({"unsup_samples": 9}, "^--unsup_samples=9: there are only 8 images"),
        ({"validation_samples": 7}, "^--validation_samples=7: .*of 8 training images in 2 classes"),
    ],
)
def test_users_are_told_of_too_few_images_by_flags(settings, message):
    images = Split(np.zeros((8, 8, 8, 1), "uint8"), np.repeat([0, 1], 4))
    config = TrainConfig(**{"logdir": "run", "sup_per_class": 1, **settings})
    with pytest.raises(UserError, match=message):
        image_data.compose(config, "ab", images, images, images)


def test_the_error_on_the_training_images_is_measured_on_those_that_keep_no_label():
    images = Split(np.arange(8, dtype="uint8").reshape(8, 1, 1, 1), np.repeat([0, 1], 4))
    data = image_data.compose(
        TrainConfig(logdir="run", sup_per_class=3), "ab", images, images, images
    )
    labelled = np.concatenate(data.class_pools)
    assert len(labelled) == 6
    assert sorted([*labelled, *data.evaluated_rows]) == list(range(8))
    np.testing.assert_array_equal(data.evaluation.images.ravel(), data.evaluated_rows)
    np.testing.assert_array_equal(data.evaluation.labels, data.evaluated_rows // 4)
    assert data.record["unlabelled_images"] == 8


def test_the_error_needs_images_that_keep_no_label():
    images = Split(np.zeros((8, 1, 1, 1), "uint8"), np.repeat([0, 1], 4))
    with pytest.raises(UserError, match=r"none is left.*smaller --sup_per_class"):
        image_data.compose(
            TrainConfig(logdir="run", sup_per_class=-1), "ab", images, images, images
        )


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (
            TrainConfig,
            {"test_split": "train", "validation_samples": 5},
            "--test_split=train has no effect with --valid",
        ),
        (AdaptationConfig, {"test_split": "train"}, "train: .*give --target_test_split"),
        (AdaptationConfig, {"target_only": True, "memory": 9}, "--memory=9 has no effect"),
        (
            AdaptationConfig,
            {"target_only": True, "weak_label_share": 0.5},
            "--weak_label_share=0.5 has no effect with --similarity=none",
        ),
        (
            TrainConfig,
            {"similarity": "none", "labelled_in_unlabelled": 0.5},
            "--labelled_in_unlabelled=0.5 has no effect with --similarity=none",
        ),
        (
            TrainConfig,
            {"labelled_in_unlabelled": 0.95, "weak_label_share": 0.05},
            "--weak_label_share=0.05 of the 5 unlabelled images in a batch is no image",
        ),
        (
            TrainConfig,
            {"weak_label_share": 0.5, "weak_label_delay": 50, "max_steps": 50},
            "--weak_label_delay=50 is not before --max_steps=50",
        ),
        (
            TrainConfig,
            {"cross_validate": 2, "weak_labels": "run", "weak_label_share": 0.5},
            "that run may have seen the labels",
        ),
    ],
)
def test_settings_that_have_no_effect_or_contradict_are_refused(config, settings, message):
    intervals = {"eval_interval": 10, "checkpoint_interval": 10, "log_interval": 10}
    with pytest.raises(UserError, match=message):
        config(**{**intervals, **settings})


@pytest.mark.parametrize(
    ("architecture", "message"),
    [("mnist_modell", "did you mean mnist_model"), ("nothing.keras", "there is no such file")],
)
def test_a_network_that_is_not_there_is_told_before_data_is_read(architecture, message, tmp_path):
    config = TrainConfig(architecture=architecture, logdir=str(tmp_path / "run"))
    # It has no way to load data.
    with pytest.raises(UserError, match=message):
        training.train(config, SimpleNamespace(name="semisup", config_class=TrainConfig))
    assert not (tmp_path / "run").exists()
