"""Tests of the association losses against naive loops, closed forms and finite differences."""

import keras
import numpy as np
import pytest
import running
from gradients import gradient_of

from semisup import association
from semisup.embeddings import measures
from semisup.models.associative import AssociativeModel
from semisup.similarity import SimilarityTerm

RNG = np.random.default_rng(0)
LABELS = np.array([7, 3, 3, 100, 7, 3])


def embeddings(n, d=5, scale=1.0):
    return (scale * RNG.normal(size=(n, d))).astype("float32")


def number(tensor):
    return keras.ops.convert_to_numpy(tensor)


def naive_similarity(x, y, measure):
    if measure == "dot":
        return sum(p * q for p, q in zip(x, y, strict=True))
    if measure == "cosine":
        norms = [sum(p * p for p in v) ** 0.5 for v in (x, y)]
        return naive_similarity(x, y, "dot") / (norms[0] * norms[1])
    return -sum((p - q) ** 2 for p, q in zip(x, y, strict=True))


def naive_softmax(row):
    exponentials = [np.exp(value - max(row)) for value in row]
    return [value / sum(exponentials) for value in exponentials]


def naive_association(a, b, labels, measure="dot", temperature=1.0):
    """Walker and visit loss by loops in float64, after equations 1-10."""
    a, b = a.astype("float64"), b.astype("float64")
    m = [[naive_similarity(x, y, measure) / temperature for y in b] for x in a]
    p_ab = [naive_softmax(row) for row in m]
    p_ba = [naive_softmax([m[i][k] for i in range(len(a))]) for k in range(len(b))]
    walker = 0.0
    for i in range(len(a)):
        row = [sum(p_ab[i][k] * p_ba[k][j] for k in range(len(b))) for j in range(len(a))]
        same = [j for j in range(len(a)) if labels[j] == labels[i]]
        total = sum(p + 1e-8 for p in row)
        walker -= sum(np.log((row[j] + 1e-8) / total) for j in same) / len(same) / len(a)
    visits = [sum(p_ab[i][k] for i in range(len(a))) / len(a) for k in range(len(b))]
    total = sum(p + 1e-8 for p in visits)
    visit = -sum(np.log((p + 1e-8) / total) for p in visits) / len(b)
    return walker, visit


@pytest.mark.backend
@pytest.mark.parametrize("measure", ["dot", "cosine", "euclidean"])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_losses_equal_a_naive_loop_for_unsorted_unbalanced_labels(measure, temperature):
    a, b = embeddings(6), embeddings(4)
    walker, visit = naive_association(a, b, LABELS, measure, temperature)
    settings = {"measure": measure, "temperature": temperature}
    np.testing.assert_allclose(
        number(association.walker_loss(a, b, LABELS, **settings)), walker, rtol=1e-5
    )
    np.testing.assert_allclose(number(association.visit_loss(a, b, **settings)), visit, rtol=1e-5)
    np.testing.assert_allclose(
        number(association.association_loss(a, b, LABELS, 2.0, 0.5, **settings)),
        2.0 * walker + 0.5 * visit,
        rtol=1e-5,
    )


@pytest.mark.backend
def test_probabilities_of_each_step_and_of_the_round_trip_sum_to_one():
    p_ab, p_ba = association.transition_probabilities(embeddings(6), embeddings(4))
    p_aba = association.round_trip_probabilities(p_ab, p_ba)
    assert p_ab.shape == (6, 4)
    assert p_ba.shape == (4, 6)
    assert p_aba.shape == (6, 6)
    for rows in (p_ab, p_ba, p_aba):
        np.testing.assert_allclose(number(rows).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(number(association.visit_probabilities(p_ab)).sum(), 1, rtol=1e-5)


@pytest.mark.backend
def test_target_is_uniform_over_the_examples_of_the_same_class():
    target = number(association.target_distribution(LABELS))
    np.testing.assert_allclose(target[1], [0, 1 / 3, 1 / 3, 0, 0, 1 / 3])
    np.testing.assert_allclose(target[3], [0, 0, 0, 1, 0, 0])


@pytest.mark.backend
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b, labels: association.target_distribution(labels),
        association.association_loss,
        association.Association(),
        association.Association().loss,
    ],
    ids=["target_distribution", "association_loss", "call", "loss"],
)
def test_labels_that_32_bits_do_not_hold_are_refused_and_the_others_are_told_apart(function):
    a, b = embeddings(4), embeddings(3)
    numbers = np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="labels are from 0 to 1099511627776: give "):
        function(a, b, numbers * 2**40)
    expected, found = function(a, b, numbers), function(a, b, numbers * (2**32 - 1) - 2**31)
    for one, other in zip(keras.tree.flatten(expected), keras.tree.flatten(found), strict=True):
        np.testing.assert_allclose(number(one), number(other), rtol=1e-6)


def test_losses_of_equal_similarities_are_the_logs_of_the_batch_sizes():
    a, b = np.zeros((6, 3), "float32"), np.zeros((4, 3), "float32")
    labels = np.array([0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(number(association.walker_loss(a, b, labels)), np.log(6), rtol=1e-6)
    np.testing.assert_allclose(number(association.visit_loss(a, b)), np.log(4), rtol=1e-6)
    p_aba = association.round_trip_probabilities(*association.transition_probabilities(a, b))
    np.testing.assert_allclose(
        number(association.round_trip_accuracy(p_aba, labels)), np.sqrt(2 / 6), rtol=1e-6
    )


def test_separated_classes_reach_the_floors_with_zero_gradient_of_the_walker_loss():
    labels = np.repeat([0, 1, 2], 4)
    a, b = 30 * np.eye(3, dtype="float32")[labels], 30 * np.eye(3, dtype="float32")[labels]
    losses, statistics = association.Association(measure="dot")(a, b, labels)
    np.testing.assert_allclose(number(losses["walker_loss"]), np.log(4), atol=1e-6)
    np.testing.assert_allclose(number(losses["visit_loss"]), np.log(12), atol=1e-6)
    np.testing.assert_allclose(number(statistics["walker_loss_above_floor"]), 0, atol=1e-6)
    np.testing.assert_allclose(number(statistics["visit_loss_above_floor"]), 0, atol=1e-6)
    np.testing.assert_allclose(number(statistics["round_trip_accuracy"]), 1, atol=1e-6)
    gradient = gradient_of(lambda x: association.walker_loss(x, b, labels), a)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


@pytest.mark.backend
def test_losses_above_their_floors_equal_losses_minus_entropies():
    a, b = embeddings(6), embeddings(4)
    losses, statistics = association.Association()(a, b, LABELS)
    entropy = (2 * np.log(2) + 3 * np.log(3) + 1 * np.log(1)) / 6
    np.testing.assert_allclose(
        number(statistics["walker_loss_above_floor"]),
        number(losses["walker_loss"]) - entropy,
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        number(statistics["visit_loss_above_floor"]),
        number(losses["visit_loss"]) - np.log(4),
        rtol=1e-5,
        atol=1e-6,
    )


def test_losses_do_not_depend_on_the_order_of_either_batch():
    a, b = embeddings(6), embeddings(4)
    order, other = RNG.permutation(6), RNG.permutation(4)
    np.testing.assert_allclose(
        number(association.walker_loss(a, b, LABELS)),
        number(association.walker_loss(a[order], b[other], LABELS[order])),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        number(association.visit_loss(a, b)),
        number(association.visit_loss(a[order], b[other])),
        rtol=1e-5,
    )


def test_dot_product_walks_change_when_all_embeddings_are_shifted():
    a, b = embeddings(6), embeddings(4)
    shifted = number(association.walker_loss(a + 1, b + 1, LABELS))
    assert abs(shifted - number(association.walker_loss(a, b, LABELS))) > 1e-3


@pytest.mark.backend
@pytest.mark.parametrize("measure", ["dot", "cosine", "euclidean"])
@pytest.mark.parametrize("side", ["labelled", "unlabelled"])
def test_gradients_equal_finite_differences_of_the_naive_losses(measure, side):
    a, b = embeddings(6, d=3), embeddings(4, d=3)

    def naive(x):
        pair = (x, b) if side == "labelled" else (a, x)
        return sum(naive_association(*pair, LABELS, measure))

    def ours(x):
        pair = (x, b) if side == "labelled" else (a, x)
        return association.association_loss(*pair, LABELS, measure=measure)

    x = a if side == "labelled" else b
    gradient = gradient_of(ours, x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x, dtype="float64")
        step[index] = 1e-4
        difference = (naive(x + step) - naive(x - step)) / 2e-4
        np.testing.assert_allclose(gradient[index], difference, rtol=2e-3, atol=2e-4)


@pytest.mark.backend
@pytest.mark.parametrize("measure", ["dot", "cosine", "euclidean"])
@pytest.mark.parametrize("length", [0.0, 1000.0])
def test_losses_and_gradients_are_finite_for_very_short_and_very_long_embeddings(measure, length):
    a, b = embeddings(6), embeddings(4)
    a[:2] *= length / np.linalg.norm(a[:2], axis=1, keepdims=True)
    b *= length / np.linalg.norm(b, axis=1, keepdims=True)
    loss = number(association.association_loss(a, b, LABELS, measure=measure))
    assert np.isfinite(loss)
    gradient = gradient_of(lambda x: association.association_loss(x, b, LABELS, measure=measure), a)
    assert np.all(np.isfinite(gradient))


@pytest.mark.backend
def test_walker_loss_of_a_row_that_never_returns_is_capped_by_epsilon():
    a = np.array([[100.0, 0], [0, 100.0]], "float32")
    b = np.array([[100.0, 0], [100.0, 0]], "float32")
    # Both walks end at the first labelled example.
    expected = -(np.log(1 / (1 + 2e-8)) + np.log(1e-8)) / 2
    np.testing.assert_allclose(
        number(association.walker_loss(a, b, np.array([0, 1]))), expected, rtol=1e-5
    )


@pytest.mark.backend
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_losses_of_low_precision_embeddings_are_computed_in_float32(dtype):
    a, b = (keras.ops.cast(x, dtype) for x in (embeddings(6), embeddings(4)))
    rounded = [number(keras.ops.cast(x, "float32")) for x in (a, b)]
    loss = association.association_loss(a, b, LABELS)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(number(loss), sum(naive_association(*rounded, LABELS)), rtol=1e-5)


@pytest.mark.parametrize("width", [3, 7])
def test_embeddings_of_different_widths_are_refused_with_both_shapes(width):
    with pytest.raises(ValueError, match=rf"\(6, 5\) and \(4, {width}\)"):
        association.walker_loss(embeddings(6), embeddings(4, d=width), LABELS)


def test_an_unknown_measure_and_a_temperature_of_zero_are_refused():
    with pytest.raises(ValueError, match="manhattan"):
        association.visit_loss(embeddings(6), embeddings(4), measure="manhattan")
    with pytest.raises(ValueError, match="temperature"):
        association.visit_loss(embeddings(6), embeddings(4), temperature=0)


@pytest.mark.parametrize(
    ("settings", "measure", "temperature"),
    [
        ({}, "cosine", 0.1),
        ({"measure": "dot"}, "dot", 1.0),
        ({"measure": "euclidean"}, "euclidean", 1.0),
        ({"temperature": 0.5}, "cosine", 0.5),
    ],
)
def test_a_terms_losses_are_those_of_cosines_at_a_tenth_unless_it_is_told(
    settings, measure, temperature
):
    a, b = embeddings(6), embeddings(4)
    term = association.Association(walker_weight=2.0, visit_weight=0.5, **settings)
    walker, visit = naive_association(a, b, LABELS, measure, temperature)
    np.testing.assert_allclose(number(term.loss(a, b, LABELS)), 2 * walker + visit / 2, rtol=1e-5)
    assert {"measure": measure, "temperature": temperature}.items() <= term.get_config().items()


@pytest.mark.backend
def test_classes_have_the_shares_in_the_visits_that_a_term_is_told():
    a, b = embeddings(6), embeddings(9)
    labels, shares = np.array([0, 0, 0, 2, 0, 1]), (0.2, 0.5, 0.3)
    term = association.Association(class_shares=shares)
    losses, _ = term(a, b, labels)
    p_ab, _ = association.transition_probabilities(a, b, "cosine", 0.1)
    p_ab = number(p_ab)
    of_classes = [p_ab[labels == place].mean(axis=0) for place in range(3)]
    visits = sum(share * each for share, each in zip(shares, of_classes, strict=True))
    assert number(losses["visit_loss"]) == pytest.approx(-np.log(visits).mean(), rel=1e-4)
    alike, _ = association.Association()(a, b, labels)
    assert number(losses["walker_loss"]) == number(alike["walker_loss"])
    again = association.Association.from_config(term.get_config())
    assert again.class_shares == list(shares)


@pytest.mark.backend
@pytest.mark.parametrize("pairs", [association.BLOCKED_PAIRS, 1])
def test_where_no_class_of_a_batch_has_a_share_all_examples_count_alike(pairs, monkeypatch):
    monkeypatch.setattr(association, "BLOCKED_PAIRS", pairs)
    a, b = embeddings(6), embeddings(9)
    labels = np.array([0, 0, 0, 1, 1, 1])
    losses = [
        number(association.Association(class_shares=shares).loss(a, b, labels))
        for shares in ([0, 0, 1], None)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def compiled(function):
    """A function whose arguments have no values when it is traced, where the backend traces."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function


@pytest.mark.backend
@pytest.mark.parametrize("pairs", [association.BLOCKED_PAIRS, 1])
@pytest.mark.parametrize("labels", [[0, 1, 2, 2], [0, 1, 1, -1]])
def test_labels_without_a_share_are_refused_or_make_the_visit_loss_no_number(
    labels, pairs, monkeypatch
):
    monkeypatch.setattr(association, "BLOCKED_PAIRS", pairs)
    a, b = embeddings(4), embeddings(3)
    term = association.Association(class_shares=[0.5, 0.5])
    with pytest.raises(ValueError, match="there are 2 class_shares: give numbers from 0 to 1"):
        term.loss(a, b, labels)
    visit = compiled(lambda *given: term(*given)[0]["visit_loss"])
    if keras.backend.backend() != "torch":  # which knows all values
        assert np.isnan(visit(a, b, np.array(labels)))
    assert np.isfinite(visit(a, b, np.array([0, 0, 1, 1])))


def test_weights_of_losses_may_be_changed_and_other_names_are_refused():
    a, b = embeddings(6), embeddings(4)
    term = association.Association()
    term.loss_weights["walker_loss"] = 3.0
    term.loss_weights["visit_loss"] = 0.0
    assert dict(term.loss_weights) == {"walker_loss": 3.0, "visit_loss": 0.0}
    walker = number(term(a, b, LABELS)[0]["walker_loss"])
    assert number(term.loss(a, b, LABELS)) == pytest.approx(3 * walker, rel=1e-5)
    term.loss_weights = {"visit_loss": 0.0, "walker_loss": 3.0}
    assert number(term.loss(a, b, LABELS)) == pytest.approx(3 * walker, rel=1e-5)
    model = AssociativeModel(keras.layers.Dense(2), 3, similarity=term)
    model.compile("sgd")
    term.loss_weights["walker"] = 2.0
    words = "has the losses .*, not .*walker$"
    with pytest.raises(ValueError, match=words):
        term.loss(a, b, LABELS)
    with pytest.raises(ValueError, match=words):
        AssociativeModel(keras.layers.Dense(2), 3, similarity=term)
    with pytest.raises(ValueError, match=words):
        model.fit((a, a), np.arange(6) % 3, verbose=0)


@keras.saving.register_keras_serializable(package="test")
class Weighted(SimilarityTerm):
    """A term whose configuration has its weights as they are."""

    loss_names = ("mean_loss",)

    def call(self, a, b):
        return {"mean_loss": keras.ops.mean(a) + keras.ops.mean(b)}, {}

    def get_config(self):
        return {**super().get_config(), "loss_weights": self.loss_weights}


def test_a_term_may_lack_labels_and_keep_its_weights_in_its_configuration():
    term = Weighted.from_config(Weighted({"mean_loss": 2.0}).get_config())
    a, b = embeddings(6), embeddings(6)
    assert number(term.loss(a, b)) == pytest.approx(2 * (a.mean() + b.mean()), abs=1e-5)


@pytest.mark.backend
def test_a_term_is_a_layer_of_a_functional_model():
    a, b = embeddings(6), embeddings(6)
    term = association.Association()
    inputs = [keras.Input((5,)), keras.Input((5,)), keras.Input((), dtype="int32")]
    found = keras.Model(inputs, term(*inputs)).predict_on_batch([a, b, LABELS])
    for name, value in {**found[0], **found[1]}.items():
        expected = {**term(a, b, LABELS)[0], **term(a, b, LABELS)[1]}[name]
        np.testing.assert_allclose(value, number(expected), rtol=1e-5)


class Added(keras.layers.Layer):
    """Adds a loss of a user's own."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def call(self, a, b, labels):
        self.add_loss(self.loss(a, b, labels))
        return a


@pytest.mark.backend
@pytest.mark.parametrize(
    "loss",
    [
        association.association_loss,
        association.Association(class_shares=np.full(101, 1 / 101)).loss,
        lambda a, b, labels: association.Association()(a, b, labels)[1]["visit_loss_above_floor"],
    ],
    ids=["function", "term", "statistics"],
)
def test_a_loss_is_computed_in_a_layer_of_a_functional_model(loss):
    a, b = embeddings(6), embeddings(6)
    inputs = [keras.Input((5,)), keras.Input((5,)), keras.Input((), dtype="int32")]
    model = keras.Model(inputs, Added(loss)(*inputs))
    model.compile(**running.FEW_STEPS)
    found = model.evaluate([a, b, LABELS], batch_size=6, verbose=0)
    assert found == pytest.approx(float(number(loss(a, b, LABELS))), abs=1e-5)


@pytest.mark.backend
def test_distances_are_as_exact_far_from_the_origin():
    a, b = embeddings(6), embeddings(4)
    for given in (association.walker_loss, association.visit_loss):
        labels = (LABELS,) if given is association.walker_loss else ()
        near, far = (
            number(given(a + shift, b + shift, *labels, measure="euclidean"))
            for shift in (0.0, 4096.0)
        )
        assert far == pytest.approx(near, abs=0.02)


@pytest.mark.backend
@pytest.mark.parametrize("scale", [1e20, 1e-8, 1e-25])
def test_cosines_do_not_depend_on_the_length_of_embeddings(scale):
    a, b = embeddings(6), embeddings(4)
    term = association.Association()
    expected = number(term.loss(a, b, LABELS))
    assert number(term.loss(a * scale, b, LABELS)) == pytest.approx(expected, rel=1e-4)
    gradient = gradient_of(lambda x: term.loss(x, b, LABELS), a)
    scaled = gradient_of(lambda x: term.loss(x * scale, b, LABELS), a)
    np.testing.assert_allclose(scaled, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.backend
def test_cosines_have_their_gradient_where_an_embedding_has_a_single_value():
    weights = np.array([[0.3, -0.2, 0.7]], "float32")
    for length in (3.0, 1e20):
        a = np.array([[length, 0.0, 0.0]], "float32")
        found = gradient_of(lambda x: keras.ops.sum(measures.unit_lengths(x) * weights), a)
        np.testing.assert_allclose(found * length, [[0.0, -0.2, 0.7]], atol=1e-6)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="6 and 0 embeddings"):
        association.association_loss(embeddings(6), np.zeros((0, 5), "float32"), LABELS)


def test_large_embeddings_of_chance_saturate_the_dot_product_but_not_a_term():
    generator = np.random.default_rng(1)
    a, b = (generator.normal(0, 20, (n, 32)).astype("float32") for n in (20, 40))
    labels = np.arange(20) // 4

    def walker(x, measure):
        return association.Association(visit_weight=0.0, measure=measure).loss(x, b, labels)

    assert number(walker(a, "dot")) > 12
    assert number(walker(a, "cosine")) < 4
    gradient = gradient_of(lambda x: walker(x, "cosine"), a)
    # A longer embedding has a smaller gradient, and needs a longer step to turn as far.
    assert np.linalg.norm(gradient) * np.linalg.norm(a, axis=1).mean() > 0.1


@pytest.mark.backend
def test_a_term_has_finite_gradients_where_an_embedding_is_zero():
    a, b = embeddings(6), embeddings(4)
    a[0] = b[0] = 0
    term = association.Association()
    for gradient in (
        gradient_of(lambda x: term.loss(x, b, LABELS), a),
        gradient_of(lambda x: term.loss(a, x, LABELS), b),
    ):
        assert np.all(np.isfinite(gradient))
        assert np.any(gradient[1:] != 0)


@pytest.mark.parametrize("shares", [[0.0, 0.0], [0.5, -0.1], [float("nan"), 1.0]])
def test_shares_of_classes_that_are_none_are_refused(shares):
    with pytest.raises(ValueError, match="class_shares"):
        association.Association(class_shares=shares)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="AutoGraph is TensorFlow's")
def test_a_users_graph_function_traces_the_loss_without_warnings(caplog):
    import tensorflow as tf

    a, b = RNG.normal(size=(2, 4, 3)).astype("float32")
    tf.function(lambda: association.association_loss(a, b, np.array([0, 0, 1, 1])))()
    tf.function(lambda: association.Association()(a, b, np.array([0, 0, 1, 1]))[0])()
    assert not caplog.records
