"""The evaluation of a run on another data set than its own."""

import json
import os
from pathlib import Path

import running
from made_runs import write_image

pytestmark = running.needs_commands


def evaluate(run, folder, *flags):
    return running.call("eval", f"--logdir={run.path}", f"--dataset=folder:{folder}", *flags)


def test_another_folder_is_measured_by_the_names_of_its_classes(run, tmp_path):
    # Two of the three classes, of which one is spelt with a composed character.
    write_image(tmp_path / "more" / "test" / "red" / "a.png", (255, 0, 0))
    write_image(tmp_path / "more" / "test" / "red" / "b.png", (0, 255, 0))
    write_image(tmp_path / "more" / "test" / "tr\u00e9s bleu" / "c.png", (0, 0, 255))
    own = Path(run.file("evaluation.json"))
    # Other tests, before or after, evaluate this run.
    own.unlink(missing_ok=True)
    status, out, err = evaluate(run, tmp_path / "more")
    assert status == 0, err
    with open(run.file("evaluations", "more.json"), encoding="utf-8") as file:
        content = json.load(file)
    assert content["images"] == 3
    assert abs(content["error"] - 1 / 3) < 1e-6
    assert content["per_class_accuracy"] == {"green": None, "red": 0.5, "tr\u00e9s bleu": 1.0}
    assert 0 <= content["expected_calibration_error"] <= 1
    assert os.path.exists(run.file("evaluations", "more.csv"))
    assert not own.exists()
    assert "expected calibration error" in out


def test_classes_that_a_run_does_not_know_are_refused_by_name(run, tmp_path):
    for name in ("red", "purple", "black"):
        write_image(tmp_path / "more" / "test" / name / "a.png", (255, 0, 0))
    status, _, err = evaluate(run, tmp_path / "more")
    assert status == 2
    assert "does not know: black, purple;" in err
    status, _, err = evaluate(run, tmp_path / "more", "--figures")
    assert status == 2
    assert "--figures has no effect with --dataset" in err


def test_another_folder_of_the_same_name_has_files_of_its_own(run, tmp_path):
    for place in ("one", "other"):
        write_image(tmp_path / place / "same" / "test" / "red" / "a.png", (255, 0, 0))
        for _ in range(2):
            status, _, err = evaluate(run, tmp_path / place / "same")
            assert status == 0, err
    names = sorted(Path(run.file("evaluations")).glob("same*.json"))
    assert [name.name for name in names] == ["same.json", "same_2.json"]
    found = [json.loads(name.read_text())["dataset"] for name in names]
    assert found == [f"folder:{tmp_path / place / 'same'}" for place in ("one", "other")]


def test_a_name_that_a_dangling_link_has_is_taken(run, tmp_path):
    write_image(tmp_path / "linked" / "test" / "red" / "a.png", (255, 0, 0))
    copied = running.copy(run, tmp_path)
    link = Path(copied.file("evaluations", "linked.json"))
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("nowhere")
    status, out, err = evaluate(copied, tmp_path / "linked")
    assert status == 0, err
    assert f"wrote {link.parent / 'linked_2'}.json and .csv" in out
    assert link.is_symlink()
    assert not link.exists()
