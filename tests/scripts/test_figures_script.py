"""Tests of the script that draws the thesis' figures: which runs it takes, and what it says."""

import json
import subprocess
from pathlib import Path

import pytest
import running

from domain_adaptation.task import TASK as adaptation
from scripts import figures
from semisup.errors import UserError


def make_run(folder, name, task, step=100, **settings):
    path = folder / name
    path.mkdir(parents=True)
    settings = {"dataset": "mnist", "seed": 0, **settings}
    if task == "domain_adaptation":
        settings = {"target_dataset": "mnist_m", "target_only": False, **settings}
    config = {"task": task, "settings": settings, "backend": "tensorflow"}
    (path / "config.json").write_text(json.dumps(config))
    (path / "results.json").write_text(json.dumps({"step": step}))
    return path


class Evaluation:
    """Takes the place of the evaluations: writes what they would draw."""

    def __init__(self, fails=()):
        self.commands = []
        self.fails = fails

    def __call__(self, command, **options):
        self.commands.append(command)
        package = command[2].partition(".")[0]
        if package in self.fails:
            return subprocess.CompletedProcess(command, 2, "", "a\nclustering-eval: no data\n")
        flags = dict(argument.lstrip("-").split("=") for argument in command if "=" in argument)
        if "ablation" in flags:
            Path(flags["ablation"], "ablation_mnist.png").write_bytes(b"")
            return subprocess.CompletedProcess(command, 0, "", "")
        folder = Path(flags["logdir"], "figures")
        folder.mkdir(exist_ok=True)
        names = {
            "semisup": ("associations", "confusion", "neighbours"),
            "domain_adaptation": ("domains", "associations"),
            "clustering": ("clusters",),
        }[package]
        for name in names:
            (folder / f"{name}.png").write_text(flags["logdir"])
        return subprocess.CompletedProcess(command, 0, "", "")


def draw(tmp_path, evaluation=None):
    config = figures.FiguresConfig(folder=str(tmp_path / "runs"), output=str(tmp_path / "out"))
    return figures.draw(config, evaluation or Evaluation())


def test_each_figure_is_drawn_from_the_run_that_fits_it_best(tmp_path):
    runs = tmp_path / "runs"
    make_run(runs, "other", "semisup", step=900, dataset="svhn_cropped")
    make_run(runs, "short", "semisup")
    own = make_run(runs, "deep/own", "semisup", step=200, seed=1)
    make_run(runs, "later_seed", "semisup", step=200, seed=2)
    make_run(runs, "labels_alone", "semisup", step=300, similarity="none")
    clusters = make_run(runs, "clusters", "clustering")
    evaluation = Evaluation()
    paths = {path.name: path.read_text() for path in draw(tmp_path, evaluation)}
    assert paths["figure_3.2_associations.png"] == str(own)
    assert paths["figure_3.3_confusion.png"] == str(own)
    # There is no run on STL-10: that of most steps.
    assert paths["figure_3.4_neighbours.png"].endswith("other")
    assert paths["figure_5.3_clusters.png"] == str(clusters)
    assert not [name for name in paths if name.startswith(("figure_4", "figure_5.4"))]
    assert len(evaluation.commands) == 3, "a run is evaluated once for all its figures"


def test_an_adaptation_is_shown_beside_source_only_and_mmd_of_its_pair(tmp_path):
    runs = tmp_path / "runs"
    for name, settings in {
        "assoc": {},
        "source": {"similarity": "none"},
        "target": {"similarity": "none", "target_only": True},
        "mmd": {"similarity": "mmd"},
        "other_mmd": {"similarity": "mmd", "target_dataset": "usps"},
    }.items():
        make_run(runs, name, "domain_adaptation", **settings)
    evaluation = Evaluation()
    draw(tmp_path, evaluation)
    (command,) = evaluation.commands
    assert command[3:] == [
        f"--logdir={runs / 'assoc'}",
        "--figures",
        f"--source_only={runs / 'source'}",
        f"--target_only={runs / 'target'}",
        f"--compare={runs / 'mmd'}",
    ]


def test_runs_of_other_steps_or_seeds_are_shown_but_measure_no_coverage(tmp_path):
    runs = tmp_path / "runs"
    make_run(runs, "assoc", "domain_adaptation", step=200)
    make_run(runs, "source", "domain_adaptation", step=300, similarity="none")
    make_run(runs, "source_alike", "domain_adaptation", step=200, similarity="none")
    make_run(runs, "target", "domain_adaptation", step=200, similarity="none", target_only=True)
    evaluation = Evaluation()
    draw(tmp_path, evaluation)
    assert evaluation.commands[0][5:] == [
        f"--source_only={runs / 'source_alike'}",
        f"--target_only={runs / 'target'}",
    ]
    other = json.loads((runs / "target" / "config.json").read_text())
    other["settings"]["seed"] = 1
    (runs / "target" / "config.json").write_text(json.dumps(other))
    draw(tmp_path, evaluation)
    assert evaluation.commands[1][5:] == [f"--compare={runs / 'source_alike'}"]


def test_clusterings_of_mnist_are_compared_in_an_ablation(tmp_path, capsys):
    make_run(tmp_path / "runs", "a", "clustering")
    make_run(tmp_path / "runs", "b", "clustering", dataset="cifar10")
    assert "figure_5.5_ablation.png" not in [path.name for path in draw(tmp_path)]
    assert "figure 5.5 (ablation): no two runs on mnist" in capsys.readouterr().out
    make_run(tmp_path / "runs", "c", "clustering")
    assert "figure_5.5_ablation.png" in [path.name for path in draw(tmp_path)]


def test_what_fails_or_is_missing_is_said_and_the_rest_is_drawn(tmp_path, capsys):
    make_run(tmp_path / "runs", "a", "semisup")
    make_run(tmp_path / "runs", "b", "clustering")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "results.json").write_text("{")
    assert len(draw(tmp_path, Evaluation(fails=["clustering"]))) == 3
    out = capsys.readouterr().out
    assert "failed: clustering-eval: no data" in out
    assert "figure 4.2 (domains): no run; --recipe=synthetic_digits_to_svhn" in out


@pytest.mark.slow
def test_figures_are_drawn_from_real_runs(tmp_path):
    delays = {"walker_weight_envelope_delay": 10, "visit_weight_envelope_delay": 10}
    adapted = {"task": adaptation, **delays}
    for name, settings in (("digits", {}), ("adapted", adapted)):
        assert running.train(tmp_path, f"runs/{name}", max_steps=20, **settings)[0] == 0

    def evaluate(command, **options):
        package, _, binary = command[2].partition(".")
        return subprocess.CompletedProcess(
            command, *running.call(binary, *command[3:], package=package)
        )

    paths = draw(tmp_path, evaluate)
    assert [path.name for path in paths] == [
        "figure_3.2_associations.png",
        "figure_3.3_confusion.png",
        "figure_3.4_neighbours.png",
        "figure_4.2_domains.png",
    ]
    assert all(path.stat().st_size > 10_000 for path in paths)


def test_a_folder_without_runs_is_refused(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(UserError, match="holds no complete run that a figure shows"):
        draw(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        figures.FiguresConfig(folder=str(tmp_path / "nowhere"))
