"""The directory of a run: its configuration, lock, log and results.

config.json     every setting, versions, git commit, what the data was
metrics.jsonl   one line an entry: the step and its values, only ever appended to
results.json    metrics at the last step, time, hardware
checkpoints/    see `checkpoints`
train/, eval/   TensorBoard
figures/        PNG files
"""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
from importlib import metadata

from semisup.errors import UserError

PARTS = (
    "config.json",
    "metrics.jsonl",
    "results.json",
    "evaluation.json",
    "data.json",
    "model.keras",
    "checkpoints",
    "train",
    "eval",
    "figures",
)
_LOCK = ".lock"
_PACKAGES = ("semisup", "tensorflow", "keras", "jax", "numpy", "tensorflow-datasets")


class RunDirectory:
    """Paths and files of one run.

    Args:
        path: the directory; it need not exist.
    """

    def __init__(self, path):
        self.path = os.path.abspath(path)

    def file(self, *parts):
        """Path of a file or folder of the run."""
        return os.path.join(self.path, *parts)

    @property
    def checkpoints(self):
        """Folder of the checkpoints."""
        return self.file("checkpoints")

    @contextlib.contextmanager
    def lock(self):
        """Keeps a second trainer out for as long as this process lives.

        Raises:
            UserError: if another process trains in this directory, or it cannot be made.
        """
        try:
            os.makedirs(self.path, exist_ok=True)
            file = open(self.file(_LOCK), "a")  # noqa: SIM115 (open for as long as the lock)
        except OSError as error:
            raise UserError(f"--logdir={self.path}: {error.strerror}") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another process is training in {self.path}; wait for it, or give another "
                    "--logdir"
                ) from None
            yield

    def read_json(self, name):
        """Content of a JSON file, or None if it does not exist.

        Raises:
            UserError: if the file is damaged.
        """
        try:
            with open(self.file(name), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UserError(f"{self.file(name)} cannot be read: {error}") from None

    def write_json(self, name, content):
        """Writes a JSON file under a temporary name and renames it."""
        os.makedirs(self.path, exist_ok=True)
        temporary = self.file(f"{name}.tmp")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
        os.replace(temporary, self.file(name))

    def check(self, config):
        """Makes sure that the directory is free for a configuration, or holds a run of it.

        Args:
            config: the configuration.

        Raises:
            UserError: if it holds a run of another configuration, or other files.
        """
        saved = self.read_json("config.json")
        if saved is None:
            strangers = sorted(set(os.listdir(self.path)) - {_LOCK})
            if strangers:
                raise UserError(
                    f"{self.path} is not empty ({', '.join(strangers[:3])}) and holds no run; give "
                    "another --logdir"
                )
            return
        differences = type(config).from_dict(saved["settings"]).differences(config)
        if saved["backend"] != _backend():
            differences.append(f"KERAS_BACKEND={_backend()} (the run has {saved['backend']})")
        if differences:
            raise UserError(
                f"{self.path} holds a run with other settings: {'; '.join(differences)}; give "
                "another --logdir, or --overwrite to delete it"
            )

    def begin(self, config, overwrite):
        """Writes the configuration of a run that begins or goes on.

        Args:
            config: the configuration.
            overwrite: whether to delete an earlier run first.
        """
        if overwrite:
            self._clear()
        self.write_json(
            "config.json",
            {
                "settings": config.to_dict(),
                "backend": _backend(),
                "versions": versions(),
                "git_commit": git_commit(),
            },
        )

    def _clear(self):
        for part in PARTS:
            path = self.file(part)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)

    def append_metrics(self, entry):
        """Appends an entry, a dictionary with a `step`, to the log."""
        with open(self.file("metrics.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def read_metrics(self):
        """Entries of the log; a line that a kill left unfinished is not one."""
        try:
            with open(self.file("metrics.jsonl"), encoding="utf-8") as file:
                lines = file.readlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
        return entries

    def cut_metrics(self, step):
        """Removes the entries after a step, which a resumed training writes again."""
        kept = [entry for entry in self.read_metrics() if entry["step"] <= step]
        temporary = self.file("metrics.jsonl.tmp")
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in kept)
        os.replace(temporary, self.file("metrics.jsonl"))


def _backend():
    import keras

    return keras.backend.backend()


def versions():
    """Versions of Python and of the libraries that a result depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def git_commit():
    """Commit of the source tree, with `-dirty` where it was changed; None outside a repository."""
    file = os.path.abspath(__file__)

    def git(*arguments):
        return subprocess.run(
            ["git", "-C", os.path.dirname(file), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        # An installed copy may lie inside a repository that has nothing to do with it.
        git("ls-files", "--error-unmatch", file)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


def hardware():
    """Processor, cores and accelerators of this machine."""
    import keras

    name = platform.processor()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        name = next((line.split(": ")[1] for line in file if line.startswith("model name")), name)
    return {
        "processor": name.strip(),
        "cores": os.cpu_count(),
        "accelerators": [name for name in keras.distribution.list_devices() if "cpu" not in name],
    }
