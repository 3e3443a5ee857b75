"""Tests of the binaries as a user runs them: train, kill, resume, evaluate, no labels anywhere."""

import csv
import dataclasses
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import running
from PIL import Image

from clustering import load_model, load_run
from clustering import task as clustering_task
from clustering.centroids import PlaceCentroids
from clustering.config import TrainConfig
from clustering.task import TASK as task
from semisup.cli import flags
from semisup.data.datasets import Split
from semisup.errors import UserError
from semisup.run import checkpoints, evaluation


def train(folder, logdir="run", **settings):
    status, run = running.train(folder, logdir, task=task, **settings)
    assert status == 0
    return run


def call(binary, *flags):
    return running.call(binary, *flags, package="clustering")


def evaluate(run, *flags):
    return call("eval", f"--logdir={run.path}", *flags)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp("trained"))


def photographs(folder, count=30):
    """A folder of images without any class: dark, middle and bright ones."""
    generator = np.random.default_rng(0)
    for i in range(count):
        noise = generator.integers(-20, 20, (28, 28))
        pixels = np.clip(30 + 90 * (i % 3) + noise, 0, 255).astype("uint8")
        path = folder / f"shelf_{i % 2}" / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def normalized_network(folder):
    """Path of a small network with batch normalisation, for windows of 24 pixels."""
    layers = keras.layers
    path = str(folder / "normalized.keras")
    stack = [layers.Rescaling(1 / 255), layers.AveragePooling2D(4), layers.Flatten()]
    stack += [layers.Dense(16), layers.BatchNormalization(), layers.Dropout(0.2)]
    keras.Sequential([keras.Input((24, 24, 1)), *stack]).save(path)
    return path


# Too few to learn anything.
FEW_STEPS = {
    "max_steps": 2,
    "eval_interval": 2,
    "reg_warmup_steps": 1,
    "cluster_ramp_steps": 1,
    "warmup_steps": 0,
}
WINDOWS = {"reg_warmup_steps": 0, "steps_per_execution": 5, "crop_size": 24}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """A run on windows that k-means begins, with batch normalisation and five steps at once."""
    folder = tmp_path_factory.mktemp("windows")
    return train(folder, architecture=normalized_network(folder), **WINDOWS)


@pytest.fixture
def wrong_labels(monkeypatch):
    """From now on, every image is labelled as of the first class, and no class has a name."""
    load = clustering_task.load_dataset

    def wrong(*arguments, **options):
        data = load(*arguments, **options)
        splits = {
            name: Split(split.images, np.zeros_like(split.labels))
            for name, split in data.splits.items()
        }
        return dataclasses.replace(data, splits=splits)

    monkeypatch.setattr(clustering_task, "load_dataset", wrong)
    monkeypatch.setattr(clustering_task, "load_classes", None)


@pytest.mark.usefixtures("wrong_labels")
def test_a_clustering_killed_before_k_means_resumes_to_the_same_bits_whatever_the_labels(
    trained, tmp_path, capsys
):
    run = running.cut(trained, tmp_path, 10)
    assert running.resume(run, task) == 0
    assert "at step 10" in capsys.readouterr().out
    running.assert_same_weights(trained, run, 60)
    assert running.losses(trained) == running.losses(run)
    assert trained.read_record() == run.read_record()


def test_a_clustering_killed_after_k_means_resumes_to_the_same_bits(windows, tmp_path, capsys):
    run = running.cut(windows, tmp_path, 40)
    assert running.resume(run, task) == 0
    assert "at step 40" in capsys.readouterr().out
    running.assert_same_weights(windows, run, 60)
    assert running.losses(windows) == running.losses(run)


def test_k_means_is_saved_at_once_and_never_run_again(windows, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    # The run is gone right after k-means, before the step that follows.
    begin = PlaceCentroids.on_train_batch_begin

    def begin_until_k_means(callback, batch, logs=None):
        begin(callback, batch, logs)
        if int(keras.ops.convert_to_numpy(callback.model.centroids_placed)):
            raise KeyboardInterrupt

    settings = {**WINDOWS, "architecture": windows.read_config()["settings"]["architecture"]}
    with monkeypatch.context() as patch:
        patch.setattr(PlaceCentroids, "on_train_batch_begin", begin_until_k_means)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, **settings)
    run = running.RunDirectory(tmp_path / "run")
    assert checkpoints.list_steps(run.checkpoints) == [0]
    saved = running.weights(run, 0)
    assert saved["model/model/centroids_placed"] == 1
    with monkeypatch.context() as patch:
        patch.setattr("clustering.centroids.k_means", stop)
        assert running.resume(run, task) == 0
    placed = [entry for entry in run.read_metrics() if "k_means_squared_distance" in entry]
    assert [entry["step"] for entry in placed] == [0]
    running.assert_same_weights(windows, run, 60)


PLACED = {
    "max_steps": 40,
    "eval_interval": 40,
    "checkpoint_interval": 30,
    "centroid_noise": 1e-6,
}


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """A run whose centroids lie at their clusters' means at step 30."""
    return train(tmp_path_factory.mktemp("placed"), **PLACED)


def test_a_training_goes_on_from_the_average_that_k_means_saw(placed, tmp_path):
    assert placed.read_config()["settings"]["average_decay"] > 0
    saved = running.weights(placed, 30)
    kernel = next(name for name in saved if name.endswith("dense/kernel") and "model/" in name)
    # The average begins again.
    assert saved["model/model/averaged_steps"] == 0
    raw = train(tmp_path, average_decay=0.0, **PLACED)
    assert not np.array_equal(running.weights(raw, 30)[kernel], saved[kernel])
    # Embeddings of the average lie around the centroids.
    assert_placed(placed)


def assert_placed(run):
    """The centroids of a checkpoint of step 30 are the means of its clustered embeddings."""
    model, config = load_run(run.path, step=30)
    images = task.load_data(config).train.images
    embeddings = evaluation.Predictor(model).embeddings(images)
    centroids = keras.ops.convert_to_numpy(model.centroids)[:: config.virtual_embeddings_per_class]
    distances = np.linalg.norm(embeddings[:, None] - centroids, axis=2)
    nearest = distances.argmin(axis=1)
    assert len(np.unique(nearest)) == 10
    for cluster in range(10):
        np.testing.assert_allclose(
            centroids[cluster], embeddings[nearest == cluster].mean(axis=0), atol=1e-3
        )
    entry = next(e for e in run.read_metrics() if "k_means_squared_distance" in e)
    assert entry["k_means_squared_distance"] == pytest.approx(
        np.mean(distances.min(axis=1) ** 2), rel=1e-3
    )


def test_centroids_are_placed_at_the_means_of_clustered_embeddings(placed):
    assert_placed(placed)


def test_a_folder_of_images_without_classes_is_clustered_and_its_files_assigned(
    tmp_path, quick_tsne
):
    photographs(tmp_path / "photos")
    settings = {
        "dataset": f"folder:{tmp_path / 'photos'}",
        "num_clusters": 3,
        "unsup_samples": -1,
        "augmentation": "none",
        # Two evaluations, so that there is a curve.
        **{**FEW_STEPS, "max_steps": 4},
    }
    run = train(tmp_path, **settings)
    status, out, err = evaluate(run, "--figures")
    assert status == 0, err
    assert "30 training images in 3 clusters" in out
    content = run.read_json("evaluation.json")
    assert "accuracy" not in content
    assert sum(content["cluster_sizes"]) == 30
    with open(run.file("assignments.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {
        os.path.join(f"shelf_{i % 2}", f"{i:03d}.png") for i in range(30)
    }
    counts = np.bincount([int(row["cluster"]) for row in rows], minlength=3)
    assert counts.tolist() == content["cluster_sizes"]
    for name in ("clusters", "cluster_sizes", "neighbours", "tsne"):
        assert run.file("figures", f"{name}.png") in out
    assert "confusion" not in out
    (tmp_path / "photos").rename(tmp_path / "moved")
    train(tmp_path, **{**settings, "dataset": str(tmp_path / "moved")})


def test_unlabelled_images_beside_those_to_train_with_are_added_by_a_flag(tmp_path):
    photographs(tmp_path / "photos" / "train")
    photographs(tmp_path / "photos" / "unlabelled", count=6)
    settings = {"dataset": str(tmp_path / "photos"), "num_clusters": 3, "unsup_batch_size": 5}
    data = task.load_data(TrainConfig(**settings))
    assert len(data.train.images) == 30
    assert "--extra_split=unlabelled adds them" in data.notes[-1]
    data = task.load_data(TrainConfig(extra_split="unlabelled", **settings))
    assert len(data.train.images) == 36
    assert "--extra_split" not in data.notes[-1]


def test_evaluation_compares_with_the_classes_and_draws_figures(trained, quick_tsne):
    status, out, err = evaluate(trained, "--figures", "--projector")
    assert status == 0, err
    assert len(Path(trained.file("eval", "embeddings.tsv")).read_text().splitlines()) == 1000
    content = trained.read_json("evaluation.json")
    model, config = load_run(trained.path)
    data = task.load_data(config)
    _, labels = clustering_task.load_classes(config)
    clusters = evaluation.Predictor(model).labels(data.evaluation.images)
    confusion = np.array(content["confusion_matrix"])
    assert confusion.sum() == content["images"] == 1000
    assert content["accuracy"] == pytest.approx(np.trace(confusion) / 1000)
    assert content["accuracy"] > 0.2
    assert content["error"] == pytest.approx(1 - content["accuracy"])
    assert content["cluster_sizes"] == np.bincount(clusters, minlength=10).tolist()
    matched = np.array([int(name) for name in content["matching"]])
    assert content["accuracy"] == pytest.approx(np.mean(matched[clusters] == labels))
    assert 0 < content["nmi"] < 1
    assert content["k_means_accuracy"] > 0.2
    assert f"accuracy {100 * content['accuracy']:.2f} % after the best matching" in out
    for name in ("clusters", "cluster_sizes", "neighbours", "tsne", "confusion"):
        assert trained.file("figures", f"{name}.png") in out


def test_what_training_measures_needs_no_labels_and_is_what_evaluation_finds(trained):
    results = trained.read_json("results.json")
    assert "test_error" not in results
    sizes = [results[f"cluster_size/{i}"] for i in range(10)]
    status, _, err = evaluate(trained)
    assert status == 0, err
    content = trained.read_json("evaluation.json")
    assert sizes == content["cluster_sizes"]
    assert results["confidence"] == pytest.approx(content["confidence"], rel=1e-5)
    assert 0 <= results["size_entropy"] <= 1


def test_images_of_another_split_are_trained_on_besides(tmp_path):
    settings = {"extra_split": "test", "num_unlabeled_images": 100}
    data = task.load_data(running.config(tmp_path, "run", task, **settings))
    assert len(data.train.images) == 600
    alone = task.load_data(running.config(tmp_path, "run", task))
    np.testing.assert_array_equal(data.train.images[:500], alone.train.images)
    found = (data.train.images[500:, None] == alone.evaluation.images).all(axis=(2, 3, 4))
    assert found.any(axis=1).all()


def test_windows_are_cut_while_training(windows):
    model, _ = load_run(windows.path)
    assert model.network.input_shape == (None, 24, 24, 1)
    assert evaluation.Predictor(model).labels(np.zeros((3, 28, 28, 1), "uint8")).shape == (3,)


def test_the_exported_model_predicts_like_the_run(trained):
    model, _ = load_run(trained.path)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    exported = load_model(trained.file("model.keras"))
    np.testing.assert_allclose(
        exported.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5
    )


def test_the_folder_of_a_run_is_not_that_of_a_semi_supervised_one():
    assert task.config_class(dataset="mnist_5k").resolved_logdir == os.path.join(
        "runs", "mnist_5k_clusters"
    )


def test_ablation_draws_the_accuracy_of_a_folder_of_runs(trained, tmp_path):
    for name, weight in (("a", 0.5), ("b", 1.0)):
        run = running.copy(trained, tmp_path / "runs", name)
        saved = run.read_config()
        saved["settings"]["visit_weight"] = weight
        run.write_json("config.json", saved)
        assert evaluate(run)[0] == 0
    status, out, err = call("eval", f"--ablation={tmp_path / 'runs'}")
    assert status == 0, err
    assert (tmp_path / "runs" / "ablation_mnist_5k.png").exists()
    assert "ablation_mnist_5k.png" in out
    assert evaluate(run, "--step=20")[0] == 0
    status, out, err = call("eval", f"--ablation={tmp_path / 'runs'}")
    assert status == 2
    assert f"{run.path} is left out: it was not evaluated at the end" in out
    assert "it holds 1 evaluated runs" in err


def test_ablation_of_too_few_runs_exits_2(tmp_path):
    status, _, err = call("eval", f"--ablation={tmp_path}")
    assert status == 2
    assert len(err.splitlines()) == 1
    assert "it holds 0 evaluated runs" in err


def test_ablation_refuses_what_has_no_effect_beside_it(tmp_path):
    status, _, err = call("eval", f"--ablation={tmp_path}", "--figures")
    assert status == 2
    assert "--figures has no effect with --ablation" in err


def test_more_clusters_than_evaluated_images_are_evaluated_without_k_means(tmp_path):
    settings = {**FEW_STEPS, "init_with_kmeans": False, "augmentation": "none"}
    settings["virtual_embeddings_per_class"] = 1
    run = train(tmp_path, num_clusters=1001, unsup_samples=1100, **settings)
    # Nor were the centroids placed by it.
    assert running.weights(run, 2)["model/model/centroids_placed"] == 0
    assert not any("k_means_squared_distance" in entry for entry in run.read_metrics())
    status, out, err = evaluate(run)
    assert status == 0, err
    content = run.read_json("evaluation.json")
    assert "k_means_accuracy" not in content
    assert len(content["cluster_sizes"]) == 1001
    assert max(map(len, out.splitlines())) < 200, "no row of a thousand cells"


def test_evaluation_follows_a_training_and_finds_a_folder_that_has_moved(tmp_path):
    photographs(tmp_path / "photos" / "train" / "all")
    photographs(tmp_path / "photos" / "test" / "all", count=12)
    settings = {
        "dataset": f"folder:{tmp_path / 'photos'}",
        "num_clusters": 3,
        "unsup_samples": -1,
        "augmentation": "mnist",
        **FEW_STEPS,
    }
    run = train(tmp_path, **settings)
    (tmp_path / "photos").rename(tmp_path / "moved")
    status, out, err = evaluate(run, "--follow", f"--data_dir={tmp_path / 'moved'}")
    assert status == 0, err
    assert "step 2: 12 test images in 3 clusters" in out
    with open(run.file("assignments.csv"), encoding="utf-8") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    assert len(names) == 12
    assert all(name.startswith(os.path.join("test", "all", "shelf_")) for name in names)


def test_a_clustering_begins_with_the_network_of_a_semi_supervised_run(whole, tmp_path):
    settings = {"initial_run": whole.path, "learning_rate": 1e-12, "minimum_learning_rate": 0}
    second = train(tmp_path, **settings, **FEW_STEPS, augmentation="none")
    trained, begun = running.weights(whole, 60), running.weights(second, 2)
    kernels = [name for name in trained if name.startswith("model/dense") and "kernel" in name]
    assert kernels
    for name in kernels:
        np.testing.assert_allclose(begun[name], trained[name], atol=1e-6)


def test_chosen_images_beyond_the_memory_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(clustering_task, "MEMORY_LIMIT_BYTES", 1000 * 28 * 28)
    config = running.config(tmp_path, "run", task, extra_split="test", unsup_samples=-1)
    with pytest.raises(UserError, match="lower --unsup_samples or --num_unlabeled_images"):
        task.load_data(config)
    assert len(task.load_data(running.config(tmp_path, "run", task)).train.images) == 500


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--num_clusters=1"], "--num_clusters=1 is below the least value, 2"),
        (["--num_clusters=5000"], "is more than the 4000 training images"),
        (["--reg_warmup_steps=1000"], "--reg_warmup_steps=1000 is not before --max_steps=1000"),
        (["--centroid_noise=0"], "centroids of a cluster would stay on the same point for ever"),
        (["--crop_size=29"], "--crop_size=29 is larger than the images of 28 x 28"),
        (["--num_unlabeled_images=10"], "no effect without --extra_split"),
        (["--extra_split=more"], "has no split 'more'"),
        (["--unsup_samples=0"], "--unsup_samples=0: give at least 1"),
        (["--unsup_batch_size=4001"], "--unsup_batch_size=4001 is more than the 4000 training"),
        (["--extra_split=train"], "--extra_split=train is the split to train on anyway"),
        (["--noinit_with_kmeans", "--centroid_noise=1"], "no effect with --noinit_with_kmeans"),
        (["--sup_per_class=10"], "Unknown command line flag 'sup_per_class'"),
        (["--steps_per_execution=7"], "does not divide"),
    ],
)
def test_a_mistake_is_told_in_one_line(given, message):
    with pytest.raises(UserError) as error:
        task.load_data(flags.parse(["train", *given], task.config_class))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mistake_exits_2_and_leaves_no_run(tmp_path):
    logdir = tmp_path / "run"
    status, _, err = call("train", f"--logdir={logdir}", "--num_clusters=5000", "--progress=false")
    assert status == 2
    assert len(err.splitlines()) == 1, err
    assert "--num_clusters=5000 is more than the 4000 training images" in err
    assert not (logdir / "config.json").exists()


def test_a_missing_run_cannot_be_loaded(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        load_run(tmp_path)


def test_help_imports_nothing_heavy():
    import subprocess

    code = (
        "import sys\n"
        "from clustering import train\n"
        "sys.argv = ['train', '--help']\n"
        "try:\n    train.main()\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'keras', 'tensorflow', 'jax', 'numpy'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--num_clusters=10" in result.stdout
