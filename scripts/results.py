"""The collection of results of runs in results/, from which `scripts.tables` makes tables.

    python -m scripts.results --recipe=mnist_100 RUN_DIRECTORY [RUN_DIRECTORY ...]

It copies `results.json` of complete runs to `results/RECIPE/seedN.json`, with names of folders and
networks in place of their paths.
Settings that are not the recipe's own, such as the open flags of a grid, get a folder of their own
and appear in the table's row, as does what `--note` says about the data. `--not_comparable` keeps
the published number out of the row if it was measured on other data. The file also keeps what an
evaluation of the last step measured (in an adaptation the source's error, the discrepancy and the
coverage; in a clustering the agreement with the classes; of sentences that with people's scores),
the least error of all evaluations during the training, which one table of the papers shows, and
steps and settings of the run that it went on from, if any. The curve, what each evaluation during
the training measured, is what `scripts.curves` draws.
"""

import argparse
import dataclasses
import hashlib
import re
import shlex
from pathlib import Path
from typing import NotRequired, TypedDict

from scripts import published
from semisup.cli import architecture_names, flags
from semisup.cli.dataset_names import FOLDER, file_name, is_folder
from semisup.cli.flags import flags_for
from semisup.cli.options import value_before
from semisup.errors import UserError, shown
from semisup.files import reading, writing
from semisup.run import file_types
from semisup.run.directory import RunDirectory

_SUMMARY = "Collects results of complete runs into results/."
RESULTS = published.ROOT / "results"
PATHS = ("data_dir", "cache_dir", "logdir", "initial_run", "live_config", "coordinator")
MEASURED = ("source_error", "squared_mmd", "source_only_error", "target_only_error", "coverage")
MEASURED += ("accuracy", "nmi", "ari", "k_means_accuracy", "sentence_pairs", "per_class_iou")
HEADLINES = ("test_error", "accuracy", "image_to_sentence_recall_at_1", "mean_iou")
"""What a result is known by: it has one of these."""
CURVES = (*HEADLINES, "confidence", "size_entropy")
"""What a curve keeps; of a clustering's log, which has no accuracy, what the training measures."""
MOST_POINTS = 50
LONGEST_NAME = 255
"""Bytes of a folder's name that file systems allow."""
# Settings that do not change what a run is.
RUN_ALONE = ("overwrite", "progress", "projector")
# Settings that may differ within a row; the table shows the precision in a column of its own.
FREE = (*PATHS, *RUN_ALONE, "seed", "precision", "jit_compile", "steps_per_execution")
FREE += ("deterministic", "devices", "hosts", "host_index", "max_checkpoints", "log_interval")
FREE += ("eval_interval", "eval_batch_size", "checkpoint_interval", "inspect_interval")
FREE += ("histograms",)


class WentOnFrom(TypedDict):
    """The run that another one went on from."""

    step: file_types.Count
    settings: file_types.Settings


class Result(file_types.Results):
    """A file of `results/`."""

    recipe: str
    changed: list[str]
    note: str
    settings: file_types.Settings
    wall_time_seconds: file_types.Positive
    hardware: file_types.Hardware
    remark: NotRequired[str]
    comparable: NotRequired[bool]
    went_on_from: NotRequired[WentOnFrom]
    least_test_error: NotRequired[file_types.Fraction]
    evaluations: NotRequired[file_types.Count]
    curve: NotRequired[dict[str, dict[str, file_types.Finite]]]
    source_error: NotRequired[file_types.Fraction]
    source_only_error: NotRequired[file_types.Fraction]
    target_only_error: NotRequired[file_types.Fraction]
    squared_mmd: NotRequired[dict[str, file_types.Finite]]
    coverage: NotRequired[file_types.Finite | None]
    accuracy: NotRequired[file_types.Fraction]
    nmi: NotRequired[file_types.Finite]
    ari: NotRequired[file_types.Finite]
    k_means_accuracy: NotRequired[file_types.Fraction]


def _suitable_images(recipe):
    """Return what a recipe's result may be measured on, in words."""
    # No clustering reads a label: its training images are as good, where there are no others.
    is_clustering = published.task_of(recipe) == "clustering"
    return ("test images", "training images") if is_clustering else ("test images",)


def collect(recipe, run, note="", comparable=True):
    """Write the result of a run below `results/RECIPE` and return the path.

    Args:
        recipe: name of the recipe that was run.
        run: the run directory.
        note: what the row says of the data.
        comparable: whether the published number was measured on such data.

    Raises:
        UserError: if the run is incomplete, damaged, of another task, or no result of the recipe on
            test images.
    """
    directory = RunDirectory(run)
    result = _whole(directory)
    if result is None:
        raise UserError(f"{run} holds no results.json: is the training complete?")
    task, trained = published.task_of(recipe), (directory.read_config() or {}).get("task")
    if trained != task:
        raise UserError(f"{run} holds a run of {shown(trained)}: --recipe={recipe} is of {task}")
    if result.get("live_changes"):
        raise UserError(
            f"{run} was steered by --live_config: its settings are not those of a recipe"
        )
    measured_on = result.get("evaluated_on", "test images")
    if measured_on == "validation images" and result["settings"].get("target_only"):
        # A bound is chosen by nothing: what it holds out of the target are its test images.
        result["test_error"] = result["validation_error"]
    elif measured_on not in _suitable_images(recipe):
        raise UserError(f"{run} was measured on {measured_on}: a result has to be on test images")
    settings = result["settings"] = without_places(result["settings"])
    own = published.settings(recipe).to_dict()
    beginning = _beginning(run, settings)
    earlier = beginning["settings"] if beginning else {}
    changed = changes(recipe, settings) + beginning_changes(recipe, earlier)
    for name in PATHS:
        settings.pop(name, None)
    values = [*settings.values(), *earlier.values()]
    paths = [value for value in values if str(value).startswith("/")]
    if paths:
        raise UserError(f"{run}: the settings name a path of this machine: {', '.join(paths)}")
    words = ["python", "-m", f"{task}.train", f"--recipe={recipe}"]
    words += flags_for(settings, {name: own[name] for name in own if name not in RUN_ALONE})
    result = {
        "recipe": recipe,
        "changed": changed,
        "note": note,
        "comparable": comparable,
        **result,
        "command": shlex.join(words),
        **_least_error(directory, recipe),
        **_curve(directory),
        **({"went_on_from": beginning} if beginning else {}),
        **evaluated(run, result["step"]),
    }
    if result.keys().isdisjoint(HEADLINES) or _lacks_evaluation(directory, result):
        raise UserError(f"{run} has no evaluation of its last step: evaluate it first")
    target = RESULTS / place(recipe, changed, note) / f"seed{settings['seed']}.json"
    for other in sorted(set(target.parent.glob("seed*.json")) - {target}):
        found = reading.read_json(other, Result)
        if (found["note"], found.get("comparable", True)) != (note, comparable):
            raise UserError(
                f"{other} is of other data by its note, {found['note']!r}, not {note!r}, or one of "
                "them is not comparable: all results of a row have to be on the same data"
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    writing.write_json(target, result)
    return target


def without_places(settings):
    """Return settings in which folders of photographs and files of networks have their names alone.

    Args:
        settings: the settings by name.
    """
    folders = {
        name: f"{FOLDER}{file_name(settings[name])}"
        for name in ("dataset", "target_dataset")
        if is_folder(str(settings.get(name)))
    }
    if settings.get("captions"):
        folders["captions"] = Path(settings["captions"]).name
    network = str(settings.get("architecture", ""))
    if architecture_names.is_file(network):
        folders["architecture"] = Path(network).name
    elif architecture_names.is_preset(network):
        # The name of a preset, or that of its folder.
        preset = Path(network.removeprefix(architecture_names.PRESET)).name
        folders["architecture"] = architecture_names.PRESET + preset
    return {**settings, **folders}


def _whole(directory):
    """Return the results of a run with its settings, or None if there are none."""
    result = directory.read_json("results.json")
    if result is not None and "settings" not in result:
        raise UserError(f"{directory.file('results.json')} is damaged: it lacks settings")
    return result


def _least_error(directory, recipe):
    """Return the least test error of a classifier's evaluations, and how many there are."""
    if published.task_of(recipe) != "semisup":
        return {}
    errors = [entry["test_error"] for entry in directory.read_metrics() if "test_error" in entry]
    if not errors:
        raise UserError(f"{directory.path} has no evaluation in its log, metrics.jsonl")
    return {"least_test_error": min(errors), "evaluations": len(errors)}


def _curve(directory):
    """Return what the evaluations of a training measured: by name, dictionaries from steps."""
    found = {}
    for entry in directory.read_metrics():
        # A bound's test images are those that it holds out.
        values = {"test_error": entry.get("validation_error"), **entry}
        for name in CURVES:
            if values.get(name) is not None:
                found.setdefault(name, {})[str(entry["step"])] = values[name]
    thinned = {name: _thinned(points) for name, points in found.items()}
    return {"curve": thinned} if thinned else {}


def _thinned(points):
    """Return at most `MOST_POINTS` of a curve's points, evenly, the last one among them."""
    every = -(-len(points) // MOST_POINTS)
    return {step: points[step] for step in reversed(list(points)[::-every])}


def _beginning(run, settings):
    """Return steps and settings of the run that another one went on from, or None."""
    initial_run = settings.get("initial_run")
    if not initial_run:
        return None
    other = _whole(RunDirectory(initial_run))
    if other is None:
        raise UserError(f"{run} went on from {initial_run}, which holds no results.json any more")
    own = without_places(other["settings"])
    kept = {name: value for name, value in own.items() if name not in PATHS}
    return {"step": other["step"], "settings": kept}


def _lacks_evaluation(directory, result):
    """Return whether a result is one of an adaptation that an evaluation has to complete."""
    evaluation = directory.read_json("evaluation.json") or {}
    return "target_dataset" in result["settings"] and evaluation.get("step") != result["step"]


def changes(recipe, settings):
    """List how a run's settings differ from its recipe's, as sorted `name=value`.

    Settings that may differ between the runs of a row, such as seed and precision, are left out. A
    setting that did not exist yet when the run was trained counts as what was done before.

    Args:
        recipe: name of the recipe.
        settings: the settings by name.
    """
    own = published.settings(recipe)
    found = []
    for field in sorted(dataclasses.fields(own), key=lambda field: field.name):
        value = settings.get(field.name, value_before(field))
        if field.name not in FREE and value != getattr(own, field.name):
            found.append(f"{field.name}={value}")
    return found


def beginning_changes(recipe, settings):
    """List the changes of the run that a run went on from: see `changes`.

    Args:
        recipe: name of the recipe of the run that went on.
        settings: the settings of that which it went on from; empty where there is none.

    Returns:
        List of `initial_run.name=value`; of settings that are not those of the recipe that the
        first recipe names.
    """
    beginning = published.beginning(recipe)
    if beginning is None or not settings:
        return []
    return [f"initial_run.{change}" for change in changes(beginning, settings)]


def without(changed, names):
    """Return changes without those of some settings: see `changes`."""
    return tuple(text for text in changed if text.partition("=")[0] not in names)


def without_budget(changed):
    """Return changes without that of the number of steps: see `changes`."""
    return without(changed, ["max_steps"])


def place(recipe, changed, note=""):
    """Return the path of a row's folder below that of all results.

    Args:
        recipe: name of the recipe.
        changed: see `changes`.
        note: what the row says of the data; what stands before a colon names the folder.
    """
    data = [f"data={note.partition(':')[0]}"] if note else []
    whole = ",".join([*changed, *data])
    name = re.sub(r"[^a-zA-Z0-9_.,=+-]+", "_", whole)
    if len(name) > LONGEST_NAME or not whole.isascii():
        digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
        name = f"{name[: LONGEST_NAME - 17]}-{digest}"
    return Path(recipe) / name


def evaluated(run, step):
    """Return what an evaluation of a run's last step measured besides its error."""
    content = RunDirectory(run).read_json("evaluation.json") or {}
    if content.get("step") != step:
        return {}
    if "source" in content:
        content["source_error"] = content["source"]["error"]
    return {name: content[name] for name in MEASURED if name in content}


def rows():
    """Yield the rows of results: pairs of a folder and its results, by seed."""
    for folder in sorted({path.parent for path in RESULTS.rglob("seed*.json")}):
        files = sorted(folder.glob("seed*.json"), key=lambda path: int(path.stem[4:]))
        yield folder, [reading.read_json(file, Result) for file in files]


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m scripts.results", description=_SUMMARY)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--note", default="", help="what the row says of the data")
    parser.add_argument(
        "--not_comparable",
        action="store_true",
        help="leave the published number out of the row: it is of other data",
    )
    parser.add_argument("runs", nargs="+")
    arguments = parser.parse_args()

    def collect_all():
        for run in arguments.runs:
            print(collect(arguments.recipe, run, arguments.note, not arguments.not_comparable))

    flags.guard(collect_all, "results")


if __name__ == "__main__":
    main()
