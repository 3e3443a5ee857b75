"""What the flag that names a network accepts beside the name of an architecture: files, presets."""

import os

from semisup.errors import UserError

PRESET = "keras_hub:"


def is_file(name):
    """Return whether the name of a network is that of a `.keras` file."""
    return name.endswith(".keras")


def check_file(path):
    """Check that the file of a network exists.

    Raises:
        UserError: if it does not.
    """
    if not os.path.isfile(path):
        raise UserError(f"--architecture={path}: there is no such file")


def is_preset(name):
    """Return whether the name of a network is that of a preset of Keras Hub."""
    return name.startswith(PRESET)


def brings_weights(name):
    """Return whether a network has its own weights, which it was saved with."""
    return is_file(name) or is_preset(name)


def resolved(name):
    """Return the name of a network, with the home folder of the user in a path.

    Raises:
        UserError: if it is `keras_hub:` without a preset.
    """
    if is_preset(name):
        preset = name.removeprefix(PRESET)
        if not preset:
            raise UserError(f"--architecture={name} names no preset; give {PRESET}PRESET")
        return PRESET + os.path.expanduser(preset)
    return os.path.expanduser(name) if is_file(name) else name
