"""Losses of pairs: what they are at best, and what never counts as wrong."""

import keras
import numpy as np
import pytest
from scipy import stats

from multimodal.losses import Hinge, InfoNCE, PearsonCorrelation
from semisup.association import Association

pytestmark = pytest.mark.backend

TERMS = [PearsonCorrelation(), InfoNCE(temperature=0.5), Hinge(margin=0.3)]


def unit(*shape, seed=0):
    rows = np.random.default_rng(seed).normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32")


def loss(term, images, sentences, labels):
    return float(keras.ops.convert_to_numpy(term.loss(images, sentences, np.array(labels))))


def test_pearsons_loss_is_that_of_matching_pairs_and_as_many_wrong_ones():
    images, sentences = unit(6, 4), unit(6, 4, seed=1)
    matching = np.sum(images * sentences, axis=1)
    wrong = np.sum(images * np.roll(sentences, 1, axis=0), axis=1)
    expected = stats.pearsonr(np.append(matching, wrong), np.repeat([1, -1], 6)).statistic
    assert loss(TERMS[0], images, sentences, range(6)) == pytest.approx(1 - expected, abs=1e-5)


def test_infonce_is_the_cross_entropy_of_both_choices():
    images, sentences = unit(5, 4), unit(5, 4, seed=1)
    logits = images @ sentences.T / 0.5
    both = [np.diag(each) - np.log(np.exp(each).sum(axis=1)) for each in (logits, logits.T)]
    assert loss(TERMS[1], images, sentences, range(5)) == pytest.approx(-np.mean(both), abs=1e-5)


def test_the_hinge_loss_is_the_mean_excess_of_wrong_pairs():
    images, sentences = unit(5, 4), unit(5, 4, seed=1)
    similarities = images @ sentences.T
    own = np.diag(similarities)
    excess = [
        max(0, 0.3 + similarities[i, j] - own[i]) + max(0, 0.3 + similarities[i, j] - own[j])
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    assert loss(TERMS[2], images, sentences, range(5)) == pytest.approx(np.mean(excess), abs=1e-5)


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_captions_of_one_image_are_never_wrong_pairs_of_each_other(term):
    # Each of the first two images is like the other's caption.
    images = np.array([[1, 0], [0, 1], [-1, 0]], "float32")
    sentences = images[[1, 0, 2]]
    assert loss(term, images, sentences, [0, 0, 2]) < loss(term, images, sentences, [0, 1, 2]) - 0.1


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_a_batch_of_one_image_has_a_finite_loss_and_gradient(term):
    images = keras.Variable(unit(3, 4))
    assert np.isfinite(loss(term, images, images, [7, 7, 7]))


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_a_loss_is_made_again_from_its_configuration(term):
    config = keras.saving.serialize_keras_object(term)
    again = keras.saving.deserialize_keras_object(config)
    images, sentences = unit(5, 4), unit(5, 4, seed=1)
    assert loss(again, images, sentences, range(5)) == loss(term, images, sentences, range(5))


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_what_is_not_one_number_for_each_pair_is_refused(term):
    images, sentences = unit(6, 4), unit(6, 4, seed=1)
    for labels, told in (
        ([0], "1 labels for 6 examples"),
        (np.eye(6), "one-hot"),
        (np.arange(6) + 0.5, "float"),
        (None, "labels are missing"),
    ):
        with pytest.raises(ValueError, match=told):
            term.loss(images, sentences, labels)
    with pytest.raises(ValueError, match="6 images and 5 sentences"):
        term.loss(images, sentences[:5], np.arange(6))


def test_round_trips_alone_are_content_with_any_one_to_one_assignment():
    images, labels = np.eye(4, dtype="float32"), [0, 1, 2, 3]
    term = Association(temperature=0.1)
    right, wrong = (loss(term, images, np.roll(images, by, axis=0), labels) for by in (0, 1))
    assert wrong == pytest.approx(right, abs=1e-6)
    for matching in TERMS:
        assert loss(matching, images, np.roll(images, 1, axis=0), labels) > loss(
            matching, images, images, labels
        )


def test_temperatures_and_margins_are_positive():
    with pytest.raises(ValueError, match="temperature"):
        InfoNCE(temperature=0)
    with pytest.raises(ValueError, match="margin"):
        Hinge(margin=-1.0)
