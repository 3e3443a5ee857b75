"""Tests of what is said of walks from which nothing is learnt, and when nothing is said."""

import keras
import numpy as np
import pytest
import running

import semisup
from semisup.models import walk_watch
from semisup.models.walk_watch import WalkWatch

GOOD = {"walker_loss": 2.4, "visit_loss": 4.7, "round_trip_accuracy": 0.9}
SATURATED = {"walker_loss": 17.5, "visit_loss": 4.7, "round_trip_accuracy": 0.1}
AT_CHANCE = {"walker_loss": 4.6, "visit_loss": 4.7, "round_trip_accuracy": 0.317}


def said(values_at, steps, interval=50, weights=lambda step: 1.0, prefix=""):
    """What a watch says of a training with 10 classes."""
    texts = []
    watch = WalkWatch(tell=texts.append)
    for step in range(interval, steps + 1, interval):
        values = values_at(step) if callable(values_at) else values_at
        losses = {f"{name}_weight": weights(step) for name in values if name.endswith("_loss")}
        every = {f"{prefix}{name}": value for name, value in (values | losses).items()}
        watch.look(step, every, 10)
    return texts


def test_walks_that_are_saturated_for_300_steps_are_told_of_once():
    assert said(SATURATED, 250) == []
    (text,) = said(SATURATED, 2000)
    assert text.startswith(
        "step 300: walker loss has been near its cap, 17.5 of 18.4, for 300 steps"
    )
    assert 'semisup.Association(measure="cosine")' in text
    assert len(text.splitlines()) == 1
    (text,) = said(GOOD | {"visit_loss": 16.0}, 2000)
    assert text.startswith("step 300: visit loss has been near its cap, 16.0 of 18.4")
    (text,) = said(SATURATED, 2000, prefix="cluster_")
    assert "cluster walker loss" in text


def test_round_trips_at_chance_for_500_steps_are_told_of_once():
    assert said(AT_CHANCE, 450) == []
    (text,) = said(AT_CHANCE, 2000)
    assert text.startswith("step 500: round trips have been no better than chance for 500 steps")
    assert "0.32, that of chance 0.32 with 10 classes" in text


@pytest.mark.parametrize("bad", [SATURATED, AT_CHANCE])
def test_nothing_is_said_of_a_bad_beginning_or_of_bad_moments(bad):
    assert said(GOOD, 2000) == []
    assert said(lambda step: bad if step <= 250 else GOOD, 2000) == []
    assert said(lambda step: bad if step % 200 else GOOD, 2000) == []


@pytest.mark.parametrize("bad", [SATURATED, AT_CHANCE])
def test_a_loss_counts_from_when_its_weight_has_grown(bad):
    assert said(bad, 2000, weights=lambda step: 0.0) == []
    delayed = said(bad, 2000, weights=lambda step: min(max(step - 500, 0) / 500, 1.0))
    assert delayed[0].startswith(f"step {1300 if bad is SATURATED else 1500}:")
    # A weight that shrinks is one all the same.
    assert len(said(bad, 2000, weights=lambda step: 0.999**step)) == 1


def test_a_single_look_is_not_enough_where_many_steps_are_taken_at_once():
    assert said(SATURATED, 1000, interval=500) == []
    assert len(said(SATURATED, 1500, interval=500)) == 1


@pytest.mark.backend
def test_fit_warns_of_walks_by_dot_products_of_large_embeddings_and_not_by_default(monkeypatch):
    monkeypatch.setattr(walk_watch, "INTERVAL", 2)
    monkeypatch.setattr(walk_watch, "SATURATED", 8)
    generator = np.random.default_rng(0)
    labelled, unlabelled = generator.normal(0, 100, (2, 40, 6)).astype("float32")
    labels = np.arange(40) % 4

    def train(**settings):
        keras.utils.set_random_seed(0)
        network = keras.Sequential([keras.Input((6,)), keras.layers.Dense(16)])
        model = semisup.AssociativeModel(network, 4, **settings)
        model.compile("adam", **running.FEW_STEPS)
        # The steps of several calls count.
        for _ in range(5):
            model.fit((labelled, unlabelled), labels, batch_size=20, verbose=0)

    # Any warning is an error.
    train()
    similarity = semisup.Association(visit_weight=0.0, measure="dot")
    with pytest.warns(UserWarning, match="step 8: walker loss has been near its cap") as warned:
        train(similarity=similarity)
    assert sum("near its cap" in str(warning.message) for warning in warned) == 1


def test_a_watch_that_is_given_is_the_only_one():
    own, other, stop = WalkWatch(), WalkWatch(), keras.callbacks.TerminateOnNaN()
    assert walk_watch.watched([stop, own], other) == [stop, own]
    assert walk_watch.watched(stop, other) == [stop, other]
    assert walk_watch.watched(None, other) == [other]


def test_round_trips_without_a_walker_loss_are_not_looked_at():
    assert said({"round_trip_accuracy": 0.1, "other_loss": 1.0}, 2000) == []
