"""Writers of files, of which a reader sees the former content or the new one, never a part."""

import json
import shutil

from semisup.files.csv_files import write_rows
from semisup.files.replacing import replacing


def write_text(path, text):
    """Write a file of text in UTF-8.

    Args:
        path: the file; its folder must exist.
        text: its content. A character that is no valid Unicode, as a file's name may have, is
            written as an escape sequence.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path, content):
    """Write a JSON file.

    Args:
        path: the file; its folder must exist.
        content: what `json.dumps` takes.
    """
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_table(path, header, rows):
    """Write a CSV file: see `csv_files.write_rows`.

    Args:
        path: the file; its folder must exist.
        header: names of the columns.
        rows: iterable of rows.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        write_rows(file, [header])
        write_rows(file, rows)


def copy(source, path):
    """Copy the content of a file.

    Args:
        source: the file to copy.
        path: the copy; its folder must exist.
    """
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)
