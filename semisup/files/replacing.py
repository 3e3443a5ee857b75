"""Files that are replaced at once: a reader sees the former content or the new one."""

import contextlib
import errno
import fcntl
import os
import re
import secrets
from pathlib import Path

from semisup.files.opening import NOT_REGULAR

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp(\.\w+)?")

# A file system allows 255 bytes, and a temporary name has 22 beside those of the file.
_LONGEST_PART = 100


@contextlib.contextmanager
def replacing(path, overwrites=True):
    """Yield a temporary file that takes the place of a file when the block ends.

    The temporary file lies in the same folder, under a name that nobody else uses, and is flushed
    to the disk before it is renamed. It is locked for as long as the block lasts, so that
    `remove_temporary` knows those that nobody writes any more. An error in the block leaves the
    former file as it was. A link is replaced, not followed.

    Args:
        path: the file; its folder must exist.
        overwrites: whether there may be such a file.

    Yields:
        Path of the temporary file, which exists, is empty, and has the suffix of `path`, of which
        the first 100 bytes count.

    Raises:
        OSError: if `path` is a folder, a device or the like, or cannot be written; one of the
            block, too, which then names the file. `FileExistsError` if there is one that is not to
            be overwritten.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, NOT_REGULAR, str(path))
    if not overwrites and os.path.lexists(path):
        raise _taken(path)
    name, suffix = _cut(path.name), _cut(path.suffix)
    temporary = path.with_name(f".{name}.{secrets.token_hex(8)}.tmp{suffix}")
    # Created exclusively, so that it is neither a file nor a link of somebody else's.
    with named(path, temporary), temporary.open("xb") as locked:
        try:
            _lock(locked)
            yield temporary
            _flush(temporary, os.O_RDWR)
            (os.replace if overwrites else _rename)(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        # The rename itself has to survive a crash of the machine.
        _flush(path.parent, os.O_RDONLY)


def _cut(name):
    """Return as many whole characters of a name as a part of a temporary name may have."""
    while len(os.fsencode(name)) > _LONGEST_PART:
        name = name[:-1]
    return name


def _rename(temporary, path):
    """Rename a file, unless the new name is taken."""
    try:
        # Unlike a renaming, a link never replaces what is there.
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without such links.
        if os.path.lexists(path):
            raise _taken(path) from None
        os.replace(temporary, path)


def _taken(path):
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


@contextlib.contextmanager
def named(path, temporary=None):
    """Let errors of the system that a block raises name a file, if they name none.

    A full disk is found while bytes are written, when the system knows no name.

    Args:
        path: the file.
        temporary: the file that is written in its place, which says nothing to anybody.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, os.fspath(temporary or path)):
            error.filename = os.fspath(path)
        raise


def is_temporary(name):
    """Return whether a file's name is that of a temporary file of `replacing`."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_temporary(folder):
    """Remove the temporary files that killed processes left in a folder.

    Those that a process writes at present stay.

    Args:
        folder: the folder.
    """
    for name in filter(is_temporary, os.listdir(folder)):
        path = os.path.join(folder, name)
        # Another process may remove or rename it at the same time; what is no file stays.
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            try:
                if _lock(descriptor):
                    os.remove(path)
            finally:
                os.close(descriptor)


def _lock(file):
    """Lock an open file, and return whether nobody else has; a file system may know no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _flush(path, mode):
    """Make the content of a file or folder survive a crash of the machine."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
