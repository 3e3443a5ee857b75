"""A segmentation: trained, resumed, evaluated, predicted with, on its frozen network and below."""

import re
import shutil

import keras
import numpy as np
import pytest
import running
import shapes
from PIL import Image

import semisup
from segmentation import metrics
from segmentation.task import TASK as task
from semisup.errors import UserError
from semisup.run.directory import RunDirectory


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("segmentation")
    shapes.dataset(path / "shapes")
    shapes.network(path)
    return path


def train(folder, name="run", **changes):
    settings = shapes.settings(folder, logdir=str(folder / name), **changes)
    assert running._train(task.config_class(**settings), task) == 0
    return RunDirectory(folder / name)


@pytest.fixture(scope="module")
def trained(folder):
    return train(folder)


@pytest.mark.backend
@running.needs_commands
def test_a_training_on_frozen_features_learns_the_classes_of_pixels(trained):
    results = trained.read_results()
    assert results["mean_iou"] > 0.6
    assert results["pixel_accuracy"] > 0.8
    assert results["images"] == 4
    logged = {name.rpartition("/")[2] for entry in trained.read_metrics() for name in entry}
    assert {"classification_loss", "walker_loss", "visit_loss"} <= logged


@pytest.mark.backend
@running.needs_commands
def test_a_killed_training_resumes_to_the_same_bits(trained, tmp_path):
    half = running.cut(trained, tmp_path, 20, "half")
    assert running.resume(half, task) == 0
    running.assert_same_weights(trained, half, 40)
    assert running.losses(trained) == running.losses(half)


@running.needs_commands
def test_a_network_that_is_trained_learns_from_pixels_of_a_few_images(folder):
    changes = {"similarity": "self_training", "confidence": 0.5, "pixel_draws": "balanced"}
    run = train(folder, "whole", trainable="all", images_per_batch=2, max_steps=2, **changes)
    assert np.isfinite(run.read_results()["mean_iou"])
    assert semisup.load_run(run.path)[0].network.layers[1].trainable_variables
    assert len(list((folder / "cache" / "features").glob("*.npy"))) <= 1


@running.needs_commands
def test_an_evaluation_counts_every_pixel_once_and_draws_figures(trained, folder, tmp_path):
    run = running.copy(trained, tmp_path)
    status, out, err = running.call(
        "eval", f"--logdir={run.path}", "--figures", "--report", package="segmentation"
    )
    assert status == 0, err
    found = run.read_json("evaluation.json")
    assert found["mean_iou"] == pytest.approx(trained.read_results()["mean_iou"])
    # The first row of each image is void.
    assert np.sum(found["confusion_matrix"]) == 4 * (shapes.HEIGHT - 1) * shapes.WIDTH
    assert found["per_class_iou"].keys() == {"ground", "square", "disc"}
    assert "4 test images: mean intersection over union" in out
    figures = {path.stem for path in (tmp_path / "run" / "figures").iterdir()}
    assert figures == {"maps", "pixel_confusion", "pixel_associations"}
    assert (tmp_path / "run" / "report.html").exists()


@running.needs_commands
def test_predicted_maps_have_size_place_and_numbers_of_their_images(trained, tmp_path):
    images = tmp_path / "images"
    (images / "a").mkdir(parents=True)
    generator = np.random.default_rng(5)
    drawn = [shapes.drawn(generator) for _ in range(4)]
    for number, (image, _) in enumerate(drawn):
        Image.fromarray(image).save(images / "a" / f"{number}.png")
    Image.fromarray(drawn[0][0]).resize((64, 48)).save(images / "large.jpg")
    # A folder that has the name of an image's label map.
    (images / "large.png").mkdir()
    Image.fromarray(drawn[0][0]).save(images / "large.png" / "inner.png")
    (images / "broken.png").write_text("no image")
    output = tmp_path / "maps"
    arguments = [f"--logdir={trained.path}", f"--images={images}", f"--output={output}"]
    status, out, err = running.call(
        "predict", *arguments, "--eval_batch_size=2", package="segmentation"
    )
    assert status == 0, err
    assert "the label maps of 6 images" in out
    assert "broken.png" in err
    matrix = np.zeros((3, 3), int)
    for number, (image, places) in enumerate(drawn):
        with Image.open(output / "a" / f"{number}.png") as label_map:
            assert label_map.mode == "P"
            truth = np.where(places == shapes.VOID, 255, places)
            matrix += metrics.confusion(truth, np.asarray(label_map), 3)
        with Image.open(output / "overlays" / "a" / f"{number}.png") as overlay:
            assert np.asarray(overlay).shape == image.shape
    assert metrics.summary(matrix)["mean_iou"] > 0.6
    with Image.open(output / "large.jpg.png") as label_map:
        assert label_map.size == (64, 48)
    assert (output / "overlays" / "large.png" / "inner.png").is_file()
    status, _, err = running.call("predict", *arguments, package="segmentation")
    assert status == 2
    assert "is not empty" in err
    (images / "large.png").rename(images / "classes.csv")
    arguments[-1] += "_beside"
    status, _, err = running.call("predict", *arguments, package="segmentation")
    assert status == 2
    assert "classes.csv has the name of what is written beside the maps: rename it" in err
    assert not (tmp_path / "maps_beside").exists()


@pytest.mark.backend
@running.needs_commands
def test_a_run_and_its_exported_file_return_maps_as_the_page_shows(trained, tmp_path, monkeypatch):
    page = (running.ROOT / "docs" / "segmentation.md").read_text(encoding="utf-8")
    predicting, measuring = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    running.copy(trained, tmp_path / "runs", "streets_segmentation")
    images = np.stack([shapes.drawn(np.random.default_rng(5))[0]])
    names = {"images": images}
    exec(predicting, names)
    diagonal = np.eye(shapes.HEIGHT, shapes.WIDTH)
    names["maps"] = np.where(diagonal, 255, names["classes"]).astype("int32")
    exec(measuring, names)
    assert names["model"].get_metrics_result()["accuracy"] == 1
    model, config = semisup.load_run(trained.path)
    logits = keras.ops.convert_to_numpy(model(images))
    assert logits.shape == (1, shapes.HEIGHT, shapes.WIDTH, 3)
    np.testing.assert_array_equal(names["classes"], logits.argmax(axis=-1))
    assert config.labelled_images == 2


@running.needs_commands
def test_commands_for_classes_of_images_refuse_such_a_run(trained, tmp_path):
    status, _, err = running.call(
        "predict", f"--logdir={trained.path}", f"--output={tmp_path / 'a.csv'}"
    )
    assert status == 2
    assert "is a run of segmentation, which knows no classes" in err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labelled_images": 9}, "--labelled_images=9: only 8 training images have a label map"),
        ({"classes": "ground,square"}, "has the number 2, which is no class"),
        ({"classes": "ground"}, "--classes=ground names one class: give two or more"),
        ({"classes": "ground,ground"}, "every class needs a name of its own"),
        ({"ignore": "9" * 5_000}, "is neither a number nor one of --classes"),
        ({"ignore": "sky"}, "--ignore=sky: sky is neither a number nor one of --classes"),
        ({"ignore": "0,1,2,9", "classes": "a,b,c,d,e"}, "no pixel of the test label maps"),
        ({"label_suffix": "_masks"}, "there is no folder of its label maps"),
        ({"labelled_pixels": 2}, "--labelled_pixels=2: give one for each of the 3 classes"),
    ],
)
def test_what_does_not_fit_the_data_is_named_in_one_line(folder, changes, message):
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        task.load_data(task.config_class(**shapes.settings(folder, **changes)))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "mnist"}, "give a folder of images and label maps"),
        ({"similarity": "none", "visit_weight": 0.5}, "has no effect without --similarity"),
        ({"confidence": 0.5}, "has no effect without --similarity=self_training"),
        ({"images_per_batch": 2}, "has no effect without --trainable=all"),
        ({"patch_size": 3}, "has no effect without --embedding=patch"),
        ({"projector": True}, "--projector has no effect on pixels"),
        ({"fit": "crop"}, "is none of squash"),
    ],
)
def test_settings_without_effect_are_refused(folder, changes, message):
    with pytest.raises(UserError, match=message):
        task.config_class(**shapes.settings(folder, **changes))


def test_two_images_of_one_name_and_two_folders_of_one_split_are_refused(tmp_path):
    shapes.dataset(tmp_path / "shapes", counts=(("train", 2), ("test", 1)), unlabelled=1)
    config = task.config_class(**shapes.settings(tmp_path))
    shutil.copy(tmp_path / "shapes/train/00.png", tmp_path / "shapes/train/00.bmp")
    with pytest.raises(UserError, match="have one name"):
        task.load_data(config)
    (tmp_path / "shapes/train/00.bmp").unlink()
    (tmp_path / "shapes/unlabeled").mkdir()
    with pytest.raises(UserError, match="are one split"):
        task.load_data(config)
