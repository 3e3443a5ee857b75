"""Tests of the weights' two phases."""

import keras
import numpy as np
import pytest

from clustering.schedules import Phases

pytestmark = pytest.mark.backend


def values(schedule, steps):
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in steps]


def test_the_weight_changes_at_the_switch():
    np.testing.assert_allclose(values(Phases(0.0, 2.0, 10), [0, 9, 10, 1000]), [0, 0, 2, 2])
    np.testing.assert_allclose(values(Phases(1.0, 0.2, 10), [0, 9, 10]), [1, 1, 0.2], rtol=1e-6)


def test_the_weight_changes_linearly_over_the_ramp():
    schedule = Phases(1.0, 3.0, switch=10, ramp=4)
    np.testing.assert_allclose(values(schedule, [9, 10, 11, 12, 13, 14]), [1, 1.5, 2, 2.5, 3, 3])


def test_a_switch_at_0_leaves_no_first_phase():
    assert values(Phases(0.0, 1.0, 0), [0]) == [1.0]


def test_phases_survive_serialisation():
    schedule = Phases(0.1, 0.3, 7, 3)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert copy.get_config() == schedule.get_config()


@pytest.mark.parametrize("arguments", [(0.0, 1.0, -1), (0.0, 1.0, 5, 0)])
def test_phases_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="switch >= 0 and ramp >= 1"):
        Phases(*arguments)
