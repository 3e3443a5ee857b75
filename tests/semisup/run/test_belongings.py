"""Tests of what a run deletes: its own files, looked at before the first of them goes."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from semisup.config import TrainConfig
from semisup.errors import UserError
from semisup.run import admission, belongings
from semisup.run.directory import RunDirectory


def write_figure(path, **remarks):
    info = PngImagePlugin.PngInfo()
    for name, text in remarks.items():
        info.add_text(name, text)
    Image.new("L", (4, 4)).save(path, pnginfo=info)


@pytest.fixture
def run(tmp_path):
    """A directory with every kind of file that a run has."""
    run = RunDirectory(tmp_path / "run")
    config = TrainConfig(logdir=run.path)
    admission.begin(run, config, "semisup", overwrite=False)
    for part in belongings.PARTS:
        if part not in ("config.json", *belongings._FOLDERS):
            Path(run.file(part)).write_text("{}")
    names = {
        "checkpoints": ["step_00000010.npz", "step_00000005.npz.damaged"],
        "train": ["events.out.tfevents.1.host.2.v2", "embeddings.tsv", "sprite.png"],
        "eval": ["events.out.tfevents.1.host.2.v2", "projector_config.pbtxt"],
        "layers": ["events.out.tfevents.1.host.2.v2"],
        "figures": [f".tsne.png.{'0' * 16}.tmp.png"],
        "evaluations": [],
        "folds": [],
        "folds/1_of_3": [".lock", "config.json"],
        "folds/1_of_3/checkpoints": ["step_00000010.npz"],
    }
    for folder, files in names.items():
        os.mkdir(run.file(folder))
        for file in files:
            Path(run.file(folder, file)).write_text("x")
    write_figure(run.file("figures", "tsne.png"), step="10")
    Path(run.file("evaluations", "other.json")).write_text('{\n "step": 3\n}')
    Path(run.file("evaluations", "other.csv")).write_text("image,label,predicted,probability\n")
    return run


def everything(folder):
    """What lies in a folder: names, contents and links."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in Path(folder).rglob("*")
    }


def check(run, overwrite):
    admission.check(
        run, TrainConfig(logdir=run.path, seed=0 if not overwrite else 3), "semisup", overwrite
    )


def test_all_that_a_run_owns_is_deleted_and_an_empty_folder_is_left(run):
    belongings.check_owned(run.path)
    belongings.remove(run.path)
    assert os.listdir(run.path) == []


FOREIGN = {
    "a file in a fold": lambda run: Path(run.file("folds", "1_of_3", "mine")).write_text("mine"),
    "a photograph in train": lambda run: Path(run.file("train", "cat.png")).write_text("mine"),
    "a folder in train": lambda run: os.mkdir(run.file("train", "cats")),
    "a link in train": lambda run: os.symlink("/", run.file("train", "events.out.tfevents.9")),
    "a figure of another program": lambda run: write_figure(run.file("figures", "confusion.png")),
    "a table in evaluations": lambda run: Path(run.file("evaluations", "a.csv")).write_text("a,b"),
    "weights in checkpoints": lambda run: Path(run.file("checkpoints", "best.npz")).write_text("x"),
    "a folder as a checkpoint": lambda run: os.mkdir(run.file("checkpoints", "step_00000020.npz")),
    "a pipe as a log": lambda run: (
        os.remove(run.file("metrics.jsonl")),
        os.mkfifo(run.file("metrics.jsonl")),
    ),
    "a folder as a page": lambda run: (
        os.remove(run.file("report.html")),
        os.mkdir(run.file("report.html")),
    ),
    "layers as a link": lambda run: (
        os.rename(run.file("layers"), run.file("../elsewhere")),
        os.symlink("../elsewhere", run.file("layers")),
    ),
}


@pytest.mark.parametrize("add", FOREIGN.values(), ids=FOREIGN)
def test_an_overwrite_that_meets_anything_else_is_refused_and_deletes_nothing(run, add):
    add(run)
    before = everything(Path(run.path).parent)
    with pytest.raises(UserError, match="move it away") as refusal:
        check(run, overwrite=True)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UserError, match="move it away"):
        admission.begin(run, TrainConfig(logdir=run.path), "semisup", overwrite=True)
    assert everything(Path(run.path).parent) == before


@pytest.mark.parametrize(
    "content",
    [
        {"task": "semisup", "settings": {}, "backend": "tensorflow"},
        {"task": "paint", "settings": {"colour": "red"}, "backend": "gtk", "versions": {}},
    ],
)
def test_another_programs_configuration_is_no_run_to_overwrite(run, content):
    Path(run.file("config.json")).write_text(json.dumps(content))
    before = everything(run.path)
    with pytest.raises(UserError, match="is not that of a run, and nothing is deleted"):
        check(run, overwrite=True)
    assert everything(run.path) == before


def test_a_training_that_goes_on_deletes_its_own_outcomes_alone(run):
    mine = [
        "train/cat.png",
        "train/notes.txt",
        "evaluations/mine.csv",
        "figures/mine.png",
        "notes.txt",
    ]
    for name in mine:
        Path(run.file(name)).write_text("mine")
    admission.begin(run, TrainConfig(logdir=run.path), "semisup", overwrite=False)
    belongings.remove(run.path, ["train"])
    assert all(Path(run.file(name)).read_text() == "mine" for name in mine)
    assert sorted(os.listdir(run.file("train"))) == ["cat.png", "notes.txt"]
    assert os.listdir(run.file("evaluations")) == ["mine.csv"]
    assert not os.path.exists(run.file("results.json"))
    assert os.path.exists(run.file("checkpoints", "step_00000010.npz"))


@pytest.mark.parametrize("part", ["train", "checkpoints", "results.json", "model.keras"])
@pytest.mark.parametrize("kind", ["other", "link", "pipe"])
def test_what_stands_where_a_run_keeps_files_is_named_before_anything_is_written(run, part, kind):
    belongings.remove(run.path, [part])
    if kind == "other":
        os.mkdir(run.file(part)) if "." in part else Path(run.file(part)).write_text("mine")
    elif kind == "link":
        os.symlink("/tmp", run.file(part))
    else:
        os.mkfifo(run.file(part))
    with pytest.raises(UserError, match=f"{part} is .* move it away"):
        check(run, overwrite=False)


def test_what_an_evaluation_writes_elsewhere_counts_before_what_the_run_has(run, tmp_path):
    both = RunDirectory(run.path, tmp_path / "output")
    admission.prepare_output(both)
    both.write_json("evaluation.json", {"step": 3})
    admission.prepare_output(both)
    assert both.read_json("evaluation.json") == {"step": 3}
    assert both.file("results.json") == run.file("results.json")
    assert run.read_json("evaluation.json") == {}


def test_an_evaluation_removes_what_one_that_was_killed_has_left(run):
    left = Path(run.file(".report.html.0123456789abcdef.tmp.html"))
    left.write_text("half")
    admission.prepare_output(run)
    assert not left.exists()


def test_an_evaluation_overwrites_nothing_but_an_evaluation(run, tmp_path):
    (tmp_path / "predictions.csv").write_text("mine")
    for output in (tmp_path, tmp_path / "predictions.csv"):
        with pytest.raises(UserError, match="--output="):
            admission.prepare_output(RunDirectory(run.path, output))
    with pytest.raises(UserError, match="holds a run of its own"):
        admission.prepare_output(RunDirectory(tmp_path / "other", run.path))


def test_a_run_that_cannot_be_written_is_told_before_anything_is_measured(run, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("eval"))
    with pytest.raises(UserError, match="eval cannot be written: --output names another folder"):
        admission.prepare_output(run)


def test_a_name_that_is_not_utf_8_is_told_before_anything_is_written(run, tmp_path):
    name = os.fsdecode(bytes(tmp_path) + b"/r\xf6n")
    with (
        pytest.raises(UserError, match=r"--logdir=.*r\\xf6n is not UTF-8"),
        RunDirectory(name).lock(),
    ):
        pass
    with pytest.raises(UserError, match=r"--output=.*r\\xf6n is not UTF-8"):
        admission.prepare_output(RunDirectory(run.path, name))
    assert os.listdir(tmp_path) == ["run"]
