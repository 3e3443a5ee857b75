"""Cross-validation over the labels: how good a training is, without giving up any label.

The labelled images are divided into parts. For each part, the training runs once more in a folder
of its own, `folds/` of the run, with that part held out; what is known of the held-out images in
the end is put together. So each step of it stops and resumes as any training does.
"""

import dataclasses

import keras
import numpy as np

from semisup.cli import terminal
from semisup.run import belongings, calibration, training
from semisup.run.directory import RunDirectory

FILE = "cross_validation.json"
HELD_OUT = "held_out.json"
FOLDS = "folds"


def train(config, task):
    """Train, and then cross-validate where the configuration asks for it.

    Args:
        config: a configuration of the task's class.
        task: its `Task`.

    Returns:
        Exit status: see `training.train`.

    Raises:
        UserError: see `training.train`.
        TrainingError: see `training.train`.
    """
    status = training.train(config, task)
    count = getattr(config, "cross_validate", 0)
    run = RunDirectory(config.resolved_logdir)
    if status or not count or config.fold or run.completed_step() != config.max_steps:
        return status
    found = run.read_json(FILE)
    if found is None or (found["step"], found["folds"]) != (config.max_steps, count):
        folds = [RunDirectory(run.file(FOLDS, f"{i}_of_{count}")) for i in range(1, count + 1)]
        data = task.load_data(config, run.sampler)
        if config.initial_run:
            terminal.say(
                f"If {config.initial_run} was trained on labels of these images, it has seen those "
                "that are held out, and the cross-validated error is too low."
            )
        for number, fold in enumerate(folds, 1):
            terminal.say(f"\nCross-validation, {number} of {count}:")
            status = _train_fold(config, task, data.fold(number), number, fold)
            if status:
                if config.overwrite:
                    terminal.say("Leave --overwrite out to go on: it would delete the whole run.")
                return status
        found = _conclude(run, config, [fold.read_json(HELD_OUT) for fold in folds])
    belongings.remove(run.path, [FOLDS])
    terminal.say(f"\n{describe(found)} See {run.file(FILE)}.")
    return 0


def _train_fold(config, task, data, number, fold):
    # As in a process of its own: TensorFlow orders sums by names, which count up.
    keras.utils.clear_session()
    alone = {"overwrite": False, "projector": False, "histograms": False}
    return training.train(
        dataclasses.replace(config, fold=number, logdir=fold.path, **alone), task, data
    )


def keep_held_out(run, indices, labels, logits):
    """Write `held_out.json`.

    Args:
        run: a `RunDirectory`.
        indices: (n,) int, places of the held-out images in the training split.
        labels: (n,) int, their labels.
        logits: (n, classes) float.
    """
    content = {"indices": indices, "labels": labels, "logits": logits}
    run.write_json(HELD_OUT, {name: np.asarray(value).tolist() for name, value in content.items()})


def _conclude(run, config, parts):
    """Write what the parts show together, and calibrate the run by it."""
    labels, logits = ([np.asarray(part[name]) for part in parts] for name in ("labels", "logits"))
    right = [rows.argmax(axis=1) == truth for rows, truth in zip(logits, labels, strict=True)]
    accuracy = [float(part.mean()) for part in right]
    found = {
        "step": config.max_steps,
        "folds": len(parts),
        "images": sum(map(len, labels)),
        "error": float(1 - np.concatenate(right).mean()),
        "accuracy": accuracy,
        "mean_accuracy": float(np.mean(accuracy)),
        "deviation": float(np.std(accuracy, ddof=1)),
        "settings": config.to_dict(),
    }
    indices = np.concatenate([part["indices"] for part in parts])
    labels, logits = np.concatenate(labels), np.concatenate(logits)
    keep_held_out(run, indices, labels, logits)
    calibration.calibrate(run, config.max_steps, logits, labels, "cross-validated labels")
    _show(run, found)
    run.write_json(FILE, found)
    return found


def _show(run, found):
    """Write the error into TensorBoard, beside what evaluations measure."""
    import tensorflow as tf

    with tf.summary.create_file_writer(run.file("eval")).as_default():
        tf.summary.scalar("cross_validation_error", found["error"], step=found["step"])


def describe(found):
    """Say in a line what a cross-validation found.

    Args:
        found: content of `cross_validation.json`.
    """
    error, mean, deviation = (
        f"{100 * found[name]:.2f}" for name in ("error", "mean_accuracy", "deviation")
    )
    return (
        f"Cross-validated error {error} % of {found['images']:,} labelled images (accuracy "
        f"{mean} % ± {deviation} over {found['folds']} parts)."
    )
