import re

import keras
import numpy as np
import pytest
import running
from keras import ops

from clustering.task import TASK as clustering
from domain_adaptation.task import TASK as adaptation
from semisup import augmentation
from semisup.errors import UserError
from semisup.run import calibration, features
from semisup.run.loading import load_run
from semisup.task import TASK as semisup
from semisup.use.trained import TrainedRun

pytestmark = running.needs_commands

SHAPE = (6, 6, 1)


@pytest.fixture(scope="module")
def backbone():
    return made()


def made():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input(SHAPE), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()]
    )


def images(count=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE)).astype("uint8")


def counted(monkeypatch, backbone):
    """The numbers of images whose features are computed from now on, batch by batch."""
    batches, predict = [], backbone.predict_on_batch
    monkeypatch.setattr(
        backbone, "predict_on_batch", lambda batch: batches.append(len(batch)) or predict(batch)
    )
    return batches


def with_views(backbone, folder, views=2):
    return features.Features(
        backbone, folder=folder, views=views, augmentation=augmentation.build("affine", 0)
    )


@pytest.mark.backend
def test_features_are_those_of_the_network(backbone, tmp_path):
    expected = backbone.predict(images().astype("float32"), verbose=0)
    found = features.Features(backbone, folder=tmp_path).plain(images())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.backend
def test_features_are_computed_once_whatever_the_order(backbone, tmp_path, monkeypatch):
    first = features.Features(backbone, folder=tmp_path).plain(images())
    batches = counted(monkeypatch, backbone)
    order = np.random.default_rng(1).permutation(40)
    again = features.Features(backbone, folder=tmp_path).plain(images()[order])
    np.testing.assert_array_equal(again, first[order])
    assert not batches


def test_of_images_that_come_later_only_the_new_ones_are_computed(backbone, tmp_path, monkeypatch):
    features.Features(backbone, folder=tmp_path).plain(images(40))
    batches = counted(monkeypatch, backbone)
    new = images(3, seed=1)
    found = features.Features(backbone, folder=tmp_path).plain(np.concatenate([images(40), new]))
    assert len(batches) == 1
    np.testing.assert_array_equal(
        found[40:], features.Features(backbone, folder=tmp_path).plain(new)
    )


def test_what_is_not_kept_is_computed_again_and_nothing_is_written(backbone, tmp_path, monkeypatch):
    some = images(5)
    kept = features.Features(backbone, folder=tmp_path).plain(some)
    files = sorted(tmp_path.rglob("*"))
    both = np.concatenate([images(3, seed=1), some])
    reader = features.Features(backbone, folder=tmp_path, keep=False)
    batches = counted(monkeypatch, backbone)
    first, second = reader.plain(both), reader.plain(both)
    assert len(batches) == 2
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[3:], kept)
    assert sorted(tmp_path.rglob("*")) == files


def test_another_network_has_a_cache_of_its_own(backbone, tmp_path):
    other = keras.models.clone_model(backbone)
    one = features.Features(backbone, folder=tmp_path).plain(images())
    two = features.Features(other, folder=tmp_path).plain(images())
    assert features.digest_of(other) != features.digest_of(backbone)
    assert not np.allclose(one, two)


@pytest.mark.backend
def test_the_digest_of_a_network_does_not_depend_on_names(backbone):
    other = made()
    assert other.name != backbone.name
    assert features.digest_of(other) == features.digest_of(backbone)


@pytest.mark.backend
def test_views_are_those_of_the_image_whatever_the_company(backbone, tmp_path):
    together = with_views(backbone, tmp_path / "a").views(images())
    alone = with_views(backbone, tmp_path / "b").views(images()[7:9])
    assert together.shape == (40, 3, 3)
    np.testing.assert_allclose(together[7:9], alone, rtol=1e-5, atol=1e-4)
    assert not np.allclose(together[:, 1], together[:, 2])
    np.testing.assert_array_equal(
        together[:, 0], features.Features(backbone, folder=tmp_path / "a").plain(images())
    )


def test_further_views_leave_the_first_ones_as_they_are(backbone, tmp_path, monkeypatch):
    two = with_views(backbone, tmp_path).views(images())
    batches = counted(monkeypatch, backbone)
    three = with_views(backbone, tmp_path, views=3).views(images())
    np.testing.assert_array_equal(three[:, :3], two)
    assert len(batches) == 2


def test_a_damaged_file_is_named_and_its_features_computed_again(backbone, tmp_path, caplog):
    first = features.Features(backbone, folder=tmp_path).plain(images())
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:-700])
    again = features.Features(backbone, folder=tmp_path).plain(images())
    np.testing.assert_array_equal(again, first)
    assert f"{path} is damaged" in caplog.text


def test_a_folder_that_cannot_be_written_is_named(backbone, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--cache_dir"):
        features.Features(backbone, folder=tmp_path / "file").plain(images(2))


SETTINGS = {
    "dataset": "optdigits",
    "new_size": 28,
    "unsup_samples": 100,
    "trainable": "head",
    "head_units": 8,
    "emb_size": 4,
    "max_steps": 20,
    "decay_steps": 10,
    "eval_interval": 10,
    "checkpoint_interval": 10,
    "log_interval": 10,
    "unsup_batch_size": 20,
    "progress": False,
}
WITH_VIEWS = {"augmentation": "affine", "feature_views": 1, "centre_features": True}
TO_DIGITS = {
    "target_dataset": "mnist_5k",
    "target_test_split": "train",
    "walker_weight_envelope_delay": 0,
    "visit_weight_envelope_delay": 0,
}
INTO_CLUSTERS = {
    "feature_views": 1,
    "num_augmented_samples": 2,
    "reg_warmup_steps": 5,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("runs"))


def train(folder, logdir, task, **settings):
    config = task.config_class(
        logdir=f"{folder}/{logdir}",
        architecture=running.tiny_network(folder),
        cache_dir=f"{folder}/cache",
        **{**SETTINGS, **settings},
    )
    assert running.training.train(config, task) == 0
    return running.RunDirectory(config.logdir)


@pytest.mark.backend
def test_a_training_on_features_resumes_to_the_same_bits(folder):
    whole = train(folder, "whole", semisup, **WITH_VIEWS)
    running.cut(whole, folder, 10, "parts")
    parts = train(folder, "parts", semisup, **WITH_VIEWS)
    running.assert_same_weights(whole, parts, 20)
    # Ten labels a class and the other digits say how sure it may be.
    known = calibration.read(whole, 20)
    assert re.fullmatch(r"\d+ unlabelled images, by their features", known.fitted_on)
    assert calibration.read(parts, 20) == known


def test_a_prediction_finds_the_features_of_the_training(folder, monkeypatch):
    run = train(folder, "whole", semisup, **WITH_VIEWS)
    trained = TrainedRun(run.path)
    known = semisup.load_data(trained.config).train.images[:30]
    expected = semisup.predictor(trained.model, 30).outputs(known)
    monkeypatch.delattr(features.Features, "_compute")
    for found, outputs in zip(trained.predictor.outputs(known), expected, strict=True):
        np.testing.assert_allclose(found, outputs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        (adaptation, TO_DIGITS),
        pytest.param(clustering, INTO_CLUSTERS, marks=pytest.mark.backend),
    ],
)
def test_what_is_exported_after_a_training_on_features_takes_images(folder, task, settings):
    run = train(folder, task.name, task, **settings)
    # Neither is known to be as right on its images as the labels that it has say.
    assert calibration.read(run) is None
    model, _ = load_run(run.path)
    digits = np.zeros((2, *model.network.input_shape[1:]), "uint8")
    exported = keras.saving.load_model(run.file("model.keras"))
    assert not exported.compiled
    np.testing.assert_allclose(
        exported.predict(digits, verbose=0), ops.convert_to_numpy(model(digits)), atol=1e-5
    )


def test_the_error_on_the_images_adapted_to_is_measured(folder):
    settings = {"trainable": "all", "unsup_samples": -1}
    config = adaptation.config_class(**{**SETTINGS, **TO_DIGITS, **settings})
    data = adaptation.load_data(config)
    assert len(data.evaluation.labels) == 4000
    assert data.record["unlabelled_images"] == 4000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trainable": "some"}, "--trainable=some: give all, head, or the number"),
        ({"trainable": "0"}, "--trainable=0"),
        ({"trainable": "head"}, "weights that have learnt nothing"),
        ({"pretrained": True, "trainable": "2", "feature_views": 2}, "--feature_views=2 has no"),
        (
            {"pretrained": True, "trainable": "head", "augmentation": "affine"},
            "--feature_views=4 say",
        ),
        (
            {"pretrained": True, "trainable": "head", "feature_views": 2},
            "needs an --augmentation",
        ),
        (
            {"pretrained": True, "trainable": "head", "network_learning_rate": 1e-4},
            "--network_learning_rate=0.0001 has no effect",
        ),
        ({"network_learning_rate": 1e-4}, "give --head_units"),
        ({"centre_features": True}, "--centre_features has no effect without --trainable=head"),
    ],
)
def test_settings_of_frozen_networks_that_contradict_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        semisup.config_class(**settings)


@pytest.mark.backend
def test_a_network_below_its_head_learns_at_its_own_rate(folder):
    config = running.config(
        folder, "slow", head_units=4, network_learning_rate=3e-6, learning_rate=3e-3, emb_size=4
    )
    model = semisup.build_model(config, running.record((28, 28, 1), 10))
    before = [ops.convert_to_numpy(weight) for weight in model.trainable_variables]
    gradients = [ops.ones(weight.shape) for weight in model.trainable_variables]
    model.optimizer.apply(gradients)
    moved = {
        weight.path: np.abs(ops.convert_to_numpy(weight) - old).max()
        for weight, old in zip(model.trainable_variables, before, strict=True)
    }
    below = {weight.path for weight in model.network.layers[1].trainable_variables}
    assert below
    for path, distance in moved.items():
        assert distance == pytest.approx(3e-6 if path in below else 3e-3, rel=0.1)


def test_a_run_of_other_classes_gives_its_network_below_a_head(folder):
    _, first = running.train(folder, "digits", max_steps=5)
    config = running.config(
        folder,
        "others",
        initial_run=first.path,
        trainable="head",
        head_units=4,
        emb_size=4,
        augmentation="none",
    )
    model = semisup.build_model(config, running.record((28, 28, 1), 3))
    running.training.loading.begin_with(model, first.path)
    trained, _ = load_run(first.path)
    for one, other in zip(model.network.layers[1].weights, trained.network.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))
