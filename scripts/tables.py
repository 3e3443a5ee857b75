"""Writes the tables of measured results: Markdown into the README files, CSV and LaTeX beside them.

    python -m scripts.tables

Every published number that a recipe reproduces gets a row for each folder of results that measured
it: the published value, ours, their difference with its 95 % confidence interval, and what our runs
took. The interval is Student's, over our seeds, and given for means alone; the published value is
taken as exact. Measurements of several seeds with the recipe's own settings, steps and data come
first, and the README shows these alone; trials follow in tables of their own.
"""

import argparse
import dataclasses
import itertools
import re
import statistics
from collections.abc import Callable

import pandas

from scripts import published, results
from scripts.rows import ERRORS, collected, measured, remark_of
from semisup.run import writing

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
RECALLS = {
    f"{one}_to_{other}_recall_at_{most}": f"recall at {most} from {one} to {other}"
    for one, other in (("image", "sentence"), ("sentence", "image"))
    for most in (1, 5, 10)
}
PERCENT = (*ERRORS, "accuracy", "k_means_accuracy", "mean_iou", *RECALLS)
NAMES = {
    "test_error": "test error",
    "least_test_error": "least test error of a run",
    "accuracy": "accuracy",
    "k_means_accuracy": "accuracy of k-means",
    "mean_iou": "mean intersection over union",
    "mmd": "squared MMD",
    **RECALLS,
}


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: what it shows.
        link: function of a text and a folder of results that links to the folder.
        lines: texts by the columns' names; the first column says what was measured.
        notes: remarks that stand below, by the numbers that the first column has of them.
    """

    title: str
    link: Callable
    lines: list[dict[str, str]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def what(self, name, changes, runs, folder):
        """Return the first cell of a line: what was run, links to its results, and remarks."""
        # The steps have a column of their own.
        flags = [f"`--{change}`" for change in results.without_budget(changes)]
        found = self.link(name, folder)
        for kind, text in (
            ("**other data**", runs[0]["note"]),
            ("settings", " ".join(flags)),
            ("remark", remark_of(runs)),
        ):
            if text and text not in self.notes:
                self.notes.append(text)
            found += f", {kind} [{self.notes.index(text) + 1}]" if text else ""
        return found

    def what_of(self, row):
        """Return the first cell of the line of a `Row`."""
        return self.what(row.what, row.changes, row.runs, row.folder)

    def whole(self, runs, folder):
        """Return the first two cells of the line of a folder of results."""
        name = f"`{runs[0]['recipe']}`"
        what = self.what(name, runs[0]["changed"], runs, folder)
        return {"recipe": what, "steps": _steps(runs[0])}


def tables(rows, link):
    """Return the tables of some rows, one for each table of the papers.

    Args:
        rows: see `rows.collected`.
        link: see `Table`.
    """
    found = {}
    for row in rows:
        number = row.number
        title = "Not in the papers"
        if number:
            place = f"table {number.table}" if number.table.isdigit() else number.table
            title = f"{published.PAPERS[number.paper]}, {place}: {NAMES[row.metric]}"
        table = found.setdefault(title, Table(title, link))
        table.lines.append(_line(row, table))
    return list(found.values())


def summary(rows, link):
    """Return one table of rows from several tables of the papers.

    Args:
        rows: see `rows.collected`.
        link: see `tables`.
    """
    table = Table("", link)
    for row in rows:
        table.lines.append(
            {
                "what": table.what_of(row),
                "measure": NAMES[row.metric],
                "published": _published(row),
                "ours": _ours(row),
                "seeds": str(len(row.values)),
                "steps": _steps(row.runs[0]),
            }
        )
    return table


def _form(row):
    """Return the format and the unit of a row's numbers."""
    return (".2f", " %") if row.metric in PERCENT else (".4f", "")


def _published(row):
    number = row.number
    if number is None or number.value is None:
        return "-"
    if not row.comparable:
        return "not comparable"
    form, unit = _form(row)
    spread = f" ± {number.std:g}" if number.std is not None else ""
    return f"{_kind(row)}{number.value:{form}}{unit}{spread}"


def _ours(row):
    form, unit = _form(row)
    spread = f" ± {row.std:{form}}" if row.std is not None else ""
    return f"**{_kind(row)}{row.statistic:{form}}{unit}{spread}**"


def _line(row, table):
    form, _ = _form(row)
    difference = "-"
    if row.difference is not None:
        difference = f"{row.difference:+{form}}"
    if row.interval:
        difference += f" ({row.interval[0]:+{form}} to {row.interval[1]:+{form}})"
    return {
        "what": table.what_of(row),
        "published": _published(row),
        "ours": _ours(row),
        "difference": difference,
        "seeds": str(len(row.values)),
        "each": ", ".join(f"{value:{form}}" for value in row.values),
        "steps": _steps(row.runs[0]) + _evaluations(row),
        "time a run": f"{row.minutes:.0f} min",
        "on": row.machine,
    }


def _kind(row):
    """Return what stands before a statistic other than a mean."""
    number = row.number
    return "" if number is None or number.statistic == "mean" else f"{number.statistic} "


def _evaluations(row):
    """Return how many evaluations a least error is taken from."""
    if row.metric != "least_test_error":
        return ""
    counts = sorted({run["evaluations"] for run in row.runs})
    return f", {' or '.join(map(str, counts))} evaluations"


def _steps(run):
    """Return the steps of a run, and how many the recipe has if they differ."""
    full = published.settings(run["recipe"]).max_steps
    return f"{run['step']:,}" + (f" of {full:,}" if run["step"] != full else "")


def least_errors_table(rows, link):
    """Return the last errors where a table of the papers has the least error: see `parts`."""
    table = Table("Least errors of runs, and those of their last steps", link)
    for row in rows:
        if row.metric == "least_test_error":
            last = row.over_runs([measured(run, "test_error") for run in row.runs])
            table.lines.append(
                {
                    "what": table.what_of(row),
                    "seeds": str(len(row.runs)),
                    "steps": _steps(row.runs[0]) + _evaluations(row),
                    "least error": f"{_kind(row)}{row.statistic:.2f} %",
                    "error of the last step": f"{_kind(row)}{last:.2f} %",
                }
            )
    return table


def domains_table(folders, link):
    """Return what adaptations measured in both domains: see `parts`."""
    table = Table("Both domains after adaptations", link)
    for folder, runs in folders:
        if not all("squared_mmd" in run for run in runs):
            continue
        coverages = [100 * run["coverage"] for run in runs if run.get("coverage") is not None]
        table.lines.append(
            {
                **table.whole(runs, folder),
                "source error": _mean([100 * run["source_error"] for run in runs], ".2f", " %"),
                "target error": _mean([100 * run["test_error"] for run in runs], ".2f", " %"),
                "coverage": _mean(coverages, ".1f", " %") + _share(coverages, runs),
                "squared MMD": _mean([run["squared_mmd"]["domains"] for run in runs], ".4f"),
                "shuffled": _mean([run["squared_mmd"]["shuffled"] for run in runs], ".4f"),
            }
        )
    return table


def clusters_table(folders, link):
    """Return how clusters agree with classes: see `parts`."""
    shown = {
        "accuracy": ("accuracy", ".2f"),
        "accuracy of k-means": ("k_means_accuracy", ".2f"),
        "NMI": ("nmi", ".1f"),
        "ARI": ("ari", ".1f"),
    }
    table = Table("Clusters, matched with the classes", link)
    for folder, runs in folders:
        if all("nmi" in run for run in runs):
            table.lines.append(
                {
                    **table.whole(runs, folder),
                    **{
                        column: _mean([100 * run[name] for run in runs], form, " %")
                        for column, (name, form) in shown.items()
                    },
                }
            )
    return table


def _share(values, runs):
    """Return how many seeds a mean is taken over, unless it is all of them."""
    return f" ({len(values)} of {len(runs)} seeds)" if 0 < len(values) < len(runs) else ""


def _mean(values, form, unit=""):
    """Format the mean of some values, with their standard deviation if there are several."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{unit}{spread}"


def parts(folders, rows, link):
    """The tables of full measurements and those of trials, each in a part of its own.

    Args:
        folders: pairs of a folder and its results: see `results.rows`.
        rows: their rows: see `rows.collected`.
        link: see `Table`.

    Returns:
        Dictionary from headings to lists of tables that have a line.
    """
    full = {row.folder for row in rows if row.is_full}
    found = {}
    for heading, is_full in (("Full measurements", True), ("Trials", False)):
        own_rows = [row for row in rows if (row.folder in full) == is_full]
        own_folders = [pair for pair in folders if (pair[0] in full) == is_full]
        some = [*tables(own_rows, link), least_errors_table(own_rows, link)]
        some += [domains_table(own_folders, link), clusters_table(own_folders, link)]
        found[heading] = [table for table in some if table.lines]
    return found


def linking(root):
    """Return a function that links to folders of results in Markdown: see `tables`."""
    return lambda text, folder: f"[{text}]({folder.relative_to(root).as_posix()})"


def markdown(shown):
    """Tables in Markdown."""
    found = []
    for table in shown:
        names = list(table.lines[0])
        lines = [names, ["---"] * len(names), *(line.values() for line in table.lines)]
        found += [f"**{table.title}**\n"] * bool(table.title)
        found += [*(f"| {' | '.join(line)} |" for line in lines), ""]
        found += [f"- [{number}] {note}" for number, note in enumerate(table.notes, 1)]
        found += [""] * bool(table.notes)
    return "\n".join(found).rstrip()


def latex(folders, rows):
    """All tables in LaTeX (booktabs): see `parts`."""
    found = ["% Made by python -m scripts.tables; needs the package booktabs."]
    both = parts(folders, rows, lambda text, folder: text)
    for table in itertools.chain.from_iterable(both.values()):
        found += [
            f"\n% {table.title}",
            pandas.DataFrame(table.lines).map(_escaped).to_latex(index=False).rstrip(),
            *(rf"\par[{number}] {_escaped(note)}" for number, note in enumerate(table.notes, 1)),
        ]
    return "\n".join(found) + "\n"


def _escaped(text):
    text = re.sub(r"\*\*|`", "", text)
    text = re.sub("[%_&]", r"\\\g<0>", text)
    return text.replace("±", r"$\pm$").replace("--", "-{}-")


def as_csv(rows):
    """Format rows as numbers, for a spreadsheet or a program."""
    return pandas.DataFrame(map(_record, rows)).to_csv(index=False, lineterminator="\n")


def _record(row):
    """Return a row's cells of the spreadsheet by the names of their columns."""
    number = dataclasses.asdict(row.number) if row.number else {}
    low, high = row.interval or (None, None)
    return {
        **{name: number.get(name) for name in ("paper", "table", "setting", "method")},
        "metric": row.metric,
        "statistic": number.get("statistic"),
        "published": number.get("value"),
        "published_std": number.get("std"),
        "comparable": row.comparable,
        "ours": _number(row.statistic),
        "std": _number(row.std),
        "seeds": len(row.values),
        "difference": _number(row.difference),
        "low": _number(low),
        "high": _number(high),
        "steps": row.runs[0]["step"],
        "minutes": f"{row.minutes:.1f}",
        "on": row.machine,
        "note": row.note,
        "remark": row.remark,
        "trial": not row.is_full,
        "recipe": row.recipe,
        "changes": " ".join(row.changes),
        "results": row.folder.relative_to(results.RESULTS).as_posix(),
    }


def _number(value):
    return "" if value is None else f"{value:.6g}"


def files():
    """The files that tables are written to, and what stands in them.

    The README shows the full measurements, in one table; `results/README.md` shows all.
    """
    root = results.RESULTS.parent
    folders = list(results.rows())
    rows = sorted(collected(folders), key=lambda row: not row.is_full)
    few = summary([row for row in rows if row.is_full], linking(root))
    many = parts(folders, rows, linking(results.RESULTS))
    shown = {
        root / "README.md": markdown([few]),
        results.RESULTS / "README.md": "\n\n".join(
            f"## {heading}\n\n{markdown(part)}" for heading, part in many.items()
        ),
    }
    content = {
        results.RESULTS / "tables.csv": as_csv(rows),
        results.RESULTS / "tables.tex": latex(folders, rows),
    }
    for path, text in shown.items():
        page = path.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        content[path] = f"{before}{BEGIN}\n{text}\n{END}{after}"
    return content


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.tables",
        description="Writes the tables of measured results, in Markdown, CSV and LaTeX.",
    )
    parser.parse_args()
    for path, text in files().items():
        writing.write_text(path, text)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
