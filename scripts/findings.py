"""What a script measures, written with what it was measured with."""

from pathlib import Path

import numpy as np

from semisup.files import writing
from semisup.machine import environment


def write(path, found):
    """Write a JSON file of what was measured, and git commit, versions and hardware.

    Args:
        path: the file; its folder is made where it is missing.
        found: dictionary that `json.dumps` takes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writing.write_json(path, {**found, **made_with()})


def made_with():
    """Return git commit, versions and hardware, by which results are made."""
    return {
        "git_commit": environment.git_commit(),
        "versions": environment.versions(),
        "hardware": environment.hardware(),
    }


def spread(percent):
    """Write the mean of some percentages with their standard deviation."""
    return f"{np.mean(percent):5.1f} % ± {np.std(percent):.1f}"
