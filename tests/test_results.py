"""Tests of the results script: what it keeps, what it leaves out, its table; and of the results."""

import importlib.util
import json
import statistics
from pathlib import Path

import pytest

from clustering.config import TrainConfig as ClusteringConfig
from domain_adaptation.config import TrainConfig as AdaptationConfig
from semisup import flags
from semisup.config import TrainConfig

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The script, writing into a folder of the test."""
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    spec = importlib.util.spec_from_file_location("results", ROOT / "scripts" / "results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    return module


def run_directory(folder, *arguments, error=0.01):
    argv = ["train", *arguments]
    settings = flags.parse(argv, TrainConfig, recipes=ROOT / "semisup" / "recipes").to_dict()
    folder.mkdir()
    result = {
        "command": " ".join(["python", "-m", "semisup.train", *arguments]),
        "settings": settings,
        "step": settings["max_steps"],
        "test_error": error,
        "wall_time_seconds": 600.0,
        "hardware": {"cores": 2, "accelerators": []},
    }
    (folder / "results.json").write_text(json.dumps(result))
    return folder


def test_a_result_keeps_settings_and_command_and_loses_paths(results, tmp_path):
    run = run_directory(
        tmp_path / "run", "--recipe=mnist_100", "--seed=3", "--data_dir=/d", "--logdir=/l"
    )
    path = results.collect("mnist_100", run)
    assert path == tmp_path / "results" / "mnist_100" / "seed3.json"
    result = json.loads(path.read_text())
    assert result["command"] == "python -m semisup.train --recipe=mnist_100 --seed=3"
    assert "data_dir" not in result["settings"]
    assert result["settings"]["seed"] == 3
    assert result["changed"] == []


def test_cells_of_a_grid_are_rows_of_their_own_with_mean_and_deviation(results, tmp_path):
    for index, (weight, seed, error) in enumerate(
        [("0.25", 0, 0.01), ("0.25", 1, 0.03), ("0.5", 0, 0.5)]
    ):
        run = run_directory(
            tmp_path / str(index),
            "--recipe=mnist_visit",
            f"--visit_weight={weight}",
            f"--seed={seed}",
            error=error,
        )
        results.collect("mnist_visit", run)
    rows = results.table().splitlines()[2:]
    assert len(rows) == 2
    assert "`--visit_weight=0.25`" in rows[0]
    assert f"**2.00 % ± {statistics.stdev([1, 3]):.2f}** | 2 (1.00, 3.00)" in rows[0]
    assert "**50.00 %** | 1 (50.00)" in rows[1]


def test_a_result_on_other_data_stands_beside_no_published_number(results, tmp_path):
    run = run_directory(tmp_path / "run", "--recipe=mnist_100")
    results.collect("mnist_100", run, note="half of it", comparable=False)
    (row,) = results.table().splitlines()[2:]
    assert "| not comparable | **1.00 %** |" in row
    assert "0.89" not in row


def test_an_incomplete_run_is_refused(results, tmp_path):
    with pytest.raises(SystemExit, match=r"no results\.json"):
        results.collect("mnist_100", tmp_path)


def test_committed_results_are_whole_and_the_tables_show_them(results, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", ROOT / "results")
    files = sorted((ROOT / "results").rglob("seed*.json"))
    assert files
    for path in files:
        result = json.loads(path.read_text())
        assert {"recipe", "command", "settings", "git_commit", "versions", "hardware"} <= set(
            result
        )
        assert result["evaluated_on"] == "test images"
        assert result["git_commit"]
        assert not result["git_commit"].endswith("-dirty"), path
        assert not [word for word in result["command"].split() if "=/" in word or word[0] == "/"]
    for readme in ("README.md", "results/README.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        assert results.table() in text
        assert results.domains_table() in text
        assert results.clusters_table() in text


def test_an_adaptations_result_keeps_what_was_measured_of_both_domains(results, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    argv = ["train", "--recipe=mnist_to_mnist_m_fixed", "--seed=2"]
    folder = ROOT / "domain_adaptation" / "recipes"
    settings = flags.parse(argv, AdaptationConfig, recipes=folder).to_dict()
    result = {
        "command": "python -m domain_adaptation.train --recipe=mnist_to_mnist_m_fixed --seed=2",
        "settings": settings,
        "step": 12_000,
        "test_error": 0.2,
        "wall_time_seconds": 60.0,
        "hardware": {"cores": 2, "accelerators": []},
    }
    evaluation = {
        "step": 12_000,
        "source": {"error": 0.01, "images": 10},
        "squared_mmd": {"domains": 0.5, "shuffled": 0.25},
        "coverage": 0.75,
    }
    (run / "results.json").write_text(json.dumps(result))
    (run / "evaluation.json").write_text(json.dumps({**evaluation, "step": 11_000}))
    path = results.collect("mnist_to_mnist_m_fixed", run, note="a subset")
    assert "coverage" not in json.loads(path.read_text()), "of another step"
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    results.collect("mnist_to_mnist_m_fixed", run, note="a subset")
    result["settings"]["seed"] = 3
    (run / "results.json").write_text(json.dumps(result))
    with pytest.raises(SystemExit, match="another --note"):
        results.collect("mnist_to_mnist_m_fixed", run)
    assert "DA_assoc, fixed parameters; **a subset**" in results.table()
    row = results.domains_table().splitlines()[-1]
    assert "; **a subset** |" in row
    assert row.endswith("| 1.00 % | 20.00 % | 75.0 % | 0.5000 | 0.2500 |")


def test_a_clusterings_result_is_its_agreement_with_the_classes(results, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    folder = ROOT / "clustering" / "recipes"
    for seed, accuracy in ((0, 0.98), (1, 0.8)):
        arguments = ["--recipe=mnist_vcnn", f"--seed={seed}"]
        settings = flags.parse(["train", *arguments], ClusteringConfig, recipes=folder).to_dict()
        result = {
            "command": " ".join(["python", "-m", "clustering.train", *arguments]),
            "settings": settings,
            "step": 12_000,
            "confidence": 0.9,
            "wall_time_seconds": 60.0,
            "hardware": {"cores": 2, "accelerators": []},
        }
        (run / "results.json").write_text(json.dumps(result))
        (run / "evaluation.json").unlink(missing_ok=True)
        with pytest.raises(SystemExit, match="evaluate it first"):
            results.collect("mnist_vcnn", run)
        measured = {"accuracy": accuracy, "nmi": 0.9, "ari": 0.9, "k_means_accuracy": 0.7}
        (run / "evaluation.json").write_text(json.dumps({"step": 12_000, **measured}))
        results.collect("mnist_vcnn", run)
    assert len(results.table().splitlines()) == 2, "no test error, no row"
    (row,) = results.clusters_table().splitlines()[2:]
    assert "| 98.7 % (0.6), best 99.2 % | **89.00 % ± 12.73**, best 98.00 % | 90.0 % ± 0.0 |" in row
    assert "| 70.00 % ± 0.00 | 2 (98.00, 80.00) | 12,000 |" in row
