"""Tests of the association in blocks against the plain form, and a NumPy oracle in float64."""

import keras
import numpy as np
import pytest
from gradients import gradient_of, values_of

from semisup import association
from semisup.embeddings import blocked_association

SIZES = {
    "classes within blocks": [4, 4, 4, 4],
    "classes across blocks": [3, 2, 5, 1, 4, 3],
    "one class": [11],
    "a class for each": [1] * 9,
    "one larger than two blocks": [1, 10, 2],
}
ROWS = 4


def number(tensor):
    return keras.ops.convert_to_numpy(tensor)


def batches(sizes, m=7, d=5, seed=0):
    """Embeddings and unsorted labels, not from 0 on, with these numbers of examples of a class."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(3 * np.arange(len(sizes)) - 4, sizes))
    a = generator.normal(size=(len(labels), d)).astype("float32")
    return a, generator.normal(size=(m, d)).astype("float32"), labels.astype("int32")


def oracle(a, b, labels, measure, temperature):
    """Walker loss, visit loss, entropy, accuracy and the gradients of 2 walker + visit / 2.

    In float64, with the derivatives of each equation written out.
    """
    a, b = a.astype("float64"), b.astype("float64")
    n, m = len(a), len(b)
    unit_a, unit_b = a, b
    if measure == "cosine":
        unit_a, unit_b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    matrix = unit_a @ unit_b.T
    if measure == "euclidean":
        matrix = -((a[:, None] - b[None]) ** 2).sum(axis=2)
    matrix = matrix / temperature
    p_ab = np.exp(matrix) / np.exp(matrix).sum(axis=1, keepdims=True)
    p_ba = np.exp(matrix) / np.exp(matrix).sum(axis=0)
    p_aba, visits = p_ab @ p_ba.T, p_ab.mean(axis=0)
    same = (labels[:, None] == labels[None]).astype("float64")
    target = same / same.sum(axis=1, keepdims=True)
    epsilon = 1e-8
    walker = -(target * np.log((p_aba + epsilon) / (1 + n * epsilon))).sum() / n
    visit = -np.log((visits + epsilon) / (1 + m * epsilon)).mean()
    at_p = -2 * target / n / (p_aba + epsilon)
    at_ab = at_p @ p_ba - 0.5 / (n * m) / (visits + epsilon)
    at_ba = at_p.T @ p_ab
    at_matrix = p_ab * (at_ab - (p_ab * at_ab).sum(axis=1, keepdims=True))
    at_matrix = (at_matrix + p_ba * (at_ba - (p_ba * at_ba).sum(axis=0))) / temperature
    if measure == "euclidean":
        difference = a[:, None] - b[None]
        gradients = [
            -2 * (at_matrix[..., None] * difference).sum(axis=1),
            2 * (at_matrix[..., None] * difference).sum(axis=0),
        ]
    else:
        gradients = [at_matrix @ unit_b, at_matrix.T @ unit_a]
    if measure == "cosine":
        for i, (x, unit) in enumerate(((a, unit_a), (b, unit_b))):
            along = (gradients[i] * unit).sum(axis=1, keepdims=True) * unit
            gradients[i] = (gradients[i] - along) / np.linalg.norm(x, axis=1, keepdims=True)
    entropy = np.log(same.sum(axis=1)).mean()
    accuracy = np.sqrt((p_aba * same).sum(axis=1)).mean()
    return (walker, visit, entropy, accuracy), gradients


def blocked(a, b, labels, measure, temperature):
    labels = keras.ops.convert_to_tensor(labels)
    epsilon = association.EPSILON
    return blocked_association.walk_values(a, b, labels, measure, temperature, epsilon, rows=ROWS)


def blocked_gradients(a, b, labels, measure, temperature):
    def loss(a, b):
        walker, visit, *_ = blocked(a, b, labels, measure, temperature)
        return 2.0 * walker + 0.5 * visit

    return gradient_of(lambda x: loss(x, b), a), gradient_of(lambda x: loss(a, x), b)


ACROSS = "classes across blocks"
# Backends differ in loops and derivatives, which these have all.
BACKEND = pytest.mark.backend


@pytest.mark.parametrize(
    ("sizes", "measure", "temperature"),
    [
        *((sizes, "dot", 1.0) for sizes in SIZES if sizes != ACROSS),
        pytest.param(ACROSS, "dot", 1.0, marks=BACKEND),
        pytest.param(ACROSS, "cosine", 0.2, marks=BACKEND),
        pytest.param(ACROSS, "euclidean", 3.0, marks=BACKEND),
    ],
)
def test_values_and_gradients_are_those_of_the_equations(sizes, measure, temperature):
    given = (*batches(SIZES[sizes]), measure, temperature)
    values, gradients = oracle(*given)
    ours = values_of(lambda a, b, labels: blocked(a, b, labels, measure, temperature), *given[:3])
    np.testing.assert_allclose(ours, values, rtol=1e-5)
    for ours, theirs in zip(blocked_gradients(*given), gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize(
    ("measure", "dtype", "class_shares"),
    [
        ("dot", "float32", None),
        ("euclidean", "float32", None),
        pytest.param("cosine", "float32", None, marks=BACKEND),
        pytest.param("cosine", "bfloat16", None, marks=BACKEND),
        pytest.param("cosine", "float32", [0.1, 0.3, 0.0, 0.2, 0.15, 0.25, 0.9], marks=BACKEND),
    ],
)
def test_a_term_finds_the_same_in_blocks_as_from_all_pairs(
    monkeypatch, measure, dtype, class_shares
):
    a, b, labels = batches(SIZES["classes across blocks"])
    a[0] = b[0] = 0
    if class_shares:
        labels = (labels + 4) // 3
    term = association.Association(2.0, 0.5, measure, class_shares=class_shares)

    def found():
        low = [keras.ops.cast(x, dtype) for x in (a, b)]
        losses, statistics = values_of(
            lambda a, b: term(keras.ops.cast(a, dtype), keras.ops.cast(b, dtype), labels), a, b
        )
        gradients = [
            gradient_of(lambda x: term.loss(keras.ops.cast(x, dtype), low[1], labels), a),
            gradient_of(lambda x: term.loss(low[0], keras.ops.cast(x, dtype), labels), b),
        ]
        return losses | statistics, gradients

    plain, plain_gradients = found()
    walked = []

    def walk_values(*args):
        walked.append(args)
        return blocked_association_walk_values(*args, rows=ROWS)

    blocked_association_walk_values = blocked_association.walk_values
    monkeypatch.setattr(blocked_association, "walk_values", walk_values)
    monkeypatch.setattr(association, "BLOCKED_PAIRS", len(a) * len(b))
    ours, gradients = found()
    assert walked
    assert ours.keys() == plain.keys()
    for name, value in ours.items():
        np.testing.assert_allclose(value, plain[name], rtol=1e-5, atol=2e-6, err_msg=name)
    # A gradient that arrives in bfloat16 is rounded to its 8 bits.
    rounding = 1e-5 if dtype == "float32" else 1e-2
    for one, other in zip(gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=rounding, atol=rounding * np.abs(other).max())


@pytest.mark.backend
def test_walks_that_never_return_and_walks_that_are_certain_are_as_in_the_plain_form():
    a, b, labels = batches(SIZES["classes across blocks"])
    a, b = 60 * a, 60 * b
    plain = association.walker_loss(a, b, labels), association.visit_loss(a, b)
    walker, visit, *_ = values_of(lambda *given: blocked(*given, "dot", 1.0), a, b, labels)
    np.testing.assert_allclose(walker, number(plain[0]), rtol=1e-5)
    np.testing.assert_allclose(visit, number(plain[1]), rtol=1e-5)
    for gradient in blocked_gradients(a, b, labels, "dot", 1.0):
        assert np.all(np.isfinite(gradient))


@pytest.mark.backend
@pytest.mark.parametrize("measure", ["dot", "euclidean"])
def test_similarities_as_low_as_float32_goes_are_walked_as_in_the_plain_form(measure):
    a, b, labels = batches(SIZES[ACROSS])
    # All similarities are below -1e30.
    a, b = 1e16 * np.abs(a), -1e17 * np.abs(b)
    walker, visit, *_ = values_of(lambda *given: blocked(*given, measure, 1.0), a, b, labels)
    losses, _ = values_of(lambda a, b: association.Association(measure=measure)(a, b, labels), a, b)
    assert walker == pytest.approx(losses["walker_loss"], rel=1e-5)
    assert visit == pytest.approx(losses["visit_loss"], rel=1e-5)


def test_batches_below_the_limit_and_of_unknown_size_are_walked_in_the_plain_form(monkeypatch):
    a, b, labels = batches(SIZES["classes within blocks"])
    monkeypatch.setattr(blocked_association, "walk_values", None)
    association.association_loss(a, b, labels)
    monkeypatch.setattr(association, "BLOCKED_PAIRS", len(a) * len(b) + 1)
    association.association_loss(a, b, labels)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        monkeypatch.setattr(association, "BLOCKED_PAIRS", 1)
        unknown = tf.TensorSpec((None, 5), tf.float32)
        sizes = tf.TensorSpec((None,), tf.int32)
        tf.function(association.association_loss).get_concrete_function(unknown, unknown, sizes)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="nothing is compiled")
def test_a_compiled_step_takes_any_sizes_of_classes():
    given = batches(SIZES["classes across blocks"])
    other = np.sort(given[2]) // 5

    def loss(a, b, labels):
        walker, visit, *_ = blocked(a, b, labels, "dot", 1.0)
        return walker + visit

    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(loss)
        traces = compiled._cache_size
    else:
        import tensorflow as tf

        compiled = tf.function(loss)
        traces = compiled.experimental_get_tracing_count
    for labels in (given[2], other):
        a, b, labels = map(keras.ops.convert_to_tensor, (*given[:2], labels))
        plain = association.walker_loss(a, b, labels) + association.visit_loss(a, b)
        np.testing.assert_allclose(number(compiled(a, b, labels)), number(plain), rtol=1e-5)
    assert traces() == 1
