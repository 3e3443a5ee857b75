"""Tests of the README and the other pages: what they show runs, parses, exists, is true."""

import importlib.util
import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

import clustering.config
import clustering.eval
import domain_adaptation.config
import domain_adaptation.eval
import multimodal.config
import multimodal.eval
import multimodal.search
import segmentation.config
import segmentation.eval
import segmentation.predict
import semisup.config
import semisup.eval
import semisup.export
import semisup.label
import semisup.predict
from semisup.cli import flags

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), ROOT / "results" / "README.md", *(ROOT / "docs").glob("*.md"))
}
TEXT = "\n".join(PAGES.values())


def blocks(language, text=TEXT):
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_readme_has_at_most_200_lines():
    assert len(PAGES[ROOT / "README.md"].splitlines()) <= 200


def test_package_citation_and_changelog_agree_on_the_version():
    changelog = PAGES[ROOT / "CHANGELOG.md"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    latest = re.search(r"^## \[(.+?)\]", changelog, flags=re.MULTILINE)[1]
    assert semisup.__version__ == latest
    assert f"\nversion: {latest}\n" in citation


def test_the_snippets_of_the_page_for_keras_users_run_and_learn(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    names = {}
    accuracies = []
    for snippet in blocks("python", PAGES[ROOT / "docs" / "keras.md"]):
        exec(snippet, names)
        printed = re.findall(r"^(0\.\d+|1\.0)$", capfd.readouterr().out, flags=re.MULTILINE)
        accuracies += map(float, printed)
    assert len(accuracies) == 2
    assert min(accuracies) > 0.8
    assert (tmp_path / "served" / "saved_model.pb").exists()
    wines = names["load_wine"]().target
    assert clustering.unsupervised_accuracy(wines, names["clusters"], 3, 3) > 0.75


def test_the_snippet_of_the_page_on_good_values_prints_a_length(capsys):
    (snippet,) = blocks("python", PAGES[ROOT / "docs" / "good_values.md"])
    model = semisup.AssociativeModel(keras.layers.Identity(), num_classes=2)
    model.build((None, 2))
    examples = np.array([[3.0, 4.0]], "float32")
    exec(snippet, {"keras": keras, "np": np, "model": model, "examples": examples})
    assert float(capsys.readouterr().out) == pytest.approx(5)


@pytest.mark.backend
def test_the_snippets_for_a_keras_model_run_and_learn(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)

    def images(classes):
        """A bright row at the height of the class, in noise."""
        pictures = rng.integers(0, 100, (len(classes), 10, 10, 1))
        pictures[np.arange(len(classes)), classes] += 150
        return pictures.astype("uint8")

    labels, test_labels = np.arange(100) % 10, np.arange(200) % 10
    network = keras.Sequential(
        [
            keras.Input((10, 10, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="elu"),
        ]
    )
    names = {
        "labelled_images": images(labels),
        "labels": labels,
        "unlabelled_images": images(rng.integers(0, 10, 500)),
        "test_images": images(test_labels),
        "test_labels": test_labels,
        "network": network,
    }
    training, loss, loading = blocks("python", PAGES[ROOT / "README.md"])
    assert len([line for line in training.splitlines() if line.strip()]) <= 12
    exec(training, names)
    accuracy = names["model"].evaluate(
        names["test_images"], test_labels, verbose=0, return_dict=True
    )["accuracy"]
    assert accuracy > 0.9
    names["a"], names["b"] = (rng.normal(size=(n, 4)).astype("float32") for n in (100, 30))
    exec(loss, names)
    assert np.isfinite(float(names["loss"]))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "photos").mkdir(parents=True)
    names["model"].save("runs/photos/model.keras")
    names["images"] = names["test_images"]
    exec(loading, names)
    assert np.mean(names["classes"] == test_labels) > 0.9


def commands(program):
    text = "\n".join(blocks("bash")).replace("\\\n", " ")
    lines = [line.split("#")[0] for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(program)]


@pytest.mark.parametrize(
    ("program", "package", "least"),
    [
        ("semisup", semisup, (3, 2)),
        ("domain-adaptation", domain_adaptation, (5, 1)),
        ("clustering", clustering, (3, 2)),
        ("multimodal", multimodal, (1, 1)),
        ("segmentation", segmentation, (1, 1)),
    ],
)
def test_every_train_and_eval_command_of_the_pages_has_valid_flags(program, package, least):
    train, evaluate = (commands(f"{program}-{binary}") for binary in ("train", "eval"))
    assert len(train) >= least[0]
    assert len(evaluate) >= least[1]
    recipes = ROOT / package.__name__ / "recipes"
    for arguments in train:
        config_class = package.config.TrainConfig
        config = flags.parse(["train", *arguments], config_class, recipes=recipes)
        assert isinstance(config, config_class)
    for arguments in evaluate:
        config_class = package.eval.EvalConfig
        assert isinstance(flags.parse(["eval", *arguments], config_class), config_class)


@pytest.mark.parametrize(
    ("program", "config"),
    [
        ("semisup-predict", semisup.predict.PredictConfig),
        ("semisup-label", semisup.label.LabelConfig),
        ("semisup-export", semisup.export.ExportConfig),
        ("segmentation-predict", segmentation.predict.PredictConfig),
    ],
)
def test_every_command_that_uses_a_run_has_valid_flags(program, config):
    found = commands(program)
    assert found
    for arguments in found:
        assert isinstance(flags.parse([program, *arguments], config), config)


def test_every_search_of_the_pages_has_valid_flags():
    found = commands("multimodal-search")
    assert found
    for arguments in found:
        config = flags.parse(
            ["search", *arguments], multimodal.search.SearchConfig, positional="sentence"
        )
        assert config.sentence


def test_links_lead_somewhere_and_every_page_is_linked():
    linked = set()
    for path, text in PAGES.items():
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if target.startswith("https:"):
                continue
            name, _, heading = target.partition("#")
            page = (path.parent / name).resolve()
            assert page.exists(), (path, target)
            if heading:
                titles = re.findall(r"^#+ (.+)$", PAGES[page], flags=re.MULTILINE)
                anchors = [re.sub(r"[^\w -]", "", title.lower()) for title in titles]
                assert heading in [anchor.replace(" ", "-") for anchor in anchors], (path, target)
            linked.add(page)
    pictures = set((ROOT / "docs").glob("*.png"))
    assert pictures
    assert {*PAGES, *pictures} - linked <= {ROOT / "README.md"}


def test_scripts_that_the_pages_name_exist():
    names = set(re.findall(r"((?:tests/)?scripts/\w+\.\w+)", TEXT))
    modules = set(re.findall(r"python -m (scripts\.\w+)", TEXT))
    assert names
    assert modules
    for name in names:
        assert (ROOT / name).exists(), name
    for module in modules:
        assert importlib.util.find_spec(module), module


def test_defaults_in_the_table_of_flags_are_those_of_the_flags():
    packages = (semisup, domain_adaptation, clustering, multimodal, segmentation)
    page = PAGES[ROOT / "docs" / "flags.md"]
    tasks = "domain-adaptation|clustering|multimodal|segmentation"
    tables = re.split(rf"\| `(?:{tasks})-train` \| default \|", page)
    for text, package in zip(tables, packages, strict=True):
        rows = re.findall(r"^\| (`--[^|]+) \| ([^|]+) \|", text, flags=re.MULTILINE)
        assert len(rows) >= 8
        for names, values in rows:
            flag_names = re.findall(r"--(\w+)", names)
            values = values.strip().split(", ")
            for name, value in zip(flag_names, values, strict=True):
                default = package.config.TrainConfig.__dataclass_fields__[name].default
                assert float(value.replace(",", "")) == float(default), name
