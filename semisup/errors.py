"""Errors of users, of trainings and of calling code, and how a user is told of them in one line."""

import contextlib
import reprlib
from collections.abc import Iterator
from typing import Any

from semisup.files.names import printable


class UserError(Exception):
    """A mistake of the user: bad flag, missing data, damaged file.

    Binaries print it as one line and exit with status 2. The message names the offending value and
    says what would be right.
    """


class UnusedError(UserError):
    """A setting that has no effect beside others.

    Args:
        name: name of the setting.
        message: what the user is told.
    """

    def __init__(self, name: str, message: str):
        super().__init__(message)
        self.name = name


class TrainingError(Exception):
    """Training cannot go on, because a loss is not finite, say. Binaries exit with status 1."""


class ArgumentError(ValueError):
    """An argument that a function cannot take: a mistake of the calling code.

    Commands, whose flags become arguments, tell their users with `rephrased`.

    Args:
        argument: name of the argument.
        value: what was given; None to leave it out of the message.
        reason: what is wrong with it, and what would be right.
    """

    def __init__(self, argument: str, value: Any, reason: str):
        super().__init__(argument, value, reason)
        self.argument = argument
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        given = "" if self.value is None else f"={shown(self.value)}"
        return f"{self.argument}{given}: {self.reason}"


@contextlib.contextmanager
def rephrased(**messages: str) -> Iterator[None]:
    """Turn errors in the arguments of functions into mistakes of the user. Also a decorator.

    Args:
        **messages: for the names of arguments, the message to the user, in which `{value}` and
            `{reason}` stand for what the `ArgumentError` says. The default is the reason alone.

    Raises:
        UserError: where the code inside raises `ArgumentError`.

    Example:
        >>> with rephrased(size="--new_size={value}: {reason}"):
        ...     raise ArgumentError("size", 3, "give 8 or more")
        Traceback (most recent call last):
        semisup.errors.UserError: --new_size=3: give 8 or more
    """
    try:
        yield
    except ArgumentError as error:
        message = messages.get(error.argument, "{reason}")
        raise UserError(message.format(value=shown(error.value), reason=error.reason)) from None


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def shown(value: Any) -> str:
    """Return a value as a message shows it: on one line, and shortened.

    Args:
        value: a text, which is shown without quotation marks, or anything else.
    """
    try:
        text = value if isinstance(value, str) else reprlib.repr(value)
    except ValueError:
        text = "a number of very many digits"
    return printable(text if len(text) <= 80 else f"{text[:80]}...")
