"""Tests of what is written for TensorBoard, read back from its files."""

import keras
import numpy as np
import pytest
import running
from PIL import Image

from semisup.models.associative import AssociativeModel
from semisup.run import monitoring


def writer_for(folder):
    import tensorflow as tf

    return tf.summary.create_file_writer(str(folder))


def graph_of(network, folder):
    """Inputs of each node of the written graph."""
    import tensorflow as tf

    writer = writer_for(folder)
    monitoring.write_model_graph(writer, network)
    writer.close()
    graphs = [event.graph_def for event in running.events(folder) if event.graph_def]
    if not graphs:
        return None
    nodes = tf.compat.v1.GraphDef.FromString(graphs[0]).node
    assert len({node.name for node in nodes}) == len(nodes)
    return {node.name: list(node.input) for node in nodes}


def test_graph_page_shows_the_layers_and_their_connections(tmp_path):
    images = keras.Input((4, 4, 1), name="images")
    shared = keras.layers.Dense(3, name="shared")
    left = keras.layers.Flatten(name="left")(images)
    joined = keras.layers.Add(name="joined")([shared(left), shared(left)])
    assert graph_of(keras.Model(images, joined), tmp_path) == {
        "images": [],
        "left": ["images"],
        "shared": ["left"],
        "shared_call2": ["left"],
        "joined": ["shared", "shared_call2"],
    }


def test_a_sequential_network_has_a_graph_and_a_subclassed_one_is_left_out(tmp_path):
    sequential = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    assert "dense" in graph_of(sequential, tmp_path / "sequential")

    class Own(keras.Model):
        def call(self, x):
            return x

    assert graph_of(Own(), tmp_path / "own") is None


def test_tensorboard_scalars_equal_the_log_even_after_a_resume(whole, tmp_path):
    # As if a kill had lost the last checkpoints: their steps are taken and written again.
    run = running.cut(whole, tmp_path, 40)
    assert ("test_error", 60) in running.scalars(run.file("train"))
    assert running.resume(run) == 0
    logged = {
        (name, entry["step"]): value
        for entry in run.read_metrics()
        for name, value in entry.items()
        if name not in ("step", "seconds")
    }
    written = running.scalars(run.file("train"))
    assert written.keys() == logged.keys()
    assert ("test_error", 60) in written
    for key, value in logged.items():
        np.testing.assert_allclose(written[key], value, rtol=1e-5, err_msg=str(key))


def test_input_images_are_augmented_ones_and_leave_the_training_alone(tmp_path):
    from semisup import augmentation

    layer = augmentation.build("inversion", seed=0)
    network = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    model = AssociativeModel(network, 2, augmentation=layer)
    model.build((None, 4, 4, 1))
    states = [np.array(variable) for variable in model.variables]
    batch = ((np.full((40, 4, 4, 1), 10, "uint8"), np.full((9, 4, 4, 1), 60, "uint8")), None)
    writer = writer_for(tmp_path)
    monitoring.write_input_images(writer, model, batch, step=3)
    writer.close()
    pixels = {}
    for event in running.events(tmp_path):
        for value in event.summary.value:
            pictures = [decode(string) for string in value.tensor.string_val[2:]]
            pixels[value.tag] = np.concatenate([picture.ravel() for picture in pictures])
            assert event.step == 3
    assert set(pixels["inputs/labelled"]) == {10, 245}
    assert set(pixels["inputs/unlabelled"]) == {60, 195}
    for before, variable in zip(states, model.variables, strict=True):
        np.testing.assert_array_equal(before, np.array(variable))


def decode(png):
    import io

    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("walker_loss_weight", "weights/walker_loss"),
        ("visit_loss_above_floor", "losses/visit_loss_above_floor"),
        ("round_trip_accuracy", "round_trip_accuracy"),
    ],
)
def test_tags_group_losses_and_weights(name, expected):
    assert monitoring.tag(name) == expected
