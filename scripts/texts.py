"""How results are written: numbers with their units, budgets, rows, and tables of texts."""

import dataclasses
from collections.abc import Callable

from scripts import results
from scripts.published import PAPERS, settings
from scripts.rows import ERRORS, remark_of

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
        return {"recipe": what, "steps": steps(runs[0])}


def place(number):
    """Write the paper and the table of a number."""
    table = f"table {number.table}" if number.table.isdigit() else number.table
    return f"{PAPERS[number.paper]}, {table}"


def form(metric):
    """Return the format and the unit of a metric's numbers."""
    return (".2f", " %") if metric in PERCENT else (".4f", "")


def published(number):
    """Write a published number; "-" where there is none."""
    if number is None or number.value is None:
        return "-"
    shape, unit = form(number.metric)
    spread = f" ± {number.std:g}" if number.std is not None else ""
    return f"{_kind(number)}{number.value:{shape}}{unit}{spread}"


def ours(row):
    """Write what our runs measured."""
    shape, _ = form(row.metric)
    spread = f" ± {row.std:{shape}}" if row.std is not None else ""
    return f"**{statistic(row, row.statistic)}{spread}**"


def statistic(row, value):
    """Write a value of a row's statistic, which is named unless it is a mean."""
    shape, unit = form(row.metric)
    return f"{_kind(row.number)}{value:{shape}}{unit}"


def _kind(number):
    return "" if number is None or number.statistic == "mean" else f"{number.statistic} "


def difference(row):
    """Write the difference from the published number; "-" where none compares."""
    return "-" if row.difference is None else f"{row.difference:+{form(row.metric)[0]}}"


def steps(run):
    """Write the steps of a run, and how many the recipe has if they differ."""
    full = settings(run["recipe"]).max_steps
    return f"{run['step']:,}" + (f" of {full:,}" if run["step"] != full else "")


def linking(root):
    """Return a function that links to folders of results in Markdown: see `Table`."""
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
