"""Reading `.keras` files, whose errors name what is missing."""

import json
import zipfile

import keras

from semisup.architectures import hub
from semisup.errors import UserError, first_line


def load(path, **options):
    """Load a `.keras` file.

    Args:
        path: the file.
        **options: arguments of `keras.saving.load_model`.

    Returns:
        The model.

    Raises:
        UserError: if the file is no such model, or holds classes or functions that are not
            registered.
    """
    hub.import_for(path)
    try:
        return keras.saving.load_model(path, **options)
    except Exception as error:
        # A damaged file can raise nearly anything.
        missing = _unregistered(path)
        if not missing:
            raise UserError(
                f"{path} cannot be read as a Keras model: {first_line(error)}"
            ) from None
    raise UserError(
        f"{path} cannot be loaded, since nothing is registered as {', '.join(missing)}: decorate "
        "each class or function with @keras.saving.register_keras_serializable(), save the model "
        "again, and import the module before it is loaded"
    ) from None


def _unregistered(path):
    """Return the names of a file's classes and functions that Keras cannot find, in order."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except Exception:
        return []
    names, rest = {}, [config]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            if part.get("class_name") == "function":
                name, found = part.get("config"), _is_function(part)
            else:
                name = part.get("registered_name")
                found = part.get("module") == "builtins" or not isinstance(name, str)
                found = found or keras.saving.get_registered_object(name) is not None
            if not found:
                # A dictionary, since it keeps the order.
                names[str(name)] = None
            rest.extend(reversed(part.values()))
        elif isinstance(part, list):
            rest.extend(reversed(part))
    return list(names)


def _is_function(part):
    """Return whether a part of a configuration is a function of Keras or a registered one."""
    try:
        keras.saving.deserialize_keras_object(part)
    except Exception:
        return False
    return True
