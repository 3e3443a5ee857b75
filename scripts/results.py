"""Collects results of runs into results/, and writes their tables.

    python scripts/results.py collect --recipe=mnist_100 RUN_DIRECTORY [RUN_DIRECTORY ...]
    python scripts/results.py table

`collect` copies `results.json` of complete runs, less the paths in it, to
`results/RECIPE/seedN.json`. Settings that are not the recipe's own (the open flags of a grid, say)
become a folder of their own, and part of the table's row. `table` shows mean and standard deviation
of the test error at the last step over the seeds, beside the published number, and writes the table
into README.md and results/README.md.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

# The source tree of this script, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from semisup import flags
from semisup.config import TrainConfig

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
RECIPES = ROOT / "semisup" / "recipes"
PATHS = ("data_dir", "cache_dir", "logdir")
# What may differ between the runs of a row: the table shows the precision in a column of its own.
FREE = (*PATHS, "seed", "precision", "jit_compile", "steps_per_execution", "deterministic")
FREE += ("overwrite", "progress", "projector", "max_checkpoints", "log_interval", "eval_interval")
FREE += ("eval_batch_size", "checkpoint_interval")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def collect(recipe, run):
    """Writes the result of a run below `results/RECIPE` and returns the path."""
    source = Path(run) / "results.json"
    if not source.is_file():
        sys.exit(f"{run} holds no results.json: is the training complete?")
    result = json.loads(source.read_text(encoding="utf-8"))
    settings = result["settings"]
    own = flags.parse(["train", f"--recipe={recipe}"], TrainConfig, recipes=RECIPES).to_dict()
    older = sorted(own.keys() - settings.keys())
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
    paths = [argument for argument in arguments if argument.partition("=")[2].startswith("/")]
    if paths:
        sys.exit(f"{run}: the command names a path of this machine: {', '.join(paths)}")
    result = {"recipe": recipe, "changed": changed, **result, "command": " ".join(arguments)}
    target = RESULTS / recipe / ",".join(changed) / f"seed{settings['seed']}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return target


def published(recipe):
    """What the first line of a recipe says: the table's cell, and the published number."""
    first = (RECIPES / f"{recipe}.flags").read_text(encoding="utf-8").splitlines()[0]
    cell, _, number = first.lstrip("# ").partition(": ")
    return cell, number.removeprefix("published ")


def table():
    """The results as a Markdown table."""
    lines = [
        "| recipe | what | published | our test error | seeds | steps | time a run | on |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for folder in sorted({path.parent for path in RESULTS.rglob("seed*.json")}):
        results = [json.loads(file.read_text()) for file in sorted(folder.glob("seed*.json"))]
        errors = [100 * result["test_error"] for result in results]
        spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
        minutes = statistics.median(result["wall_time_seconds"] for result in results) / 60
        recipe = results[0]["recipe"]
        cell, number = published(recipe)
        steps = {result["step"] for result in results}
        flag_text = "".join(f" `--{change}`" for change in results[0]["changed"])
        lines.append(
            f"| `{recipe}`{flag_text} | {cell} | {number or '-'} | "
            f"**{statistics.mean(errors):.2f} %**{spread} | "
            f"{len(errors)} ({', '.join(f'{error:.2f}' for error in errors)}) | "
            f"{', '.join(f'{count:,}' for count in sorted(steps))} | {minutes:.0f} min | "
            f"{', '.join(sorted({_machine(result) for result in results}))} |"
        )
    return "\n".join(lines)


def _machine(result):
    hardware = result["hardware"]
    devices = ", ".join(hardware["accelerators"]) or f"{hardware['cores']} CPU cores"
    return f"{devices}, {result['settings']['precision']}"


def write_table():
    """Replaces the table between the markers of the README files."""
    text = table()
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
    collecting.add_argument("runs", nargs="+")
    commands.add_parser("table", help="write the tables of the README files")
    arguments = parser.parse_args()
    if arguments.command == "collect":
        for run in arguments.runs:
            print(collect(arguments.recipe, run))
    else:
        write_table()


if __name__ == "__main__":
    main()
