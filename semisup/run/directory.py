"""The directory of a run: its configuration, lock, log and results.

config.json       every setting, versions (that of the sampler too), git commit
data.json         what the data was: labelled indices, classes, fingerprints
metrics.jsonl     one entry a line, with the step and its values; cut back to the checkpoint's step
                  on a resume
results.json      metrics at the last step, time, hardware
evaluation.json   what the latest evaluation measured
calibration.json  the temperature that makes probabilities right on average
cross_validation.json  the error on labels that trainings like this one did not see
held_out.json     the logits of images whose labels the training, or a fold of it, did not see
folds/            the further trainings of a cross-validation that is not complete
evaluations/      what was measured on other data sets than the run's own, and the predictions
predictions.csv   the predicted class of each evaluated image
assignments.csv   the cluster of each image, in a clustering
uncertainty.csv   how sure the network is of each image, from the last evaluation with --mc_dropout
report.html       all of this as one page, from the last evaluation with --report
model.keras       the trained model, for export
network.keras     the network, where --architecture names a file or a preset
weak_labels/      by which unlabelled images are drawn, see `weak_labels`
checkpoints/      see `checkpoints`
train/, eval/     TensorBoard
layers/           TensorBoard: first kernels, histograms
figures/          PNG files
"""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

from semisup.cli import architecture_names
from semisup.errors import UserError, shown
from semisup.files import locking, reading, replacing, writing
from semisup.run import file_types

NETWORK = "network.keras"
_TYPES = {
    "config.json": file_types.Config,
    "data.json": file_types.Record,
    "results.json": file_types.Results,
    "evaluation.json": file_types.Evaluation,
    "cross_validation.json": file_types.CrossValidation,
    "held_out.json": file_types.HeldOut,
}
_LOCK_PATIENCE_SECONDS = 1.0


def find_runs(folder, file, tasks):
    """Find the runs of some tasks below a folder.

    Args:
        folder: folder that holds run directories at any depth.
        file: name of a file that the runs have.
        tasks: names of the tasks.

    Returns:
        List of pairs of a `RunDirectory` and the name of its task, sorted by path.

    Raises:
        UserError: if a `config.json` is damaged.
    """
    runs = [RunDirectory(path.parent) for path in sorted(Path(folder).rglob(file))]
    # Another program may use a file of this name.
    named = [(run, (run.read_config() or {}).get("task")) for run in runs]
    return [(run, task) for run, task in named if task in tasks]


class RunDirectory:
    """Paths and files of one run.

    Args:
        path: the directory; it need not exist.
        output: another directory for what is written; what is there counts before what is in the
            run's own. Empty: there is none.
    """

    def __init__(self, path, output=""):
        self.path = os.path.abspath(os.path.expanduser(path))
        self.output = os.path.abspath(os.path.expanduser(output)) if output else self.path

    def file(self, *parts):
        """Return the path of a file or folder of the run, to read it."""
        written = self.written(*parts)
        return written if os.path.lexists(written) else os.path.join(self.path, *parts)

    def written(self, *parts):
        """Return the path of a file or folder of the run, to write it."""
        return os.path.join(self.output, *parts)

    @property
    def checkpoints(self):
        """Folder of the checkpoints."""
        return self.file("checkpoints")

    @contextlib.contextmanager
    def lock(self):
        """Keep a second trainer out for as long as the block lasts.

        Raises:
            UserError: if another process trains in this directory, it cannot be made, or its name
                is not UTF-8.
        """
        check_name("logdir", self.path)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(
                    locking.locked(self.file(locking.OF_RUN), _LOCK_PATIENCE_SECONDS)
                )
            except BlockingIOError:
                raise UserError(
                    f"another process is training in {self.path}; wait for it, or give another "
                    "--logdir"
                ) from None
            except OSError as error:
                raise UserError(f"--logdir={self.path}: {error.strerror}") from None
            yield

    def is_training(self):
        """Return whether a process is training in this directory."""
        return locking.is_locked(self.file(locking.OF_RUN))

    def is_begun(self):
        """Return whether a training has ever begun in this directory."""
        return os.path.exists(self.file("config.json"))

    def read_json(self, name, type=dict):
        """Read a JSON file with an object.

        Args:
            name: name of the file.
            type: type of the object, by default the one that `file_types` has for it.

        Returns:
            The object as a dictionary, or None if there is no such file.

        Raises:
            UserError: if the file is damaged.
        """
        return reading.read_json(self.file(name), _TYPES.get(name, type))

    def read_config(self):
        """Return the content of `config.json`, or None if it does not exist."""
        return self.read_json("config.json")

    def read_settings(self, config_class):
        """Return the configuration of the run.

        Args:
            config_class: class of the configurations of its task.

        Raises:
            UserError: if a setting is unknown or not allowed, as one of another version may be.
        """
        try:
            return config_class.from_dict(self.read_config()["settings"])
        except UserError as error:
            raise UserError(f"{self.file('config.json')}: {error}") from None

    def read_record(self, type=file_types.Record):
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
        """Return the step of the results, or 0 if there are none."""
        return (self.read_results() or {"step": 0})["step"]

    def read_results(self):
        """Return the content of `results.json`, or None if it does not exist."""
        results = self.read_json("results.json")
        held_out = results is not None and results.get("evaluated_on") == "validation images"
        return _with_validation_error(results) if held_out else results

    @property
    def sampler(self):
        """Version of the sampler that the run was begun with."""
        return (self.read_config() or {}).get("sampler", 1)

    def write_json(self, name, content):
        """Write a JSON file; the directory is created if need be."""
        os.makedirs(self.output, exist_ok=True)
        writing.write_json(self.written(name), content)

    def write_text(self, name, text):
        """Write a file of text: see `writing.write_text`."""
        writing.write_text(self.written(name), text)

    def write_table(self, name, header, rows):
        """Write a CSV file: see `writing.write_table`."""
        writing.write_table(self.written(name), header, rows)

    def write_model(self, model):
        """Write a Keras model as `model.keras`, without its optimizer."""
        optimizer, compiled = model.optimizer, model.compiled
        model.optimizer, model.compiled = None, False
        try:
            with replacing.replacing(self.file("model.keras")) as temporary:
                model.save(temporary)
        finally:
            model.optimizer, model.compiled = optimizer, compiled

    def keep_network(self, config, network):
        """Keep a network that is read from a file or a preset, so that the run needs neither.

        Args:
            config: the configuration of a run that begins.
            network: its network, without a head.
        """
        if architecture_names.is_file(config.architecture):
            writing.copy(config.architecture, self.file(NETWORK))
        elif architecture_names.is_preset(config.architecture):
            with replacing.replacing(self.file(NETWORK)) as temporary:
                network.save(temporary)

    def self_contained(self, config):
        """Return a configuration that rebuilds the run's model from this directory alone.

        Args:
            config: the run's configuration.

        Returns:
            A configuration with the copy of the network, and without other initial weights, since
            the checkpoint's replace them.
        """
        changes = {"pretrained": False, "initial_run": ""}
        if os.path.exists(self.file(NETWORK)):
            changes["architecture"] = self.file(NETWORK)
            if architecture_names.is_preset(config.architecture):
                # It was saved with its normalisation.
                changes["normalization"] = "auto"
        return dataclasses.replace(config, **changes)

    def append_metrics(self, entry):
        """Append an entry, a dictionary with a `step`, to the log."""
        with open(self.file("metrics.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def read_metrics(self):
        """Return the entries of the log, without a line that a kill left unfinished.

        Raises:
            UserError: if a line is damaged in another way.
        """
        entries = reading.read_lines(self.file("metrics.jsonl"), file_types.Entry)
        config = self.read_json("config.json")
        held_out = config is not None and config.get("settings", {}).get("validation_samples")
        return list(map(_with_validation_error, entries)) if held_out else entries

    def cut_metrics(self, step):
        """Remove the entries after a step; a resumed training writes them again."""
        kept = [entry for entry in self.read_metrics() if entry["step"] <= step]
        self.write_text("metrics.jsonl", "".join(json.dumps(entry) + "\n" for entry in kept))


def check_name(flag, path):
    """Check that TensorFlow, which writes into a folder, can be told its name.

    Args:
        flag: the flag that names the folder.
        path: the folder.

    Raises:
        UserError: if it is not UTF-8.
    """
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            f"--{flag}={shown(path)} is not UTF-8, as the names of TensorBoard's folders have to "
            "be: give another"
        ) from None


def _with_validation_error(values):
    """Rename the error measured on held-out images, which earlier versions called a test error."""
    return {
        "validation_error" if name == "test_error" else name: value
        for name, value in values.items()
    }
