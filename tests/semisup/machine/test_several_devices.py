"""Tests of trainings whose batches several devices share; JAX has two of them here."""

import dataclasses
import os

import keras
import numpy as np
import pytest
import running

from clustering.task import TASK as clustering
from semisup.config import TrainConfig
from semisup.errors import UserError
from semisup.machine import backend
from semisup.models.associative import AssociativeModel
from semisup.run import checkpoints
from semisup.run.evaluation import Predictor, image_batches
from semisup.task import TASK as task

JAX = keras.backend.backend() == "jax"
needs_jax = pytest.mark.skipif(not JAX, reason="only JAX shares batches among devices")


def fitted(config):
    """A model after four steps on the devices of a configuration, and its history."""
    keras.utils.set_random_seed(0)
    with backend.shared_batches(config):
        data = task.load_data(config)
        model = task.build_model(config, data.record, data)
        history = model.fit(data.batches(0), steps_per_epoch=1, epochs=4, shuffle=False, verbose=0)
    return model, history.history


@needs_jax
@pytest.mark.backend
def test_two_devices_have_the_losses_of_one_and_their_checkpoint_fits_one(tmp_path):
    settings = running.config(tmp_path, "run", augmentation="none")
    one, history = fitted(settings)
    two, shared_history = fitted(dataclasses.replace(settings, devices=2))
    for name in (name for name in history if name.endswith("_loss")):
        assert shared_history[name] == pytest.approx(history[name], rel=1e-4), name
    checkpoints.save(two, tmp_path, 4, keep=1)
    checkpoints.restore(one, tmp_path, 4)
    images = np.zeros((3, 28, 28, 1), np.uint8)
    np.testing.assert_allclose(
        Predictor(one).embeddings(images), Predictor(two).embeddings(images), rtol=1e-5, atol=1e-6
    )


@needs_jax
@pytest.mark.backend
@pytest.mark.slow
@pytest.mark.parametrize("trained", [task, clustering], ids=lambda task: task.name)
def test_a_run_on_two_devices_is_that_of_one_which_may_go_on_with_it(tmp_path, trained, capsys):
    _, alone = running.train(tmp_path, "alone", trained, max_steps=40)
    running.train_until(20, tmp_path, "shared", trained, devices=2, max_steps=40)
    status, shared = running.train(tmp_path, "shared", trained, max_steps=40)
    assert status == 0
    assert "at step 10." in capsys.readouterr().out
    logs = [
        [entry for entry in running.losses(run) if "losses/total_loss" in entry]
        for run in (alone, shared)
    ]
    assert [entry["step"] for entry in logs[1]] == [10, 20, 30, 40]
    for ours, theirs in zip(*logs, strict=True):
        for name in (name for name in ours if name.startswith("losses/")):
            assert theirs[name] == pytest.approx(ours[name], rel=1e-2, abs=1e-3), name


@needs_jax
@pytest.mark.backend
def test_the_weights_of_a_shared_training_lie_on_both_devices(tmp_path):
    with backend.shared_batches(running.config(tmp_path, "run", devices=2)):
        model = task.build_model(running.config(tmp_path, "run"), running.record((28, 28, 1), 10))
        assert backend.sharing_devices() == 2
    assert len(model.classifier.kernel.value.devices()) == 2
    assert backend.sharing_devices() == 1


@needs_jax
@pytest.mark.backend
def test_two_devices_predict_a_number_of_images_that_is_odd():
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), dtype=np.uint8)
    found = []
    for devices in (1, 2):
        keras.utils.set_random_seed(0)
        with backend.shared_batches(TrainConfig(devices=devices)):
            network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
            model = AssociativeModel(network, 3)
            model.build((None, 8, 8, 1))
            found.append(Predictor(model, batch_size=3).outputs(images))
    for one, two in zip(*found, strict=True):
        assert len(one) == len(two) == 7
        np.testing.assert_allclose(two, one, rtol=1e-5)


@needs_jax
@pytest.mark.backend
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"devices": 3}, "--devices=3: JAX finds 2, cpu:0, cpu:1"),
        (
            {"devices": 2, "unsup_batch_size": 21},
            "--devices=2 does not divide the 21 unlabelled images of a batch",
        ),
    ],
)
def test_devices_that_cannot_share_a_batch_are_a_users_mistake(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        running.train(tmp_path, "run", **settings)
    assert not os.path.exists(tmp_path / "run" / "config.json")


@pytest.mark.skipif(JAX, reason="JAX computes on several devices")
def test_tensorflow_does_not_share_batches(tmp_path):
    with pytest.raises(UserError, match="--devices=2 needs JAX: set KERAS_BACKEND=jax"):
        running.train(tmp_path, "run", devices=2)


@pytest.mark.parametrize("size", [3, 4, 100])
def test_padded_batches_are_all_even_and_repeat_the_last_image_alone(size):
    images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
    batches = list(image_batches(images, size, multiple=2).as_numpy_iterator())
    assert all(len(batch) % 2 == 0 for batch in batches)
    assert np.concatenate(batches).ravel().tolist() == [*range(7), 6]
