"""Files that are replaced at once: a reader sees the former content or the new one."""

import contextlib
import errno
import os
import re
import secrets
from pathlib import Path

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
