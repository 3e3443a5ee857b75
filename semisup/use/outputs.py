"""Files that a command writes anew each time, and that may not take the place of a user's own."""

from semisup.errors import UserError


def check_replaceable(path, beginning):
    """Check that a file is not there, or is an earlier one of the same kind.

    Args:
        path: `Path` of the file that will be written.
        beginning: text with which each such file begins.

    Raises:
        UserError: the file begins with something else, or is none.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise UserError(f"--output={path} is no file: give another name")
    expected = beginning.encode("utf-8")
    try:
        with path.open("rb") as file:
            found = file.read(len(expected))
    except OSError as error:
        raise UserError(f"--output={path} cannot be replaced: {error.strerror}") from None
    if found != expected:
        raise UserError(
            f"--output={path} exists, and this command has not written it: give another name"
        )
