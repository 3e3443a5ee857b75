"""What came of a search: a table, `trials.csv`, figures, and the best trial's command line."""

import shlex

import pandas
from optuna.trial import TrialState

from scripts.search import figures, spaces
from scripts.search.folders import BACKEND
from scripts.search.trials import FAILURE, SECONDS, shown
from semisup.cli import terminal
from semisup.errors import UserError
from semisup.files import writing

_ROWS = 10
_CUT_OFF = "cut off"
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "in training",
    TrialState.WAITING: _CUT_OFF,
}


def write(folder, study, description):
    """Write `trials.csv` and the figures into the folder of a search, and print what it found.

    Args:
        folder: a `SearchFolder`.
        study: its Optuna study.
        description: content of `search.json`.
    """
    names = [dim.name for dim in spaces.parse(description["space"], description["task"])]
    trials = _table(folder, study.get_trials(deepcopy=False), names)
    complete = trials[trials.state == "complete"].rename(columns={"validation_error": "error"})
    if len(complete):
        best = complete.sort_values("error", kind="stable")[["trial", "error", *names]]
        formats = {"error": lambda error: f"{100 * error:.2f} %", **dict.fromkeys(names, shown)}
        rows = best.head(_ROWS)
        # The formatters of `to_string` leave out some columns of mixed types.
        rows = rows.assign(**{name: rows[name].map(form) for name, form in formats.items()})
        terminal.say(f"\n{rows.to_string(index=False)}")
    counts = trials.state.value_counts()
    found = [f"{counts[state]} {state}" for state in _STATES.values() if state in counts]
    noun = "trial" if len(trials) == 1 else "trials"
    terminal.say(f"\n{len(trials)} {noun}: {', '.join(found) or 'none has begun'}")
    for _, trial in trials[trials.state == "failed"].iterrows():
        terminal.say(f"trial {trial.trial} failed: {trial[FAILURE]}")
    if _CUT_OFF in counts:
        terminal.say("The command of the search goes on with what was cut off.")
    path = folder.file("trials.csv")
    writing.write_table(path, trials.columns, trials.itertuples(index=False))
    terminal.say(
        "\n".join(["", *(f"wrote {path}" for path in (path, *figures.draw(folder, study)))])
    )
    if len(complete):
        terminal.say(
            f"\nTrial {study.best_trial.number} on all training images, measured on test images:\n"
            f"{command(folder, study.best_trial, description)}"
        )


def _table(folder, trials, names):
    """Return a data frame with a line for each trial, as in `trials.csv`."""
    rows = [
        (
            trial.number,
            _state(folder, trial),
            # A cross-validation has an error at its end alone.
            trial.intermediate_values.get(trial.last_step, trial.value),
            trial.last_step or 0,
            *map(trial.params.get, names),
            *map(trial.user_attrs.get, (SECONDS, FAILURE)),
        )
        for trial in trials
    ]
    columns = ["trial", "state", "validation_error", "step", *names, SECONDS, FAILURE]
    # As objects, whole numbers beside missing ones do not become floats.
    return pandas.DataFrame(rows, columns=columns, dtype=object)


def _state(folder, trial):
    is_left = trial.state == TrialState.RUNNING and not folder.is_training(trial.number)
    return _CUT_OFF if is_left else _STATES[trial.state]


def command(folder, trial, description):
    """Return the command line that trains with a trial's values and without validation images.

    Args:
        folder: a `SearchFolder`.
        trial: the Optuna trial.
        description: content of `search.json`.
    """
    task, fixed = description["task"], description["flags"]
    for name in ("validation_samples", "cross_validate"):
        fixed = _without(fixed, name)
    if missing := sorted(description["space"].keys() - trial.params.keys()):
        raise UserError(f"trial {trial.number} is damaged: its record lacks {missing[0]}")
    values = {name: trial.params[name] for name in description["space"]}
    arguments = [*fixed, *spaces.as_flags(values)]
    config = spaces.training_config(task, arguments)
    for name in ("validation_samples", "cross_validate"):
        if getattr(config, name, 0):
            # A recipe or a flagfile has set it.
            arguments.append(f"--{name}=0")
    command = ["python", "-m", f"{task}.train", *arguments, f"--logdir={folder.file('best')}"]
    backend = shlex.quote(description["backend"])
    return ("" if backend == "tensorflow" else f"{BACKEND}={backend} ") + shlex.join(command)


def _without(arguments, name):
    """Return flags without those of a name."""
    kept, arguments = [], iter(arguments)
    for argument in arguments:
        if argument in (f"-{name}", f"--{name}"):
            # Skip the value, which is an argument of its own.
            next(arguments)
        elif argument.split("=")[0].lstrip("-") != name:
            kept.append(argument)
    return kept
