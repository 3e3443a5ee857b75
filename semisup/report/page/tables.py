"""What a table of the page holds; the template `macros.html` writes it."""

import dataclasses
import json
from typing import Any, NamedTuple

from semisup.report.page import wording

ROWS = 1000
"""Rows of a table and values of a list, at most, other than those of classes."""


class Cell(NamedTuple):
    """A cell that is more than a text.

    Attributes:
        text: what it shows.
        number: the value with all digits; None if it is not a number.
        kind: CSS class.
        share: in [0, 1], how strong its colour or how long its bar is; None has none.
        hint: text shown when the pointer is on it.
        note: text below its own.
        is_code: whether the text is something to type.
    """

    text: str
    number: Any = None
    kind: str | None = None
    share: float | None = None
    hint: str | None = None
    note: str | None = None
    is_code: bool = False


@dataclasses.dataclass
class Table:
    """A table, or where it has no rows a text, with what is written around it.

    Attributes:
        rows: lists of texts and `Cell`s, each headed by its first.
        caption: what it shows.
        header: headings of the columns, texts or `Cell`s.
        kind: CSS class.
        note: text below the table.
        text: text in place of rows.
    """

    rows: list
    caption: str | None = None
    header: list = ()
    kind: str | None = None
    note: str | None = None
    text: str | None = None


def value(content, name="", **looks):
    """Make the cell of a text, number or nothing of a JSON file: see `wording.text`."""
    return Cell(
        wording.text(content, name), content if wording.is_number(content) else None, **looks
    )


def bar(share, content, name=""):
    """Make a cell with a number on a bar whose length is a share; None has no bar."""
    return value(content, name, kind="number bar", share=share)


def numbers(*headings):
    """Make the headings of columns of numbers."""
    return [Cell(heading, kind="number") for heading in headings]


def described(content, caption=None):
    """Show whatever a JSON object holds.

    Args:
        content: dictionary of anything that JSON can hold.
        caption: what it describes.

    Returns:
        List of `Table`s: one of its numbers and texts, and one or several for each name under which
        more is nested.
    """
    single = {name: part for name, part in content.items() if not is_nested(part)}
    tables = []
    if single:
        rows = [[wording.words(name), _shown(part, name)] for name, part in single.items()]
        tables.append(Table(rows[:ROWS], caption, kind="values", note=left_out(rows)))
    for name, part in content.items():
        title = f"{caption}: {wording.words(name)}" if caption else wording.title(name)
        if isinstance(part, dict):
            tables += described(part, title)
        elif name not in single:
            tables.append(_listed(name, part, title))
    return tables


def is_nested(part):
    """Return whether a value needs more room than a cell of a table."""
    if isinstance(part, list):
        return len(part) > 12 or any(isinstance(item, (dict, list)) for item in part)
    return isinstance(part, dict)


def left_out(items):
    """Say how many of some items are not shown; None if all are."""
    if len(items) <= ROWS:
        return None
    return f"The first {ROWS:,} of {len(items):,}; the JSON file in the run's directory has all."


def _shown(part, name):
    if isinstance(part, list):
        return ", ".join(wording.text(item, name) for item in part) or "none"
    return value(part, name)


def _listed(name, part, title):
    note = left_out(part)
    if all(isinstance(row, dict) for row in part):
        columns = list(dict.fromkeys(key for row in part for key in row))
        rows = [[_cell(row.get(key), key) for key in columns] for row in part[:ROWS]]
        return Table(rows, title, [wording.words(column) for column in columns], note=note)
    if all(isinstance(row, list) for row in part):
        rows = [[str(place), *map(_cell, row[:ROWS])] for place, row in enumerate(part[:ROWS])]
        return Table(rows, title, note=note)
    return Table([], title, text=", ".join(_cell(item, name) for item in part[:ROWS]), note=note)


def _cell(item, name=""):
    return json.dumps(item) if isinstance(item, (dict, list)) else wording.text(item, name)
