"""The directory of a run: its configuration, lock, log and results.

config.json       every setting, versions (that of the sampler too), git commit
data.json         what the data was: labelled indices, classes, fingerprints
metrics.jsonl     one line an entry: the step and its values; appended to, and cut back to the
                  checkpoint's step on a resume
results.json      metrics at the last step, time, hardware
evaluation.json   what an evaluation measured last
predictions.csv   the predicted class of each evaluated image
assignments.csv   the cluster of each image, of a clustering
uncertainty.csv   how sure the network is of each image, from the last evaluation with --mc_dropout
report.html       all of this as one page, from the last evaluation with --report
model.keras       the trained model, for export
network.keras     a copy of the network, where --architecture names a file
checkpoints/      see `checkpoints`
train/, eval/     TensorBoard
layers/           TensorBoard: first kernels, histograms
figures/          PNG files
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import platform
import shutil
import subprocess
import time
from importlib import metadata

from semisup.data import sampling
from semisup.errors import UserError, shown
from semisup.run import files, reading
from semisup.run.csv_files import write_csv

OUTCOMES = (
    "results.json",
    "evaluation.json",
    "predictions.csv",
    "assignments.csv",
    "uncertainty.csv",
    "report.html",
    "model.keras",
)
# The configuration last: as long as it is there, what is left is known to be a run.
PARTS = (
    *OUTCOMES,
    "metrics.jsonl",
    "data.json",
    "network.keras",
    "checkpoints",
    "train",
    "eval",
    "layers",
    "figures",
    "config.json",
)
NETWORK = "network.keras"
_TYPES = {
    "config.json": files.Config,
    "data.json": files.Record,
    "results.json": files.Results,
    "evaluation.json": files.Evaluation,
}
_LOCK = ".lock"
_LOCK_PATIENCE_SECONDS = 1.0
_PACKAGES = ("semisup", "tensorflow", "keras", "jax", "numpy", "tensorflow-datasets")


class RunDirectory:
    """Paths and files of one run.

    Args:
        path: the directory; it need not exist.
    """

    def __init__(self, path):
        self.path = os.path.abspath(os.path.expanduser(path))

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
            deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
            while not _take(file, fcntl.LOCK_EX):
                # An evaluation that asks whether somebody trains holds the lock for an instant.
                if time.monotonic() > deadline:
                    raise UserError(
                        f"another process is training in {self.path}; wait for it, or give another "
                        "--logdir"
                    )
                time.sleep(0.05)
            yield

    def is_training(self):
        """Whether a process trains in this directory."""
        try:
            with open(self.file(_LOCK)) as file:
                return not _take(file, fcntl.LOCK_SH)
        except OSError:
            return False

    def is_begun(self):
        """Whether a training has begun in this directory, or had."""
        return os.path.exists(self.file("config.json"))

    def strangers(self):
        """Names in this directory that keep a training from beginning in it, sorted."""
        return sorted(set(os.listdir(self.path)) - {_LOCK, "config.json.tmp"})

    def read_json(self, name, type=dict):
        """Read a JSON file with an object.

        Args:
            name: name of the file.
            type: type of the object, by default the one that `run_files` has for the file.

        Returns:
            The object as a dictionary, or None if there is no such file.

        Raises:
            UserError: if the file is damaged.
        """
        return reading.read_json(self.file(name), _TYPES.get(name, type))

    def read_config(self):
        """Content of `config.json`, or None if it does not exist."""
        return self.read_json("config.json")

    def read_settings(self, config_class):
        """The configuration of the run.

        Args:
            config_class: class of the configurations of its task.

        Raises:
            UserError: if a setting is unknown or not allowed, as that of another version.
        """
        try:
            return config_class.from_dict(self.read_config()["settings"])
        except UserError as error:
            raise UserError(f"{self.file('config.json')}: {error}") from None

    def read_record(self, type=files.Record):
        """Read `data.json`.

        Args:
            type: type that the task asks of it.

        Returns:
            Its content, or None if it does not exist.

        Raises:
            UserError: if it is damaged.
        """
        return reading.read_json(self.file("data.json"), type)

    def completed_step(self):
        """Step of the results, or 0 if there are none."""
        return (self.read_results() or {"step": 0})["step"]

    def read_results(self):
        """Content of `results.json`, or None if it does not exist."""
        results = self.read_json("results.json")
        held_out = results is not None and results.get("evaluated_on") == "validation images"
        return _with_validation_error(results) if held_out else results

    @property
    def sampler(self):
        """Version of the sampler that the run was begun with."""
        return (self.read_config() or {}).get("sampler", 1)

    def write_json(self, name, content):
        """Writes a JSON file under a temporary name and renames it."""
        os.makedirs(self.path, exist_ok=True)
        self.write_text(name, json.dumps(content, indent=1) + "\n")

    def write_text(self, name, text):
        """Writes a file of text under a temporary name and renames it."""
        temporary = self.file(f"{name}.tmp")
        # A name of a file, as a class may have it, need not be valid Unicode.
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.replace(temporary, self.file(name))

    def write_table(self, name, header, rows):
        """Write a CSV file under a temporary name and rename it: see `tables.write_csv`."""
        temporary = self.file(f"{name}.tmp")
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            write_csv(file, header, rows)
        os.replace(temporary, self.file(name))

    def check(self, config, task_name, overwrite=False):
        """Makes sure that the directory is free for a configuration, or holds a run of it.

        Args:
            config: the configuration.
            task_name: name of its task.
            overwrite: whether it may hold any run.

        Raises:
            UserError: if it holds a run of another configuration, a damaged one, or other files.
        """
        saved = self.read_config()
        if overwrite and saved is not None:
            return
        if saved is None:
            if strangers := self.strangers():
                raise UserError(
                    f"{self.path} is not empty ({shown(', '.join(strangers[:3]))}) and holds no "
                    "run; give another --logdir"
                )
            return
        if saved["task"] != task_name:
            raise UserError(
                f"{self.path} holds a run of {shown(saved['task'])}, not of {task_name}; give "
                "another --logdir, or --overwrite to delete it"
            )
        self.read_settings(type(config))
        differences = config.differences(saved["settings"])
        if saved["backend"] != _backend():
            differences.append(
                f"KERAS_BACKEND={_backend()} (the run has {shown(saved['backend'])})"
            )
        if differences:
            raise UserError(
                f"{self.path} holds a run with other settings: {'; '.join(differences)}; give "
                "another --logdir, or --overwrite to delete it"
            )

    def begin(self, config, task_name, overwrite):
        """Writes the configuration of a run that begins or goes on, and removes old results.

        Args:
            config: the configuration.
            task_name: name of its task.
            overwrite: whether to delete an earlier run first.
        """
        self._remove(PARTS if overwrite else OUTCOMES)
        self.write_json(
            "config.json",
            {
                "task": task_name,
                "settings": config.to_dict(),
                "backend": _backend(),
                "sampler": sampling.VERSION,
                "versions": versions(),
                "git_commit": git_commit(),
            },
        )

    def check_sampler(self):
        """Make sure that a training which goes on sees the batches that it would have seen.

        Raises:
            UserError: if the run was begun with a version of the sampler that draws others.
        """
        if self.sampler != sampling.VERSION:
            raise UserError(
                f"{self.path} was begun by a version of this program that draws other batches, and "
                "cannot go on: evaluate it as it is, or start again with --overwrite"
            )

    def keep_network(self, config):
        """Copies a network that is read from a file, so that the run does not depend on the file.

        Args:
            config: the configuration of a run that begins.
        """
        if config.architecture.endswith(".keras"):
            shutil.copyfile(config.architecture, self.file(f"{NETWORK}.tmp"))
            os.replace(self.file(f"{NETWORK}.tmp"), self.file(NETWORK))

    def self_contained(self, config):
        """Configuration that rebuilds the run's model from this directory alone.

        Args:
            config: the run's configuration.

        Returns:
            A configuration with the copy of the network, and without other initial weights: the
            checkpoint's replace them.
        """
        changes = {"pretrained": False, "initial_run": ""}
        if os.path.exists(self.file(NETWORK)):
            changes["architecture"] = self.file(NETWORK)
        return dataclasses.replace(config, **changes)

    def _remove(self, parts):
        for part in parts:
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
        """Entries of the log; a line that a kill left unfinished is not one.

        Raises:
            UserError: if a line is damaged in another way.
        """
        entries = reading.read_lines(self.file("metrics.jsonl"), files.Entry, reading.Number)
        config = self.read_json("config.json")
        held_out = config is not None and config.get("settings", {}).get("validation_samples")
        return list(map(_with_validation_error, entries)) if held_out else entries

    def cut_metrics(self, step):
        """Removes the entries after a step, which a resumed training writes again."""
        kept = [entry for entry in self.read_metrics() if entry["step"] <= step]
        temporary = self.file("metrics.jsonl.tmp")
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in kept)
        os.replace(temporary, self.file("metrics.jsonl"))


def _with_validation_error(values):
    """What was measured on held-out images: earlier versions called that error a test error."""
    return {
        "validation_error" if name == "test_error" else name: value
        for name, value in values.items()
    }


def _take(file, kind):
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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


def hardware(devices=1):
    """Processor and cores that this process may use, and the accelerators that Keras computes on.

    Args:
        devices: number of devices that share batches.
    """
    import joblib

    name = platform.processor()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        name = next((line.split(": ")[1] for line in file if line.startswith("model name")), name)
    return {
        "processor": name.strip(),
        "cores": joblib.cpu_count(),
        "accelerators": _accelerators(devices),
    }


def devices_text(hardware):
    """The devices that were computed on, in a few words.

    Args:
        hardware: what `hardware` returned.
    """
    names, cores = hardware["accelerators"], hardware["cores"]
    if names:
        return f"{len(names)} x {names[0]}" if len(names) > 1 else names[0]
    return f"{cores} CPU core{'s' * (cores > 1)}"


def _accelerators(devices):
    """Names of the devices that models run on, the first ones, unless they are processors."""
    if _backend() == "jax":
        import jax

        used = jax.devices()[:devices]
        return [device.device_kind for device in used if device.platform != "cpu"]
    import tensorflow as tf

    return [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.get_visible_devices("GPU")[:1]
    ]
