"""Options: dataclass fields that carry all that a flag needs: help, section, range.

A setting is described in one place. Nothing here imports Keras.
"""

import dataclasses
import math

from semisup.errors import UserError


def option(default, section, help, *, one_of=None, least=None, most=None, above=None, resume=False):
    """A dataclass field that becomes a flag.

    Args:
        default: default value; its type is the flag's type.
        section: heading under which `--help` lists it.
        help: one or two sentences for `--help`.
        one_of: allowed values.
        least: least allowed number.
        most: greatest allowed number.
        above: number that the value has to exceed.
        resume: whether the value may differ when a run is resumed.

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
    }
    return dataclasses.field(default=default, metadata=metadata)


def has_type(value, kind):
    """Whether a value that was read from a file can be that of a flag of a type.

    Whole numbers are numbers; true and false are neither.

    Args:
        value: the value.
        kind: bool, int, float or str.
    """
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def check_ranges(config):
    """Checks every value of a configuration against the range of its option.

    Args:
        config: dataclass with fields made by `option`.

    Raises:
        UserError: if a value is out of its range.
    """
    for field in dataclasses.fields(config):
        _check(field, getattr(config, field.name))


def _check(field, value):
    limits = field.metadata
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"--{field.name}={value} is not a finite number")
    if limits["one_of"] and value not in limits["one_of"]:
        raise UserError(f"--{field.name}={value} is none of {', '.join(limits['one_of'])}")
    if limits["least"] is not None and value < limits["least"]:
        raise UserError(f"--{field.name}={value} is below the least value, {limits['least']}")
    if limits["most"] is not None and value > limits["most"]:
        raise UserError(f"--{field.name}={value} is above the greatest value, {limits['most']}")
    if limits["above"] is not None and value <= limits["above"]:
        raise UserError(f"--{field.name}={value} has to be greater than {limits['above']}")
