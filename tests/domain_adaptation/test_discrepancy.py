"""Tests of MMD and CORAL against loops in NumPy, closed forms and finite differences."""

import keras
import numpy as np
import pytest
import running
from gradients import gradient_of
from keras import ops

from domain_adaptation import discrepancy
from semisup.models.associative import AssociativeModel
from semisup.models.schedules import Envelope


def embeddings(seed, count, width=5, scale=3.0, offset=0.0):
    generator = np.random.default_rng(seed)
    return (offset + scale * generator.normal(size=(count, width))).astype("float32")


def kernel(x, y, bandwidths=discrepancy.BANDWIDTHS):
    distance = float(np.sum((x.astype("float64") - y.astype("float64")) ** 2))
    return sum(np.exp(-distance / (2 * width**2)) for width in bandwidths)


def value(tensor):
    return float(ops.convert_to_numpy(tensor))


@pytest.mark.backend
def test_squared_mmd_is_that_of_a_loop_over_all_pairs():
    x, y = embeddings(0, 7), embeddings(1, 4, offset=1.0)
    expected = (
        np.mean([kernel(a, b) for a in x for b in x])
        + np.mean([kernel(a, b) for a in y for b in y])
        - 2 * np.mean([kernel(a, b) for a in x for b in y])
    )
    assert value(discrepancy.squared_mmd(x, y)) == pytest.approx(expected, rel=1e-4)


def test_squared_mmd_of_two_points_has_its_closed_form():
    x, y = np.zeros((6, 2), "float32"), np.full((3, 2), 3.0, "float32")
    expected = 2 * (1 - np.exp(-18 / (2 * 4.0**2)))
    assert value(discrepancy.squared_mmd(x, y, (4.0,))) == pytest.approx(expected, rel=1e-5)


def test_equal_samples_have_no_discrepancy():
    x = embeddings(2, 9)
    assert value(discrepancy.squared_mmd(x, x[::-1])) == pytest.approx(0, abs=1e-5)
    assert value(discrepancy.coral_distance(x, x[::-1])) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("function", [discrepancy.squared_mmd, discrepancy.coral_distance])
def test_discrepancies_are_symmetric_and_do_not_depend_on_the_order(function):
    x, y = embeddings(3, 8), embeddings(4, 6, scale=1.0)
    expected = value(function(x, y))
    assert expected > 0.01
    order = np.random.default_rng(5).permutation(8)
    assert value(function(y, x[order])) == pytest.approx(expected, rel=1e-4)


@pytest.mark.backend
def test_linear_mmd_is_that_of_a_loop_over_neighbours():
    # Of different sizes: the third pair of x and the odd last example of y are not used.
    x, y = embeddings(6, 6), embeddings(7, 5, offset=2.0)
    terms = [
        kernel(x[i], x[i + 1])
        + kernel(y[i], y[i + 1])
        - kernel(x[i], y[i + 1])
        - kernel(x[i + 1], y[i])
        for i in (0, 2)
    ]
    assert value(discrepancy.linear_squared_mmd(x, y)) == pytest.approx(np.mean(terms), rel=1e-4)


def test_the_linear_term_shuffles_batches_that_are_ordered_by_class():
    # Two classes far apart, in order: pairs of neighbours alone would all be of one class.
    x = np.concatenate([embeddings(8, 8, offset=-40.0), embeddings(9, 8, offset=40.0)])
    y = embeddings(10, 16, offset=5.0)
    term = discrepancy.MaximumMeanDiscrepancy(estimator="linear", seed=3)
    draws = [value(term(x, y, np.zeros(16))[0]["mmd_loss"]) for _ in range(200)]
    within_x = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    expected = within_x + within_y - 2 * np.mean([kernel(a, b) for a in x for b in y])
    error = np.std(draws) / np.sqrt(len(draws))
    assert error < 0.1
    assert abs(np.mean(draws) - expected) < 4 * error
    assert abs(value(discrepancy.linear_squared_mmd(x, y)) - expected) > 0.5


@pytest.mark.backend
def test_coral_is_the_distance_of_numpys_covariances():
    x, y = embeddings(11, 9, width=3), embeddings(12, 5, width=3, scale=0.5)
    difference = np.cov(x, rowvar=False) - np.cov(y, rowvar=False)
    expected = np.sum(difference**2) / (4 * 3**2)
    assert value(discrepancy.coral_distance(x, y)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize(
    "function",
    [discrepancy.squared_mmd, discrepancy.linear_squared_mmd, discrepancy.coral_distance],
)
def test_gradients_are_those_of_finite_differences(function):
    x, y = embeddings(13, 4, width=2), embeddings(14, 4, width=2, offset=1.0)
    delta = 1e-2
    expected = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[index] = delta
        expected[index] = (value(function(x + step, y)) - value(function(x - step, y))) / (
            2 * delta
        )
    np.testing.assert_allclose(gradient_of(lambda z: function(z, y), x), expected, atol=2e-3)


@pytest.mark.backend
def test_bfloat16_embeddings_are_compared_in_float32():
    x, y = (ops.cast(embeddings(seed, 6), "bfloat16") for seed in (15, 16))
    for function in (discrepancy.squared_mmd, discrepancy.coral_distance):
        result = function(x, y)
        assert keras.backend.standardize_dtype(result.dtype) == "float32"
        exact = function(ops.cast(x, "float32"), ops.cast(y, "float32"))
        assert value(result) == value(exact)


def test_embeddings_of_different_width_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 5\) and \(4, 3\)"):
        discrepancy.squared_mmd(embeddings(0, 4), embeddings(0, 4, width=3))


@pytest.mark.parametrize(
    "arguments", [{"estimator": "cubic"}, {"bandwidths": ()}, {"bandwidths": (1.0, 0.0)}]
)
def test_wrong_arguments_of_the_mmd_are_refused(arguments):
    with pytest.raises(ValueError):
        discrepancy.MaximumMeanDiscrepancy(**arguments)


def test_linear_mmd_takes_batches_of_unknown_size():
    import tensorflow as tf

    unknown = tf.TensorSpec((None, 5), "float32")
    compiled = tf.function(discrepancy.linear_squared_mmd, input_signature=(unknown, unknown))
    x, y = embeddings(18, 6), embeddings(19, 5)
    assert value(compiled(x, y)) == pytest.approx(value(discrepancy.linear_squared_mmd(x, y)))


@pytest.mark.parametrize(
    ("term", "name"),
    [
        (discrepancy.MaximumMeanDiscrepancy(weight=0.5), "mmd_loss"),
        pytest.param(
            discrepancy.MaximumMeanDiscrepancy(weight=0.5, estimator="linear"),
            "mmd_loss",
            marks=pytest.mark.backend,
        ),
        (discrepancy.CorrelationAlignment(weight=Envelope(0.5, "linear", 2)), "coral_loss"),
    ],
)
def test_a_model_with_the_term_trains_and_is_saved_whole(tmp_path, term, name):
    generator = np.random.default_rng(17)
    a, b = (generator.normal(size=(8, 4)).astype("float32") for _ in range(2))
    labels = np.arange(8, dtype="int32") % 2
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model = AssociativeModel(network, 2, similarity=term)
    model.compile("adam", **running.FEW_STEPS)
    logs = [model.train_on_batch((a, b), labels, return_dict=True) for _ in range(3)][-1]
    assert logs[f"{name}_weight"] == pytest.approx(0.5)
    assert logs["total_loss"] == pytest.approx(
        logs["classification_loss"] + 0.5 * logs[name], rel=1e-5
    )
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(model.predict(a, verbose=0), loaded.predict(a, verbose=0))
    assert loaded.similarity.get_config() == model.similarity.get_config()


def test_bandwidths_may_be_an_array():
    term = discrepancy.MaximumMeanDiscrepancy(bandwidths=np.array([1.0, 2.0]))
    assert term.get_config()["bandwidths"] == [1.0, 2.0]
