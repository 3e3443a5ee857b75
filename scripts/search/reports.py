"""What came of a search: a table, `trials.csv`, figures, and the best trial's command line."""

import csv
import os
import shlex

from optuna.trial import TrialState

from scripts.search import figures, spaces
from scripts.search.folders import BACKEND
from scripts.search.trials import FAILURE, SECONDS, complete, shown

_ROWS = 10
_CUT_OFF = "cut off"
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "in training",
}


def write(folder, study, description):
    """Writes `trials.csv` and the figures into the folder of a search, and prints what it found.

    Args:
        folder: a `SearchFolder`.
        study: its Optuna study.
        description: content of `search.json`.
    """
    trials = study.get_trials(deepcopy=False)
    space = spaces.parse(description["space"], description["task"])
    names = [dimension.name for dimension in space]
    best = sorted(complete(study), key=lambda trial: trial.value)
    if best:
        print("\n".join(["", *_table(best[:_ROWS], names)]))
    states = [_state(folder, trial) for trial in trials]
    kinds = (*_STATES.values(), _CUT_OFF)
    counts = [f"{states.count(kind)} {kind}" for kind in kinds if kind in states]
    noun = "trial" if len(trials) == 1 else "trials"
    print(f"\n{len(trials)} {noun}: {', '.join(counts) or 'none has begun'}")
    for trial in trials:
        if trial.state == TrialState.FAIL:
            print(f"trial {trial.number} failed: {trial.user_attrs.get(FAILURE)}")
    if _CUT_OFF in states:
        print("The command of the search goes on with what was cut off.")
    paths = [_write_csv(folder.file("trials.csv"), trials, states, names)]
    paths += figures.draw(folder, study, space)
    print("\n".join(["", *(f"wrote {path}" for path in paths)]))
    if best:
        print(
            f"\nTrial {best[0].number} on all training images, measured on test images:\n"
            f"{command(folder, best[0], description)}"
        )


def _state(folder, trial):
    if trial.state == TrialState.RUNNING and not folder.is_training(trial.number):
        return _CUT_OFF
    return _STATES[trial.state]


def _table(trials, names):
    rows = [["trial", "error", *names]]
    for trial in trials:
        values = [shown(trial.params[name]) for name in names]
        rows.append([str(trial.number), f"{100 * trial.value:.2f} %", *values])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _write_csv(path, trials, states, names):
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "state", "validation_error", "step", *names, SECONDS, FAILURE])
        for trial, state in zip(trials, states, strict=True):
            errors = trial.intermediate_values
            step = max(errors, default=0)
            values = [trial.params.get(name, "") for name in names]
            outcome = [trial.user_attrs.get(name, "") for name in (SECONDS, FAILURE)]
            error = errors.get(step, "")
            writer.writerow([trial.number, state, error, step, *values, *outcome])
    os.replace(temporary, path)
    return path


def command(folder, trial, description):
    """Command line that trains with a trial's parameters and without validation images.

    Args:
        folder: a `SearchFolder`.
        trial: the Optuna trial.
        description: content of `search.json`.
    """
    task, fixed = description["task"], _without(description["flags"], "validation_samples")
    values = {name: trial.params[name] for name in description["space"]}
    arguments = [*fixed, *spaces.as_flags(values)]
    if spaces.training_config(task, arguments).validation_samples:
        # A recipe's or a flagfile's.
        arguments.append("--validation_samples=0")
    command = ["python", "-m", f"{task}.train", *arguments, f"--logdir={folder.file('best')}"]
    backend = shlex.quote(description["backend"])
    return ("" if backend == "tensorflow" else f"{BACKEND}={backend} ") + shlex.join(command)


def _without(arguments, name):
    """Flags without those of a name."""
    kept, arguments = [], iter(arguments)
    for argument in arguments:
        if argument in (f"-{name}", f"--{name}"):
            # Its value is an argument of its own.
            next(arguments)
        elif argument.split("=")[0].lstrip("-") != name:
            kept.append(argument)
    return kept
