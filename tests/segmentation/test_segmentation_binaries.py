"""A segmentation: trained, resumed, evaluated, predicted with, on its frozen network and below."""

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
def test_features_of_pixels_are_computed_once_for_all_trainings(trained, folder):
    before = sorted((folder / "cache" / "features").iterdir())
    train(folder, "again", max_steps=2, similarity="none")
    assert sorted((folder / "cache" / "features").iterdir()) == before
    assert len(before) == 1


@running.needs_commands
def test_a_network_that_is_trained_learns_from_pixels_of_a_few_images(folder):
    changes = {"trainable": "all", "images_per_batch": 2, "checkpoint_interval": 2}
    run = train(folder, "whole", max_steps=4, **changes)
    half = running.cut(run, folder, 2, "half_of_whole")
    assert "mean_iou" in run.read_results()
    assert semisup.load_run(run.path)[0].network.layers[1].trainable_variables
    assert running.resume(half, task) == 0
    running.assert_same_weights(run, half, 4)


@running.needs_commands
@pytest.mark.parametrize(
    "changes",
    [
        {"similarity": "self_training", "confidence": 0.5, "pixel_draws": "balanced"},
        {"embedding": "patch", "patch_size": 5, "images_per_batch": 2, "pixel_draws": "balanced"},
    ],
)
def test_self_training_and_patches_train_too(folder, changes):
    name = "_".join(map(str, changes.values()))
    assert np.isfinite(train(folder, name, max_steps=3, **changes).read_results()["mean_iou"])


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
    assert figures == {"maps", "confusion", "associations"}
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
    (images / "broken.png").write_text("no image")
    output = tmp_path / "maps"
    arguments = [f"--logdir={trained.path}", f"--images={images}", f"--output={output}"]
    status, out, err = running.call(
        "predict", *arguments, "--eval_batch_size=2", package="segmentation"
    )
    assert status == 0, err
    assert "the label maps of 5 images" in out
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
    with Image.open(output / "large.png") as label_map:
        assert label_map.size == (64, 48)
    status, _, err = running.call("predict", *arguments, package="segmentation")
    assert status == 2
    assert "is not empty" in err


@pytest.mark.backend
@running.needs_commands
def test_a_run_and_its_exported_file_return_maps_of_logits(trained):
    image = np.stack([shapes.drawn(np.random.default_rng(5))[0]])
    model, config = semisup.load_run(trained.path)
    exported = semisup.load_model(trained.file("model.keras"))
    ours, theirs = (keras.ops.convert_to_numpy(each(image)) for each in (model, exported))
    assert ours.shape == (1, shapes.HEIGHT, shapes.WIDTH, 3)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
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
        ({"classes": "ground,ground"}, "every class needs a name of its own"),
        ({"ignore": "sky"}, "--ignore=sky: sky is neither a number nor one of --classes"),
        ({"label_suffix": "_masks"}, "folders train and train, --label_suffix added"),
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
