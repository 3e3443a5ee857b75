"""Opening files that somebody else may have put there: regular ones only, and without waiting."""

import errno
import os
import stat
from typing import BinaryIO

NOT_REGULAR = "it is no regular file"


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Open a regular file, or a link to one, to read it.

    Opening a named pipe would wait for a writer, and reading a device may never end.

    Args:
        path: the file.

    Returns:
        The open binary file.

    Raises:
        OSError: if it cannot be opened, or is a folder, a pipe, a socket or a device.
        ValueError: if no file can have that name.
    """
    return open(open_descriptor(path, os.O_RDONLY), "rb")


def open_descriptor(path: str | os.PathLike, flags: int) -> int:
    """Open a regular file as `os.open` does: see `open_regular`.

    Args:
        path: the file.
        flags: how it is opened; a file that is created may be read and written by everybody whom
            the process' mask lets.

    Returns:
        Its descriptor.

    Raises:
        OSError: see `open_regular`.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, NOT_REGULAR, os.fspath(path))
    return descriptor
