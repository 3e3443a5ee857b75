"""Tests of the report page: against the run's files, against hostile names, and in a browser."""

import base64
import dataclasses
import hashlib
import html
import io
import json
import math
import os
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from unittest import mock
from xml.etree import ElementTree

import matplotlib.figure
import numpy as np
import pytest
import running
from PIL import Image

from clustering import metrics
from clustering.task import TASK as clustering
from domain_adaptation.task import TASK as domain_adaptation
from semisup.cli import flags
from semisup.errors import UserError
from semisup.files.names import printable
from semisup.report import illustration
from semisup.report import page as report_page
from semisup.report.page import curves, document
from semisup.run import admission, evaluation
from semisup.run.directory import RunDirectory
from semisup.task import TASK as semisup

VOID = {"br", "img", "input", "link", "meta", "wbr"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


class Tree(HTMLParser):
    """Builds a tree from a page whose elements are all closed in order."""

    def __init__(self):
        super().__init__()
        self.builder = ElementTree.TreeBuilder()
        self.open = []

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.builder.start(tag, {name: value or "" for name, value in attributes})
        if tag in VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.builder.end(tag)

    def handle_data(self, data):
        if self.open:
            self.builder.data(data)


def parse(text):
    """The page as an `ElementTree`."""
    parser = Tree()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser.builder.close()


def text_of(node):
    return " ".join("".join(node.itertext()).split())


def tables(node):
    """Rows of texts of the first table of each caption; of one without, by its place."""
    found = {}
    for place, table in enumerate(node.iter("table")):
        caption = table.find("caption")
        rows = [[text_of(cell) for cell in row] for row in table.iter("tr")]
        found.setdefault(place if caption is None else text_of(caption), rows)
    return found


def part(tree, name):
    return next(node for node in tree.iter("section") if node.get("id") == name)


def make_run(folder, task=semisup, settings=None, log=(), **files):
    """A run directory with a configuration and whatever else is given.

    Args:
        folder: where it is made.
        task: module of its task.
        settings: settings that differ from the defaults.
        log: entries of the log.
        **files: contents of JSON files by their names without the ending.
    """
    run = RunDirectory(folder / "run")
    config = task.config_class(**(settings or {}))
    run.write_json(
        "config.json",
        {
            "task": task.name,
            "settings": config.to_dict(),
            "backend": "tensorflow",
            "versions": {"python": "3.11.7", "keras": "3.15.1"},
            "git_commit": "0123abcd-dirty",
        },
    )
    for name, content in files.items():
        run.write_json(f"{name}.json", content)
    for entry in log:
        run.append_metrics({"seconds": 0.5 * entry["step"], **entry})
    return run


def write(run, task=semisup):
    with open(report_page.write(run, task), encoding="utf-8") as file:
        return file.read()


def classified(names=("cat", "dog"), seed=0):
    """What an evaluation measures on random predictions."""
    generator = np.random.default_rng(seed)
    labels, guesses = generator.integers(0, len(names), (2, 50 * len(names)))
    return evaluation.metrics(
        labels, np.where(generator.random(len(labels)) < 0.7, labels, guesses), names
    )


def losses(steps=range(10, 101, 10)):
    for step in steps:
        yield {
            "step": step,
            "losses/walker_loss": 3 / step,
            "losses/visit_loss": 0.5,
            "losses/visit_loss_above_floor": 1 / step,
            "weights/visit_loss": min(1.0, step / 50) - 0.2,
            "learning_rate": 1e-3,
            "steps_per_second": 2.5,
        }
        if step % 50 == 0:
            yield {"step": step, "test_error": 10 / step}


RESULTS = {
    "command": "python -m semisup.train --recipe=mnist_100",
    "settings": {},
    "step": 100,
    "test_error": 0.1,
    "evaluated_on": "test images",
    "images": 100,
    "live_changes": [{"step": 40, "seconds": 3.0, "learning_rate": 0.01}],
    "wall_time_seconds": 3723.4,
    "median_steps_per_second": 2.5,
    "hardware": {"processor": "a processor", "cores": 2, "accelerators": ["gpu:0"]},
}
RECORD = {
    "class_names": ["cat", "dog"],
    "image_shape": [28, 28, 1],
    "evaluation_fingerprint": "0123456789abcdef",
    "labelled_indices": [4, 7, 9],
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A run with everything but figures, and its page; not to be changed."""
    run = make_run(
        tmp_path_factory.mktemp("original"),
        settings={"max_steps": 100, "sup_per_class": 2, "progress": False},
        log=losses(),
        results=RESULTS,
        data=RECORD,
        evaluation={"step": 100, "dataset": "mnist_5k", **classified()},
    )
    write(run)
    return run


@pytest.fixture
def complete(original, tmp_path):
    """A copy of that run."""
    shutil.copytree(original.path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


@pytest.fixture(scope="module")
def page_text(original):
    """The page of a run with everything but figures."""
    with open(original.file(report_page.NAME), encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def tree(page_text):
    """That page as a tree."""
    return parse(page_text)


def test_the_headline_is_error_steps_time_and_labels(original, tree):
    content = original.read_json("evaluation.json")
    tiles = {
        text_of(tile[0]): [text_of(line) for line in tile[1:]]
        for tile in tree.iter("div")
        if tile.get("class") == "tile"
    }
    assert tiles == {
        "Error": [f"{100 * content['error']:.2f} %", "100 test images, step 100"],
        "Steps": ["100", "of 100: training complete"],
        "Wall time": ["1 h 02 min", "2.5 steps a second (median)"],
        "Labelled images": ["3", "of the training images"],
    }
    assert text_of(next(tree.iter("h1"))) == "mnist_5k"
    assert "Semi-supervised classification" in text_of(next(tree.iter("header")))


def test_settings_that_differ_come_first_and_all_are_explained(tree):
    settings = part(tree, "settings")
    assert tables(settings)["Settings that differ from the defaults"][1:] == [
        ["--max_steps", "100", "2000"],
        ["--progress", "false", "true"],
        ["--sup_per_class", "2", "10"],
    ]
    every = {}
    for row in settings.find("details").iter("tr"):
        if len(row[1]) and row[0].find("code") is not None:
            every[text_of(row[0])] = (text_of(row[1]), row[0].get("title"))
    fields = {field.name: field for field in dataclasses.fields(semisup.config_class)}
    assert set(every) == {f"--{name}" for name in fields}
    assert every["--learning_rate"] == ("0.001", fields["learning_rate"].metadata["help"])


@pytest.mark.parametrize("task", [semisup, domain_adaptation, clustering])
def test_the_command_gives_the_same_settings_again(tmp_path, task):
    settings = {
        "dataset": "folder:/data/it's $(here)",
        "deterministic": False,
        "histograms": True,
        "learning_rate": 3e-4,
        "clip_norm": 0.0,
    }
    tree = parse(
        write(make_run(tmp_path, task, {**settings, "logdir": "/x", "overwrite": True}), task)
    )
    command = next(part(tree, "to-repeat-it").iter("code"))
    words = shlex.split("".join(command.itertext()).replace("\\\n", " "))
    assert words[:3] == ["python", "-m", f"{task.name}.train"]
    assert flags.parse(words[2:], task.config_class) == task.config_class(**settings)


def test_a_folder_is_titled_by_its_last_part(tmp_path):
    tree = parse(write(make_run(tmp_path, settings={"dataset": "folder:/data/my photos"})))
    assert text_of(next(tree.iter("h1"))) == "my photos"
    assert "folder:/data/my photos" in text_of(part(tree, "settings"))


def test_the_command_names_another_backend(tmp_path):
    run = make_run(tmp_path)
    run.write_json("config.json", {**run.read_config(), "backend": "jax"})
    assert "KERAS_BACKEND=jax python -m semisup.train" in write(run)


def test_versions_commit_hardware_data_and_live_changes_are_shown(tree):
    found = tables(part(tree, "to-repeat-it"))
    assert ["keras", "3.15.1"] in found["Software"]
    assert ["git commit", "0123abcd-dirty"] in found["Software"]
    assert found["Hardware"] == [
        ["processor", "a processor"],
        ["cores", "2"],
        ["accelerators", "gpu:0"],
    ]
    assert ["labelled images", "3"] in found["Data"]
    assert ["class names", "cat, dog"] in found["Data"]
    changes = found["At the end of the training: live changes"]
    assert changes == [["step", "seconds", "learning rate"], ["40", "3", "0.01"]]


def charts(tree):
    """The charts of each group: curves by tag, each with its steps, values and legend."""
    found = {}
    for group in part(tree, "curves").iter("details"):
        drawn = found.setdefault(text_of(group.find("summary/h3")), [])
        for figure in group.iter("figure"):
            points = json.loads(figure.get("data-curves"))
            legend = [[text_of(cell) for cell in row] for row in figure.find(".//tbody")]
            drawn.append(
                {row[0]: (*curve, row[1:]) for row, curve in zip(legend, points, strict=True)}
            )
    return found


def test_curves_stand_together_by_what_their_tags_begin_with(tree):
    found = charts(tree)
    assert [[*map(list, drawn)] for drawn in found.values()] == [
        [["test_error"], ["learning_rate"], ["steps_per_second"]],
        [["walker_loss", "visit_loss"]],
        [["visit_loss_above_floor"]],
        [["visit_loss"]],
    ]
    assert list(found)[1:] == ["losses", "losses above their floor", "weights"]
    steps, values, legend = found["losses"][0]["walker_loss"]
    assert steps == list(range(10, 101, 10))
    np.testing.assert_allclose(values, 3 / np.array(steps), rtol=1e-5)
    assert legend == ["0.03", "0.03", "0.3"]


def places(svg):
    """Coordinates of the points of a chart's first curve."""
    return np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", path_of(svg)), float)


def path_of(svg):
    """The commands that draw a chart's first curve."""
    paths = (node for node in svg.iter("path") if "var(--c0)" in node.get("style", ""))
    return next(paths).get("d", "")


def marks(svg):
    """Coordinates of the points of a chart that are marked."""
    return [(float(node.get("x")), float(node.get("y"))) for node in svg.iter("use")]


def words_for(svg):
    """What a screen reader says of a picture."""
    parts = svg.get("aria-labelledby", "").split()
    return " ".join(text_of(node) for node in svg.iter() if node.get("id") in parts)


def test_curves_are_drawn_to_scale_on_both_axes(tmp_path):
    run = make_run(tmp_path, log=[{"step": s, "a/x": v} for s, v in [(0, 1), (50, 10), (200, 100)]])
    figure = next(part(parse(write(run)), "curves").iter("figure"))
    linear, log = figure.findall("svg")
    (x0, y0), (x1, y1), (x2, y2) = places(linear)
    assert (x1 - x0) / (x2 - x0) == pytest.approx(0.25, abs=2e-3)
    assert (y1 - y0) / (y2 - y0) == pytest.approx(9 / 99, abs=2e-3)
    _, (_, y1), (_, y2) = places(log)
    assert (y1 - places(log)[0, 1]) / (y2 - places(log)[0, 1]) == pytest.approx(0.5, abs=2e-3)
    assert "between 1 and 100, 100 at step 200" in words_for(log)


@pytest.mark.parametrize("values", [(5e-4, 9.7e-4), (0.3, 250), (2e6, 3e9), (1e-7, 2e-7)])
def test_ticks_say_where_values_lie(tmp_path, values):
    log = [{"step": 10 * i, "a/x": value} for i, value in enumerate(values)]
    figure = next(part(parse(write(make_run(tmp_path, log=log))), "curves").iter("figure"))
    for svg, scale in zip(figure.findall("svg"), (float, math.log10), strict=True):
        bottom, top, low, high = json.loads(svg.get("data-y"))
        ticks = [text for text in svg.iter("text") if "text-anchor: end" in text.get("style")]
        assert len(ticks) >= 2
        for tick in ticks:
            share = scale(float(text_of(tick).replace(",", "").replace("−", "-"))) - scale(low)
            place = bottom + (top - bottom) * share / (scale(high) - scale(low))
            # The text's base line lies half a letter below.
            assert float(tick.get("y")) - place == pytest.approx(4.5, abs=0.6)


def test_values_that_no_axis_has_interrupt_a_curve(tmp_path):
    values = [1.0, math.nan, 2.0, math.inf, -1.0, 0.0, 3.0]
    run = make_run(tmp_path, log=[{"step": i, "a/x": v} for i, v in enumerate(values)])
    tree = parse(write(run))
    linear, log = next(part(tree, "curves").iter("figure")).findall("svg")
    assert len(marks(linear)) == 5
    assert len(marks(log)) == 3
    # A line joins neighbours alone.
    assert [path_of(svg).count("L") for svg in (linear, log)] == [2, 0]
    assert "values above 0 only" in text_of(log)
    assert charts(tree)["a"][0]["x"] == (
        list(range(7)),
        [1, None, 2, None, -1, 0, 3],
        ["3", "-1", "3"],
    )


@pytest.mark.parametrize("value", [0.0, -2.5, 1e-30, 1e30, math.nan])
def test_a_curve_of_one_value_is_a_chart(tmp_path, value):
    tree = parse(write(make_run(tmp_path, log=[{"step": 7, "a/x": value}])))
    assert charts(tree)["a"][0]["x"][0] == [7]


def test_a_logarithmic_axis_comes_first_where_small_values_would_be_lost(tmp_path):
    log = [{"step": 1, "far/x": 1e-3, "far/y": 5.0, "near/x": 1.0, "zero/x": 0.0, "zero/y": 1e4}]
    chosen = {
        text_of(group.find("summary/h3")): next(
            node.get("class") for node in group.iter("input") if "checked" in node.attrib
        )
        for group in part(parse(write(make_run(tmp_path, log=log))), "curves").iter("details")
    }
    assert chosen == {"far": "to-log", "near": "to-linear", "zero": "to-linear"}


def test_a_long_log_is_thinned_and_keeps_its_extremes(tmp_path):
    generator = np.random.default_rng(0)
    noise = generator.normal(5, 0.1, 4000)
    noise[1234], noise[2345] = 50.0, -40.0
    log = [
        {"step": i, **{f"layer/{j}": noise[i] + j for j in range(40)}} for i in range(len(noise))
    ]
    text = write(make_run(tmp_path, log=log))
    tree = parse(text)
    assert "are thinned for drawing" in text_of(part(tree, "curves"))
    steps, values, legend = charts(tree)["layer"][0]["0"]
    assert len(steps) < 400
    assert values[steps.index(1234)] == 50
    assert values[steps.index(2345)] == -40
    assert (steps[0], steps[-1]) == (0, 3999)
    assert legend == [f"{noise[-1]:.5g}", "-40", "50"]
    assert len(text) < 2_000_000


def test_a_short_log_is_not_thinned(page_text):
    assert "thinned" not in page_text


def test_very_many_tags_are_drawn_as_their_distribution(tmp_path):
    sizes = {f"cluster_size/{i}": i for i in range(1001)}
    text = write(
        make_run(tmp_path, clustering, log=[{"step": s, **sizes} for s in (1, 2)]), clustering
    )
    (chart,) = charts(parse(text))["cluster_size"]
    assert {name: values for name, (_, values, _) in chart.items()} == {
        "least": [0, 0],
        "lower quartile": [250, 250],
        "median": [500, 500],
        "upper quartile": [750, 750],
        "greatest": [1000, 1000],
    }
    assert len(text) < 100_000


def test_some_tags_too_many_for_one_chart_are_folded_away(tmp_path):
    log = [{"step": 1, **{f"norm/{i}": i for i in range(40)}, "losses/x": 1.0}]
    tree = parse(write(make_run(tmp_path, log=log)))
    drawn = charts(tree)["norm"]
    assert all(len(chart) <= curves.CURVES for chart in drawn)
    assert [name for chart in drawn for name in chart] == [str(i) for i in range(40)]
    assert {
        text_of(group.find("summary/h3")): "open" in group.attrib
        for group in tree.iter("details")
        if group.find("summary/h3") is not None
    } == {"losses": True, "norm": False}


def test_classes_and_confusions_are_those_of_the_evaluation(original, tree):
    content = original.read_json("evaluation.json")
    shown = part(tree, "evaluation")
    found = tables(shown)
    for row, counts in zip(found["Confusion matrix"][1:], content["confusion_matrix"], strict=True):
        assert row[1:] == list(map(str, counts))
    for row, counts in zip(
        found["Accuracy of each class"][1:], content["confusion_matrix"], strict=True
    ):
        accuracy = content["per_class_accuracy"][row[0]]
        assert row[1:] == [str(sum(counts)), f"{100 * accuracy:.2f} %"]
    exact = {node.get("value") for node in shown.iter("data")}
    assert repr(content["error"]) in exact


def test_a_class_without_images_has_no_accuracy(tmp_path):
    content = evaluation.metrics([0, 0], [0, 0], ["cat", "dog"])
    found = tables(parse(write(make_run(tmp_path, evaluation={"step": 1, **content}))))
    assert found["Accuracy of each class"][2] == ["dog", "0", "–"]


def test_of_many_classes_the_most_frequent_confusions_are_listed(tmp_path):
    names = [f"class {i}" for i in range(300)]
    matrix = 100 * np.eye(300, dtype=int)
    matrix[3, 8], matrix[7, 2] = 25, 60
    content = {
        "error": 0.1,
        "per_class_accuracy": evaluation.per_class_accuracy(matrix, names),
        "confusion_matrix": matrix.tolist(),
    }
    text = write(make_run(tmp_path, evaluation=content))
    found = tables(parse(text))
    assert found["Most frequent confusions"][1:] == [
        ["class 7", "class 2", "60", "37.50 %"],
        ["class 3", "class 8", "25", "20.00 %"],
    ]
    assert len(found["Accuracy of each class"]) == 301
    assert len(text) < 200_000


def test_both_domains_their_discrepancy_and_the_coverage_are_shown(tmp_path):
    target, source = classified(seed=1), classified(seed=2)
    content = {
        "step": 100,
        "dataset": "mnist",
        "target_dataset": "mnist_m",
        **target,
        "source": source,
        "target": target,
        "squared_mmd": {"domains": 0.0625, "shuffled": 0.004},
        "coverage": 0.8125,
    }
    settings = {"dataset": "mnist", "target_dataset": "mnist_m"}
    run = make_run(tmp_path, domain_adaptation, settings, evaluation=content)
    tree = parse(write(run, domain_adaptation))
    assert text_of(next(tree.iter("h1"))) == "mnist → mnist_m"
    shown = part(tree, "evaluation")
    assert tables(shown)["Squared MMD"] == [["domains", "0.0625"], ["shuffled", "0.004"]]
    assert ["coverage", "81.25 %"] in tables(shown)["Overall"]
    domains = [text_of(node) for node in shown.iter("h3")]
    matrices = [t for t in shown.iter("table") if text_of(t.find("caption")) == "Confusion matrix"]
    assert domains == ["Source", "Target"]
    for matrix, expected in zip(matrices, (source, target), strict=True):
        counts = [[text_of(cell) for cell in row[1:]] for row in matrix.find("tbody")]
        assert counts == [list(map(str, row)) for row in expected["confusion_matrix"]]


def test_clusters_are_shown_with_the_classes_they_are_matched_with(tmp_path):
    labels, clusters = [0, 0, 0, 1, 1, 1, 1], [2, 2, 0, 1, 1, 1, 0]
    content = {
        "step": 5,
        "images": 7,
        "confidence": 0.5,
        "cluster_sizes": [2, 3, 2],
        **metrics.agreement(labels, clusters, ["cat", "dog"], 3),
    }
    tree = parse(write(make_run(tmp_path, clustering, evaluation=content), clustering))
    found = tables(tree)
    assert found["Clusters"][1:] == [["0", "2", "–"], ["1", "3", "dog"], ["2", "2", "cat"]]
    assert found["Confusion matrix"] == [
        ["class", "catcluster 2", "dogcluster 1", "cluster 0"],
        ["cat", "2", "0", "1"],
        ["dog", "0", "3", "1"],
    ]
    headline = [text_of(node) for node in tree.iter("div") if node.get("class") == "tile"]
    assert headline[0].startswith(f"Accuracy {100 * 5 / 7:.2f} %")
    assert [text[:3] for text in headline[1:3]] == ["NMI", "ARI"]


def test_clusters_without_classes_are_shown(tmp_path):
    content = {"step": 5, "images": 5, "confidence": 0.5, "cluster_sizes": [2, 3]}
    tree = parse(write(make_run(tmp_path, clustering, evaluation=content), clustering))
    assert tables(tree)["Clusters"] == [["cluster", "images"], ["0", "2"], ["1", "3"]]


def test_whatever_else_an_evaluation_holds_is_shown(tmp_path):
    content = {
        "step": 3,
        "mc_dropout": {"passes": 5, "error": 0.25, "mean_entropy_wrong": None, "auroc": 0.9375},
        "novel": {"deep": {"deeper": {"value": 1234567}}, "flag": True},
        "points": [[1.5, 2.5], [3.5, 4.5]],
        "rows": [{"a": 1, "b": "x"}, {"a": 2, "c": [1, {"d": 2}]}],
        "short": [1, 2],
        "long": list(range(2000)),
        "mixed": [1, "two", [3]],
        "empty": {},
    }
    found = tables(part(parse(write(make_run(tmp_path, evaluation=content))), "evaluation"))
    assert found["Monte Carlo dropout"] == [
        ["passes", "5"],
        ["error", "25.00 %"],
        ["mean entropy wrong", "–"],
        ["AUROC", "0.9375"],
    ]
    assert found["Novel"] == [["flag", "yes"]]
    assert found["Novel: deep: deeper"] == [["value", "1,234,567"]]
    assert found["Points"] == [["0", "1.5", "2.5"], ["1", "3.5", "4.5"]]
    assert found["Rows"][1:] == [["1", "x", "–"], ["2", "–", '[1, {"d": 2}]']]
    assert ["short", "1, 2"] in found["Overall"]
    text = text_of(part(parse(write(make_run(tmp_path, evaluation=content))), "evaluation"))
    assert "998, 999" in text
    assert "The first 1,000 of 2,000" in text
    assert "two, [3]" in text


def test_hostile_names_stay_text(tmp_path):
    names = [HOSTILE, "</style></table>"]
    content = {"step": 1, "dataset": HOSTILE, **classified(names), HOSTILE: {HOSTILE: [HOSTILE]}}
    run = make_run(
        tmp_path,
        settings={"dataset": HOSTILE, "live_config": HOSTILE},
        log=[{"step": 1, HOSTILE: 1.0, f"losses/{HOSTILE}": 2.0, f"{HOSTILE}/x": 3.0}],
        results={
            **RESULTS,
            "command": HOSTILE,
            "hardware": {HOSTILE: HOSTILE, "cores": 1, "accelerators": []},
        },
        data={**RECORD, "class_names": names},
        evaluation=content,
    )
    os.mkdir(run.file("figures"))
    Image.new("L", (3, 2)).save(run.file("figures", "<b onload=x>&.png"))
    tree = parse(write(run))
    (script,) = tree.iter("script")
    assert "".join(script.itertext()) == document.asset("page.js")
    assert not [name for node in tree.iter() for name in node.attrib if name.startswith("on")]
    assert sum(node.tag == "img" for node in tree.iter()) == 1
    assert not list(tree.iter("b"))
    assert text_of(next(tree.iter("h1"))) == HOSTILE
    assert tables(tree)["Accuracy of each class"][1][0] == HOSTILE


@pytest.mark.parametrize("name", ["caf\udce9", "new\nline", "\x1b[31mred", "\u202egpj.exe"])
def test_names_are_one_line_of_valid_unicode(tmp_path, name):
    run = make_run(
        tmp_path,
        settings={"dataset": f"folder:/{name}"},
        log=[{"step": 1, f"losses/{name}": 1.0}],
        data={**RECORD, "class_names": [name, "dog"]},
        evaluation={"step": 1, **classified([name, "dog"])},
    )
    shown = parse(write(run))
    assert text_of(next(shown.iter("h1"))) == printable(name)
    assert tables(shown)["Accuracy of each class"][1][0] == printable(name)
    assert list(charts(shown)["losses"][0]) == [printable(name)]


def test_nothing_is_loaded_from_elsewhere(tree):
    for node in tree.iter():
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert node.get(name, "#")[:1] == "#" or node.get(name).startswith("data:")
    (style,) = tree.iter("style")
    assert not re.search(r"url\(|@import", "".join(style.itertext()))
    (policy,) = (node.get("content") for node in tree.iter("meta") if "http-equiv" in node.attrib)
    (script,) = ("".join(node.itertext()) for node in tree.iter("script"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(complete, page_text):
    assert write(complete) == page_text


def test_figures_are_within_the_page_with_captions(tmp_path):
    run = make_run(tmp_path)
    os.mkdir(run.file("figures"))
    picture = Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10))
    picture.save(run.file("figures", "tsne.png"))
    picture.save(run.file("figures", "my_own.png"))
    with open(run.file("figures", "broken.png"), "w") as file:
        file.write("no picture")
    figures = part(parse(write(run)), "figures")
    images = list(figures.iter("img"))
    assert [(image.get("alt"), image.get("width")) for image in images] == [
        ("My own.", "10"),
        ("Embeddings by t-SNE.", "10"),
    ]
    with open(run.file("figures", "tsne.png"), "rb") as file:
        assert base64.b64decode(images[1].get("src").partition(",")[2]) == file.read()
    assert "Embeddings by t-SNE. figures/tsne.png" in text_of(figures)
    assert "figures/broken.png cannot be read as a picture" in text_of(figures)


@pytest.mark.parametrize("is_large", [False, True])
def test_a_figure_tells_the_step_that_it_was_drawn_at(tmp_path, is_large):
    run = make_run(tmp_path)
    size = 600 if is_large else 4
    figure = matplotlib.figure.Figure((6, 6), dpi=100)
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3))
    figure.add_axes((0, 0, 1, 1)).imshow(noise)
    (path,) = illustration.draw(run, 1200, {"tsne": lambda: figure})
    assert (os.path.getsize(path) > document.LARGE) == is_large
    shown = text_of(part(parse(write(run)), "figures"))
    assert "Embeddings by t-SNE. figures/tsne.png, step 1200" in shown


def test_large_figures_are_made_smaller(tmp_path):
    run = make_run(tmp_path)
    os.mkdir(run.file("figures"))
    pixels = np.random.default_rng(0).integers(0, 256, (300, 3000, 3), np.uint8)
    path = run.file("figures", "noise.png")
    Image.fromarray(pixels).save(path)
    assert os.path.getsize(path) > document.LARGE
    (image,) = parse(write(run)).iter("img")
    content = base64.b64decode(image.get("src").partition(",")[2])
    assert len(content) < os.path.getsize(path) / 2
    with Image.open(io.BytesIO(content)) as shown:
        assert (
            shown.size
            == (document.WIDEST, 240)
            == (int(image.get("width")), int(image.get("height")))
        )


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
    tree = parse(write(make_run(tmp_path)))
    assert "of 2,000: training not complete" in text_of(next(tree.iter("header")))
    assert "Not evaluated: semisup-eval does that." in text_of(part(tree, "evaluation"))
    assert "The log is empty so far." in text_of(part(tree, "curves"))
    assert "None drawn: --figures does that." in text_of(part(tree, "figures"))


def test_a_training_that_goes_on_shows_what_it_measured_last(tmp_path):
    tree = parse(write(make_run(tmp_path, log=losses(range(10, 71, 10)), data=RECORD)))
    headline = text_of(next(tree.iter("header")))
    assert "Test error 20.00 % evaluated images, step 50" in headline
    assert "Steps 70 of 2,000: training not complete" in headline
    assert "Wall time 35.0 s" in headline


def test_a_damaged_file_and_no_run_are_told_in_a_line(complete, tmp_path):
    with open(complete.file("evaluation.json"), "w") as file:
        file.write("{")
    with pytest.raises(UserError, match=r"evaluation\.json cannot be read"):
        write(complete)
    with pytest.raises(UserError, match=r"holds no run: it has no config\.json"):
        write(RunDirectory(tmp_path / "nothing"))
    assert not os.path.exists(tmp_path / "nothing")


def test_the_page_can_be_read_by_a_screen_reader(tree):
    assert tree.get("lang") == "en"
    assert text_of(tree.find("head/title")) == "mnist_5k, run"
    for svg in tree.iter("svg"):
        described = svg.get("role") == "img" and len(words_for(svg)) > 20
        assert described or svg.get("aria-hidden") == "true"
    for cell in tree.iter("th"):
        assert cell.get("scope") in ("row", "col")
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    assert len(set(ids)) == len(ids)
    labels = {node.get("for") for node in tree.iter("label")}
    assert labels == {node.get("id") for node in tree.iter("input")}
    for link in tree.iter("a"):
        assert link.get("href").removeprefix("#") in ids


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def blend(colour, ground, share):
    channels = [
        round(share * int(colour[i : i + 2], 16) + (1 - share) * int(ground[i : i + 2], 16))
        for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def test_text_and_curves_stand_out_in_both_colour_schemes():
    light, dark = re.findall(r":root \{(.*?)\}", document.asset("page.css"), flags=re.DOTALL)
    for scheme in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#\w{6});", scheme))
        for ground in ("page", "panel"):
            for text in ("text", "muted", "link"):
                assert contrast(colours[text], colours[ground]) >= 4.5
        assert contrast(colours["text"], colours["bar"]) >= 4.5
        for kind in ("right", "wrong"):
            for share in np.linspace(0, 0.6, 13):
                cell = blend(colours[kind], colours["page"], share)
                assert contrast(colours["text"], cell) >= 4.5
        for place in range(curves.CURVES):
            assert contrast(colours[f"c{place}"], colours["page"]) >= 3


def test_an_evaluation_writes_the_page_after_its_figures(whole, tmp_path):
    run = running.copy(whole, tmp_path)

    def draw(run, step, drawings):
        # Who follows a training sees the page before it ends.
        assert os.path.exists(run.file("report.html"))
        os.makedirs(run.file("figures"))
        Image.new("L", (4, 4)).save(run.file("figures", "tsne.png"))
        return [run.file("figures", "tsne.png")]

    with mock.patch("semisup.report.illustration.draw", draw):
        status, out, err = running.call(
            "eval", f"--logdir={run.path}", "--report", "--figures", "--follow"
        )
    assert status == 0, err
    assert out.splitlines()[-1] == f"wrote {run.file('report.html')}"
    with open(run.file("report.html"), encoding="utf-8") as file:
        tree = parse(file.read())
    assert len(list(tree.iter("img"))) == 1
    content = run.read_json("evaluation.json")
    assert repr(content["error"]) in {node.get("value") for node in tree.iter("data")}
    assert "of 60: training complete" in text_of(next(tree.iter("header")))
    logged = {tag for entry in run.read_metrics() for tag in entry} - {"step", "seconds"}
    drawn = sum(len(chart) for group in charts(tree).values() for chart in group)
    assert drawn == len(logged)


def test_a_training_that_goes_on_makes_the_page_outdated(complete):
    admission.begin(complete, semisup.config_class(max_steps=200), semisup.name, overwrite=False)
    assert not os.path.exists(complete.file("report.html"))


@pytest.fixture
def browser():
    """Path of a browser of the Chromium family."""
    names = [os.environ.get("SEMISUP_BROWSER"), "chromium", "google-chrome", "chrome"]
    found = next(filter(None, (shutil.which(name) for name in names if name)), None)
    if found is None:
        pytest.skip("no browser: SEMISUP_BROWSER names none, and PATH has no chromium or chrome")
    return found


PROBE = """
const found = [];
onload = () => {
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.documentElement;
    const seen = { width: root.clientWidth, folded: root.scrollWidth };
    page.querySelectorAll("details").forEach((node) => { node.open = true; });
    seen.unfolded = root.scrollWidth;
    const svg = page.querySelector("figure.curves svg.linear"), box = svg.getBoundingClientRect();
    const figure = svg.closest("figure");
    const legend = () => [...figure.querySelectorAll(".last")].map((node) => node.textContent);
    const pointer = (kind, x) => svg.dispatchEvent(new frame.contentWindow.PointerEvent(
      kind, { clientX: box.left + x * box.width, clientY: box.top + 20 }));
    const key = (name) => svg.dispatchEvent(
      new frame.contentWindow.KeyboardEvent("keydown", { key: name }));
    seen.before = legend();
    pointer("pointermove", 0.17);
    seen.pointed = legend();
    seen.marks = svg.querySelectorAll("circle").length;
    pointer("pointerleave", 0.17);
    seen.after = legend();
    key("End");
    key("ArrowLeft");
    seen.keyed = legend();
    const shown = (kind) => [...page.querySelectorAll(`.group:nth-child(2) .${kind}`)]
      .map((node) => frame.contentWindow.getComputedStyle(node).display);
    seen.linear = shown("chart");
    page.querySelectorAll(".to-log")[1].checked = true;
    seen.log = shown("chart");
    found.push(seen);
  }
  document.querySelector("pre").textContent = JSON.stringify(found);
};
"""


def test_in_a_browser_the_page_fits_and_shows_values(tmp_path, browser):
    names = ["a class with a long name", "-".join(["unbreakable"] * 12), *map(str, range(20))]
    run = make_run(
        tmp_path,
        settings={"dataset": "folder:/" + "long/" * 60, "architecture": "x" * 300},
        log=[{**e, **{f"norm/{'layer' * 20}_{i}": 1.0 for i in range(30)}} for e in losses()],
        results={**RESULTS, "command": "python -m semisup.train --dataset=" + "y" * 400},
        data={**RECORD, "class_names": names},
        evaluation={"step": 100, **classified(names), "unknown": "z" * 300},
    )
    os.mkdir(run.file("figures"))
    Image.new("L", (3000, 100)).save(run.file("figures", "w" * 100 + ".png"))
    content = html.escape(write(run))
    frames = "".join(
        f'<iframe srcdoc="{content}" width="{width}" height="900" style="border: 0"></iframe>'
        for width in (1280, 400)
    )
    path = tmp_path / "probe.html"
    path.write_text(f"<!DOCTYPE html><script>{PROBE}</script><pre></pre>{frames}", encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000"]
    ended = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert "CONSOLE" not in ended.stderr
    found = json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", ended.stdout)[1]))
    for seen, width in zip(found, (1280, 400), strict=True):
        assert width - 20 <= seen["width"] <= width
        assert seen["folded"] <= seen["width"]
        assert seen["unfolded"] <= seen["width"]
        assert seen["before"] == seen["after"] == ["last", "0.1"]
        assert seen["pointed"] == ["at step 50", "0.2"]
        assert seen["keyed"] == ["at step 50", "0.2"]
        assert seen["linear"] == ["block", "none"]
        assert seen["log"] == ["none", "block"]
