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
from semisup.data import sampling
from semisup.errors import UserError, shown
from semisup.files import locking, reading, replacing, writing
from semisup.machine import environment
from semisup.run import belongings, file_types

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
# Settings that runs of every version and task have.
_ALWAYS_SET = {"dataset", "seed", "max_steps", "logdir"}


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
        _check_name("logdir", self.path)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(
                    locking.locked(self.file(belongings.LOCK), _LOCK_PATIENCE_SECONDS)
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
        return locking.is_locked(self.file(belongings.LOCK))

    def is_begun(self):
        """Return whether a training has ever begun in this directory."""
        return os.path.exists(self.file("config.json"))

    def strangers(self):
        """Return the names in this directory that keep a training from beginning in it, sorted."""
        # Earlier versions wrote under that last name.
        names = set(os.listdir(self.path)) - {belongings.LOCK, "config.json.tmp"}
        return sorted(name for name in names if not replacing.is_temporary(name))

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

    def check_output(self):
        """Check that an evaluation can write what it measures, before it measures anything.

        Raises:
            UserError: if the directory for it cannot be written, or holds something else.
        """
        _check_name("output" if self.output != self.path else "logdir", self.output)
        if self.output != self.path:
            try:
                os.makedirs(self.output, exist_ok=True)
                names = os.listdir(self.output)
            except OSError as error:
                raise UserError(f"--output={self.output}: {error.strerror}") from None
            if names and not {"evaluation.json", "evaluations"} & set(names):
                raise UserError(
                    f"--output={self.output} is not empty, and holds no evaluation: give another"
                )
            if "config.json" in names:
                raise UserError(f"--output={self.output} holds a run of its own: give another")
        belongings.check_places(self.output)
        for folder in (self.output, *map(self.written, ("eval", "figures", "evaluations"))):
            if os.path.exists(folder) and not os.access(folder, os.W_OK | os.X_OK):
                raise UserError(
                    f"{folder} cannot be written: --output names another folder for what is "
                    "measured"
                )

    def check(self, config, task_name, overwrite=False):
        """Check that the directory is free for a configuration, or holds a run of it.

        Args:
            config: the configuration.
            task_name: name of its task.
            overwrite: whether it may hold any run.

        Raises:
            UserError: if it holds a run of another configuration, a damaged one, or other files, or
                more than a run where that is to be deleted.
        """
        saved = self.read_config()
        if overwrite and saved is not None:
            self._check_deletion(saved)
            return
        if saved is None:
            if strangers := self.strangers():
                raise UserError(
                    f"{self.path} is not empty ({shown(', '.join(strangers[:3]))}) and holds no "
                    "run; give another --logdir"
                )
            return
        belongings.check_places(self.path)
        if saved["task"] != task_name:
            raise UserError(
                f"{self.path} holds a run of {shown(saved['task'])}, not of {task_name}; give "
                "another --logdir, or --overwrite to delete it"
            )
        self.read_settings(type(config))
        # A folder of data may have moved: what is in it is compared once it is read.
        moved = {name: getattr(config, name) for name in config.moved(saved["settings"])}
        differences = config.differences({**saved["settings"], **moved})
        if saved["backend"] != environment.backend():
            differences.append(
                f"KERAS_BACKEND={environment.backend()} (the run has {shown(saved['backend'])})"
            )
        if differences:
            raise UserError(
                f"{self.path} holds a run with other settings: {'; '.join(differences)}; give "
                "another --logdir, or --overwrite to delete it"
            )

    def begin(self, config, task_name, overwrite):
        """Write the configuration of a run that begins or goes on, and remove old results.

        Args:
            config: the configuration.
            task_name: name of its task.
            overwrite: whether to delete an earlier run first.

        Raises:
            UserError: if there is more than a run to delete; nothing is deleted then.
        """
        if overwrite:
            # Once more, since loading the data may have taken long.
            belongings.check_owned(self.path)
        belongings.remove(self.path, belongings.PARTS if overwrite else belongings.OUTCOMES)
        belongings.remove_leftovers(self.path)
        self.write_json(
            "config.json",
            {
                "task": task_name,
                "settings": config.to_dict(),
                "backend": environment.backend(),
                "sampler": sampling.VERSION,
                "versions": environment.versions(),
                "environment": environment.variables(),
                "git_commit": environment.git_commit(),
            },
        )

    def check_sampler(self):
        """Check that a training which goes on will see the batches it would have seen.

        Raises:
            UserError: if the run was begun with a version of the sampler that draws others.
        """
        if self.sampler != sampling.VERSION:
            raise UserError(
                f"{self.path} was begun by a version of this program that draws other batches, and "
                "cannot go on: evaluate it as it is, or start again with --overwrite"
            )

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

    def _check_deletion(self, saved):
        """Check that a run, and nothing else, is what is to be deleted."""
        if not saved["settings"].keys() >= _ALWAYS_SET:
            raise UserError(
                f"{self.file('config.json')} is not that of a run, and nothing is deleted: give "
                "another --logdir"
            )
        belongings.check_owned(self.path)

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


def _check_name(flag, path):
    """Check that TensorFlow, which writes into a folder, can be told its name."""
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
