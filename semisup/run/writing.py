"""Writers of files, of which a reader sees the former content or the new one, never a part."""

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
from pathlib import Path

from semisup.run.csv_files import write_csv

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp(\.\w+)?")


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary file that takes the place of a file when the block ends.

    The temporary file lies in the same folder, under a name that nobody else uses, and is flushed
    to the disk before it is renamed. An error in the block leaves the former file as it was. A
    link is replaced, not followed.

    Args:
        path: the file; its folder must exist.

    Yields:
        Path of the temporary file, which exists, is empty, and has the suffix of `path`.

    Raises:
        OSError: if `path` is a folder, a device or the like, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "it is no regular file", str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp{path.suffix}")
    # Created exclusively, so that it is neither a file nor a link of somebody else's.
    temporary.open("xb").close()
    try:
        yield temporary
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    # The rename itself has to survive a crash of the machine.
    _flush(path.parent, os.O_RDONLY)


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
    """Write a CSV file: see `csv_files.write_csv`.

    Args:
        path: the file; its folder must exist.
        header: names of the columns.
        rows: iterable of rows.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        write_csv(file, header, rows)


def copy(source, path):
    """Copy the content of a file.

    Args:
        source: the file to copy.
        path: the copy; its folder must exist.
    """
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)


def is_temporary(name):
    """Return whether a file's name is that of a temporary file of `replacing`."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_temporary(folder):
    """Remove the temporary files that killed processes left in a folder.

    Args:
        folder: a folder that no other process writes to.
    """
    for name in filter(is_temporary, os.listdir(folder)):
        os.remove(os.path.join(folder, name))


def _flush(path, mode):
    """Make the content of a file or folder survive a crash of the machine."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
