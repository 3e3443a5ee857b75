"""Exported models against `predict`, for what each backend exports to."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import layers

from clustering import ClusteringModel
from semisup.models.associative import AssociativeModel

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(30, 6)).astype("float32")
IMAGES = RNG.integers(0, 256, (7, 8, 8, 3)).astype("float32")

needs_onnx = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("onnx", "onnxruntime", {"jax": "jax2onnx"}.get(BACKEND, "tf2onnx"))
    ),
    reason="the extra onnx is not installed (on JAX, Keras takes jax2onnx)",
)
FORMATS = [
    pytest.param(
        "tf_saved_model",
        marks=pytest.mark.skipif(BACKEND == "torch", reason="Keras' export fails on PyTorch"),
    ),
    pytest.param(
        "litert",
        marks=pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras exports on TensorFlow"),
    ),
    pytest.param("onnx", marks=needs_onnx),
]
MODELS = [AssociativeModel, ClusteringModel]


def dense_network():
    return keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="elu")])


def convolutional_network():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def served(path, format):
    """A function from a batch to what the exported file computes of it."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        (entry,) = session.get_inputs()
        return lambda batch: session.run(None, {entry.name: batch})[0]
    import tensorflow as tf

    if format == "tf_saved_model":
        loaded = tf.saved_model.load(path)
        return lambda batch: loaded.serve(batch)
    runner = tf.lite.Interpreter(path).get_signature_runner()
    (name,) = runner.get_input_details()
    return lambda batch: next(iter(runner(**{name: batch}).values()))


def assert_serves(model, folder, format, batch, tolerance=1e-4):
    """The exported model computes the logits of `predict`, of batches of any size."""
    path = str(folder / {"litert": "model.tflite", "onnx": "model.onnx"}.get(format, "model"))
    model.export(path, format=format, verbose=False)
    exported = served(path, format)
    for examples in (batch, batch[:1]):
        np.testing.assert_allclose(
            exported(examples), model.predict(examples, verbose=0), rtol=tolerance, atol=tolerance
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("format", FORMATS)
def test_a_model_is_exported_right_after_it_is_loaded(tmp_path, format, kind):
    model = kind(convolutional_network(), 3)
    model.build((None, 8, 8, 3))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_serves(loaded, tmp_path, format, IMAGES)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", FORMATS)
def test_a_model_that_was_fitted_on_pairs_is_exported_for_single_batches(tmp_path, format):
    model = AssociativeModel(dense_network(), 3)
    model.compile("sgd", jit_compile=BACKEND == "jax")
    labels = (np.arange(30) % 3).astype("int32")
    model.fit((ROWS, ROWS), labels, batch_size=10, verbose=0)
    assert_serves(model, tmp_path, format, ROWS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", FORMATS)
def test_a_model_of_mixed_precision_is_exported_and_keeps_its_precision(tmp_path, format):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = AssociativeModel(convolutional_network(), 3)
        model.build((None, 8, 8, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    before = model.predict(IMAGES, verbose=0)
    assert_serves(model, tmp_path, format, IMAGES, tolerance=0.02)
    assert model.network.layers[-1].compute_dtype == "bfloat16"
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), before)


def test_a_model_that_is_not_built_is_not_exported(tmp_path):
    with pytest.raises(ValueError, match="not built"):
        AssociativeModel(dense_network(), 3).export(tmp_path / "exported")
