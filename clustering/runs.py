"""Loading what a clustering left behind."""

from clustering import task
from semisup import runs


def load_run(logdir, step=None):
    """Loads the model of a run from its directory alone.

    Args:
        logdir: directory of the run.
        step: step of the checkpoint to load, or None for the newest that is whole.

    Returns:
        The `ClusteringModel`, compiled, with the weights that the run is evaluated with, and the
        run's `TrainConfig`.

    Raises:
        UserError: if there is no such run or checkpoint, or it is damaged.
    """
    return runs.load_run(logdir, step, task)
