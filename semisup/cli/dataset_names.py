"""What the flags that name data sets accept: embedded ones, those of TFDS, and folders."""

import os
import re

from semisup.cli import choices
from semisup.errors import UserError

FOLDER = "folder:"


def is_folder(dataset):
    """Return whether the name of a data set is that of a folder of images."""
    return dataset.startswith(FOLDER)


def file_name(dataset):
    """Return the name of a data set for a file's name: `folder:/a/b` is b, `a/b` is a_b."""
    if is_folder(dataset):
        return os.path.basename(dataset)
    return dataset.replace("/", "_")


def resolved(name, flag, data_dir=None):
    """Return the name of a data set, aliases resolved, with the whole path of a folder.

    So a run can be evaluated from any folder, and resumed by either name. The path of a folder that
    exists is the name of its images, unless a data set has that name. What begins with `.`, `/` or
    `~` is always a path.

    Args:
        name: what the user gave.
        flag: the flag's name, for messages.
        data_dir: folder of TFDS data sets, or None for TFDS' own.

    Raises:
        UserError: if it is `folder:` without a path.
    """
    if is_folder(name):
        path = name.removeprefix(FOLDER)
        if not path:
            raise UserError(f"--{flag}={name} names no folder; give folder:PATH")
        return FOLDER + whole_path(path)
    is_path = name.startswith((".", "/", "~"))
    if is_path or (os.path.isdir(name) and not _is_data_set(name, data_dir)):
        return FOLDER + whole_path(name)
    return choices.DATASET_ALIASES.get(name, name)


def check_dataset(flag, name):
    """Check that a data set exists if it is a folder.

    Args:
        flag: name of the flag that names it, for the message.
        name: what the user gave; may be empty.

    Raises:
        UserError: if it does not.
    """
    name = resolved(name, flag)
    if is_folder(name):
        check_folder(flag, name.removeprefix(FOLDER))


def check_folder(flag, path):
    """Check that a folder exists.

    Args:
        flag: name of the flag that names it, for the message.
        path: the folder.

    Raises:
        UserError: if there is none.
    """
    if not os.path.isdir(os.path.expanduser(path)):
        raise UserError(f"--{flag}={path}: there is no such folder")


def whole_path(path):
    """Return the absolute path that a user means by a path."""
    return os.path.abspath(os.path.expanduser(path))


def _is_data_set(name, data_dir):
    """Return whether a name that a folder has is that of a data set, too."""
    own = re.split("[/:]", name)[0]
    if own in (*choices.EMBEDDED, *choices.OWN_BUILDERS, *choices.DATASET_ALIASES):
        return True
    # Takes a second, for nobody but those who leave out the `./` before a folder's name.
    import tensorflow_datasets as tfds

    prepared = os.path.join(data_dir or tfds.core.constants.DATA_DIR, own)
    return own in tfds.core.registered.list_imported_builders() or os.path.isdir(prepared)
