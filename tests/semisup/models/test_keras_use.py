"""The model as Keras users use models: fit, evaluate, callbacks, weights, losses, any network."""

import keras
import numpy as np
import pandas
import pytest
import running
from keras import layers

import semisup
from domain_adaptation import MaximumMeanDiscrepancy
from semisup.architectures import transfer
from semisup.models.associative import AssociativeModel
from semisup.models.classification_loss import ClassificationLoss

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(30, 6)).astype("float32")
LABELS = (np.arange(30) % 3).astype("int32")
UNLABELLED = RNG.normal(size=(64, 6)).astype("float32")
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network():
    return keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="elu")])


def build(
    net=None,
    metrics=("accuracy",),
    loss=None,
    optimizer=None,
    running_as=running.FEW_STEPS,
    **arguments,
):
    keras.utils.set_random_seed(0)
    model = AssociativeModel(net or network(), 3, **arguments)
    model.compile(
        optimizer or keras.optimizers.SGD(0.05), loss, metrics=list(metrics), **running_as
    )
    return model


def plain(net=None, loss=CROSS_ENTROPY, like=None):
    """The same classifier as a Keras model of its own, with the weights of a model of ours."""
    net = net or network()
    model = keras.Sequential([net, layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.05), loss, **running.FEW_STEPS)
    if like is not None:
        model.build(like.input_shapes)
        net.set_weights(like.network.get_weights())
        model.layers[-1].set_weights(like.classifier.get_weights())
    return model


def pairs(x=ROWS, y=LABELS, u=UNLABELLED, n=9, m=8, weights=None):
    import tensorflow as tf

    few = tf.data.Dataset.from_tensor_slices((x, y) if weights is None else (x, y, weights))
    batches = tf.data.Dataset.zip(
        few.repeat().batch(n, drop_remainder=True),
        tf.data.Dataset.from_tensor_slices(u).repeat().batch(m, drop_remainder=True),
    )
    return batches.map(lambda few, unlabelled: ((few[0], unlabelled), *few[1:]))


def fit(model, batches=None, steps=3, epochs=1, **settings):
    return model.fit(
        pairs() if batches is None else batches,
        steps_per_epoch=steps,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        **settings,
    ).history


@pytest.mark.backend
def test_validation_leaves_the_values_of_the_training_alone():
    alone = fit(build(), epochs=2)
    validated = fit(build(), epochs=2, validation_data=(ROWS, LABELS))
    for name, values in alone.items():
        assert validated[name] == values, name
    assert validated["val_classification_loss"] != validated["classification_loss"]
    assert validated["val_loss"] == pytest.approx(validated["val_classification_loss"])
    assert "val_walker_loss" not in validated


def test_losses_of_an_epoch_are_means_as_those_of_keras():
    history = fit(build(), steps=4)
    assert history["total_loss"] == pytest.approx(history["loss"], rel=1e-6)
    terms = history["classification_loss"][0] + history["walker_loss"][0] + history["visit_loss"][0]
    assert terms == pytest.approx(history["loss"][0], rel=1e-5)


class Costlier(semisup.AssociativeModel):
    """A model whose loss is greater by 100."""

    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs) + 100.0


@pytest.mark.backend
def test_the_loss_of_a_subclass_that_computes_its_own_is_what_is_reported():
    model = Costlier(network(), num_classes=3)
    model.compile("adam")
    history = fit(model, validation_data=(ROWS, LABELS))
    assert history["loss"][0] == pytest.approx(history["total_loss"][0] + 100, rel=1e-6)
    assert history["val_loss"][0] == pytest.approx(history["val_total_loss"][0] + 100, rel=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a step of TensorFlow's")
def test_the_loss_that_a_step_of_ones_own_tracks_is_what_is_reported():
    class Stepping(semisup.AssociativeModel):
        def train_step(self, data):
            self._loss_tracker.update_state(7.0)
            return self.get_metrics_result()

    model = Stepping(network(), num_classes=3)
    model.compile("adam")
    assert fit(model)["loss"] == [7.0]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow's sizes are open"
)
def test_empty_batches_leave_the_weights_finite_and_have_no_losses_of_walks():
    def batches():
        for labelled, unlabelled in ((9, 8), (0, 8), (9, 0)):
            yield (ROWS[:labelled], UNLABELLED[:unlabelled]), LABELS[:labelled]

    import tensorflow as tf

    rows = tf.TensorSpec((None, 6), tf.float32)
    signature = ((rows, rows), tf.TensorSpec((None,), tf.int64))
    data = tf.data.Dataset.from_generator(batches, output_signature=signature).repeat()
    for term in ("association", MaximumMeanDiscrepancy()):
        model = build(similarity=term, running_as={"jit_compile": False})
        fit(model, data, steps=3)
        assert all(np.isfinite(weight).all() for weight in model.get_weights())
        found = model.evaluate(data.skip(1), steps=2, verbose=0, return_dict=True)
        assert all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    "weights",
    [
        None,
        pytest.param(np.where(LABELS == 0, 1.0, 0.1).astype("float32"), marks=pytest.mark.backend),
    ],
)
def test_evaluation_is_the_mean_over_the_data_whatever_the_batches(weights):
    model = build()
    fit(model)
    logits = model.predict(ROWS, verbose=0).astype("float64")
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(30), LABELS]
    expected = np.mean(losses * (1.0 if weights is None else weights))
    for size in (30, 29, 7, 1):
        found = model.evaluate(
            ROWS, LABELS, batch_size=size, sample_weight=weights, verbose=0, return_dict=True
        )
        for name in ("loss", "total_loss", "classification_loss"):
            assert found[name] == pytest.approx(expected, rel=1e-5), (size, name)


@pytest.mark.parametrize(
    "class_weight", [None, pytest.param({0: 1.0, 1: 50.0, 2: 0.0}, marks=pytest.mark.backend)]
)
def test_class_weights_train_as_in_plain_keras(class_weight):
    order = np.argsort(LABELS, kind="stable")
    model = build(similarity=None)
    model.build((None, 6))
    twin = plain(like=model)
    for each in (model, twin):
        each.fit(
            ROWS[order],
            LABELS[order],
            batch_size=5,
            epochs=2,
            shuffle=False,
            verbose=0,
            class_weight=class_weight,
        )
    np.testing.assert_allclose(
        model.predict(ROWS, verbose=0), twin.predict(ROWS, verbose=0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.backend
def test_a_batch_in_which_no_example_counts_leaves_the_weights_finite():
    weights = np.ones(30, "float32")
    weights[9:18] = 0
    model = build()
    history = fit(model, pairs(weights=weights))
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(value).all() for value in model.get_weights())


@pytest.mark.backend
def test_masks_count_as_in_plain_keras():
    class Masked(layers.Layer):
        """Hands on a mask of its examples, as a network for sequences may."""

        supports_masking = True

        def call(self, x):
            return x

        def compute_mask(self, x, previous=None):
            return x[:, 0] > 0

    def masked():
        dense = layers.Dense(4)
        return keras.Sequential([keras.Input((6,)), Masked(), dense])

    model = build(masked(), similarity=None)
    model.build((None, 6))
    twin = plain(masked(), like=model)
    ours = model.evaluate(ROWS, LABELS, verbose=0, return_dict=True)["loss"]
    assert ours == pytest.approx(twin.evaluate(ROWS, LABELS, verbose=0), rel=1e-5)
    assert ours != pytest.approx(
        float(CROSS_ENTROPY(LABELS, model.predict(ROWS, verbose=0))), rel=1e-3
    )


ONE_HOT = keras.utils.to_categorical(LABELS, 3)


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        pytest.param(
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2),
            ONE_HOT,
            marks=pytest.mark.backend,
        ),
        (keras.losses.CategoricalFocalCrossentropy(from_logits=True), ONE_HOT),
        ("categorical_crossentropy", ONE_HOT),
        ("sparse_categorical_crossentropy", LABELS),
        ("mse", ONE_HOT),
        (lambda y, logits: keras.ops.mean(keras.ops.square(y - logits), axis=-1), ONE_HOT),
    ],
)
def test_compile_takes_any_loss_of_logits(loss, labels):
    model = build(loss=loss, metrics=())
    history = fit(model, pairs(y=labels))
    assert np.isfinite(history["loss"]).all()
    logits = model.predict(ROWS, verbose=0)
    if isinstance(loss, str):
        function = keras.losses.get(loss)
        values = function(labels, logits, **({} if loss == "mse" else {"from_logits": True}))
    elif isinstance(loss, keras.losses.Loss):
        values = loss(labels, logits)
    else:
        values = loss(labels, logits)
    expected = float(keras.ops.convert_to_numpy(keras.ops.mean(values)))
    found = model.evaluate(ROWS, labels, batch_size=7, verbose=0, return_dict=True)
    assert found["classification_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (keras.losses.SparseCategoricalCrossentropy(), "from_logits=True"),
        (keras.losses.sparse_categorical_crossentropy, "from_logits=True"),
        (["mse", "mse"], "one classification loss"),
        ("no_loss", "no_loss"),
        (keras.losses.CategoricalCrossentropy(from_logits=True, reduction=None), "reduction"),
        (3, "neither"),
        (keras.losses.MeanSquaredError, "neither"),
        ("kl_divergence", "probabilities"),
        (keras.losses.Poisson(), "probabilities"),
        (keras.losses.tversky, "probabilities"),
        (keras.losses.CategoricalGeneralizedCrossEntropy(), "softmax of the logits"),
        (keras.losses.Circle(), "takes embeddings, and the model returns logits$"),
    ],
)
def test_a_loss_that_cannot_be_used_is_refused(loss, words):
    with pytest.raises(ValueError, match=words):
        build(loss=loss)


@pytest.mark.parametrize(
    ("loss", "labels", "words"),
    [
        (None, ONE_HOT, "one-hot"),
        ("mse", LABELS, "one-hot"),
        (None, LABELS[:, None, None], "labels"),
    ],
)
def test_labels_that_the_loss_does_not_take_are_refused(loss, labels, words):
    with pytest.raises(ValueError, match=words):
        fit(build(loss=loss, metrics=()), pairs(y=labels))


@pytest.mark.backend
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 1, 3]), "the model has 3 classes: give numbers from 0 to 2"),
        (pandas.Series([-1, 0, 2]), "the model has 3 classes: give numbers from 0 to 2"),
        (keras.ops.array([0, 1, 3]), "the model has 3 classes: give numbers from 0 to 2"),
        (np.array([0.5, 1.0, 2.0]), "no whole numbers"),
    ],
    ids=["array", "series", "tensor", "fractions"],
)
def test_labels_that_are_no_classes_are_refused_before_a_step(labels, words):
    model = semisup.AssociativeModel(keras.layers.Dense(4), 3)
    model.compile("adam")
    rows = np.zeros((3, 2), "float32")
    for function in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=words):
            function((rows, rows), labels)
    for function in (model.evaluate, model.test_on_batch):
        with pytest.raises(ValueError, match=words):
            function(rows, labels)


def test_a_class_that_a_loss_ignores_is_no_mistake():
    term = semisup.Association(class_shares=[1, 1, 1])
    model = semisup.AssociativeModel(keras.layers.Dense(4), 3, similarity=term)
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
        **running.FEW_STEPS,
    )
    with pytest.raises(ValueError, match="3 classes"):
        model.evaluate(np.zeros((2, 2), "float32"), np.array([-1, 3]))
    rows, labels = np.zeros((3, 2), "float32"), np.array([-1, 0, 2])
    assert np.isfinite(model.evaluate(rows, labels, verbose=0)).all()
    for given in (labels, np.full(3, -1)):
        assert np.isfinite(model.fit((rows, rows), given, verbose=0).history["loss"]).all()
    assert np.isfinite(model.predict(rows, verbose=0)).all()


@pytest.mark.backend
def test_a_loss_of_a_label_that_is_no_class_is_no_number():
    loss = ClassificationLoss()
    # TensorFlow raises an error of its own.
    if keras.backend.backend() == "jax":
        assert np.isnan(float(loss(np.array([0, 3]), keras.ops.zeros((2, 3)))))
    assert float(loss(np.array([0, 2]), keras.ops.zeros((2, 3)))) == pytest.approx(np.log(3))


def test_loss_weights_of_compile_are_refused():
    with pytest.raises(ValueError, match="loss_weights"):
        AssociativeModel(network(), 3).compile("adam", loss_weights=[1.0])


@pytest.mark.backend
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(1, "int32"), "1 labels for 6"),
        (np.zeros(5, "int32"), "5 labels for 6"),
        (np.eye(3)[[0, 0, 1, 1, 2, 2]], "one-hot"),
        (np.zeros((6, 1, 1), "int32"), "shape"),
        (np.zeros(6, "float32"), "float32"),
        (np.array(3), "shape"),
        (None, "missing"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        semisup.walker_loss,
        semisup.association_loss,
        semisup.Association(),
        lambda a, b, labels: semisup.round_trip_accuracy(np.full((6, 6), 1 / 6, "float32"), labels),
    ],
    ids=["walker_loss", "association_loss", "Association", "round_trip_accuracy"],
)
def test_labels_that_are_not_one_class_an_example_are_refused(function, labels, words):
    a, b = RNG.normal(size=(6, 4)), RNG.normal(size=(5, 4))
    with pytest.raises(ValueError, match=words):
        function(a, b, labels)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (list("aabbcc"), "'a' are no numbers"),
        ([1, 1, 1, 1, 1, None], "None are no numbers"),
        (np.full(6, 2**31), "below 2\\*\\*31"),
        (np.full(6, -(2**31) - 1), "from -2\\*\\*31"),
        ([2**70] * 6, "below 2\\*\\*31"),
        ([-(2**63)] * 6, "below 2\\*\\*31"),
    ],
)
def test_labels_that_are_no_numbers_or_too_large_are_refused(labels, words):
    a, b = RNG.normal(size=(6, 4)), RNG.normal(size=(5, 4))
    with pytest.raises(ValueError, match=words):
        semisup.walker_loss(a, b, labels)


def test_a_column_of_labels_is_a_list_of_labels():
    a, b = RNG.normal(size=(6, 4)), RNG.normal(size=(5, 4))
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert float(semisup.walker_loss(a, b, labels)) == float(
        semisup.walker_loss(a, b, labels[:, None])
    )


class Subclassed(keras.Model):
    """A network that does not say what it takes."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4)

    def call(self, x):
        return self.dense(x)


class CustomLayer(layers.Layer):
    """Likewise, with weights of its own, made in `build`."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)


@pytest.mark.backend
@pytest.mark.parametrize("kind", [Subclassed, CustomLayer])
def test_a_network_may_be_a_subclassed_model_or_a_layer(kind):
    model = build(kind(), running_as=running.TRACED)
    history = fit(model, epochs=2, validation_data=(ROWS, LABELS))
    assert history["loss"][1] != history["loss"][0]
    embedded = model.network(ROWS)
    np.testing.assert_allclose(
        model.predict(ROWS, verbose=0),
        keras.ops.convert_to_numpy(model.classifier(embedded)),
        rtol=1e-4,
        atol=1e-5,
    )


def two_inputs(structure):
    one, two = keras.Input((6,), name="one"), keras.Input((2,), name="two")
    joined = layers.Concatenate()([one, two])
    inputs = {"one": one, "two": two} if structure is dict else [one, two]
    return keras.Model(inputs, layers.Dense(4)(joined))


@pytest.mark.parametrize("structure", [pytest.param(dict, marks=pytest.mark.backend), tuple])
def test_a_network_may_take_several_inputs(structure):
    def parts(rows):
        one, two = rows, rows[:, :2]
        return {"one": one, "two": two} if structure is dict else (one, two)

    model = build(two_inputs(structure), running_as=running.TRACED)
    validation = parts(ROWS) if structure is dict else list(parts(ROWS))
    history = fit(
        model, pairs(x=parts(ROWS), u=parts(UNLABELLED)), validation_data=(validation, LABELS)
    )
    assert np.isfinite(history["walker_loss"]).all()
    assert model.predict(validation, verbose=0).shape == (30, 3)


@pytest.mark.backend
def test_inputs_go_by_name_to_a_network_that_was_made_from_a_list():
    numbers = keras.Input((3,), name="numbers")
    ids = keras.Input((2,), name="ids", dtype="int32")
    joined = layers.Concatenate()([numbers, layers.Flatten()(layers.Embedding(9, 2)(ids))])
    net = keras.Model([numbers, ids], layers.Dense(4)(joined))
    rows = {"numbers": ROWS[:6, :3], "ids": RNG.integers(0, 9, (6, 2))}
    model = build(net)
    model.fit((rows, rows), LABELS[:6], verbose=0)
    logits = model.predict(rows, verbose=0)
    expected = model.classifier(net([rows["numbers"], rows["ids"]]))
    np.testing.assert_allclose(logits, keras.ops.convert_to_numpy(expected), rtol=1e-5)
    exported = model.inference_model()
    assert {tensor.name: tensor.dtype for tensor in exported.inputs} == {
        "numbers": "float32",
        "ids": "int32",
    }
    np.testing.assert_allclose(exported.predict(rows, verbose=0), logits, rtol=1e-5)


def test_sparse_examples_have_the_losses_of_dense_ones():
    import tensorflow as tf

    rows = ROWS * (ROWS > 0)
    net = keras.Sequential([keras.Input((6,), sparse=True), layers.Dense(4)])
    losses = []
    for given in (rows, tf.sparse.from_dense(rows)):
        model = build(net, metrics=())
        model.compile(keras.optimizers.SGD(0.0), **running.FEW_STEPS)
        model.build((None, 6))
        model.classifier.set_weights([np.ones((4, 3)) * [0.1, 0.2, 0.3], np.zeros(3)])
        losses.append(np.ravel(model.train_on_batch((given, given), LABELS))[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (layers.Conv2D(4, 3), "GlobalAveragePooling2D"),
        (layers.LSTM(4, return_state=True), "3 outputs"),
    ],
)
def test_a_network_that_returns_no_embeddings_is_refused(net, words):
    shape = (2, 8, 8, 1) if isinstance(net, layers.Conv2D) else (2, 8, 1)
    with pytest.raises(ValueError, match=words):
        AssociativeModel(net, 3, similarity=None)(np.zeros(shape, "float32"))


@pytest.mark.backend
def test_token_ids_reach_the_network_as_integers():
    class Counts(layers.Layer):
        """Fails on anything but integers."""

        def call(self, ids):
            assert "int" in keras.backend.standardize_dtype(ids.dtype)
            return keras.ops.sum(keras.ops.one_hot(ids, 20), axis=1)

    ids = RNG.integers(0, 20, (64, 7))
    net = keras.Sequential([keras.Input((7,), dtype="int32"), Counts(), layers.Dense(4)])
    model = build(net, running_as=running.TRACED)
    history = fit(model, pairs(x=ids[:30], u=ids), validation_data=(ids[:30], LABELS))
    assert np.isfinite(history["val_loss"]).all()


def test_strings_reach_a_network_that_takes_text(tmp_path):
    import tensorflow as tf

    texts = np.array(["good day", "bad night", "so so so"] * 10)
    vectorize = layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    vectorize.adapt(texts)
    net = keras.Sequential(
        [
            keras.Input((), dtype="string"),
            vectorize,
            layers.Embedding(20, 8),
            layers.GlobalAveragePooling1D(),
        ]
    )
    model = build(net, running_as=running.TRACED)
    fit(model, pairs(x=texts, u=texts))
    logits = model.predict(tf.constant(texts), verbose=0)
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(served.serve(tf.constant(texts)), logits, rtol=1e-5, atol=1e-6)


def test_one_example_without_a_batch_is_refused():
    images = RNG.integers(0, 256, (30, 6, 6, 1), dtype=np.uint8)
    net = keras.Sequential([keras.Input((6, 6, 1)), layers.GlobalAveragePooling2D()])
    for network_ in (net, keras.Sequential([layers.GlobalAveragePooling2D()])):
        model = build(network_)
        fit(model, pairs(x=images, u=images))
        assert model.predict(images[:1], verbose=0).shape == (1, 3)
        with pytest.raises(ValueError, match="batch"):
            model.predict(images[0], verbose=0)


def test_grey_images_without_a_channel_axis_are_taken_as_keras_takes_them():
    images = RNG.integers(0, 256, (30, 6, 5, 1), dtype=np.uint8)
    net = keras.Sequential([keras.Input((6, 5, 1)), layers.Flatten(), layers.Dense(4)])
    with_axis, without = build(net), build(net)
    np.testing.assert_array_equal(
        without.predict(images[..., 0], verbose=0), with_axis.predict(images, verbose=0)
    )


@pytest.mark.backend
def test_grey_and_rgb_images_are_taken_in_turn():
    rgb, grey = (RNG.uniform(0, 1, (3, 4, 4, n)).astype("float32") for n in (3, 1))
    net = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(4)])
    model = build(net, running_as=running.TRACED)
    for images in (rgb, grey, rgb):
        expected = keras.ops.convert_to_numpy(model(np.broadcast_to(images, rgb.shape)))
        logits = model.predict(images, verbose=0)
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    for images in (rgb, grey):
        assert model.evaluate(images, LABELS[:3], verbose=0)[0] > 0


@pytest.mark.backend
def test_a_network_for_grey_images_that_has_seen_some_refuses_rgb_by_the_channels():
    net = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(4)])
    model = build(net, running_as=running.TRACED)
    model.predict(np.zeros((3, 4, 4, 1)), verbose=0)
    with pytest.raises(ValueError, match=r"channels.*, the network takes 1"):
        model.predict(np.zeros((3, 4, 4, 3)), verbose=0)


@pytest.mark.backend
def test_a_classifier_of_ones_own_takes_the_place_of_the_dense_layer(tmp_path):
    head = keras.Sequential([layers.Dense(5, activation="relu"), layers.Dense(3)], name="head")
    model = build(classifier=head)
    fit(model)
    expected = head(model.network(ROWS))
    logits = model.predict(ROWS, verbose=0)
    np.testing.assert_allclose(logits, keras.ops.convert_to_numpy(expected), rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(ROWS, verbose=0), logits)


@pytest.mark.parametrize(
    ("classifier", "words"),
    [
        (layers.Dense(5), "5 numbers for 3 classes"),
        (layers.Dense(3, activation="softmax"), "probabilities"),
        (keras.Sequential([layers.Dense(3), layers.Softmax()]), "probabilities"),
        ("dense", "no Keras layer"),
    ],
)
def test_a_classifier_that_returns_no_logits_of_the_classes_is_refused(classifier, words):
    with pytest.raises(ValueError, match=words):
        build(classifier=classifier).build((None, 6))


def test_a_function_in_place_of_a_term_is_told_what_is_wanted():
    with pytest.raises(ValueError, match=r"association_loss.*semisup\.Association\("):
        AssociativeModel(network(), 3, similarity=semisup.association_loss)
    with pytest.raises(ValueError, match="class Association"):
        AssociativeModel(network(), 3, similarity=semisup.Association)
    with pytest.raises(ValueError, match="no Keras model"):
        AssociativeModel(lambda x: x, 3)


def test_weights_of_a_term_may_be_changed_between_two_fits():
    term = semisup.Association()
    model = build(similarity=term)
    assert fit(model)["walker_loss_weight"] == [1.0]
    term.walker_weight = 0.25
    model.classification_weight = 2.0
    changed = fit(model)
    assert changed["walker_loss_weight"] == [0.25]
    total = (
        2 * changed["classification_loss"][0]
        + 0.25 * changed["walker_loss"][0]
        + changed["visit_loss"][0]
    )
    assert changed["loss"][0] == pytest.approx(total, rel=1e-5)


@pytest.mark.backend
def test_an_evaluation_has_the_weights_of_losses_as_they_are():
    model = build(metrics=())
    model.compile(keras.optimizers.SGD(0.0), **running.TRACED)
    first = model.evaluate(ROWS, LABELS, verbose=0, return_dict=True)["loss"]
    model.classification_weight = 2.0
    assert model.evaluate(ROWS, LABELS, verbose=0, return_dict=True)["loss"] == pytest.approx(
        2 * first
    )
    model.fit((ROWS, ROWS), LABELS, verbose=0)
    model.classification_weight = 3.0
    assert model.evaluate(ROWS, LABELS, verbose=0, return_dict=True)["loss"] == pytest.approx(
        3 * first
    )


@pytest.mark.backend
def test_a_callback_may_change_the_weight_of_a_loss_between_epochs():
    model = build(metrics=())
    model.compile(keras.optimizers.SGD(0.0), **running.TRACED)

    def double(epoch, logs):
        model.classification_weight = 2.0**epoch

    history = fit(
        model,
        epochs=2,
        validation_data=(ROWS, LABELS),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=double)],
    )
    first, second = history["val_loss"]
    assert second == pytest.approx(2 * first)


def test_a_model_is_loaded_that_was_compiled_as_none_can_be_now():
    model = build()
    with pytest.warns(UserWarning, match="not compiled as it was saved: .* takes probabilities"):
        model.compile_from_config({"optimizer": "sgd", "loss": "kl_divergence"})


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_a_quantized_model_is_saved_and_loaded(tmp_path):
    model = build(metrics=())
    model.build((None, 6))
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    loaded = semisup.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0))


def test_the_number_of_classes_may_be_that_of_an_array():
    assert semisup.AssociativeModel(network(), LABELS.max() + 1).num_classes == 3


def test_shares_of_another_number_of_classes_are_refused():
    with pytest.raises(ValueError, match="2 class_shares for 3 classes"):
        AssociativeModel(network(), 3, similarity=semisup.Association(class_shares=[1, 2]))


@pytest.mark.backend
def test_a_term_by_itself_is_a_loss():
    a, b = RNG.normal(size=(6, 4)), RNG.normal(size=(5, 4))
    labels = np.array([0, 0, 1, 1, 2, 2])
    schedule = semisup.Envelope(2.0, "linear", steps=10)
    term = semisup.Association(walker_weight=schedule, visit_weight=0.5, measure="dot")
    expected = semisup.association_loss(a, b, labels, 1.0, 0.5)
    assert float(term.loss(a, b, labels, step=5)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.backend
def test_stock_callbacks_see_right_values(tmp_path):
    rows = []
    callbacks = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", monitor="val_loss", save_best_only=True
        ),
        keras.callbacks.ReduceLROnPlateau(
            monitor="walker_loss", mode="min", patience=1, min_delta=100.0
        ),
        keras.callbacks.EarlyStopping(monitor="val_classification_loss", mode="min", patience=3),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rows.append(dict(logs))),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
    ]
    model = build(running_as=running.TRACED)
    model.build((None, 6))
    history = fit(model, epochs=3, validation_data=(ROWS, LABELS), callbacks=callbacks)
    for name, values in history.items():
        if name != "learning_rate":
            assert [row[name] for row in rows] == values, name
    logged = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    for name in ("loss", "walker_loss", "val_loss", "val_classification_loss"):
        np.testing.assert_allclose(logged[name], history[name], rtol=1e-6)
    # Nothing improves by 100: from the second epoch on, the rate falls at each.
    np.testing.assert_allclose(history["learning_rate"], [0.05, 0.05, 0.005], rtol=1e-5)
    best = keras.saving.load_model(tmp_path / "best.keras")
    found = best.evaluate(ROWS, LABELS, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_keras_tensorboard_callback_writes_the_values_of_the_history(tmp_path):
    tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.util import tensor_util

    callback = keras.callbacks.TensorBoard(tmp_path)
    history = fit(build(), epochs=2, validation_data=(ROWS, LABELS), callbacks=[callback])
    for folder, prefix in (("train", ""), ("validation", "val_")):
        events = tensorboard.EventAccumulator(str(tmp_path / folder)).Reload()
        found = [
            float(tensor_util.make_ndarray(event.tensor_proto))
            for event in events.Tensors("epoch_classification_loss")
        ]
        np.testing.assert_allclose(found, history[f"{prefix}classification_loss"], rtol=1e-6)


@pytest.mark.backend
def test_backup_and_restore_goes_on_where_a_fit_was_cut_off(tmp_path):
    class Cut(keras.callbacks.Callback):
        """Ends a training in its second epoch, as by a kill."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def run(*others):
        model = build()
        model.build((None, 6))
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        fit(model, pairs().take(3).repeat(), epochs=2, callbacks=[backup, *others])
        return model

    with pytest.raises(KeyboardInterrupt):
        run(Cut())
    resumed = run()
    whole = build()
    whole.build((None, 6))
    fit(whole, pairs().take(3).repeat(), epochs=2)
    np.testing.assert_allclose(
        resumed.predict(ROWS, verbose=0), whole.predict(ROWS, verbose=0), rtol=1e-5, atol=1e-6
    )
    assert int(resumed.step) == 6


@pytest.mark.backend
def test_a_loss_that_a_layer_adds_may_have_a_value_for_each_example():
    class Penalty(layers.Layer):
        def call(self, inputs):
            self.add_loss(0.01 * keras.ops.sum(inputs**2, axis=1))
            return inputs

    net = keras.Sequential([keras.Input((6,)), Penalty(), layers.Dense(4)])
    model = build(net, similarity=None)
    found = model.evaluate(ROWS, LABELS, batch_size=30, verbose=0, return_dict=True)
    assert found["regularization_loss"] == pytest.approx(0.01 * np.sum(ROWS**2), rel=1e-5)


@pytest.mark.backend
def test_examples_that_are_dictionaries_are_augmented_by_any_layer():
    class Shift(layers.Layer):
        def build(self, input_shape):
            self.widths = {name: shape[-1] for name, shape in input_shape.items()}

        def call(self, inputs, training=False):
            return {name: part + 1.0 if training else part for name, part in inputs.items()}

    inputs = {"a": keras.Input((6,), name="a"), "b": keras.Input((6,), name="b")}
    net = keras.Model(inputs, layers.Concatenate()([inputs["a"], inputs["b"]]))
    model = build(net, augmentation=Shift())
    few, many = ({"a": rows, "b": rows} for rows in (ROWS, UNLABELLED[:30]))
    model.train_on_batch((few, many), LABELS)
    assert model.augmentation.widths == {"a": 6, "b": 6}
    augmented = keras.ops.convert_to_numpy(model.embed(few, training=True))
    np.testing.assert_allclose(augmented[:, :6], ROWS + 1.0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow traces ranks")
def test_a_single_example_after_batches_is_refused_by_a_sentence():
    model = build(keras.Sequential([layers.Flatten(), layers.Dense(4)]), **{"similarity": None})
    model.compile(jit_compile=False)
    for shape in ((2, 4, 4, 1), (3, 4, 4, 1)):
        model.predict(np.zeros(shape), verbose=0)
    with pytest.raises(ValueError, match="give one example as a batch, example"):
        model.predict(np.zeros((4, 4, 1)), verbose=0)


@pytest.mark.backend
def test_a_head_that_is_fitted_on_features_first_belongs_to_a_model_of_images():
    images = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3)(images))
    network = transfer.with_head(keras.Model(images, pooled), 4, trainable="head")
    model = build(network, augmentation=keras.Sequential([layers.GaussianNoise(0.1)]))
    model.train_on_batch((ROWS, UNLABELLED), LABELS)
    assert model.get_build_config()["input_shape"] == (None, 8, 8, 3)
    assert model.inference_model().input_shape == (None, 8, 8, 3)
