"""Loading what an adaptation left behind."""

from domain_adaptation import task
from semisup.run import loading


def load_run(logdir, step=None):
    """Loads the model of a run from its directory alone.

    Args:
        logdir: directory of the run.
        step: step of the checkpoint to load, or None for the newest that is whole.

    Returns:
        The `AssociativeModel`, compiled, with the weights that the run is evaluated with, and the
        run's `TrainConfig`.

    Raises:
        UserError: if there is no such run or checkpoint, or it is damaged.
    """
    return loading.load_run(logdir, step, task)


def load_model(path):
    """Loads the model that an adaptation exported: see `semisup.load_model`.

    Args:
        path: the file.

    Returns:
        The model, compiled, with the weights that the run was evaluated with at its end.

    Raises:
        UserError: if it is no such file.
    """
    return loading.load_model(path)
