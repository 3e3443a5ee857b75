"""The settings that all commands have which take a run: its folder, step, and where its data is.

Nothing here imports Keras.
"""

import dataclasses
import os

from semisup.cli import flags, terminal
from semisup.cli.dataset_names import FOLDER, is_folder
from semisup.cli.options import check, option
from semisup.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Settings of a command on a run (see the help of each field's flag).

    Raises:
        UserError: on construction, if a value is out of its range, or the run is not named.
    """

    logdir: str = option("", "Run", "Folder of the run (required).")
    data_dir: str = option(
        "",
        "Run",
        "Folder of TFDS data sets, or of the images of a folder: data set, where it is not that of "
        "the training any more.",
    )
    step: int = option(-1, "Run", "Step of the checkpoint; -1: the newest.", least=-1)

    def __post_init__(self):
        check(self)
        if not self.logdir:
            raise UserError("--logdir is required: the folder of a run")

    def check_paths(self):
        """Check that there is a run, without opening it.

        Raises:
            UserError: if there is none.
        """
        check_run(self.logdir)

    def relocated(self, config):
        """Return the configuration of a run whose data may have moved, with the data where it is.

        Args:
            config: a `RunConfig`.
        """
        if not self.data_dir:
            return config
        moved = {"dataset": FOLDER + self.data_dir} if is_folder(config.dataset) else {}
        return dataclasses.replace(config, data_dir=self.data_dir, **moved)


def run_command(use, config_class, **declared):
    """Run a command on a run, and exit.

    Args:
        use: function of the configuration, which may import what is heavy: that the run and all
            else that is named exist has been checked.
        config_class: subclass of `RunOptions`.
        **declared: see `flags.run`.
    """

    def command(config):
        config.check_paths()
        terminal.import_quietly()
        use(config)

    flags.run(command, config_class, **declared)


def is_run(logdir):
    """Return whether a folder is that of a run."""
    return os.path.exists(os.path.join(os.path.expanduser(logdir), "config.json"))


def check_run(logdir):
    """Check that a folder is that of a run.

    Raises:
        UserError: if it is not.
    """
    if not is_run(logdir):
        raise UserError(f"{logdir} holds no run: it has no config.json")


def check_images(path):
    """Check that a folder of images, or the one image, exists, without opening it.

    Raises:
        UserError: if it does not.
    """
    whole = os.path.expanduser(path)
    if not os.path.isdir(whole) and not os.path.isfile(whole):
        raise UserError(f"--images={path}: there is no such folder")


def check_parent(output):
    """Check that the folder exists into which a command writes a file.

    Raises:
        UserError: if it does not.
    """
    parent = os.path.dirname(os.path.expanduser(output)) or os.curdir
    if not os.path.isdir(parent):
        raise UserError(f"--output={output}: there is no folder {parent}")


def calibrated_by():
    """Make the option of a run whose temperature is taken."""
    return option(
        "",
        "Run",
        "Folder of a run with the same settings and --cross_validate, or of an evaluated one with "
        "--validation_samples, whose temperature is taken.",
    )
