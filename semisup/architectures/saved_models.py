"""The gate that every `.keras` file passes: what it may name, and how large it may be.

Nothing that a file names is imported or run unless it is of Keras, of Keras Hub, or registered by
the calling program or by this package. What is wrong or missing is named in one line.
"""

import json
import math
import os
import zipfile

import keras

from semisup.architectures import hub
from semisup.errors import UserError, first_line, shown
from semisup.files.opening import open_regular

_PACKAGES = {"keras", "keras_hub"}
_CONFIG = "config.json"
_CONFIG_BYTES = 2**26
_INT64 = 2**63
# Names of a layer's arguments on whose product the number of its weights depends.
_WIDTHS = ("units", "filters", "input_dim", "output_dim", "kernel_size", "num_heads", "key_dim")
# A layer of few weights may have wide arguments: a separable convolution, say.
_MOST_WEIGHTS_PER_BYTE = 64


def load(path, **options):
    """Load a `.keras` file.

    Args:
        path: the file.
        **options: arguments of `keras.saving.load_model`.

    Returns:
        The model.

    Raises:
        UserError: if the file is no such model, is larger than it says, or holds classes or
            functions that are not registered.
    """
    try:
        config, size = _read_config(path)
    except Exception as error:
        # A damaged file can raise nearly anything.
        raise _unreadable(path, error) from None
    parts = list(_parts(config))
    if any(str(part.get("registered_name")).startswith(f"{hub.PACKAGE}>") for part in parts):
        hub.imported(path)
    missing = list(dict.fromkeys(filter(None, map(_missing, parts))))
    if missing:
        raise UserError(
            f"{path} cannot be loaded, since nothing is registered as "
            f"{shown(', '.join(missing))}: decorate each class or function with "
            "@keras.saving.register_keras_serializable(), save the model again, and import the "
            "module before it is loaded"
        )
    for part in parts:
        if reason := _excess(part, size):
            raise UserError(f"{path} cannot be loaded: {reason}")
    try:
        # Lambda layers, and whatever else could run code of the file, are refused.
        return keras.saving.load_model(path, safe_mode=True, **options)
    except Exception as error:
        raise _unreadable(path, error) from None


def _unreadable(path, error):
    reason = getattr(error, "strerror", None) or first_line(error)
    return UserError(f"{path} cannot be read as a Keras model: {shown(reason)}")


def _read_config(path):
    """Return the configuration in a file, and the bytes of all that the file holds."""
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if size > memory:
            raise ValueError(f"it holds {size:,} bytes, more than the memory of this machine")
        if archive.getinfo(_CONFIG).file_size > _CONFIG_BYTES:
            raise ValueError(f"its {_CONFIG} has more than {_CONFIG_BYTES:,} bytes")
        return json.loads(archive.read(_CONFIG)), size


def _parts(config):
    """Yield the dictionaries of a configuration, in order."""
    rest = [config]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            yield part
            rest.extend(reversed(part.values()))
        elif isinstance(part, list):
            rest.extend(reversed(part))


def _missing(part):
    """Return what a part of a configuration names that may not be loaded, or None."""
    name = part.get("class_name")
    if name == "function":
        return None if _is_function(part) else str(part.get("config"))
    if "class_name" not in part or part.get("module") == "builtins":
        return None
    registered, module = part.get("registered_name"), part.get("module")
    if isinstance(registered, str) and keras.saving.get_registered_object(registered) is not None:
        return None
    if module is None:
        # A class of the program that saved the model, which did not register it.
        return registered if isinstance(registered, str) else None
    is_allowed = str(module).partition(".")[0] in _PACKAGES
    if is_allowed and not (isinstance(registered, str) and ">" in registered):
        return None
    return str(registered or name)


def _is_function(part):
    """Return whether a part of a configuration is a function of Keras or a registered one."""
    try:
        keras.saving.deserialize_keras_object(part)
    except Exception:
        return False
    return True


def _excess(part, size):
    """Say what in a layer's configuration is greater than a file of some bytes can hold, if any."""
    config = part.get("config")
    if not isinstance(config, dict):
        return None
    for name, value in config.items():
        if any(abs(number) >= _INT64 for number in _integers(value)):
            return f"{shown(name)}={shown(value)} has more than 64 bits"
    widths = {name: config[name] for name in _WIDTHS if _integers(config.get(name))}
    inputs = (part.get("build_config") or {}).get("input_shape") if widths else None
    product = math.prod(_integers(inputs)[-1:])
    for value in widths.values():
        product *= math.prod(_integers(value))
    if product > _MOST_WEIGHTS_PER_BYTE * size:
        named = ", ".join(f"{name}={shown(value)}" for name, value in widths.items())
        return f"{named} of a layer asks for far more weights than the file holds"
    return None


def _integers(value):
    """Return the whole numbers in an argument: itself, or those of a list."""
    values = value if isinstance(value, list | tuple) else [value]
    return [part for part in values if isinstance(part, int) and not isinstance(part, bool)]
