"""Tables as CSV files that a spreadsheet opens without surprises."""

import csv
import os

from semisup.errors import UserError
from semisup.files.names import printable

_FORMULA = tuple("=+-@＝＋－＠")


def content(flag, path, newline=""):
    """Read the text of a user's table, without a byte order mark.

    Args:
        flag: name of the flag that names the file, for messages.
        path: the file.
        newline: see `open`; the default is that of `csv`.

    Raises:
        UserError: if it cannot be read, or is no text in UTF-8.
    """
    try:
        with open(os.path.expanduser(path), encoding="utf-8-sig", newline=newline) as file:
            return file.read()
    except UnicodeDecodeError:
        raise UserError(f"--{flag}={path} is no text in UTF-8: save it in that encoding") from None
    except OSError as error:
        raise UserError(f"--{flag}={path}: {error.strerror}") from None


def write_rows(file, rows):
    """Write rows of a table as CSV.

    A text that a spreadsheet would take for a formula is prefixed with an apostrophe. Names are
    written as `names.printable` shows them.

    Args:
        file: text file, opened with `newline=""`.
        rows: iterable of rows; a cell is a text, a number or None.
    """
    csv.writer(file).writerows([_cell(value) for value in row] for row in rows)


def read_text(cell):
    """Return the text that `write_rows` wrote into a cell, unless it had characters to escape."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _cell(value):
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
