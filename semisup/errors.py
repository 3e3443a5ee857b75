"""The ways in which a run ends early, each with one line for the person at the shell."""

import reprlib


class UserError(Exception):
    """A mistake of the user: bad flag, missing data, damaged file.

    Binaries print it as one line and exit with status 2. The message names the offending value and
    says what would be right.
    """


class TrainingError(Exception):
    """Training cannot go on, because a loss is not finite, say. Binaries exit with status 1."""


def first_line(error):
    """The first line of what an exception of a library says, or its type if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def shown(value):
    """A value as a message shows it: on one line, and shortened.

    Args:
        value: a text, which is shown without quotation marks, or anything else.
    """
    try:
        text = value if isinstance(value, str) else reprlib.repr(value)
    except ValueError:
        text = "a number of very many digits"
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[:80])
    return line if len(text) <= 80 else f"{line}..."
