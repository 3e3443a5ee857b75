"""A training on images and sentences: trained, resumed, evaluated, searched with."""

import re

import keras
import made
import numpy as np
import pytest
import running

import semisup
from multimodal.task import TASK as task
from semisup.run.directory import RunDirectory

SICK = (
    "pair_ID\tsentence_A\tsentence_B\trelatedness_score\n"
    "1\ta red square\tsomething red\t4.5\n"
    "2\ta red square\tsomething blue\t1.5\n"
    "3\ta green square\tsomething pale\t3.5\n"
    "4\tA dark red square\tsomething red, dark\t5\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("multimodal")
    made.photos(path / "photos")
    made.network(path)
    return path


@pytest.fixture(scope="module")
def trained(folder):
    status = running._train(
        task.config_class(**made.settings(folder, logdir=str(folder / "run"))), task
    )
    assert status == 0
    return RunDirectory(folder / "run")


@pytest.mark.backend
@running.needs_commands
def test_a_training_on_frozen_features_learns_which_sentence_belongs_to_an_image(trained):
    results = trained.read_results()
    # Sentences of the same kind are the same: chance is one in eight.
    assert results["image_to_sentence_recall_at_10"] > 0.6
    assert results["images"] == 8
    assert {"infonce_loss", "walker_loss", "visit_loss"} <= {
        name.rpartition("/")[2] for entry in trained.read_metrics() for name in entry
    }


@pytest.mark.backend
@running.needs_commands
def test_a_killed_training_resumes_to_the_same_bits(trained, tmp_path):
    half = running.cut(trained, tmp_path, 20, "half")
    assert running.resume(half, task) == 0
    running.assert_same_weights(trained, half, 40)
    assert running.losses(trained) == running.losses(half)


@running.needs_commands
def test_an_evaluation_measures_both_directions_and_pairs_of_sentences(trained, folder, tmp_path):
    run = running.copy(trained, tmp_path)
    pairs = tmp_path / "SICK.txt"
    pairs.write_text(SICK)
    status, out, err = running.call(
        "eval",
        f"--logdir={run.path}",
        f"--sentence_pairs={pairs}",
        "--figures",
        package="multimodal",
    )
    assert status == 0, err
    found = run.read_json("evaluation.json")
    for name, value in trained.read_results().items():
        if name.startswith(("image_to_sentence", "sentence_to_image")):
            assert found[name] == pytest.approx(value)
    # Captions that were trained on are left out.
    assert found["sentence_pairs"]["SICK"]["pairs"] == 3
    assert found["sentence_pairs"]["SICK"]["left_out"] == 1
    assert found["sentence_pairs"]["SICK"]["one_hot_spearman"] > 0
    assert "recall at 1, 5 and 10" in out
    assert "SICK, 3 pairs (1 of training captions left out)" in out
    assert {path.stem for path in (tmp_path / "run" / "figures").iterdir()} == {
        "images_of_sentences",
        "sentences_of_images",
    }


@running.needs_commands
def test_a_search_lists_the_best_images_of_any_folder_with_a_contact_sheet(
    trained, folder, tmp_path
):
    output = tmp_path / "found.csv"
    arguments = [f"--logdir={trained.path}", f"--images={folder / 'photos'}", "--count=5"]
    status, _, err = running.call(
        "search", "a pale blue thing", *arguments, f"--output={output}", package="multimodal"
    )
    assert status == 0, err
    _, *rows = output.read_text().splitlines()
    assert len(rows) == 5
    numbers = [int(row.split(",")[0][-7:-4]) for row in rows]
    # The fourth kind of five images each.
    assert all(25 <= number < 30 for number in numbers)
    assert output.with_suffix(".png").exists()
    assert "no training caption has: thing" in err


@pytest.mark.backend
@running.needs_commands
def test_a_run_and_its_exported_file_embed_sentences_alike_as_the_page_shows(
    trained, tmp_path, monkeypatch
):
    page = (running.ROOT / "docs" / "pictures_and_sentences.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    running.copy(trained, tmp_path / "runs", "photos_sentences")
    names = {}
    exec(snippet, names)
    model, _ = semisup.load_run(trained.path)
    ours = model({"sentences": names["words"]})["sentences"]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours), names["embeddings"], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(names["embeddings"], axis=1), 1, atol=1e-5)


@running.needs_commands
def test_commands_for_classes_refuse_such_a_run(trained, tmp_path):
    status, _, err = running.call(
        "predict", f"--logdir={trained.path}", f"--output={tmp_path / 'a.csv'}"
    )
    assert status == 2
    assert "is a run of multimodal, which knows no classes" in err
