"""Readers of JSON and TOML that a run or a user wrote: typed, and bounded in size and depth.

No content can hang, exhaust or surprise the caller: whatever is unexpected raises a `UserError`
that names the file and the field.
"""

import json
import re
import tomllib
from typing import Annotated, TypedDict

import msgspec

from semisup.errors import UserError, shown
from semisup.files.opening import open_regular

INT64 = 2**63
Integer = Annotated[int, msgspec.Meta(ge=-INT64, le=INT64 - 1)]
Number = Integer | float
Scalar = None | bool | Integer | float | str
"""What stands in a file by itself."""

_DEPTH = 8
Value = Scalar
"""Whatever JSON can say, but not nested without end."""
for _ in range(_DEPTH):
    Value = Scalar | list[Value] | dict[str, Value]


# msgspec works out at each call what a type says, but what a class says once.
class _Anything(TypedDict):
    value: Value


class _Measured(TypedDict):
    value: Number


_JSON_BYTES = 256 * 2**20
_LOG_BYTES = 2**30
# The time to read a dotted key grows with the square of its length: one second at this size.
_TOML_BYTES = 2**14
_MISSING = re.compile(r"Object missing required field `(.*?)`")


def read_json(path, type):
    """Read a JSON file that holds an object.

    Args:
        path: the file.
        type: type of the object, a `TypedDict` say. It may have further fields, of any `Value`.

    Returns:
        The object as a dictionary, or None if there is no such file.

    Raises:
        UserError: if the file is no regular file, too large, no JSON, or of other types.
    """
    content = _bytes(path, _JSON_BYTES)
    if content is None:
        return None
    return _checked(_decoded(path, content, _json), type, _Anything, path)


def read_lines(path, type):
    """Read a log of one JSON object of numbers a line.

    Args:
        path: the file.
        type: type of an object: see `read_json`.

    Returns:
        List of dictionaries, empty if there is no such file. A line that is no JSON, as a kill
        leaves it unfinished, is passed over.

    Raises:
        UserError: if the file is no regular file or too large, or a line is of other types.
    """
    entries = []
    for number, line in enumerate((_bytes(path, _LOG_BYTES) or b"").splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            entry = _json(line)
        except RecursionError:
            raise _nested(where) from None
        except ValueError:
            continue
        entries.append(_checked(entry, type, _Measured, where))
    return entries


def read_toml(path):
    """Read a TOML file that a user wrote.

    Args:
        path: the file.

    Returns:
        A dictionary of what it says, of any types, or None if there is no such file.

    Raises:
        UserError: if the file is no regular file, too large, or no TOML.
    """
    content = _bytes(path, _TOML_BYTES)
    return None if content is None else _decoded(path, content, _toml)


def _bytes(path, most):
    """Return the content of a regular file, or None if there is none."""
    try:
        with open_regular(path) as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or error) from None
    if len(content) > most:
        raise _unreadable(path, f"it has more than {most:,} bytes")
    return content


def _decoded(path, content, decode):
    try:
        return decode(content)
    except RecursionError:
        raise _nested(path) from None
    except ValueError as error:
        raise _unreadable(path, error) from None


def _json(content):
    # The standard library accepts names of files that are not valid Unicode.
    return json.loads(content.decode("utf-8"), object_pairs_hook=_object)


def _toml(content):
    return tomllib.loads(content.decode("utf-8").replace("\r\n", "\n"))


def _object(pairs):
    content = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"{shown(name)} occurs twice")
        content[name] = value
    return content


def _checked(content, type, rest, where):
    if not isinstance(content, dict):
        raise UserError(f"{where} is damaged: it holds no object")
    # The type knows nothing of other fields, whose names need not be valid Unicode.
    known = getattr(type, "__annotations__", content)
    if text := _mistake({name: content[name] for name in content if name in known}, type):
        raise UserError(f"{where} is damaged: {text}")
    for name, part in content.items():
        if text := _mistake({"value": part}, rest, name):
            raise UserError(f"{where} is damaged: {text}")
    return content


def _mistake(content, type, name=None):
    """Describe what is wrong with a content, and where; return None if nothing is.

    Args:
        content: a dictionary.
        type: its type.
        name: what its only field, `value`, is called in the file, if it is not the content itself.
    """
    try:
        msgspec.convert(content, type)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `")
        reason = _MISSING.sub(r"it lacks \1", reason).replace("`", "")
        place = place.removeprefix("$").removeprefix(".").removesuffix("`")
        field, dots, deeper = place.partition("[...]")
        if name is not None:
            place = name + place.removeprefix("value")
        elif dots and field in content:
            place = f"{field}.{_wrong_key(content, type, field)}{deeper}"
        return f"{shown(place)}: {reason}" if place else reason
    except UnicodeEncodeError as error:
        return f"{shown(error.object)} is not valid Unicode"
    return None


def _wrong_key(content, type, field):
    """Return the key at which a dictionary in a field is wrong, which msgspec does not tell."""
    for key, part in content[field].items():
        try:
            msgspec.convert({**content, field: {key: part}}, type)
        except msgspec.ValidationError as error:
            if f"`$.{field}[...]" in str(error):
                return key
    return "..."


def _unreadable(path, reason):
    return UserError(f"{path} cannot be read: {reason}")


def _nested(where):
    return UserError(f"{where} cannot be read: it is nested too deeply")
