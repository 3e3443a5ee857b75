"""Options: dataclass fields that carry all that a flag needs: help, section, range.

A setting is described in one place. Its type, which `msgspec` checks, is made from that
description. Nothing here imports Keras.
"""

import dataclasses
import functools
import math
import re
from typing import Annotated, Literal

import msgspec

from semisup.cli import choices
from semisup.errors import UnusedError, UserError, shown

GREATEST = {int: 2**31 - 1, float: 1e38}
"""The greatest numbers that a setting without a limit may be: int32 and float32 hold no more."""

_TEXT = msgspec.Meta(max_length=10_000, pattern=r"\A[^\0]*\Z")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_BEYOND = re.compile(r"Expected `\w+` (>=|<=|>) ")


def is_whole_number(text, most):
    """Return whether a text is a whole number from 0 to `most`; Python reads no longer ones."""
    return text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most


def option(
    default,
    section,
    help,
    *,
    one_of=None,
    least=None,
    most=None,
    above=None,
    resume=False,
    before=None,
):
    """Make a dataclass field that becomes a flag.

    Args:
        default: default value; its type is the flag's type.
        section: heading under which `--help` lists it.
        help: one or two sentences for `--help`.
        one_of: allowed values.
        least: least allowed number.
        most: greatest allowed number.
        above: number that the value has to exceed.
        resume: whether the value may differ when a run is resumed.
        before: value that says what was done before the option existed; None: the default does.

    Returns:
        A `dataclasses.field`.
    """
    metadata = {
        "section": section,
        "help": help,
        "one_of": one_of,
        "least": least,
        "most": most,
        "above": above,
        "resume": resume,
        "before": before,
    }
    return dataclasses.field(default=default, metadata=metadata)


def loss_weight(default, help):
    """Make the option of a loss weight.

    Args:
        default: default value.
        help: see `option`.
    """
    return option(default, "Loss", help, least=0, most=1e6)


def envelope(loss, default="none"):
    """Make the option of how a loss weight grows.

    Args:
        loss: name of the loss in a sentence: "walker" for "Growth of the walker weight."
        default: default value.
    """
    return option(default, "Loss", f"Growth of the {loss} weight.", one_of=choices.ENVELOPES)


def envelope_steps(loss, default=1):
    """Make the option of how many steps a loss weight grows for: see `envelope`."""
    help = f"Steps in which the {loss} weight grows to its full value."
    return option(default, "Loss", help, least=1)


def envelope_delay(loss, default=0):
    """Make the option of when a loss weight begins to grow: see `envelope`."""
    return option(default, "Loss", f"Step at which the {loss} weight begins to grow.", least=0)


def redefault(base, name, default, **changes):
    """Make an option of a base class with another default.

    Args:
        base: dataclass that has the option.
        name: name of the option.
        default: the new default.
        **changes: what else differs: `help`, or another argument of `option`.

    Returns:
        A `dataclasses.field`.

    Raises:
        ValueError: if the base class has no such option, or an argument is unknown.
    """
    fields = base.__dataclass_fields__
    if name not in fields:
        raise ValueError(f"{base.__name__} has no option {name!r}")
    metadata = fields[name].metadata
    if unknown := sorted(changes.keys() - metadata.keys()):
        raise ValueError(f"an option has no {', '.join(unknown)}")
    return dataclasses.field(default=default, metadata={**metadata, **changes})


def as_flag(name, value):
    """Write a setting as a flag: `--name=value`; for one that is on or off, `--name` or `--noname`.

    Args:
        name: name of the setting.
        value: its value.
    """
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}={value}"


def check_unused(config, names, why):
    """Check that options without an effect have not been given.

    Args:
        config: dataclass with fields made by `option`.
        names: names of the options.
        why: ends the message "--name=value has no effect", with "without --figures" say.

    Raises:
        UnusedError: if one of them has another value than its default, or than `value_before`.
    """
    for name in names:
        value, field = getattr(config, name), config.__dataclass_fields__[name]
        if value not in (field.default, value_before(field)):
            raise UnusedError(name, f"{as_flag(name, value)} has no effect {why}")


def value_before(field):
    """Return the value of an option that says what was done before the option existed.

    Args:
        field: the field, made by `option`.
    """
    before = field.metadata["before"]
    return field.default if before is None else before


def check(config):
    """Check every value of a configuration against the type and the range of its option.

    Whole numbers become floats where the option is a float.

    Args:
        config: dataclass with fields made by `option`; changed in place, even if frozen.

    Raises:
        UserError: if a value is of another type, or out of its range.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        object.__setattr__(config, field.name, checked(field, value, f"--{field.name}"))


def checked(field, value, name):
    """Return a value for an option, of the option's type.

    Args:
        field: the field, made by `option`.
        value: the value.
        name: what the value is called in messages, `--max_steps` say.

    Returns:
        The value; a float where the option is a float.

    Raises:
        UserError: if the value is of another type, or out of the option's range.
    """
    if field.type is float and isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name}={value} is not a finite number")
    try:
        return msgspec.convert(value, type_of(field))
    except msgspec.ValidationError as error:
        raise UserError(f"{name}={shown(value)} {_reason(field, str(error))}") from None
    except UnicodeEncodeError:
        # What is compared with one of some names has to be valid Unicode; a path has not.
        raise UserError(f"{name}={shown(value)} {_reason(field, _NO_CHOICE)}") from None


def type_of(field):
    """Return the type of an option's values, with their limits, for `msgspec`.

    Args:
        field: the field, made by `option`.
    """
    limits = field.metadata
    one_of = tuple(limits["one_of"] or ())
    return _type(field.type, one_of, limits["least"], limits["most"], limits["above"])


@functools.cache
def _type(kind, one_of, least, most, above):
    if one_of:
        return Literal[one_of]
    if kind is str:
        return Annotated[str, _TEXT]
    if kind not in GREATEST:
        return kind
    greatest = GREATEST[kind]
    low = {"ge": -greatest if least is None else least} if above is None else {"gt": above}
    return Annotated[kind, msgspec.Meta(le=greatest if most is None else most, **low)]


_NO_CHOICE = "Invalid enum value"


def _reason(field, text):
    """Say what is wrong with a value, from what msgspec says of it."""
    if text.startswith(_NO_CHOICE):
        return f"is none of {', '.join(field.metadata['one_of'])}"
    beyond = _BEYOND.match(text)
    if beyond is None:
        if field.type is str and text.startswith("Expected `str` "):
            return "is too long, or holds a null character"
        return f"has to be {_KINDS[field.type]}"
    limit = text[beyond.end() :]
    if beyond[1] == ">":
        return f"has to be greater than {field.metadata['above']}"
    if beyond[1] == ">=":
        return f"is below the least value, {limit}"
    return f"is above the greatest value, {limit}"
