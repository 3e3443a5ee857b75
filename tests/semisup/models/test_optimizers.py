"""Tests of an Adam that forgets."""

import keras
import numpy as np
import pytest

from semisup.models.optimizers import RestartableAdam
from semisup.models.schedules import StaircaseDecay

pytestmark = pytest.mark.backend


def moved(optimizer, variable, gradients):
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return keras.ops.convert_to_numpy(variable)


def gradients(seed, count):
    return np.random.default_rng(seed).normal(size=(count, 4)).astype("float32")


def made(rate, **options):
    variable = keras.Variable(np.zeros(4, "float32"))
    optimizer = RestartableAdam(rate, epsilon=1e-8, **options)
    optimizer.build([variable])
    return optimizer, variable


def test_before_a_restart_it_is_adam():

    optimizer, variable = made(0.1, beta_1=0.8, beta_2=0.99)

    class Plain(keras.optimizers.Adam):
        """Adam itself, which PyTorch would compute for all variables at once, in another order."""

    plain = keras.Variable(np.zeros(4, "float32"))
    adam = Plain(0.1, beta_1=0.8, beta_2=0.99, epsilon=1e-8)
    adam.build([plain])
    ours = moved(optimizer, variable, gradients(0, 9))
    np.testing.assert_array_equal(ours, moved(adam, plain, gradients(0, 9)))


def test_after_a_restart_it_moves_as_a_new_one():
    optimizer, variable = made(0.1, beta_2=0.99)
    before = moved(optimizer, variable, gradients(0, 20))
    optimizer.restart()
    after = moved(optimizer, variable, gradients(1, 7)) - before
    fresh, other = made(0.1, beta_2=0.99)
    np.testing.assert_allclose(after, moved(fresh, other, gradients(1, 7)), rtol=2e-4, atol=1e-6)


def test_a_restart_leaves_the_learning_rates_schedule_where_it_is():
    optimizer, variable = made(StaircaseDecay(0.1, factor=0.1, steps=5, floor=0.0))
    before = moved(optimizer, variable, gradients(0, 5))
    optimizer.restart()
    after = moved(optimizer, variable, [np.ones(4, "float32")])
    np.testing.assert_allclose(before - after, 0.01, rtol=1e-3)
