"""The rows of the tables: results of our runs beside the numbers that they reproduce."""

import dataclasses
import statistics
from pathlib import Path

from scripts import published, results
from semisup.cli.options import value_before
from semisup.machine.environment import devices_text

CONFIDENCE = 0.95
ASSOCIATION = ("ours", "association")
"""What association is called where it is measured besides the papers' numbers."""

ERRORS = ("test_error", "least_test_error")


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
        published = self.number is not None and self.number.value is not None
        return published and all(run.get("comparable", True) for run in self.runs)

    @property
    def statistic(self):
        """What of our runs stands beside the published number."""
        return self.over_runs(self.values)

    def over_runs(self, values):
        """Compute the published number's own statistic over values, one for each run."""
        kind = self.number.statistic if self.number else "mean"
        function = {
            "mean": statistics.mean,
            "median": statistics.median,
            "best": min if self.metric in ERRORS else max,
        }[kind]
        return function(values)

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
        """Lower and upper end of the confidence interval of a mean's difference, or None."""
        is_mean = self.number is not None and self.number.statistic == "mean"
        if not is_mean or self.difference is None or self.std is None:
            return None
        from scipy import stats

        count = len(self.values)
        half = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * self.std / count**0.5
        return self.difference - half, self.difference + half

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
    def remark(self):
        """What there is to say of how it was measured, where later versions measure otherwise."""
        return remark_of(self.runs)

    @property
    def is_full(self):
        """Whether several runs had the recipe's own settings, steps and data; if not, a trial."""
        own_data = not self.note and all(run.get("comparable", True) for run in self.runs)
        return own_data and not self.changes and len(self.runs) > 1

    @property
    def is_comparison(self):
        """Whether it is no number of a paper, and of another method than association."""
        number = self.number
        return number is not None and not number.own and number.method not in ASSOCIATION

    @property
    def distance(self):
        """Sort key of the rows of a number: what comes closest to a full measurement is first."""
        return not self.is_full, -self.runs[0]["step"], -len(self.runs), len(self.changes)

    @property
    def what(self):
        """Setting and method."""
        if self.number:
            return self.number.what
        return published.headline(self.recipe).partition(": ")[0].partition(", ")[2]


def remark_of(runs):
    """The remarks of some results, each once."""
    return "; ".join(dict.fromkeys(run["remark"] for run in runs if "remark" in run))


def measured(run, metric):
    """Return what a result measured, in the metric's unit, or None."""
    if metric == "mmd":
        return run["squared_mmd"]["domains"] if "squared_mmd" in run else None
    if metric == "accuracy" and metric not in run and "test_error" in run:
        return 100 * (1 - run["test_error"])
    return 100 * run[metric] if metric in run else None


def collected(folders):
    """Collect the rows of all tables in the order of the papers; the rest comes last.

    Args:
        folders: pairs of a folder and its results: see `results.rows`.
    """
    rows, used = [], set()
    known = {runs[0]["recipe"] for _, runs in folders}
    numbers = [number for number in published.numbers() if number.recipe in known]
    # One cell of a grid may name what another one leaves open.
    telling = {recipe: set() for recipe in known}
    for number in numbers:
        telling[number.recipe].update(published.flag_names(number.flags))
    for number in numbers:
        cell = published.settings(*number.cell).to_dict()
        named = published.flag_names(number.flags)
        found = []
        for folder, runs in folders:
            # If the cell's flags are the recipe's own, results do not name them.
            if runs[0]["recipe"] != number.recipe or any(
                _setting(runs[0], name) != cell[name] for name in telling[number.recipe]
            ):
                continue
            row = _row(number, number.metric, folder, runs, named)
            if row:
                used.add(folder)
                found.append(row)
        rows += sorted(found, key=_distance)
    for folder, runs in folders:
        if folder not in used:
            metric = next(name for name in results.HEADLINES if name in runs[0])
            rows.append(_row(None, metric, folder, runs, ()))
    return rows


def _setting(run, name):
    """Return a setting of a result, or its default where it did not exist yet."""
    config_class = published.TASKS[published.task_of(run["recipe"])]
    field = config_class.__dataclass_fields__[name]
    return run["settings"].get(name, value_before(field))


def _distance(row):
    """Return the sort key of a number's rows: the recipe's own settings first, then most steps."""
    return len(results.without_budget(row.changes)), -row.runs[0]["step"]


def _row(number, metric, folder, runs, named):
    values = [measured(run, metric) for run in runs]
    is_alone = number is not None and number.statistic == "best" and len(runs) == 1
    if None in values or is_alone:
        return None
    changes = results.without(runs[0]["changed"], named)
    return Row(number, runs[0]["recipe"], changes, metric, tuple(values), tuple(runs), folder)


def _machine(run):
    return f"{devices_text(run['hardware'])}, {_setting(run, 'precision')}"
