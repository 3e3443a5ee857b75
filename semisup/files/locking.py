"""Locks that processes of one machine hold on files, and that leave nothing behind a refusal."""

import contextlib
import fcntl
import math
import os
import time
from pathlib import Path

from semisup.files.opening import open_descriptor

OF_RUN = ".lock"
"""The file in a run's folder whose lock a training holds."""

_PAUSE_SECONDS = 0.05


@contextlib.contextmanager
def locked(path, patience=math.inf):
    """Hold the lock of a file for as long as a block lasts.

    The file, and its folder, are made if need be. If the block raises, and has written nothing
    into the folders that were made, they go again, as does a file that was made.

    Args:
        path: the file, which has no content.
        patience: seconds to wait for a process that holds the lock.

    Raises:
        BlockingIOError: if another process still holds it then.
        OSError: if the file cannot be made, or is a link, a pipe or the like.
    """
    path = Path(os.path.abspath(path))
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not os.path.lexists(path)
    with _taken(path, time.monotonic() + patience):
        try:
            yield
        except BaseException:
            if is_new:
                path.unlink(missing_ok=True)
            # Fails where something was written.
            with contextlib.suppress(OSError):
                for folder in made:
                    folder.rmdir()
            raise


def is_locked(path):
    """Return whether a process holds the lock of a file."""
    try:
        descriptor = open_descriptor(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _take(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _taken(path, deadline):
    while True:
        descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        try:
            # Somebody who looks whether it is locked holds the lock for an instant.
            while not _take(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise BlockingIOError(f"another process holds {path}")
                time.sleep(_PAUSE_SECONDS)
            # The one who held it may have removed the file.
            if _is_at(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _take(descriptor, kind):
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor, path):
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
