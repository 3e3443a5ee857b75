"""Tests of the parts of a segmentation: metrics, label maps, draws of pixels, networks, losses."""

import itertools
import shutil
import struct
import zlib

import keras
import numpy as np
import pytest
from PIL import Image
from running import FEW_STEPS, TRACED
from sklearn import metrics as sklearn_metrics

from segmentation import colours, data, label_maps, metrics, pixel_draws, pixel_networks
from segmentation.config import TrainConfig
from segmentation.features import PixelFeatures
from segmentation.losses import SelfTraining
from segmentation.model import SegmentationModel
from segmentation.task import TASK
from semisup import Association
from semisup.architectures import transfer
from semisup.errors import UserError

GENERATOR = np.random.default_rng(3)


def test_intersection_over_union_is_that_of_scikit_learn_without_ignored_pixels():
    truth = GENERATOR.integers(0, 4, (2, 9, 7))
    predicted = GENERATOR.integers(0, 4, (2, 9, 7))
    truth[0, :3] = 255
    matrix = metrics.confusion(truth, predicted, 4)
    counted = truth != 255
    expected = sklearn_metrics.jaccard_score(truth[counted], predicted[counted], average=None)
    np.testing.assert_allclose(metrics.intersections_over_unions(matrix), expected)
    summary = metrics.summary(matrix)
    assert summary["mean_iou"] == pytest.approx(expected.mean())
    assert summary["pixel_accuracy"] == pytest.approx(np.mean((truth == predicted)[counted]))


def test_a_class_that_is_neither_there_nor_predicted_does_not_count():
    matrix = metrics.confusion(np.array([0, 1]), np.array([0, 0]), 3)
    assert metrics.summary(matrix)["mean_iou"] == pytest.approx((0.5 + 0) / 2)


def test_classes_have_the_numbers_of_files_and_what_is_ignored_does_not_count():
    classes = label_maps.parse("sky, void ,road", "void,7", None)
    assert classes.names == ("sky", "road")
    numbers = np.array([[0, 2], [1, 7]])
    places = classes.places(numbers, "a.png")
    np.testing.assert_array_equal(places, [[0, 1], [255, 255]])
    np.testing.assert_array_equal(classes.to_file(places[0]), [0, 2])
    found = label_maps.parse("", "255", lambda: {300, 4, 255})
    assert found.names == ("4", "300")
    np.testing.assert_array_equal(found.to_file(np.array([1, 0])), [300, 4])


def grey_png(numbers, bits):
    """A PNG file of grey values of so many bits."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    height, width = numbers.shape
    rows = np.unpackbits(numbers.astype("uint8")[..., None], axis=2)[..., -bits:]
    lines = [b"\0" + np.packbits(row).tobytes() for row in rows]
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_label_map_of_few_bits_has_the_numbers_of_its_file(tmp_path, bits):
    numbers = np.arange(15).reshape(3, 5) % 2**bits
    path = tmp_path / "map.png"
    path.write_bytes(grey_png(numbers, bits))
    np.testing.assert_array_equal(label_maps.read(path), numbers)


def test_a_label_map_that_lost_its_numbers_is_refused(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "map.jpg")
    with pytest.raises(UserError, match="is a JPEG, which changes the numbers"):
        label_maps.read(tmp_path / "map.jpg")


def test_what_is_ignored_of_a_mask_is_told():
    with pytest.raises(UserError, match="numbers 0, 255, of which --ignore=255 leaves 1"):
        label_maps.parse("", "255", lambda: {0, 255})
    with pytest.raises(UserError, match=r"numbers 0, 1, 2, 3, 4, 5, 6, 7, \.\.\., of which"):
        label_maps.parse("", ",".join(map(str, range(20))), lambda: set(range(20)))


def test_validation_images_may_be_measured_on_where_there_are_no_test_images(tmp_path):
    for folder in ("train", "train_labels", "val", "val_labels"):
        (tmp_path / folder).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / folder / "a.png")
    settings = {"dataset": f"folder:{tmp_path}", "classes": "a,b"}
    with pytest.raises(UserError, match="--test_split=validation measures on val"):
        data.find(TrainConfig(**settings))
    layout, maps = data.find(TrainConfig(**settings, test_split="validation"))
    assert len(maps) == 2
    assert len(layout.files["evaluation"]) == 1


def test_a_label_map_in_colours_or_of_another_size_is_refused(tmp_path):
    colour, small = tmp_path / "colour.png", tmp_path / "small.png"
    Image.new("RGB", (4, 4)).save(colour)
    Image.new("L", (3, 4)).save(small)
    with pytest.raises(UserError, match="holds colours"):
        label_maps.read(colour)
    classes = label_maps.parse("a,b", "", None)
    source = label_maps.source("maps", [small], ["i.png"], (4, 4, 3), 0, classes)
    with pytest.raises(UserError, match=r"has 3 x 4 pixels, and its image i.png 4 x 4"):
        next(source.blocks())


def test_label_maps_are_found_whether_accents_are_composed_or_not(tmp_path):
    image, labels = tmp_path / "train" / "caf\u00e9.png", tmp_path / "labels" / "cafe\u0301.png"
    for path in (image, labels):
        path.parent.mkdir()
        Image.new("L", (4, 4)).save(path)
    found = {"train": (image.parent, labels.parent)}
    assert data._pairs(tmp_path, found, "train") == {image: labels}


@pytest.mark.parametrize("draws", ["as_they_occur", "square_root", "balanced"])
def test_labelled_pixels_have_the_shares_that_are_asked_for(draws):
    classes = np.repeat([0, 1, 255], [900, 100, 50]).astype("uint8")
    batches = pixel_draws.labelled_batches(classes, 40, draws, seed=1)
    drawn = np.concatenate(list(batches.take(30).as_numpy_iterator()))
    share = np.mean(classes[drawn] == 1)
    expected = {"as_they_occur": 0.1, "square_root": 0.25, "balanced": 0.5}[draws]
    assert share == pytest.approx(expected, abs=0.02)
    assert not np.any(classes[drawn] == 255)
    later = pixel_draws.labelled_batches(classes, 40, draws, seed=1, first_step=3)
    np.testing.assert_array_equal(next(later.as_numpy_iterator()), drawn[120:160])


def test_rare_classes_have_a_pixel_in_each_batch():
    counts = pixel_draws.class_counts(np.array([10_000, 1, 0, 50]), 20, "square_root")
    assert counts.sum() == 20
    assert counts[1] >= 1
    assert counts[2] == 0


def test_pixels_in_images_are_a_function_of_the_step_and_of_classes_that_count():
    classes = np.array([[255, 0, 1, 1], [0, 255, 255, 255], [1, 1, 1, 0]], "uint8")
    arguments = {"cells": 4, "count": 2, "size": 3, "seed": 0, "stream": 1}
    batches = pixel_draws.pixels_in_images(3, classes=classes, draws="balanced", **arguments)
    drawn = list(batches.take(12).as_numpy_iterator())
    for chosen in drawn:
        assert not np.any(classes[chosen[:2]].ravel()[chosen[2:]] == 255)
    later = pixel_draws.pixels_in_images(
        3, classes=classes, draws="balanced", first_step=5, **arguments
    )
    np.testing.assert_array_equal(next(later.as_numpy_iterator()), drawn[5])


def test_the_grid_has_the_class_in_the_middle_of_each_cell():
    maps = np.arange(6 * 9).reshape(1, 6, 9)
    np.testing.assert_array_equal(pixel_draws.on_grid(maps)[0], maps[0][[2, 5]][:, [2, 6, 8]])
    assert pixel_networks.grid_of((6, 9, 3)) == (2, 3)


def test_hypercolumns_join_the_ends_of_blocks_of_a_network_at_another_size():
    layers = keras.layers
    images = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, 4, padding="same", activation="relu")(images)
    narrow = layers.BatchNormalization()(layers.Conv2D(2, 1)(x))
    wide = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 1)(narrow)))
    last = layers.Conv2D(5, 3, 2, padding="same")(wide)
    network = keras.Model(images, layers.GlobalAveragePooling2D()(last))
    features = pixel_networks.hypercolumns(network, (16, 24, 3))
    image = GENERATOR.uniform(0, 255, (2, 16, 24, 3)).astype("float32")
    found = keras.ops.convert_to_numpy(features(image))
    # Of stride 4, the linear map of 2 channels; of stride 8, the last of 5.
    assert found.shape == (2 * 4 * 6, 7)
    alone = keras.Model(images, narrow)(np.zeros((1, 32, 32, 3), "float32"))
    black = keras.ops.convert_to_numpy(features(np.zeros((1, 16, 24, 3), "float32")))
    np.testing.assert_allclose(black[0, :2], keras.ops.convert_to_numpy(alone)[0, 0, 0], atol=1e-6)


def test_a_network_whose_body_is_nested_has_the_maps_of_the_body():
    body = keras.Sequential(
        [
            keras.Input((8, 16, 3)),
            keras.layers.Conv2D(2, 4, 4),
            keras.layers.Flatten(),
        ]
    )
    images = keras.Input((8, 16, 3))
    network = keras.Model(images, body(keras.layers.Rescaling(2.0)(images)))
    image = GENERATOR.uniform(0, 255, (1, 8, 16, 3)).astype("float32")
    nested, alone = (pixel_networks.hypercolumns(each, (8, 16, 3)) for each in (network, body))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(nested(image)),
        keras.ops.convert_to_numpy(alone(2 * image)),
        rtol=1e-5,
    )


def test_networks_of_the_papers_have_maps():
    config = TrainConfig(
        architecture="mnist_model", pretrained=False, trainable="all", emb_size=6, head_units=0
    )
    network = pixel_networks.build(config, (32, 48, 3))
    assert network(np.zeros((1, 32, 48, 3), "float32")).shape == (8 * 12, 6)


def test_a_network_without_maps_is_refused():
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    with pytest.raises(UserError, match="has no maps of features"):
        pixel_networks.hypercolumns(network, (8, 8, 3))


@pytest.mark.backend
def test_patches_are_those_of_the_image_around_each_pixel_of_the_grid():
    config = TrainConfig(embedding="patch", patch_size=4)
    network = pixel_networks.build(config, (8, 8, 1)).layers[1]
    image = np.arange(64, dtype="float32").reshape(1, 8, 8, 1)
    found = keras.ops.convert_to_numpy(network(image))
    assert found.shape == (4, 16)
    expected = image[0, 4:, :4, 0].ravel() / 127.5 - 1
    np.testing.assert_allclose(found[2], expected, atol=1e-6)


@pytest.mark.backend
def test_self_training_takes_what_the_classifier_is_sure_of_for_labels():
    logits = np.array([[5.0, 0, 0], [0.2, 0, 0], [0, 9.0, 0]], "float32")
    losses, statistics = SelfTraining(confidence=0.9)(logits, logits)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(probabilities.max(axis=1))[[0, 2]].sum() / 3
    assert float(losses["self_training_loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(statistics["confident_share"]) == pytest.approx(2 / 3)


@pytest.mark.backend
def test_pixels_in_images_have_the_embeddings_of_whole_images():
    keras.utils.set_random_seed(0)
    network = transfer.with_head(pixel_networks.patches((8, 8, 3), 4), 5, 0)
    model = SegmentationModel(network, 3, (2, 2), similarity=None)
    model.build((None, 8, 8, 3))
    images = GENERATOR.integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    whole = keras.ops.convert_to_numpy(model.embed(images))
    pixels = {"images": images, "places": np.array([6, 1])}
    few = keras.ops.convert_to_numpy(model.embed(pixels))
    np.testing.assert_allclose(few, whole[[6, 1]], atol=1e-5)
    logits = keras.ops.convert_to_numpy(model(images))
    assert logits.shape == (2, 8, 8, 3)


@pytest.mark.backend
def test_dropout_does_not_act_in_a_frozen_network_whatever_form_pixels_have():
    inputs = keras.Input((8, 8, 3))
    maps = keras.layers.Dropout(0.5)(keras.layers.Conv2D(4, 4, strides=4)(inputs))
    pixels = keras.Model(inputs, keras.ops.reshape(maps, (-1, 4)))
    network = transfer.with_head(pixels, 5, trainable="head")
    model = SegmentationModel(network, 3, (2, 2), similarity=None)
    model.build((None, 8, 8, 3))
    images = GENERATOR.integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    given = {"images": images, "places": np.arange(8)}
    found = [
        keras.ops.convert_to_numpy(model.embed(given, training=training))
        for training in (True, False)
    ]
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.backend
def test_images_are_evaluated_against_their_maps_without_pixels_that_do_not_count():
    keras.utils.set_random_seed(0)
    network = transfer.with_head(pixel_networks.patches((8, 8, 3), 4), 5, 0)
    model = SegmentationModel(network, 3, (2, 2))
    model.compile(weighted_metrics=["accuracy"], **FEW_STEPS)
    images = GENERATOR.integers(0, 256, (4, 8, 8, 3)).astype("uint8")
    maps = GENERATOR.integers(0, 3, (4, 8, 8)).astype("int32")
    maps[:, :3] = 255
    counted = maps != 255
    found = model.evaluate(
        images,
        maps,
        sample_weight=counted.astype("float32"),
        batch_size=2,
        verbose=0,
        return_dict=True,
    )
    logits = model.predict(images, verbose=0)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = -np.take_along_axis(logs, np.minimum(maps, 2)[..., None], axis=-1)[counted].mean()
    assert found["classification_loss"] == pytest.approx(expected, rel=1e-4)
    right = (maps == logits.argmax(axis=-1))[counted].mean()
    assert found["accuracy"] == pytest.approx(right, rel=1e-5)
    pixels = {"images": images, "places": np.arange(16, dtype="int32")}
    batches = (((pixels, pixels), maps[0, 3:5].ravel()) for _ in itertools.count())
    history = model.fit(
        batches, steps_per_epoch=1, validation_data=(images, maps), shuffle=False, verbose=0
    )
    assert {"loss", "val_classification_loss", "val_accuracy"} <= history.history.keys()


@pytest.mark.backend
@pytest.mark.parametrize("last", [(), (1,)])
def test_the_weight_of_an_image_is_that_of_its_pixels(last):
    keras.utils.set_random_seed(0)
    network = transfer.with_head(pixel_networks.patches((8, 8, 3), 4), 5, 0)
    model = SegmentationModel(network, 3, (2, 2), similarity=None)
    model.compile(**FEW_STEPS)
    images = GENERATOR.integers(0, 256, (8, 8, 8, 3)).astype("uint8")
    maps = GENERATOR.integers(0, 3, (8, 8, 8, *last)).astype("int32")
    weights = np.linspace(0, 2, 8, dtype="float32")
    everywhere = np.broadcast_to(weights.reshape(-1, 1, 1, *last), maps.shape)
    of_images, of_pixels = (
        model.evaluate(images, maps, 8, 0, given, return_dict=True)
        for given in (weights, everywhere)
    )
    assert of_images == pytest.approx(of_pixels, rel=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_an_evaluation_is_the_mean_over_all_pixels_that_count_whatever_the_batch_size(batch_size):
    keras.utils.set_random_seed(0)
    network = transfer.with_head(pixel_networks.patches((8, 8, 3), 4), 5, 0)
    model = SegmentationModel(network, 3, (2, 2), similarity=None)
    model.compile(**FEW_STEPS)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (4, 8, 8, 3)).astype("uint8")
    maps = generator.integers(0, 3, (4, 8, 8))
    maps[0, 1:], maps[1, 3:], maps[2] = 255, 255, 255
    counted = maps != 255
    found = model.evaluate(images, maps, batch_size=batch_size, verbose=0, return_dict=True)
    logits = model.predict(images, verbose=0)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = -np.take_along_axis(logs, np.minimum(maps, 2)[..., None], axis=-1)[counted].mean()
    for name in ("classification_loss", "total_loss", "loss"):
        assert found[name] == pytest.approx(expected, rel=1e-5), name


@pytest.mark.backend
@pytest.mark.parametrize("class_shares", [None, [0.2, 0.3, 0.5]])
def test_walks_neither_begin_nor_end_at_pixels_that_do_not_count(class_shares):
    keras.utils.set_random_seed(0)
    network = transfer.with_head(pixel_networks.patches((8, 8, 3), 4), 5, 0)
    term = Association(class_shares=class_shares)
    model = SegmentationModel(network, 3, (2, 2), similarity=term)
    model.compile(keras.optimizers.SGD(0.0), **FEW_STEPS)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    pixels = {"images": images, "places": np.arange(8, dtype="int32")}
    classes = np.array([255, 2, 0, 255, 255, 1, 2, 255])
    counted = classes != 255
    batches = (((pixels, pixels), classes) for _ in itertools.count())
    found = model.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0).history
    embeddings = keras.ops.convert_to_numpy(model.embed(pixels))
    losses, statistics = term(embeddings[counted], embeddings, classes[counted])
    # Each of the four that count takes two places of eight.
    assert found["walker_loss"][0] == pytest.approx(
        float(losses["walker_loss"]) + np.log(2), rel=1e-4
    )
    assert found["visit_loss"][0] == pytest.approx(float(losses["visit_loss"]), rel=1e-4)
    for name, value in statistics.items():
        assert found[name][0] == pytest.approx(float(value), rel=1e-3, abs=1e-5), name


@pytest.mark.backend
def test_a_batch_of_pixels_that_do_not_count_teaches_nothing():
    network = transfer.with_head(pixel_networks.patches((8, 8, 3), 4), 5, 0)
    model = SegmentationModel(network, 3, (2, 2), memory=4)
    model.compile(keras.optimizers.SGD(1.0), **FEW_STEPS)
    images = GENERATOR.integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    pixels = {"images": images, "places": np.arange(8, dtype="int32")}
    model((pixels, pixels))
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    batches = (((pixels, pixels), np.full(8, 255)) for _ in itertools.count())
    model.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0)
    for weight, kept in zip(model.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), kept)
    assert not np.any(keras.ops.convert_to_numpy(model.memory_classes))


def test_a_model_whose_network_has_no_head_is_refused():
    network = pixel_networks.patches((8, 8, 3), 4)
    with pytest.raises(ValueError, match="has no head"):
        SegmentationModel(network, 3, (2, 2))


@pytest.mark.backend
def test_a_grid_of_another_number_of_pixels_than_the_network_returns_is_refused():
    body = keras.Sequential([keras.Input((8, 12, 3)), keras.layers.Conv2D(4, 4, 4)])
    for pixels in (
        keras.Model(body.inputs, keras.ops.reshape(body.outputs[0], (-1, 4))),
        pixel_networks.patches((8, 12, 3), 4),
        pixel_networks.hypercolumns(body, (8, 12, 3)),
    ):
        network = transfer.with_head(pixels, 5, 0)
        SegmentationModel(network, 3, (2, 3)).build((None, 8, 12, 3))
        with pytest.raises(ValueError, match=r"\(3, 3\) has 9 pixels, and .* of 6 pixels"):
            SegmentationModel(network, 3, (3, 3)).build((None, 8, 12, 3))


@pytest.mark.backend
def test_maps_and_weights_of_another_size_than_the_images_are_refused():
    network = transfer.with_head(pixel_networks.patches((8, 12, 3), 4), 5, 0)
    model = SegmentationModel(network, 3, (2, 3), similarity=None)
    images, maps = np.zeros((2, 8, 12, 3), "float32"), np.zeros((2, 8, 12), "int32")
    turned = maps.transpose(0, 2, 1)
    for given in ((turned,), (maps[:, :4],), (maps.reshape(2, -1),), (maps, turned)):
        model.compile(**FEW_STEPS)
        with pytest.raises(ValueError, match=r"give \(n, 8, 12\), the height and width"):
            model.train_on_batch(images, *given)


def test_after_maps_of_the_right_size_those_of_another_have_no_number_as_loss():
    network = transfer.with_head(pixel_networks.patches((8, 12, 3), 4), 5, 0)
    model = SegmentationModel(network, 3, (2, 3), similarity=None)
    model.compile(**TRACED)
    images, maps = np.zeros((2, 8, 12, 3), "float32"), np.zeros((2, 8, 12), "int32")
    assert np.isfinite(model.evaluate(images, maps, verbose=0)[0])
    # TensorFlow then compiles a step for maps of any size.
    assert np.isnan(model.evaluate(images, maps.transpose(0, 2, 1), verbose=0)[0])


def test_classes_have_different_colours_and_ignored_pixels_are_black():
    table = colours.palette(30)
    assert len({tuple(colour) for colour in table[:30]}) == 30
    np.testing.assert_array_equal(colours.coloured(np.array([255]), 20), [[0, 0, 0]])


def test_features_that_the_disk_has_no_room_for_are_refused(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    features = PixelFeatures(pixel_networks.patches((8, 8, 3), 4), folder=tmp_path)
    with pytest.raises(UserError, match="--trainable=all, which keeps none"):
        features.views(np.zeros((2, 8, 8, 3), "uint8"))
    assert not list(tmp_path.iterdir())


def test_features_are_computed_once_and_a_damaged_file_of_them_is_named(tmp_path):
    features = PixelFeatures(pixel_networks.patches((8, 8, 3), 4), folder=tmp_path)
    images = GENERATOR.integers(0, 256, (3, 8, 8, 3)).astype("uint8")
    found = features.views(images)
    expected = pixel_networks.patches((8, 8, 3), 4)(images.astype("float32"))
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(expected), atol=1e-3)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_ino
    np.testing.assert_array_equal(features.views(images.copy()), found)
    assert path.stat().st_ino == before
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="remove it, or let --cache_dir name another folder"):
        features.views(images)


def test_a_label_map_has_the_size_of_its_image_before_both_are_resized(tmp_path):
    label_map, image = tmp_path / "map.png", tmp_path / "image.png"
    Image.new("L", (6, 4)).save(label_map)
    Image.new("RGB", (4, 6)).save(image)
    classes = label_maps.parse("a,b", "", None)
    source = label_maps.source("maps", [label_map], [image], (8, 8, 3), 8, classes)
    with pytest.raises(UserError, match=r"has 6 x 4 pixels, and its image .* 4 x 6"):
        list(source.blocks())


def test_maps_that_only_weight_channels_are_left_out():
    layers = keras.layers
    images = keras.Input((128, 128, 3))
    x = layers.Conv2D(4, 3, strides=4, padding="same")(images)
    weights = layers.Conv2D(4, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Conv2D(6, 3, strides=2, padding="same")(layers.Multiply()([x, weights]))
    network = keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    joined = pixel_networks.hypercolumns(network, (128, 128, 3), "name")
    assert joined.output_shape[-1] == 4 + 6


def test_a_damaged_file_of_features_is_told(tmp_path):
    network = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.GlobalAveragePooling2D()])
    images = np.zeros((2, 4, 4, 3), "uint8")
    PixelFeatures(network, folder=tmp_path).views(images)
    (path,) = tmp_path.glob("*.npy")
    np.save(path, np.zeros((2, 4), np.float16))
    with pytest.raises(UserError, match="damaged"):
        PixelFeatures(network, folder=tmp_path).views(images)


def test_a_new_image_of_more_than_8_bits_is_as_dark_as_among_those_of_the_training(tmp_path):
    for split in ("train", "test"):
        for name, value in (("", 4095), ("_labels", 1)):
            folder = tmp_path / f"{split}{name}"
            folder.mkdir()
            kind = "uint8" if name else "uint16"
            Image.fromarray(np.full((8, 8), value, kind)).save(folder / "a.png")
    config = TrainConfig(dataset=f"folder:{tmp_path}", classes="ground,square")
    preparation = TASK.preparation(config, {"image_shape": (8, 8, 1)})
    half = tmp_path / "half.png"
    Image.fromarray(np.full((8, 8), 2047, "uint16")).save(half)
    assert np.all(preparation.of_file(half) == 127)
