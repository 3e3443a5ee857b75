"""Collects results of runs into results/, and writes their tables.

    python scripts/results.py collect --recipe=mnist_100 RUN_DIRECTORY [RUN_DIRECTORY ...]
    python scripts/results.py table

`collect` copies `results.json` of complete runs, less the paths in it, to
`results/RECIPE/seedN.json`. Settings that are not the recipe's own (the open flags of a grid, say)
become a folder of their own, and part of the table's row; so does what `--note` says of the data.
Where these are others than the published number's, `--not_comparable` keeps it out of the row.
What an evaluation of the last step measured besides (of an adaptation: the source's error, the
discrepancy, the coverage; of a clustering: its agreement with the classes) is kept too. `table`
shows mean and standard deviation of the test error or accuracy at the last step over the seeds,
beside the published number, and writes the tables into README.md and results/README.md.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

# The source tree of this script, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clustering.config import TrainConfig as ClusteringConfig
from domain_adaptation.config import TrainConfig as AdaptationConfig
from semisup import flags
from semisup.config import TrainConfig

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
TASKS = {
    "semisup": TrainConfig,
    "domain_adaptation": AdaptationConfig,
    "clustering": ClusteringConfig,
}
PATHS = ("data_dir", "cache_dir", "logdir", "initial_run", "live_config")
MEASURED = ("source_error", "squared_mmd", "source_only_error", "target_only_error", "coverage")
MEASURED += ("accuracy", "nmi", "ari", "k_means_accuracy")
# What may differ between the runs of a row: the table shows the precision in a column of its own.
FREE = (*PATHS, "seed", "precision", "jit_compile", "steps_per_execution", "deterministic")
FREE += ("overwrite", "progress", "projector", "max_checkpoints", "log_interval", "eval_interval")
FREE += ("eval_batch_size", "checkpoint_interval", "inspect_interval", "histograms")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def find(recipe):
    """Folder of a recipe, and the class of its configuration."""
    for task, config_class in TASKS.items():
        folder = ROOT / task / "recipes"
        if (folder / f"{recipe}.flags").is_file():
            return folder, config_class
    sys.exit(f"no recipe is called {recipe!r}")


def collect(recipe, run, note="", comparable=True):
    """Writes the result of a run below `results/RECIPE` and returns the path.

    Args:
        recipe: name of the recipe that was run.
        run: the run directory.
        note: what the row says of the data.
        comparable: whether the published number was measured on such data.
    """
    source = Path(run) / "results.json"
    if not source.is_file():
        sys.exit(f"{run} holds no results.json: is the training complete?")
    result = json.loads(source.read_text(encoding="utf-8"))
    if result.get("live_changes"):
        sys.exit(f"{run} was steered by --live_config: its settings are not those of a recipe")
    settings = result["settings"]
    folder, config_class = find(recipe)
    own = flags.parse(["train", f"--recipe={recipe}"], config_class, recipes=folder).to_dict()
    older = sorted(own.keys() - settings.keys() - set(PATHS))
    if older:
        sys.exit(f"{run} is older than the settings {', '.join(older)}")
    changed = [
        f"{name}={settings[name]}"
        for name in own
        if name not in FREE and settings[name] != own[name]
    ]
    for name in PATHS:
        settings.pop(name, None)
    arguments = [
        argument
        for argument in result["command"].split()
        if not argument.startswith(tuple(f"--{name}=" for name in PATHS))
    ]
    names_path = ("/", "folder:")
    paths = [
        argument for argument in arguments if argument.partition("=")[2].startswith(names_path)
    ]
    if paths:
        sys.exit(f"{run}: the command names a path of this machine: {', '.join(paths)}")
    result = {
        "recipe": recipe,
        "changed": changed,
        "note": note,
        "comparable": comparable,
        **result,
        "command": " ".join(arguments),
        **evaluated(run, result["step"]),
    }
    if "test_error" not in result and "accuracy" not in result:
        sys.exit(f"{run} has no evaluation of its last step: evaluate it first")
    target = RESULTS / recipe / ",".join(changed).replace("/", "_")
    target /= f"seed{settings['seed']}.json"
    for other in target.parent.glob("seed*.json"):
        if other != target and json.loads(other.read_text(encoding="utf-8"))["note"] != note:
            sys.exit(f"{other} has another --note: a row of the table has one")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return target


def evaluated(run, step):
    """What an evaluation of a run's last step measured beside its error."""
    file = Path(run) / "evaluation.json"
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"step": None}
    if content["step"] != step:
        return {}
    if "source" in content:
        content["source_error"] = content["source"]["error"]
    return {name: content[name] for name in MEASURED if name in content}


def published(results):
    """What the first line of a row's recipe says: the table's cell, and the published number."""
    recipe = results[0]["recipe"]
    folder, _ = find(recipe)
    first = (folder / f"{recipe}.flags").read_text(encoding="utf-8").splitlines()[0]
    cell, _, number = first.lstrip("# ").partition(": ")
    if not all(result.get("comparable", True) for result in results):
        return cell, "not comparable"
    return cell, number.removeprefix("published ")


def table():
    """The test errors as a Markdown table."""
    lines = [
        "| recipe | what | published | our test error | seeds | steps | time a run | on |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, results in _rows("test_error"):
        errors = [100 * result["test_error"] for result in results]
        cell, number = published(results)
        lines.append(
            f"| {name} | {cell}{_note(results)} | {number or '-'} | "
            f"**{_mean(errors, '.2f', ' %')}** | {_seeds(errors)} | {_budget(results)} |"
        )
    return "\n".join(lines)


def clusters_table():
    """The agreement of clusters with classes as a Markdown table, or nothing."""
    lines = [
        "| recipe | what | published | our accuracy | NMI | k-means on embeddings | seeds | "
        "steps | time a run | on |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, results in _rows("accuracy"):
        cell, number = published(results)
        percent = {
            key: [100 * result[key] for result in results]
            for key in ("accuracy", "nmi", "k_means_accuracy")
        }
        best = f", best {max(percent['accuracy']):.2f} %" if len(results) > 1 else ""
        lines.append(
            f"| {name} | {cell}{_note(results)} | {number.removeprefix('accuracy ') or '-'} | "
            f"**{_mean(percent['accuracy'], '.2f', ' %')}**{best} | "
            f"{_mean(percent['nmi'], '.1f', ' %')} | "
            f"{_mean(percent['k_means_accuracy'], '.2f', ' %')} | "
            f"{_seeds(percent['accuracy'])} | {_budget(results)} |"
        )
    return "\n".join(lines) if len(lines) > 2 else ""


def domains_table():
    """What was measured of both domains after adaptations, as a Markdown table, or nothing."""
    lines = [
        "| recipe | source error | target error | coverage | squared MMD | "
        "the same, domains shuffled |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, results in _rows("squared_mmd"):
        cells = [
            _mean([100 * result["source_error"] for result in results], ".2f", " %"),
            _mean([100 * result["test_error"] for result in results], ".2f", " %"),
            _mean(
                [100 * r["coverage"] for r in results if r.get("coverage") is not None], ".1f", " %"
            ),
            _mean([result["squared_mmd"]["domains"] for result in results], ".4f"),
            _mean([result["squared_mmd"]["shuffled"] for result in results], ".4f"),
        ]
        lines.append(f"| {name}{_note(results)} | {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def _rows(metric):
    """Pairs of what a table calls a folder of results, and these by seed, where all have a metric.

    Args:
        metric: name of what was measured.
    """
    for folder in sorted({path.parent for path in RESULTS.rglob("seed*.json")}):
        results = [json.loads(file.read_text()) for file in sorted(folder.glob("seed*.json"))]
        if not all(metric in result for result in results):
            continue
        changes = "".join(f" `--{change}`" for change in results[0]["changed"])
        yield f"`{results[0]['recipe']}`{changes}", results


def _note(results):
    """What a row says of the data."""
    note = results[0]["note"]
    return f"; **{note}**" if note else ""


def _seeds(values):
    """How many there are, and each of them."""
    return f"{len(values)} ({', '.join(f'{value:.2f}' for value in values)})"


def _budget(results):
    """Steps, time of a run and machines: the last three columns of a row."""
    steps = sorted({result["step"] for result in results})
    minutes = statistics.median(result["wall_time_seconds"] for result in results) / 60
    machines = sorted({_machine(result) for result in results})
    return (
        f"{', '.join(f'{count:,}' for count in steps)} | {minutes:.0f} min | {', '.join(machines)}"
    )


def _mean(values, form, unit=""):
    """Mean of some values, with their standard deviation where there are several."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{unit}{spread}"


def _machine(result):
    hardware = result["hardware"]
    devices = ", ".join(hardware["accelerators"]) or f"{hardware['cores']} CPU cores"
    return f"{devices}, {result['settings']['precision']}"


def write_table():
    """Replaces the tables between the markers of the README files."""
    text = table()
    if domains := domains_table():
        text += f"\n\nBoth domains after adaptations:\n\n{domains}"
    if clusters := clusters_table():
        text += f"\n\nClusters without labels, matched with the test images' classes:\n\n{clusters}"
    for path in (ROOT / "README.md", RESULTS / "README.md"):
        content = path.read_text(encoding="utf-8")
        before, _, rest = content.partition(BEGIN)
        _, _, after = rest.partition(END)
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    print(text)


def main():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    collecting = commands.add_parser("collect", help="copy results of runs into results/")
    collecting.add_argument("--recipe", required=True)
    collecting.add_argument("--note", default="", help="what the row says of the data")
    collecting.add_argument(
        "--not_comparable",
        action="store_true",
        help="leave the published number out of the row: it is of other data",
    )
    collecting.add_argument("runs", nargs="+")
    commands.add_parser("table", help="write the tables of the README files")
    arguments = parser.parse_args()
    if arguments.command == "collect":
        for run in arguments.runs:
            comparable = not arguments.not_comparable
            print(collect(arguments.recipe, run, arguments.note, comparable))
    else:
        write_table()


if __name__ == "__main__":
    main()
