"""Collects results of runs into results/, and writes their tables.

    python scripts/results.py collect --recipe=mnist_100 RUN_DIRECTORY [RUN_DIRECTORY ...]
    python scripts/results.py table

`collect` copies `results.json` of complete runs, less the paths in it; `table` shows, for
each recipe, mean and standard deviation of the test error at the last step over the seeds, beside
the published number, and writes the table into README.md and results/README.md.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
RECIPES = ROOT / "semisup" / "recipes"
PATHS = ("data_dir", "cache_dir", "logdir")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def collect(recipe, run):
    """Writes the result of a run as `results/RECIPE/seedN.json` and returns the path."""
    source = Path(run) / "results.json"
    if not source.is_file():
        sys.exit(f"{run} holds no results.json: is the training complete?")
    if not (RECIPES / f"{recipe}.flags").is_file():
        sys.exit(f"no recipe is called {recipe}")
    result = json.loads(source.read_text(encoding="utf-8"))
    for name in PATHS:
        result["settings"].pop(name, None)
    flags = [
        flag for flag in result["command"].split() if flag.lstrip("-").split("=")[0] not in PATHS
    ]
    result = {"recipe": recipe, **result, "command": " ".join(flags)}
    target = RESULTS / recipe / f"seed{result['settings']['seed']}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return target


def published(recipe):
    """What the first line of a recipe says: the table's cell, and the published number."""
    first = (RECIPES / f"{recipe}.flags").read_text(encoding="utf-8").splitlines()[0]
    cell, _, number = first.lstrip("# ").partition(": ")
    return cell, number.removeprefix("published ").removeprefix("test error ")


def table():
    """The results as a Markdown table."""
    lines = [
        "| recipe | what | published error | ours, mean ± std | seeds | steps | time a run | on |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for folder in sorted(path for path in RESULTS.iterdir() if path.is_dir()):
        results = [json.loads(file.read_text()) for file in sorted(folder.glob("seed*.json"))]
        errors = [100 * result["test_error"] for result in results]
        spread = f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else ""
        minutes = statistics.median(result["wall_time_seconds"] for result in results) / 60
        cell, number = published(folder.name)
        steps = {result["step"] for result in results}
        hardware = {
            f"{result['hardware']['cores']} CPU cores, {result['settings']['precision']}"
            for result in results
        }
        lines.append(
            f"| `{folder.name}` | {cell} | {number or '-'} | "
            f"**{statistics.mean(errors):.2f} %**{spread} | "
            f"{len(errors)} ({', '.join(f'{error:.2f}' for error in errors)}) | "
            f"{', '.join(f'{count:,}' for count in sorted(steps))} | {minutes:.0f} min | "
            f"{', '.join(sorted(hardware))} |"
        )
    return "\n".join(lines)


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
