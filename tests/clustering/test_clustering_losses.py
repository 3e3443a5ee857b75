"""Tests of the norm and the transformation loss against loops and closed forms."""

import itertools

import keras
import numpy as np
import pytest
from gradients import gradient_of

from clustering import norm_loss, transformation_loss

pytestmark = pytest.mark.backend


def batch(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def value(loss):
    return float(keras.ops.convert_to_numpy(loss))


def naive_transformation_loss(plain, transformed, plain_logits, transformed_logits):
    total = 0.0
    for i, j in itertools.product(range(len(plain)), range(len(transformed))):
        ours, theirs = np.exp(plain_logits[i]), np.exp(transformed_logits[j])
        ours, theirs = ours / ours.sum(), theirs / theirs.sum()
        cross_entropy = -sum(p * np.log(q) for p, q in zip(ours, theirs, strict=True))
        product = sum(x * y for x, y in zip(plain[i], transformed[j], strict=True))
        total += abs(1 - product - cross_entropy)
    return total / (len(plain) * len(transformed))


def test_norm_loss_sums_squared_distances_of_lengths_from_the_target():
    embeddings = batch(0, 7, 5)
    expected = sum((np.linalg.norm(row) - 3.0) ** 2 for row in embeddings)
    assert value(norm_loss(embeddings, 3.0)) == pytest.approx(expected, rel=1e-5)


def test_norm_loss_is_zero_for_embeddings_of_the_target_length():
    embeddings = batch(0, 7, 5)
    embeddings *= 3 / np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert value(norm_loss(embeddings, 3.0)) == pytest.approx(0.0, abs=1e-9)


def test_norm_loss_of_an_embedding_of_length_zero_and_its_gradient_are_finite():
    assert value(norm_loss(np.zeros((2, 4), "float32"), 3.0)) == pytest.approx(18.0, rel=1e-4)
    gradient = gradient_of(lambda x: norm_loss(x, 3.0), np.zeros((2, 4), "float32"))
    assert np.all(np.isfinite(gradient))


def test_transformation_loss_equals_a_loop_over_all_pairs():
    arguments = batch(0, 4, 6), batch(1, 5, 6), batch(2, 4, 3), batch(3, 5, 3)
    assert value(transformation_loss(*arguments)) == pytest.approx(
        naive_transformation_loss(*arguments), rel=1e-4
    )


def test_transformation_loss_is_zero_where_products_and_clusters_agree():
    # Both in one cluster for certain: no cross-entropy, and a product of 1.
    plain, logits = np.array([[1.0, 0.0]], "float32"), np.array([[50.0, 0.0]], "float32")
    assert value(transformation_loss(plain, plain, logits, logits)) == pytest.approx(0.0, abs=1e-5)
    apart = np.array([[0.0, 50.0]], "float32")
    assert value(transformation_loss(plain, plain, logits, apart)) == pytest.approx(50.0, rel=1e-4)


def test_losses_are_float32_whatever_the_embeddings():
    half = keras.ops.cast(batch(0, 4, 6), "bfloat16")
    logits = keras.ops.cast(batch(1, 4, 3), "bfloat16")
    for loss in (norm_loss(half, 1.0), transformation_loss(half, half, logits, logits)):
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"


def test_losses_are_finite_for_embeddings_of_length_1000():
    large = 1000 * batch(0, 4, 6)
    assert np.isfinite(value(norm_loss(large, 3.0)))
    assert np.isfinite(value(transformation_loss(large, large, large[:, :3], large[:, :3])))
