"""What a script measures, written with what it was measured with."""

from pathlib import Path

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
    made_with = {
        "git_commit": environment.git_commit(),
        "versions": environment.versions(),
        "hardware": environment.hardware(),
    }
    writing.write_json(path, {**found, **made_with})
