"""Writes the tables of measured results: Markdown into the README files, CSV and LaTeX beside them.

    python -m scripts.tables

Every published number that a recipe reproduces gets a row for each folder of results that measured
it: the published value, ours, their difference with its 95 % confidence interval, and what our runs
took. The interval is Student's, over our seeds, and given for means alone; the published value is
taken as exact.
"""

import argparse
import dataclasses
import statistics

import pandas

from scripts import published, results
from scripts.rows import ERRORS, collected, measured
from semisup.run import writing

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
PERCENT = (*ERRORS, "accuracy", "k_means_accuracy")
NAMES = {
    "test_error": "test error",
    "least_test_error": "least test error of a run",
    "accuracy": "accuracy",
    "k_means_accuracy": "accuracy of k-means",
    "mmd": "squared MMD",
}


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: what it shows.
        lines: texts by the columns' names; the first column says what was measured.
        notes: remarks that stand below, by the numbers that the first column has of them.
    """

    title: str
    lines: list[dict[str, str]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def frame(self):
        """The texts as a data frame."""
        return pandas.DataFrame(self.lines)

    def marked(self, kind, text):
        """What the first column says of a remark: its kind and its number below the table."""
        if not text:
            return ""
        if text not in self.notes:
            self.notes.append(text)
        return f", {kind} [{self.notes.index(text) + 1}]"

    def without(self, names):
        """The table without the columns of these names."""
        frame = self.frame.drop(columns=list(names), errors="ignore")
        return dataclasses.replace(self, lines=frame.to_dict("records"))


# Columns of results/README.md alone.
DETAILS = ("difference", "each", "time a run", "on", "shuffled")


def tables(rows, link):
    """Return the tables of some rows, one for each table of the papers.

    Args:
        rows: see `rows.collected`.
        link: function from a folder of results to what links to it; its first argument is the text.
    """
    found = {}
    for row in rows:
        number = row.number
        title = "Not in the papers"
        if number:
            place = f"table {number.table}" if number.table.isdigit() else number.table
            title = f"{published.PAPERS[number.paper]}, {place}: {NAMES[row.metric]}"
        table = found.setdefault(title, Table(title))
        table.lines.append(_line(row, table, link))
    return list(found.values())


def _line(row, table, link):
    form = ".2f" if row.metric in PERCENT else ".4f"
    unit = " %" if row.metric in PERCENT else ""
    number, kind = row.number, _kind(row)
    shown = "-"
    if number and number.value is not None:
        spread = f" ± {number.std:g}" if number.std is not None else ""
        shown = f"{kind}{number.value:{form}}{unit}{spread}" if row.comparable else "not comparable"
    spread = f" ± {row.std:{form}}" if row.std is not None else ""
    difference = "-"
    if row.difference is not None:
        difference = f"{row.difference:+{form}}"
    if row.interval:
        difference += f" ({row.interval[0]:+{form}} to {row.interval[1]:+{form}})"
    return {
        "what": _what(row.what, row.changes, row.runs, row.folder, table, link),
        "published": shown,
        "ours": f"**{kind}{row.statistic:{form}}{unit}{spread}**",
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


def _what(name, changes, runs, folder, table, link):
    """Return the first cell of a line: what was run, links to its results, and remarks."""
    # The steps have a column of their own.
    flags = [f"`--{change}`" for change in results.without_budget(changes)]
    data = table.marked("**other data**", runs[0]["note"])
    return link(name, folder) + data + table.marked("settings", " ".join(flags))


def _steps(run):
    """Return the steps of a run, and how many the recipe has if they differ."""
    full = published.settings(run["recipe"]).max_steps
    return f"{run['step']:,}" + (f" of {full:,}" if run["step"] != full else "")


def least_errors_table(rows, link):
    """Return the last errors where a table of the papers has the least error: see `every`."""
    table = Table("Least errors of runs, and those of their last steps")
    for row in rows:
        if row.metric == "least_test_error":
            last = row.over_runs([measured(run, "test_error") for run in row.runs])
            table.lines.append(
                {
                    "what": _what(row.what, row.changes, row.runs, row.folder, table, link),
                    "seeds": str(len(row.runs)),
                    "steps": _steps(row.runs[0]) + _evaluations(row),
                    "least error": f"{_kind(row)}{row.statistic:.2f} %",
                    "error of the last step": f"{_kind(row)}{last:.2f} %",
                }
            )
    return table


def domains_table(folders, link):
    """Return what adaptations measured in both domains: see `every`."""
    table = Table("Both domains after adaptations")
    for folder, runs in folders:
        if not all("squared_mmd" in run for run in runs):
            continue
        coverages = [100 * run["coverage"] for run in runs if run.get("coverage") is not None]
        table.lines.append(
            {
                "recipe": _what(_recipe(runs), runs[0]["changed"], runs, folder, table, link),
                "steps": _steps(runs[0]),
                "source error": _mean([100 * run["source_error"] for run in runs], ".2f", " %"),
                "target error": _mean([100 * run["test_error"] for run in runs], ".2f", " %"),
                "coverage": _mean(coverages, ".1f", " %") + _share(coverages, runs),
                "squared MMD": _mean([run["squared_mmd"]["domains"] for run in runs], ".4f"),
                "shuffled": _mean([run["squared_mmd"]["shuffled"] for run in runs], ".4f"),
            }
        )
    return table


def clusters_table(folders, link):
    """Return how clusters agree with classes: see `every`."""
    shown = {
        "accuracy": ("accuracy", ".2f"),
        "accuracy of k-means": ("k_means_accuracy", ".2f"),
        "NMI": ("nmi", ".1f"),
        "ARI": ("ari", ".1f"),
    }
    table = Table("Clusters, matched with the classes")
    for folder, runs in folders:
        if all("nmi" in run for run in runs):
            table.lines.append(
                {
                    "recipe": _what(_recipe(runs), runs[0]["changed"], runs, folder, table, link),
                    "steps": _steps(runs[0]),
                    **{
                        column: _mean([100 * run[name] for run in runs], form, " %")
                        for column, (name, form) in shown.items()
                    },
                }
            )
    return table


def _recipe(runs):
    return f"`{runs[0]['recipe']}`"


def _share(values, runs):
    """Return how many seeds a mean is taken over, unless it is all of them."""
    return f" ({len(values)} of {len(runs)} seeds)" if 0 < len(values) < len(runs) else ""


def _mean(values, form, unit=""):
    """Format the mean of some values, with their standard deviation if there are several."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{unit}{spread}"


def every(folders, rows, link):
    """All tables that have a line.

    Args:
        folders: pairs of a folder and its results: see `results.rows`.
        rows: their rows: see `rows.collected`.
        link: see `tables`.
    """
    found = [*tables(rows, link), least_errors_table(rows, link)]
    found += [domains_table(folders, link), clusters_table(folders, link)]
    return [table for table in found if table.lines]


def linking(root):
    """Return a function that links to folders of results in Markdown: see `tables`."""
    return lambda text, folder: f"[{text}]({folder.relative_to(root).as_posix()})"


def markdown(shown):
    """Tables in Markdown."""
    parts = []
    for table in shown:
        names = list(table.lines[0])
        lines = [names, ["---"] * len(names), *(line.values() for line in table.lines)]
        parts += [f"**{table.title}**\n", *(f"| {' | '.join(line)} |" for line in lines), ""]
        parts += [f"- [{number}] {note}" for number, note in enumerate(table.notes, 1)]
        parts += [""] * bool(table.notes)
    return "\n".join(parts).rstrip()


def latex(folders, rows):
    """All tables in LaTeX (booktabs): see `every`."""
    parts = ["% Made by python -m scripts.tables; needs the package booktabs."]
    for table in every(folders, rows, lambda text, folder: text):
        parts += [
            f"\n% {table.title}",
            table.frame.map(_escaped).to_latex(index=False).rstrip(),
            *(rf"\par[{number}] {_escaped(note)}" for number, note in enumerate(table.notes, 1)),
        ]
    return "\n".join(parts) + "\n"


def _escaped(text):
    for mark in ("**", "`"):
        text = text.replace(mark, "")
    for plain, special in (
        ("%", r"\%"),
        ("_", r"\_"),
        ("&", r"\&"),
        ("±", r"$\pm$"),
        ("--", "-{}-"),
    ):
        text = text.replace(plain, special)
    return text


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
        "recipe": row.recipe,
        "changes": " ".join(row.changes),
        "results": row.folder.relative_to(results.RESULTS).as_posix(),
    }


def _number(value):
    return "" if value is None else f"{value:.6g}"


def foremost(rows):
    """The first row of each published number, and of each recipe that reproduces none.

    Args:
        rows: see `rows.collected`.
    """
    found = {}
    for row in rows:
        found.setdefault(row.number or row.recipe, row)
    return list(found.values())


def files():
    """The files that tables are written to, and what stands in them.

    The README shows the foremost rows of the papers' tables, and no details; `results/README.md`
    shows all.
    """
    root = results.RESULTS.parent
    folders = list(results.rows())
    rows = collected(folders)
    few = [table.without(DETAILS) for table in tables(foremost(rows), linking(root))]
    content = {
        results.RESULTS / "tables.csv": as_csv(rows),
        results.RESULTS / "tables.tex": latex(folders, rows),
    }
    shown = {
        root / "README.md": few,
        results.RESULTS / "README.md": every(folders, rows, linking(results.RESULTS)),
    }
    for path, found in shown.items():
        text = path.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        content[path] = f"{before}{BEGIN}\n{markdown(found)}\n{END}{after}"
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
