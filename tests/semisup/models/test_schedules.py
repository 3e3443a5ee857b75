"""Tests of the schedules against formulas in plain Python."""

import math

import keras
import numpy as np
import pytest

from semisup.models.schedules import Envelope, StaircaseDecay

pytestmark = pytest.mark.backend


def values(schedule, steps):
    return [float(keras.ops.convert_to_numpy(schedule(np.int32(step)))) for step in steps]


def test_no_envelope_gives_the_full_weight_from_the_delay_on():
    assert values(Envelope(0.5), [0, 1, 1000]) == [0.5, 0.5, 0.5]
    assert values(Envelope(0.5, delay=10), [0, 9, 10, 11]) == [0, 0, 0.5, 0.5]


def test_linear_envelope_grows_from_the_delay_and_stays_at_the_weight():
    schedule = Envelope(2.0, kind="linear", steps=4, delay=10)
    np.testing.assert_allclose(
        values(schedule, [0, 10, 11, 13, 14, 100]), [0, 0, 0.5, 1.5, 2, 2], rtol=1e-6
    )


def test_linear_envelope_of_one_step_is_a_step_function_after_the_delay():
    schedule = Envelope(1.0, kind="linear", steps=1, delay=500)
    assert values(schedule, [499, 500, 501, 502]) == [0, 0, 1, 1]


def test_sigmoid_envelope_is_half_way_in_the_middle_and_full_at_twice_its_steps():
    schedule = Envelope(3.0, kind="sigmoid", steps=100, delay=50)
    expected = [0] + [
        1.5 * (1 + math.tanh(5 / 100 * (step - 50 - 50))) for step in (50, 100, 125, 150)
    ]
    np.testing.assert_allclose(values(schedule, [49, 50, 100, 125, 150]), expected, rtol=1e-5)
    assert values(schedule, [100]) == [1.5]
    np.testing.assert_allclose(values(schedule, [250]), 3.0, rtol=1e-6)


def test_staircase_decay_multiplies_at_each_stair_down_to_the_floor():
    schedule = StaircaseDecay(1e-3, factor=0.1, steps=10, floor=5e-6)
    np.testing.assert_allclose(
        values(schedule, [0, 9, 10, 19, 20, 30, 1000]),
        [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 5e-6, 5e-6],
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    "schedule", [Envelope(0.5, "sigmoid", 7, 3), StaircaseDecay(1e-3, 0.5, 100, 1e-5)]
)
def test_a_schedule_survives_serialisation(schedule):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(copy) is type(schedule)
    assert copy.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    "arguments", [{"kind": "square"}, {"kind": "linear", "steps": 0}, {"delay": -1}]
)
def test_an_envelope_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError):
        Envelope(1.0, **arguments)


@pytest.mark.parametrize("arguments", [(0.0,), (1e-3, 1.5), (1e-3, 0.5, 0), (1e-3, 0.5, 10, 1.0)])
def test_a_decay_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError):
        StaircaseDecay(*arguments)


def test_a_warm_up_grows_linearly_to_the_full_rate_and_decays_from_the_first_step():
    schedule = StaircaseDecay(1.0, factor=0.5, steps=6, floor=0.0, warmup=4)
    np.testing.assert_allclose(
        values(schedule, [0, 1, 2, 3, 4, 5, 6]), [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5], rtol=1e-6
    )
