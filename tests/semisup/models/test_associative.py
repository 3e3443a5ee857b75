"""Tests of the fit-able model: its losses, its step, batch statistics, saving."""

import keras
import numpy as np
import pytest
import running
from keras import layers

from clustering import ClusteringModel
from multimodal import MultimodalModel
from segmentation import SelfTraining
from semisup import association
from semisup.models import associative
from semisup.models.associative import AssociativeModel
from semisup.models.optimizers import SteerableAdam
from semisup.models.schedules import Envelope

RNG = np.random.default_rng(0)
LABELS = np.array([0, 0, 1, 1, 2, 2], "int32")
LABELLED = RNG.integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
UNLABELLED = RNG.integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)


def network(*extra, l2=0.0):
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(8, activation="elu", kernel_regularizer=keras.regularizers.L2(l2)),
            *extra,
        ]
    )


def compiled(model, learning_rate=0.0, **settings):
    model.compile(keras.optimizers.SGD(learning_rate), **{**running.FEW_STEPS, **settings})
    return model


def batches(pair=True):
    import tensorflow as tf

    x = (LABELLED, UNLABELLED) if pair else LABELLED
    return tf.data.Dataset.from_tensors((x, LABELS)).repeat()


def fit(model, steps=1, pair=True):
    """Losses of the last step of a fit."""
    history = model.fit(
        batches(pair), steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False
    ).history
    return {name: values[-1] for name, values in history.items()}


def number(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.backend
def test_total_loss_is_the_weighted_sum_of_the_terms_computed_by_hand():
    net = network(l2=0.01)
    term = association.Association(walker_weight=2.0, visit_weight=0.5, measure="dot")
    model = compiled(AssociativeModel(net, 3, similarity=term, classification_weight=0.7))
    logs = fit(model)
    a, b = number(net(LABELLED.astype("float32"))), number(net(UNLABELLED.astype("float32")))
    logits = number(model.predict(LABELLED, verbose=0)).astype("float64")
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    classification = -log_softmax[np.arange(6), LABELS].mean()
    walker = number(association.walker_loss(a, b, LABELS))
    visit = number(association.visit_loss(a, b))
    l2 = 0.01 * (number(net.layers[2].kernel) ** 2).sum()
    expected = {
        "classification_loss": classification,
        "walker_loss": walker,
        "visit_loss": visit,
        "regularization_loss": l2,
        "total_loss": 0.7 * classification + 2 * walker + 0.5 * visit + l2,
        "walker_loss_weight": 2.0,
        "classification_loss_weight": 0.7,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4, err_msg=name)


@pytest.mark.backend
def test_training_step_follows_the_gradient_of_the_total_loss():
    model = compiled(AssociativeModel(network(), 3), learning_rate=1e-3)
    model.build((None, 4, 4, 1))
    kernel = model.network.layers[2].kernel
    before = number(kernel).copy()

    def loss_at(value):
        kernel.assign(value)
        pair = model((LABELLED, UNLABELLED))
        return float(number(model.compute_loss(y=LABELS, y_pred=pair, training=False)))

    index, step = (3, 2), np.zeros_like(before)
    step[index] = 1e-2
    slope = (loss_at(before + step) - loss_at(before - step)) / 2e-2
    kernel.assign(before)
    fit(model)
    np.testing.assert_allclose((before - number(kernel))[index] / 1e-3, slope, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize(
    "steps_per_execution",
    [1, pytest.param(3, marks=[pytest.mark.backend, running.several_steps_at_once])],
)
def test_weights_follow_their_schedules_step_by_step(steps_per_execution):
    term = association.Association(walker_weight=Envelope(1.0, "linear", steps=10))
    model = AssociativeModel(network(), 3, similarity=term)
    model.compile("sgd", steps_per_execution=steps_per_execution, **running.TRACED)
    seen = [fit(model, 3)["walker_loss_weight"] for _ in range(2)]
    np.testing.assert_allclose(seen, [0.2, 0.5], rtol=1e-6)
    assert int(number(model.step)) == 6


def test_a_scale_steers_its_loss():
    model = compiled(AssociativeModel(network(), 3))
    whole = fit(model)
    model.scales["visit_loss"].assign(0.25)
    scaled = fit(model)
    assert scaled["visit_loss_weight"] == 0.25
    np.testing.assert_allclose(
        whole["total_loss"] - scaled["total_loss"], 0.75 * whole["visit_loss"], rtol=1e-4
    )


@pytest.mark.backend
def test_evaluation_and_prediction_leave_the_step_and_report_no_association():
    model = compiled(AssociativeModel(network(), 3), metrics=["accuracy"])
    fit(model, 2)
    logs = model.evaluate(LABELLED, LABELS, verbose=0, return_dict=True)
    assert "walker_loss" not in logs
    predicted = model.predict(LABELLED, verbose=0)
    assert predicted.shape == (6, 3)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(logs["accuracy"], (predicted.argmax(1) == LABELS).mean())
    assert int(number(model.step)) == 2


@pytest.mark.backend
def test_a_model_without_similarity_term_trains_on_labelled_batches():
    model = compiled(AssociativeModel(network(), 3, similarity=None))
    logs = fit(model, pair=False)
    np.testing.assert_allclose(logs["total_loss"], logs["classification_loss"], rtol=1e-6)
    assert "walker_loss" not in logs


@pytest.mark.backend
def test_batches_are_normalised_apart_by_default_and_together_on_request():
    both = np.concatenate([LABELLED, UNLABELLED]).astype("float32")
    for joint in (False, True):
        normalization = layers.BatchNormalization(momentum=0.0)
        net = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), normalization])
        model = compiled(AssociativeModel(net, 3, joint_batch_statistics=joint))
        fit(model)
        # Without momentum the moving mean is that of the last batch that was seen.
        expected = both.mean(0) if joint else UNLABELLED.astype("float32").mean(0)
        np.testing.assert_allclose(
            number(normalization.moving_mean), expected.ravel(), rtol=1e-4, atol=1e-4
        )


@pytest.mark.backend
def test_a_model_survives_saving_with_classifier_schedules_and_step(tmp_path):
    term = association.Association(
        walker_weight=Envelope(1.0, "sigmoid", 10, 5), measure="cosine", temperature=0.2
    )
    model = compiled(
        AssociativeModel(
            network(layers.Dropout(0.5)),
            3,
            similarity=term,
            augmentation=layers.RandomBrightness(0.1, value_range=(0, 255), dtype="float32"),
            classifier_regularizer=keras.regularizers.L2(0.1),
        )
    )
    fit(model, 2)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        copy.predict(LABELLED, verbose=0), model.predict(LABELLED, verbose=0)
    )
    assert int(number(copy.step)) == 2
    assert copy.similarity.get_config() == term.get_config()
    assert copy.classifier.kernel_regularizer is not None
    np.testing.assert_allclose(fit(copy)["walker_loss_weight"], 0.0)


@pytest.mark.backend
def test_the_first_step_at_which_a_loss_is_not_finite_is_kept():
    class Exploding(association.Association):
        def __call__(self, a, b, labels):
            losses, statistics = super().__call__(a, b, labels)
            return {**losses, "visit_loss": losses["visit_loss"] / 0.0}, statistics

    model = compiled(AssociativeModel(network(), 3, similarity=Exploding()))
    fit(model, 3)
    steps = dict(zip(model.loss_names, number(model.nonfinite_steps), strict=True))
    assert steps["visit_loss"] == 1
    assert steps["total_loss"] == 1
    # The update of the first step has spoilt the weights.
    assert steps["classification_loss"] == 2


@pytest.mark.backend
def test_losses_are_float32_and_close_under_mixed_bfloat16():
    logs = {}
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        try:
            model = compiled(AssociativeModel(network(), 3))
        finally:
            keras.config.set_dtype_policy("float32")
        logs[policy] = fit(model)
        assert model.predict(LABELLED, verbose=0).dtype == np.float32
    for name, value in logs["float32"].items():
        np.testing.assert_allclose(logs["mixed_bfloat16"][name], value, rtol=0.02, atol=0.02)


def test_float_images_are_not_rounded_under_mixed_precision(monkeypatch):
    seen, prepare = [], AssociativeModel.prepare

    def note(model, images):
        seen.append(keras.backend.standardize_dtype(images.dtype))
        return prepare(model, images)

    monkeypatch.setattr(AssociativeModel, "prepare", note)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = compiled(AssociativeModel(network(), 3))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.network.compute_dtype == "bfloat16"
    model.predict(LABELLED.astype("float32"), verbose=0)
    assert set(seen) == {"float32"}


def test_grey_images_are_repeated_and_resized_to_the_networks_input():
    net = keras.Sequential([keras.Input((8, 8, 3)), layers.GlobalAveragePooling2D()])
    model = AssociativeModel(net, 3)
    prepared = number(model.prepare(LABELLED))
    assert prepared.shape == (6, 8, 8, 3)
    np.testing.assert_array_equal(prepared[..., 0], prepared[..., 2])
    with pytest.raises(ValueError, match="3 channels"):
        AssociativeModel(network(), 3).prepare(np.zeros((2, 4, 4, 3), "uint8"))


@pytest.mark.backend
def test_images_are_resized_by_height_and_width_whatever_the_default_format():
    net = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten()])
    expected = number(AssociativeModel(net, 3).prepare(LABELLED))
    default = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        found = number(AssociativeModel(net, 3).prepare(LABELLED))
    finally:
        keras.config.set_image_data_format(default)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("n", "ignored"), [(7, 3), (100_000, 10), (5, 0)])
def test_examples_that_count_fill_a_batch_evenly(n, ignored):
    numbers = np.arange(n, dtype="int32")
    counted = numbers >= ignored
    filled, _ = associative._repeated(numbers[:, None], numbers, counted, np.int32(n - ignored))
    times = np.bincount(number(filled)[:, 0], minlength=n)
    assert not times[:ignored].any()
    assert set(times[ignored:]) <= {n // (n - ignored), -(-n // (n - ignored))}


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="num_classes"):
        AssociativeModel(network(), 1)
    with pytest.raises(ValueError, match="mmd"):
        AssociativeModel(network(), 3, similarity="mmd")


def test_learning_rate_scale_multiplies_the_update():
    moved = []
    for scale in (1.0, 0.1):
        keras.utils.set_random_seed(0)
        model = AssociativeModel(network(), 3)
        model.build((None, 4, 4, 1))
        model.compile(SteerableAdam(1e-3), **running.FEW_STEPS)
        model.optimizer.build(model.trainable_variables)
        model.optimizer.learning_rate_scale.assign(scale)
        before = number(model.network.layers[2].kernel).copy()
        fit(model)
        moved.append(number(model.network.layers[2].kernel) - before)
        np.testing.assert_allclose(number(model.optimizer.learning_rate), 1e-3 * scale, rtol=1e-6)
    np.testing.assert_allclose(moved[1], 0.1 * moved[0], rtol=1e-2, atol=1e-7)


def test_walks_begin_and_end_at_embeddings_of_the_latest_steps_too():
    model = AssociativeModel(network(), 3, memory=8)
    given = []

    def record(a, b, labels):
        given.append((number(a), number(labels)))
        return type(model.similarity).call(model.similarity, a, b, labels)

    model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    model.similarity.call = record
    for labels in ((0, 0, 1, 1, 2, 2), (2, 1, 0, 2, 1, 0)):
        model.train_on_batch((LABELLED, UNLABELLED), np.array(labels, "int32"))
    (first, first_labels), (second, second_labels) = given
    assert first.shape == (14, 8)
    # Empty places hold the batch once more.
    np.testing.assert_array_equal(first[6:12], first[:6])
    np.testing.assert_array_equal(first_labels, [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2, 0, 0])
    np.testing.assert_array_equal(second[6:12], first[:6])
    np.testing.assert_array_equal(second[12:], second[:2])
    np.testing.assert_array_equal(second_labels[6:], [0, 0, 1, 1, 2, 2, 2, 1])
    assert np.any(second[:6] != first[:6])
    np.testing.assert_array_equal(number(model.memory_classes), [3, 2, 1, 3, 2, 1, 1, 1])
    np.testing.assert_array_equal(number(model.memory_embeddings)[:6], second[:6])


def test_a_memory_is_saved_with_the_model(tmp_path):
    model = compiled(AssociativeModel(network(), 3, memory=4), learning_rate=0.1)
    assert np.isfinite(fit(model, steps=3)["total_loss"])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(number(loaded.memory_embeddings), number(model.memory_embeddings))
    assert loaded.memory == 4


def test_a_memory_without_a_term_is_refused():
    with pytest.raises(ValueError, match="memory is 4"):
        AssociativeModel(network(), 3, similarity=None, memory=4)


@pytest.mark.backend
@pytest.mark.parametrize("memory", [0, 4])
def test_a_term_that_compares_logits_is_given_those_of_the_classifier(memory):
    term = SelfTraining(confidence=0.35)
    model = compiled(AssociativeModel(network(), 3, similarity=term, memory=memory))
    model.build((None, 4, 4, 1))
    logits = model.predict(UNLABELLED, verbose=0)
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).max(axis=1)
    sure = probabilities >= 0.35
    found = fit(model)
    assert found["confident_share"] == pytest.approx(sure.mean())
    assert found["self_training_loss"] == pytest.approx(
        -np.sum(np.log(probabilities[sure])) / len(UNLABELLED), rel=1e-4
    )


def test_models_that_have_only_embeddings_for_their_terms_refuse_one_that_compares_logits():
    with pytest.raises(ValueError, match="SelfTraining compares logits"):
        ClusteringModel(network(), 3, cluster_association=SelfTraining())
    with pytest.raises(ValueError, match="SelfTraining compares logits"):
        MultimodalModel(network(), network(), layers.Identity(), [SelfTraining()])
