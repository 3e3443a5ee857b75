"""Writes the tables of measured results: Markdown into the README files, CSV and LaTeX beside them.

    python -m scripts.tables

Every published number that a recipe reproduces gets a row for each folder of results that measured
it: the published value, ours, their difference with its 95 % confidence interval, and what our runs
took. The interval is Student's, over our seeds; the published value is taken as exact.
"""

import argparse
import csv
import dataclasses
import io
import statistics
from pathlib import Path

from scripts import published, results

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
CONFIDENCE = 0.95
PERCENT = ("test_error", "accuracy", "k_means_accuracy")
NAMES = {
    "test_error": "test error",
    "accuracy": "accuracy",
    "k_means_accuracy": "accuracy of k-means",
    "mmd": "squared MMD",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """Results of one kind of run, beside the number that they reproduce.

    Attributes:
        number: the published `Number`, or None.
        recipe: name of the recipe.
        changes: settings, as `name=value`, that are neither the recipe's nor the cell's.
        metric: see `published.Number`.
        values: what each run measured, in the metric's unit.
        runs: the results.
        folder: where they lie.
    """

    number: published.Number | None
    recipe: str
    changes: tuple[str, ...]
    metric: str
    values: tuple[float, ...]
    runs: tuple[dict, ...]
    folder: Path

    @property
    def comparable(self):
        """Whether the published number was measured on such data."""
        return self.number is not None and all(run.get("comparable", True) for run in self.runs)

    @property
    def statistic(self):
        """What of our runs stands beside the published number: its own statistic of them."""
        kind = self.number.statistic if self.number else "mean"
        function = {
            "mean": statistics.mean,
            "median": statistics.median,
            "best": min if self.metric == "test_error" else max,
        }[kind]
        return function(self.values)

    @property
    def std(self):
        """Standard deviation of our runs, or None of a single one or of the best."""
        best = self.number is not None and self.number.statistic == "best"
        return statistics.stdev(self.values) if len(self.values) > 1 and not best else None

    @property
    def difference(self):
        """Ours less the published value, or None."""
        return self.statistic - self.number.value if self.comparable else None

    @property
    def interval(self):
        """Lower and upper end of the difference's confidence interval, or None."""
        if self.difference is None or self.std is None:
            return None
        from scipy import stats

        count = len(self.values)
        half = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * self.std / count**0.5
        return self.difference - half, self.difference + half

    @property
    def steps(self):
        """Steps of a run."""
        return ", ".join(f"{steps:,}" for steps in sorted({run["step"] for run in self.runs}))

    @property
    def minutes(self):
        """Median time of a run."""
        return statistics.median(run["wall_time_seconds"] for run in self.runs) / 60

    @property
    def machine(self):
        """What the runs were on."""
        return ", ".join(sorted({_machine(run) for run in self.runs}))

    @property
    def note(self):
        """What there is to say of the data."""
        return self.runs[0]["note"]

    @property
    def what(self):
        """Setting and method."""
        if self.number:
            method = "" if self.number.method == "ours" else f", {self.number.method}"
            return self.number.setting + method
        return published.headline(self.recipe).partition(": ")[0].partition(", ")[2]


def measured(run, metric):
    """What a result measured, in the metric's unit, or None."""
    if metric == "mmd":
        return run["squared_mmd"]["domains"] if "squared_mmd" in run else None
    if metric == "accuracy" and metric not in run and "test_error" in run:
        return 100 * (1 - run["test_error"])
    return 100 * run[metric] if metric in run else None


def collected():
    """The rows of all tables, in the order of the papers; what is in none of them comes last."""
    folders = list(results.rows())
    rows, used = [], set()
    for number in published.numbers():
        if not number.recipe:
            continue
        cell = published.settings(*number.cell).to_dict()
        named = published.flag_names(number.flags)
        for folder, runs in folders:
            # Where the cell's flags are the recipe's own, results do not tell them.
            if runs[0]["recipe"] != number.recipe or any(
                runs[0]["settings"][name] != cell[name] for name in named
            ):
                continue
            row = _row(number, number.metric, folder, runs, named)
            if row:
                used.add(folder)
                rows.append(row)
    for folder, runs in folders:
        if folder not in used:
            metric = "test_error" if "test_error" in runs[0] else "accuracy"
            rows.append(_row(None, metric, folder, runs, ()))
    return rows


def _row(number, metric, folder, runs, named):
    values = [measured(run, metric) for run in runs]
    is_alone = number is not None and number.statistic == "best" and len(runs) == 1
    if None in values or is_alone:
        return None
    changes = [text for text in runs[0]["changed"] if text.partition("=")[0] not in named]
    recipe = runs[0]["recipe"]
    return Row(number, recipe, tuple(changes), metric, tuple(values), tuple(runs), folder)


def _machine(run):
    hardware = run["hardware"]
    devices = ", ".join(hardware["accelerators"]) or f"{hardware['cores']} CPU cores"
    return f"{devices}, {run['settings']['precision']}"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: what it shows.
        columns: the columns' names.
        lines: cells, as many a line as there are columns.
    """

    title: str
    columns: tuple[str, ...]
    lines: list


COLUMNS = (
    "what",
    "published",
    "ours",
    "difference",
    "seeds",
    "steps",
    "time a run",
    "on",
    "results",
)


def tables(rows, link):
    """The tables of some rows, one for each table of the papers.

    Args:
        rows: see `collected`.
        link: function from a folder of results to what links to it; its first argument is the text.
    """
    found = {}
    for row in rows:
        number = row.number
        title = "Not in the papers"
        if number:
            place = f"table {number.table}" if number.table.isdigit() else number.table
            title = f"{published.PAPERS[number.paper]}, {place}: {NAMES[row.metric]}"
        found.setdefault(title, []).append(_line(row, link))
    return [Table(title, COLUMNS, lines) for title, lines in found.items()]


def _line(row, link):
    form = ".2f" if row.metric in PERCENT else ".4f"
    unit = " %" if row.metric in PERCENT else ""
    number = row.number
    kind = "" if number is None or number.statistic == "mean" else f"{number.statistic} "
    shown = "-"
    if number:
        spread = f" ± {number.std:g}" if number.std is not None else ""
        shown = f"{kind}{number.value:{form}}{unit}{spread}" if row.comparable else "not comparable"
    spread = f" ± {row.std:{form}}" if row.std is not None else ""
    difference = "-"
    if row.difference is not None:
        difference = f"{row.difference:+{form}}"
    if row.interval:
        difference += f" ({row.interval[0]:+{form}} to {row.interval[1]:+{form}})"
    values = ", ".join(f"{value:{form}}" for value in row.values)
    changes = "".join(f" `--{change}`" for change in row.changes)
    what = row.what + (f"; **{row.note}**" if row.note else "")
    return (
        what,
        shown,
        f"**{kind}{row.statistic:{form}}{unit}{spread}**",
        difference,
        f"{len(row.values)} ({values})",
        row.steps,
        f"{row.minutes:.0f} min",
        row.machine,
        link(f"`{row.recipe}`", row.folder) + changes,
    )


def domains_table(link):
    """What was measured of both domains after adaptations."""
    columns = ("results", "source error", "target error", "coverage", "squared MMD", "shuffled")
    lines = []
    for folder, runs in results.rows():
        if not all("squared_mmd" in run for run in runs):
            continue
        coverages = [100 * run["coverage"] for run in runs if run.get("coverage") is not None]
        lines.append(
            (
                _named(folder, runs, link),
                _mean([100 * run["source_error"] for run in runs], ".2f", " %"),
                _mean([100 * run["test_error"] for run in runs], ".2f", " %"),
                _mean(coverages, ".1f", " %"),
                _mean([run["squared_mmd"]["domains"] for run in runs], ".4f"),
                _mean([run["squared_mmd"]["shuffled"] for run in runs], ".4f"),
            )
        )
    return Table("Both domains after adaptations", columns, lines)


def clusters_table(link):
    """How clusters agree with classes."""
    names = {"accuracy": ".2f", "k_means_accuracy": ".2f", "nmi": ".1f", "ari": ".1f"}
    columns = ("results", "accuracy", "accuracy of k-means", "NMI", "ARI")
    lines = [
        (
            _named(folder, runs, link),
            *(_mean([100 * run[name] for run in runs], form, " %") for name, form in names.items()),
        )
        for folder, runs in results.rows()
        if all("nmi" in run for run in runs)
    ]
    return Table("Clusters, matched with the classes of the test images", columns, lines)


def _named(folder, runs, link):
    changes = "".join(f" `--{change}`" for change in runs[0]["changed"])
    note = f"; **{runs[0]['note']}**" if runs[0]["note"] else ""
    return link(f"`{runs[0]['recipe']}`", folder) + changes + note


def _mean(values, form, unit=""):
    """Mean of some values, with their standard deviation where there are several."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):{form}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{unit}{spread}"


def markdown(root):
    """All tables in Markdown, with links from a folder of the project."""

    def link(text, folder):
        return f"[{text}]({folder.relative_to(root).as_posix()})"

    parts = []
    for table in _all(link):
        parts.append(f"**{table.title}**\n")
        parts += [f"| {' | '.join(line)} |" for line in (table.columns, *table.lines)]
        parts.insert(len(parts) - len(table.lines), f"|{' --- |' * len(table.columns)}")
        parts.append("")
    return "\n".join(parts).rstrip()


def latex():
    """All tables in LaTeX (booktabs)."""

    def link(text, folder):
        return text

    parts = ["% Made by python -m scripts.tables; needs the package booktabs."]
    for table in _all(link):
        parts += [
            f"\n% {table.title}",
            rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}",
            r"\toprule",
            " & ".join(table.columns) + r" \\",
            r"\midrule",
            *(" & ".join(_escaped(cell) for cell in line) + r" \\" for line in table.lines),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    return "\n".join(parts) + "\n"


def _escaped(text):
    for mark in ("**", "`"):
        text = text.replace(mark, "")
    for plain, special in (("%", r"\%"), ("_", r"\_"), ("&", r"\&"), ("±", r"$\pm$")):
        text = text.replace(plain, special)
    return text


def _all(link):
    found = [*tables(collected(), link), domains_table(link), clusters_table(link)]
    return [table for table in found if table.lines]


def as_csv():
    """All rows as numbers, for a spreadsheet or a program."""
    names = ("paper", "table", "setting", "method", "metric", "statistic", "published")
    names += ("published_std", "comparable", "ours", "std", "seeds", "difference", "low", "high")
    names += ("steps", "minutes", "on", "note", "recipe", "changes", "results")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in collected():
        number = row.number
        own = ("paper", "table", "setting", "method", "metric", "statistic", "value", "std")
        cells = [getattr(number, name) for name in own] if number else [""] * len(own)
        cells[4] = row.metric
        low, high = row.interval or (None, None)
        writer.writerow(
            [
                *("" if cell is None else cell for cell in cells),
                row.comparable,
                *(_number(value) for value in (row.statistic, row.std)),
                len(row.values),
                *(_number(value) for value in (row.difference, low, high)),
                row.steps.replace(",", ""),
                f"{row.minutes:.1f}",
                row.machine,
                row.note,
                row.recipe,
                " ".join(row.changes),
                row.folder.relative_to(results.RESULTS).as_posix(),
            ]
        )
    return text.getvalue()


def _number(value):
    return "" if value is None else f"{value:.6g}"


def files():
    """The files that tables are written to, and what stands in them."""
    root = results.RESULTS.parent
    content = {results.RESULTS / "tables.csv": as_csv(), results.RESULTS / "tables.tex": latex()}
    for path in (root / "README.md", results.RESULTS / "README.md"):
        text = path.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        content[path] = f"{before}{BEGIN}\n{markdown(path.parent)}\n{END}{after}"
    return content


def main():
    """Writes the files."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.tables",
        description="Writes the tables of measured results, in Markdown, CSV and LaTeX.",
    )
    parser.parse_args()
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
