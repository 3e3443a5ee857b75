"""The overview of the dissertation's own numbers: what stands, what was tried, what is missing."""

import csv
import dataclasses
import itertools

from scripts import published, texts
from scripts.rows import Row

DATA = published.ROOT / "results" / "data_at_hand.csv"
GPU, TIME = "a GPU", "time"


@dataclasses.dataclass(frozen=True)
class Standing:
    """How far a number of the dissertation is reproduced.

    Attributes:
        number: the published `Number`.
        row: the `Row` that comes closest to a full measurement, or None.
        lacking: names of the data sets that it needs and that are not at hand, or only in part.
    """

    number: published.Number
    row: Row | None
    lacking: tuple[str, ...]

    @property
    def full(self):
        """The row, if several runs had the recipe's own settings, steps and data."""
        return self.row if self.row and self.row.is_full else None

    @property
    def trial(self):
        """The row, if that is not so."""
        return None if self.full else self.row

    @property
    def needs(self):
        """What a measurement at full budget needs, in words; nothing where there is one."""
        if self.full:
            return []
        recipe = self.number.recipe
        found = ["a recipe"] * (not recipe) + list(self.lacking)
        found += [GPU] * bool(recipe and published.wants_gpu(recipe))
        return found or [TIME]


def standings(rows):
    """Return the `Standing` of each of the dissertation's own numbers, in the papers' order.

    Args:
        rows: all rows: see `rows.collected`.
    """
    lacking = data_at_hand()
    found = []
    for number in filter(lambda number: number.own, published.numbers()):
        own = [row for row in rows if row.number == number]
        row = min(own, key=lambda row: row.distance, default=None)
        names = tuple(name for name in lacking if name in number.setting)
        found.append(Standing(number, row, names))
    return found


def data_at_hand():
    """Return what there is of the data sets that are not complete, by their names in the papers."""
    with open(DATA, encoding="utf-8", newline="") as file:
        return {line["data"]: line["at_hand"] for line in csv.DictReader(file)}


def counts(found):
    """Say in one sentence how many numbers were measured, and how."""
    full, trials, rest = _split(found)
    return (
        f"Of the {len(found)} numbers that are the dissertation's own, {len(full)} "
        f"{'is' if len(full) == 1 else 'are'} measured at full budget, {len(trials)} in trials, "
        f"{len(rest)} not at all."
    )


def markdown(found, link):
    """Return the overview as Markdown: the counts, the table, and what data were at hand.

    Args:
        found: see `standings`.
        link: see `texts.Table`.
    """
    missing = [standing for standing in found if not standing.full]
    data = [standing for standing in missing if standing.lacking]
    time = [standing for standing in missing if standing.needs == [TIME]]
    gpu = len(missing) - len(data) - len(time)
    at_hand = "".join(f"\n- {name}: {what}" for name, what in data_at_hand().items())
    return "\n\n".join(
        (
            f"**{counts(found)}** To be measured at full budget, {len(data)} of the others lack "
            f"data, {gpu} only a GPU, and {len(time)} only time.",
            texts.markdown([_table(found, link)]),
            f"What there was of the data that are not complete:\n{at_hand}",
        )
    )


def _table(found, link):
    table = texts.Table("", link)
    for _, group in itertools.groupby(found, lambda standing: standing.number.place):
        members = list(group)
        full, trials, _ = _split(members)
        table.lines.append(
            {
                "what": f"**{_title(members)}**",
                "published": "",
                "full budget": f"**{len(full)} of {len(members)}**",
                "trial": f"**{len(trials)} of {len(members)}**",
                "still needs": "",
            }
        )
        table.lines.extend(_line(standing, table) for standing in members)
    return table


def _title(members):
    """Return the title of a table of the papers, which may have several metrics."""
    numbers = [standing.number for standing in members]
    metrics = dict.fromkeys(texts.NAMES[number.metric] for number in numbers)
    return f"{texts.place(numbers[0])}: {', '.join(metrics)}"


def _split(found):
    """Return those that are measured at full budget, those in trials, and the rest."""
    full = [standing for standing in found if standing.full]
    trials = [standing for standing in found if standing.trial]
    return full, trials, [one for one in found if not (one.full or one.trial)]


def _line(standing, table):
    return {
        "what": standing.number.what,
        "published": texts.published(standing.number),
        "full budget": _measured(standing.full, table),
        "trial": _measured(standing.trial, table),
        "still needs": ", ".join(standing.needs) or "-",
    }


def _measured(row, table):
    """Return what a row measured, on what terms, and the difference; "-" if there is none."""
    if row is None:
        return "-"
    count = len(row.values)
    found = table.what(texts.ours(row), row.changes, row.runs, row.folder)
    found += f"; {count} seed{'s' * (count > 1)}, {texts.steps(row.runs[0])} steps"
    difference = texts.difference(row)
    return f"{found}; " + ("not comparable" if difference == "-" else difference)
