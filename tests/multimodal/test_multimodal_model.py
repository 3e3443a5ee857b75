"""The encoders, and the model in the hands of whoever calls Keras."""

import itertools

import keras
import numpy as np
import pytest
import running

from multimodal import choices, encoders
from multimodal.losses import InfoNCE
from multimodal.model import MultimodalModel
from semisup.association import Association

WORDS = ("red", "green", "blue", "dark")
needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow has strings and 64 bits"
)


def made(encoder="bag_of_words", length=5, terms=None):
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(6))
    return MultimodalModel(
        network,
        encoders.build(encoder, len(WORDS), length, 6, word_size=4),
        encoders.vectorization(WORDS, length),
        terms or [InfoNCE()],
    )


def images(count):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3)).astype("uint8")


def test_the_vocabulary_is_of_the_most_frequent_words():
    sentences = ["A red, RED dog!", "a dog", "a cat"]
    assert encoders.vocabulary_of(sentences, size=10)[0] == "a"
    assert set(encoders.vocabulary_of(sentences, size=10, least_count=2)) == {"a", "red", "dog"}
    assert encoders.vocabulary_of(sentences, size=1) == ["a"]


def test_words_of_any_script_are_known_whatever_their_case_accents_and_marks():
    pairs = ("Ähnlich ähnlich", "Привет привет", "caf\u00e9 cafe\u0301", "“dog” dog", "狗。 狗")
    words = [encoders.vocabulary_of([pair], size=9) for pair in pairs]
    assert words == [["ähnlich"], ["привет"], ["café"], ["dog"], ["狗"]]
    layer = encoders.vectorization(["ähnlich", "😀"], 2)
    np.testing.assert_array_equal(
        encoders.words_of(layer, ["A\u0308HNLICH!", "😀 a+"]), [[2, 0], [3, 1]]
    )


@pytest.mark.backend
@pytest.mark.parametrize("name", choices.ENCODERS)
def test_an_encoder_ignores_what_fills_a_sentence_up(name):
    keras.utils.set_random_seed(0)
    short = encoders.build(name, len(WORDS), 3, 6, word_size=4)
    long = encoders.build(name, len(WORDS), 7, 6, word_size=4)
    long.set_weights(short.get_weights())
    words = np.array([[2, 3, 0], [4, 0, 0], [0, 0, 0]], "int32")
    found = [
        keras.ops.convert_to_numpy(encoder(np.pad(words, ((0, 0), (0, more)))))
        for encoder, more in ((short, 0), (long, 4))
    ]
    np.testing.assert_allclose(*found, atol=1e-6)
    assert np.all(np.isfinite(found[0]))


def test_only_some_encoders_see_the_order_of_words():
    one, other = np.array([[2, 3, 4]], "int32"), np.array([[4, 3, 2]], "int32")
    alike = {}
    for name in choices.ENCODERS:
        keras.utils.set_random_seed(0)
        encoder = encoders.build(name, len(WORDS), 3, 6, word_size=4)
        alike[name] = np.allclose(encoder(one), encoder(other), atol=1e-6)
    assert alike == {"bag_of_words": True, "recurrent": False, "convolutional": False}


@pytest.mark.backend
def test_embeddings_have_length_1_and_come_by_the_names_of_what_was_given():
    model = made()
    words = model.words_of(["red", "a dark blue", ""])
    found = model.predict({"images": images(3), "sentences": words}, verbose=0)
    assert set(found) == {"images", "sentences"}
    np.testing.assert_allclose(np.linalg.norm(found["images"], axis=1), 1, atol=1e-5)
    alone = model.predict({"sentences": words}, verbose=0)
    np.testing.assert_allclose(alone["sentences"], found["sentences"], atol=1e-6)


@pytest.mark.backend
def test_fit_and_evaluate_take_numbers_of_images_as_labels(tmp_path):
    model = made(terms=[InfoNCE(), Association()])
    compiled = keras.backend.backend() == "jax"
    model.compile("adam", jit_compile=compiled, run_eagerly=not compiled)
    inputs = {"images": images(8), "sentences": model.words_of(["red", "green dark"] * 4)}
    history = model.fit(inputs, np.arange(8) // 2, batch_size=4, verbose=0)
    assert {"loss", "infonce_loss", "walker_loss", "infonce_loss_weight"} <= set(history.history)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    measured = again.evaluate(inputs, np.arange(8) // 2, batch_size=8, verbose=0, return_dict=True)
    assert measured["infonce_loss"] > 0
    for one, other in zip(model(inputs).values(), again(inputs).values(), strict=True):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (one, other)), atol=1e-6)
    assert list(again.words_of(["dark green"])[0]) == [5, 3, 0, 0, 0]


@pytest.mark.backend
@pytest.mark.parametrize("as_data", [False, pytest.param(True, marks=needs_tensorflow)])
def test_numbers_of_images_may_have_64_bits(as_data):
    import tensorflow as tf

    model = made(terms=[InfoNCE(), Association()])
    model.compile("adam", **running.TRACED)
    inputs = {"images": images(4), "sentences": model.words_of(["red", "green dark"] * 2)}

    def measured(numbers):
        given = [tf.data.Dataset.from_tensors((inputs, numbers))] if as_data else [inputs, numbers]
        return model.evaluate(*given, verbose=0)

    numbers = np.array([0, 0, 1, 2])
    assert measured(numbers * 2**40 - 7) == pytest.approx(measured(numbers), rel=1e-5)
    assert measured(numbers) != pytest.approx(measured(np.zeros(4, "int64")), rel=1e-3)


@pytest.mark.backend
def test_numbers_of_images_of_64_bits_are_told_apart_in_validation_data():
    model = made(terms=[InfoNCE(), Association()])
    model.compile(keras.optimizers.SGD(0.0), **running.TRACED)
    inputs = {"images": images(4), "sentences": model.words_of(["red", "green dark"] * 2)}
    numbers = np.array([0, 0, 1, 2]) * 2**40
    history = model.fit(inputs, numbers, validation_data=(inputs, numbers), verbose=0).history
    assert history["val_loss"] == pytest.approx(history["loss"], rel=1e-4)


@needs_tensorflow
def test_an_exported_model_takes_strings(tmp_path):
    import tensorflow as tf

    model = made()
    sentences = tf.constant(["red", "a dark blue"])
    ours = model({"sentences": sentences})["sentences"]
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    served = loaded.serve({"images": tf.cast(images(1), "float32"), "sentences": sentences})
    assert served["images"].shape == (1, 6)
    np.testing.assert_allclose(served["sentences"], ours, atol=1e-6)


@pytest.mark.backend
def test_what_cannot_be_right_is_named():
    model = made()
    with pytest.raises(ValueError, match="dictionary of images and sentences"):
        model(images(2))
    with pytest.raises(ValueError, match="need images and sentences, not images"):
        model.compute_loss(y_pred=model({"images": images(2)}))
    with pytest.raises(ValueError, match="each once"):
        made(terms=[InfoNCE(), InfoNCE()])
    with pytest.raises(ValueError, match="none of bag_of_words"):
        made("lstm")


@pytest.mark.parametrize(
    "given",
    [{"loss": "mse"}, {"loss_weights": [3.0]}, {"metrics": ["mae"]}, {"weighted_metrics": ["mae"]}],
    ids=lambda given: next(iter(given)),
)
def test_compile_refuses_what_pairs_cannot_use(given):
    with pytest.raises(ValueError, match=f"MultimodalModel takes no {next(iter(given))}: "):
        made().compile("adam", **given)


@pytest.mark.backend
def test_weights_of_pairs_are_refused_with_and_without_labels():
    model = made()
    model.compile("adam", **running.FEW_STEPS)
    pairs = {"images": images(2), "sentences": model.words_of(["red", "dark"])}
    for call, labels in itertools.product((model.fit, model.evaluate), (None, np.arange(2))):
        with pytest.raises(ValueError, match="takes no sample_weight and no class_weight"):
            call(pairs, labels, sample_weight=np.ones(2), verbose=0)


def test_a_sentence_in_place_of_a_list_of_sentences_is_refused():
    for function in (made().words_of, lambda sentences: encoders.vocabulary_of(sentences, 9)):
        with pytest.raises(TypeError, match=r"the string 'a red dog': give a list"):
            function("a red dog")


@pytest.mark.backend
def test_an_encoder_that_is_not_built_yet_is_averaged_and_saved_with_the_rest(tmp_path):
    encoder = keras.Sequential(
        [
            keras.layers.Embedding(len(WORDS) + 2, 4),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(6),
        ]
    )
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(6))
    vectorization = encoders.vectorization(WORDS, 5)
    model = MultimodalModel(network, encoder, vectorization, [InfoNCE()], average_decay=0.9)
    model.compile("sgd", **running.FEW_STEPS)
    words = np.array([[2, 3, 0, 0, 0], [4, 5, 0, 0, 0]], "int32")
    model.train_on_batch({"images": images(2), "sentences": words})
    assert len(model.average.values()) == len(model.trainable_variables) == 5
    path = tmp_path / "model.keras"
    model.save(path)
    found, expected = (
        keras.ops.convert_to_numpy(each.embed_sentences(keras.ops.convert_to_tensor(words)))
        for each in (keras.models.load_model(path), model)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.backend
def test_numbers_of_words_may_be_more_or_fewer_than_the_vectorization_makes():
    encoder = keras.Sequential(
        [keras.layers.Embedding(len(WORDS) + 2, 4), keras.layers.Flatten(), keras.layers.Dense(6)]
    )
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(6))
    vectorization = encoders.vectorization(WORDS, 5)
    model = MultimodalModel(network, encoder, vectorization, [InfoNCE()])
    model.compile("sgd", **running.FEW_STEPS)
    words = np.array([[2, 3, 0], [4, 5, 0]], "int32")
    model.train_on_batch({"images": images(2), "sentences": words})
    assert encoder.layers[-1].kernel.shape == (12, 6)
