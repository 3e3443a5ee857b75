"""Writes the tables of measured results: Markdown into the README files, CSV and LaTeX beside them.

    python -m scripts.tables

Every published number that a recipe reproduces gets a row for each folder of results that measured
it: the published value, ours, their difference with its 95 % confidence interval, and what our runs
took. The interval is Student's, over our seeds, and given for means alone; the published value is
taken as exact. Measurements of several seeds with the recipe's own settings, steps and data come
first, and the README shows them alone; trials follow in tables of their own. Before them stands an
overview of the dissertation's own numbers, see `overview`; after them stand curves, see `curves`.
"""

import argparse
import dataclasses
import itertools
import re
import statistics

import pandas

from scripts import curves, overview, results, texts
from scripts.rows import collected, measured
from scripts.texts import Table, linking, markdown
from semisup.files import writing

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


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
            title = f"{texts.place(number)}: {texts.NAMES[row.metric]}"
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
                "measure": texts.NAMES[row.metric],
                "published": _published(row),
                "ours": texts.ours(row),
                "seeds": str(len(row.values)),
                "steps": texts.steps(row.runs[0]),
            }
        )
    return table


def _published(row):
    """Return the published number of a row, where its data allow to compare."""
    known = row.number is not None and row.number.value is not None
    return "not comparable" if known and not row.comparable else texts.published(row.number)


def _line(row, table):
    form, _ = texts.form(row.metric)
    difference = texts.difference(row)
    if row.interval:
        difference += f" ({row.interval[0]:+{form}} to {row.interval[1]:+{form}})"
    return {
        "what": table.what_of(row),
        "published": _published(row),
        "ours": texts.ours(row),
        "difference": difference,
        "seeds": str(len(row.values)),
        "each": ", ".join(f"{value:{form}}" for value in row.values),
        "steps": texts.steps(row.runs[0]) + _evaluations(row),
        "time a run": f"{row.minutes:.0f} min",
        "on": row.machine,
    }


def _evaluations(row):
    """Return how many evaluations a least error is taken from."""
    if row.metric != "least_test_error":
        return ""
    counts = sorted({run["evaluations"] for run in row.runs})
    return f", {' or '.join(map(str, counts))} evaluations"


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
                    "steps": texts.steps(row.runs[0]) + _evaluations(row),
                    "least error": texts.statistic(row, row.statistic),
                    "error of the last step": texts.statistic(row, last),
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

    The README shows the full measurements, in one table, without those of other methods that are in
    no paper; `results/README.md` shows all, after an overview of the dissertation's own numbers.
    """
    root = results.RESULTS.parent
    folders = list(results.rows())
    rows = sorted(collected(folders), key=lambda row: not row.is_full)
    standings = overview.standings(rows)
    few = summary([row for row in rows if row.is_full and not row.is_comparison], linking(root))
    link = linking(results.RESULTS)
    many = {
        "The dissertation's own numbers": overview.markdown(standings, link),
        **{heading: markdown(part) for heading, part in parts(folders, rows, link).items()},
        "Curves": curves.markdown(rows, results.RESULTS),
    }
    more = f" [Each of them]({(results.RESULTS / 'README.md').relative_to(root).as_posix()})."
    shown = {
        root / "README.md": f"{overview.counts(standings)}{more}\n\n{markdown([few])}",
        results.RESULTS / "README.md": "\n\n".join(
            f"## {heading}\n\n{part}" for heading, part in many.items()
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
    for path in curves.draw(collected(list(results.rows()))):
        print(f"drew {path}")


if __name__ == "__main__":
    main()
