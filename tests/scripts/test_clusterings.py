"""Tests of the clusterings that the project's own is compared with."""

import numpy as np
import pytest

from clustering import unsupervised_accuracy
from scripts import clusterings


@pytest.mark.parametrize("name", clusterings.METHODS)
def test_each_method_finds_groups_far_from_each_other(name):
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 8)
    features = generator.uniform(size=(3, 8))[labels]
    features += 0.1 * generator.normal(size=features.shape)
    clusters = clusterings.METHODS[name](features.astype("float32"), 3, seed=0)
    assert unsupervised_accuracy(labels, clusters, 3, 3) == 1
