"""Tests of the agreement of clusters with classes."""

import itertools

import numpy as np
import pytest

from clustering import match_clusters, metrics, unsupervised_accuracy


def brute_force_accuracy(labels, clusters, count):
    return max(
        np.mean(np.array(permutation)[clusters] == labels)
        for permutation in itertools.permutations(range(count))
    )


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_is_that_of_the_best_of_all_permutations(seed):
    generator = np.random.default_rng(seed)
    labels, clusters = generator.integers(0, 5, (2, 60))
    assert unsupervised_accuracy(labels, clusters, 5, 5) == pytest.approx(
        brute_force_accuracy(labels, clusters, 5)
    )


def test_accuracy_of_renamed_classes_is_1():
    labels = np.array([0, 1, 2, 0, 1, 2, 2])
    found = metrics.agreement(labels, (labels + 1) % 3, ("a", "b", "c"), 3)
    assert found["accuracy"] == found["nmi"] == found["ari"] == 1.0
    assert found["matching"] == ["c", "a", "b"]
    assert np.array_equal(found["confusion_matrix"], np.diag([2, 2, 3]))


def test_images_of_clusters_that_are_left_over_count_as_wrong():
    labels = np.array([0, 0, 0, 1, 1, 1])
    clusters = np.array([0, 0, 2, 1, 1, 3])
    found = metrics.agreement(labels, clusters, ("a", "b"), 4)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["matching"] == ["a", "b", None, None]
    assert found["confusion_matrix"] == [[2, 0, 1, 0], [0, 2, 0, 1]]
    assert found["per_class_accuracy"] == {"a": pytest.approx(2 / 3), "b": pytest.approx(2 / 3)}


def test_a_class_without_a_cluster_has_accuracy_0():
    labels, clusters = np.array([0, 0, 1, 2, 2]), np.array([0, 0, 0, 1, 1])
    found = metrics.agreement(labels, clusters, ("a", "b", "c", "d"), 2)
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["per_class_accuracy"] == {"a": 1.0, "b": 0.0, "c": 1.0, "d": None}
    assert np.array(found["confusion_matrix"]).shape == (4, 4)


def test_matching_prefers_the_best_sum_to_the_best_single_pair():
    matrix = np.array([[9, 8], [8, 0]])
    assert match_clusters(matrix).tolist() == [1, 0]


def test_clusters_that_ignore_the_classes_have_no_mutual_information():
    labels, clusters = np.divmod(np.arange(100), 10)
    found = metrics.agreement(labels, clusters, tuple(map(str, range(10))), 10)
    assert found["nmi"] == pytest.approx(0.0, abs=1e-9)
    assert found["accuracy"] == pytest.approx(0.1)
