"""Tests of reading: what is damaged, absurd or no file is told in one line and never hangs."""

import json
import os

import pytest

from clustering import ablation
from clustering.config import TrainConfig as ClusteringConfig
from scripts import figures
from scripts import results as results_script
from scripts.search.spaces import read as read_space
from semisup.config import TrainConfig
from semisup.errors import UserError
from semisup.files import reading
from semisup.run import file_types
from semisup.run.directory import RunDirectory

FILES = {
    "config.json": {
        "task": "semisup",
        "settings": TrainConfig().to_dict(),
        "backend": "tensorflow",
        "versions": {"python": "3.11.7"},
        "git_commit": None,
    },
    "data.json": {
        "class_names": ["cat", "dog"],
        "image_shape": [28, 28, 1],
        "evaluation_fingerprint": "0123",
        "labelled_indices": [3, 4],
        "unlabelled_fingerprint": None,
    },
    "results.json": {
        "step": 3,
        "settings": TrainConfig().to_dict(),
        "test_error": 0.5,
        "evaluated_on": "test images",
        "live_changes": [{"step": 1, "seconds": 0.5, "learning_rate": 1e-3}],
        "wall_time_seconds": 3.0,
        "median_steps_per_second": None,
        "versions": {"python": "3.11.7"},
        "hardware": {"processor": "one", "cores": 2, "accelerators": []},
    },
    "evaluation.json": {
        "step": 3,
        "error": 0.5,
        "images": 4,
        "per_class_accuracy": {"cat": 0.5, "dog": None},
        "confusion_matrix": [[1, 1], [0, 0]],
        "source": {"error": 0.5},
        "squared_mmd": {"domains": 0.1},
        "coverage": None,
        "cluster_sizes": [1, 2],
        "matching": ["cat", None],
    },
}
NESTED = json.loads("[" * 50 + "]" * 50)
WRONG = [[], [[[1]]], {"a": {"b": {}}}, NESTED, 10**20, -(10**400), -1e308, float("inf"), -3]


def read(folder, name):
    run = RunDirectory(folder)
    return run.read_json(name)


@pytest.mark.parametrize("name", FILES)
def test_files_of_runs_are_read_with_what_they_hold_besides(tmp_path, name):
    content = {**FILES[name], "measured by a task": {"deeper": [1, 2.5, None, "x", True]}}
    RunDirectory(tmp_path).write_json(name, content)
    assert read(tmp_path, name) == content


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, fields in FILES.items() for field in fields]
)
def test_a_field_of_a_wrong_type_is_named_with_its_file(tmp_path, name, field):
    is_list = isinstance(FILES[name][field], list)
    for wrong in WRONG:
        if wrong == [] and is_list and field not in ("class_names", "image_shape"):
            continue
        if wrong == -3 and field == "coverage":
            continue
        (tmp_path / name).write_text(json.dumps({**FILES[name], field: wrong}))
        with pytest.raises(UserError, match=f"{name} is damaged: {field}") as caught:
            read(tmp_path, name)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b'{"a": "\xff"}', "cannot be read: 'utf-8'"),
        (b'{"a": 1, "b": 2, "a": 3}', "a occurs twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", r"damaged: a\[0\]"),
        (b"[1]", "holds no object"),
        (b"1" * 5000, "cannot be read"),
        (b'{"a": ' + b"1" * 4000 + b"}", "damaged: a: "),
    ],
)
def test_what_is_no_json_object_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        reading.read_json(path, dict)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_names_that_are_no_valid_unicode_are_read_or_refused_in_one_line(tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"caf\udce9": 1, "per_class_accuracy": {"caf\udce9": 0.5}}))
    assert reading.read_json(path, file_types.Evaluation)["caf\udce9"] == 1
    path.write_text(json.dumps({"source": {"error": 0.5, "caf\udce9": 1}}))
    with pytest.raises(UserError, match="not valid Unicode") as caught:
        reading.read_json(path, file_types.Evaluation)
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_is_none_and_what_is_no_file_is_refused_at_once(tmp_path):
    assert reading.read_json(tmp_path / "none.json", dict) is None
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero", "a\0b"):
        for function in (lambda path: reading.read_json(path, dict), reading.read_toml):
            with pytest.raises(UserError, match="cannot be read"):
                function(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.json"
    with open(path, "wb") as file:
        file.truncate(10**12)
    with pytest.raises(UserError, match="more than 268,435,456 bytes"):
        reading.read_json(path, dict)


@pytest.mark.parametrize(
    "content", [b"a = ", b"a = '\xff'", b"a = " + b"[" * 10_000, b"a = 1\na = 2", b"#" * 10**6]
)
def test_what_is_no_toml_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "file.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"file\.toml cannot be read") as caught:
        reading.read_toml(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_log_keeps_its_entries_and_passes_over_a_line_that_a_kill_cut_off(tmp_path):
    run = RunDirectory(tmp_path)
    run.append_metrics({"step": 1, "seconds": 0.5, "loss": float("nan")})
    run.append_metrics({"step": 2, "seconds": 1, "loss": 0.25})
    with open(run.file("metrics.jsonl"), "a") as file:
        file.write('{"step": 3, "sec')
    assert [entry["step"] for entry in run.read_metrics()] == [1, 2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "holds no object"),
        ('{"step": 1}', "it lacks seconds"),
        ('{"step": "1", "seconds": 1}', "step: "),
        ('{"step": -1, "seconds": 1}', "step: "),
        ('{"step": 1, "seconds": 1, "loss": [[1]]}', "loss: "),
        ('{"step": 1, "seconds": 1, "loss": "low"}', "loss: "),
        ('{"step": 1, "seconds": 1, "loss": ' + "[" * 10_000, "nested too deeply"),
    ],
)
def test_a_damaged_line_of_a_log_is_named(tmp_path, line, message):
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 0, "seconds": 0}}\n{line}\n')
    with pytest.raises(UserError, match=f"line 2.*{message}"):
        RunDirectory(tmp_path).read_metrics()


def damaged_settings():
    settings = TrainConfig().to_dict()
    return [(name, {**settings, name: wrong}) for name in settings for wrong in WRONG]


def test_no_wrong_setting_of_a_saved_run_gets_through(tmp_path):
    run = RunDirectory(tmp_path)
    for name, settings in damaged_settings():
        with open(run.file("config.json"), "w") as file:
            json.dump({**FILES["config.json"], "settings": settings}, file)
        with pytest.raises(UserError, match=name) as caught:
            run.read_settings(TrainConfig)
        assert "config.json" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_settings_of_another_version_are_named_with_the_file(tmp_path):
    run = RunDirectory(tmp_path)
    settings = {**TrainConfig().to_dict(), "adam_epsilon": 1e-8}
    run.write_json("config.json", {**FILES["config.json"], "settings": settings})
    with pytest.raises(UserError, match=r"config\.json: unknown settings.*adam_epsilon"):
        run.read_settings(TrainConfig)


@pytest.mark.parametrize("name", ["config.json", "evaluation.json", "results.json"])
def test_figures_ablations_and_results_name_a_damaged_file(tmp_path, name):
    files = {
        **FILES,
        "config.json": {
            **FILES["config.json"],
            "task": "clustering",
            "settings": ClusteringConfig().to_dict(),
        },
    }
    run = RunDirectory(tmp_path / "run")
    for other, content in files.items():
        run.write_json(other, {**content, "accuracy": 0.5})
    (tmp_path / "run" / name).write_text('{"step": [[1]], "task": [[1]]}')
    if name != "results.json":
        with pytest.raises(UserError, match=rf"{name} is damaged: (step|task): "):
            ablation.read(tmp_path)
    if name != "evaluation.json":
        with pytest.raises(UserError, match=rf"{name} is damaged: (step|task): "):
            figures.complete_runs(tmp_path)
    else:
        with pytest.raises(UserError, match=rf"{name} is damaged: step: "):
            results_script.evaluated(run.path, 3)


def test_another_programs_files_are_passed_over(tmp_path):
    for name in ("results.json", "evaluation.json"):
        (tmp_path / name).write_text("[1, 2]")
    assert ablation.read(tmp_path) == []
    assert figures.complete_runs(tmp_path) == []


def test_committed_results_have_the_types_that_are_promised():
    for _, runs in results_script.rows():
        for run in runs:
            assert isinstance(run["step"], int)
    assert file_types.Results.__required_keys__ < results_script.Result.__required_keys__


@pytest.mark.parametrize(
    "line",
    [
        "learning_rate = {log = [[1e-4], 1e-2]}",
        "learning_rate = {log = [1e-4, 1e308]}",
        "emb_size = {integer = [1, 100000000000000000000]}",
        "learning_rate = {log = {a = 1}}",
        "learning_rate = {log = [2020-01-01, 2020-01-02]}",
        "a." * 5000 + "b = 1",
        "'line\\nbreak' = 1",
        "learning_rate = " + "[" * 5000,
    ],
)
def test_a_space_with_absurd_values_is_refused_in_one_line(tmp_path, line):
    path = tmp_path / "space.toml"
    path.write_text(line)
    with pytest.raises(UserError) as caught:
        read_space(path, "semisup")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500
