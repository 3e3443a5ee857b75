"""The trials of a search: which process trains which one, and what came of it.

A process that trains a trial holds a lock, which its training inherits. When both have ended, the
trial is free, and the next process that finds it continues it.
"""

import concurrent.futures
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState

from scripts.executors import last_line
from scripts.search import spaces
from semisup.cli import terminal
from semisup.files.opening import open_descriptor
from semisup.machine.signals import STOPPING, StopSignals
from semisup.run.directory import RunDirectory

ROOT = Path(__file__).resolve().parent.parent.parent
ERROR = "validation_error"
"""Name of the error on validation images in logs and results."""
EVALUATED_ON = "validation images"
FAILURE, SECONDS = "failure", "seconds"

_STOPPED = {sign for number in STOPPING for sign in (128 + number, -number)}
_POLL_SECONDS = 0.5


class _NoTrialLeft(Exception):
    """A search has as many trials as were requested."""


class _Failed(Exception):
    """A training ended without a result."""


class _CutOff(BaseException):
    """A trial is left to be continued. (Optuna would record an `Exception` as a failure.)

    Its cause, if it has one, is an error that is not the training's.
    """


def start_training(command, log, lock):
    """Start a training process, out of reach of the keyboard's Ctrl-C.

    Args:
        command: its module and its flags.
        log: path of the file that its output is appended to.
        lock: file that is to be open until it ends.

    Returns:
        The `subprocess.Popen`.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with open(open_descriptor(log, flags), "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )


class SharedStudy(optuna.Study):
    """An Optuna study whose trials are begun one at a time, by several processes and threads.

    Args:
        study_name: its name.
        storage: its Optuna storage.
        folder: the `SearchFolder`.
        space: tuple of `Dimension`s.
        config: a `SearchConfig`.
    """

    def __init__(self, study_name, storage, folder, space, config):
        pruner = optuna.pruners.MedianPruner() if config.prune else optuna.pruners.NopPruner()
        super().__init__(study_name, storage, pruner=pruner)
        self.locks = {}
        """Open lock files of the trials that this process trains, by number."""
        self.stopped = set()
        """Numbers of trials that were stopped, and are not gone on with by this process."""
        self._shared = storage
        self._folder = folder
        self._config = config
        # Sorted by name, so that the order of the lines of the space does not matter.
        self._distributions = {
            dimension.name: dimension.distribution
            for dimension in sorted(space, key=lambda dimension: dimension.name)
        }

    def ask(self, fixed_distributions=None):
        """Return a trial that was cut off, else a new one, with all its values and its lock.

        Raises:
            _NoTrialLeft: if there are as many as asked for.
        """
        with self._folder.lock():
            count = len(self.get_trials(deepcopy=False))
            number = self._next()
            self.sampler = sampler(self._config.sampler, self._config.seed, number)
            trial = super().ask(self._distributions)
            self.locks[number] = self._folder.lock_trial(number)
        values = ", ".join(f"{name}={shown(value)}" for name, value in trial.params.items())
        terminal.say(f"trial {number} {'goes on' if number < count else 'begins'}: {values}")
        return trial

    def _next(self):
        """Return the number of the trial that Optuna gives next: waiting ones come first."""
        trials = self.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state == TrialState.WAITING:
                return trial.number
            is_open = trial.state == TrialState.RUNNING and trial.number not in self.stopped
            if is_open and self._folder.is_free(trial.number):
                study = self._shared.get_study_id_from_name(self.study_name)
                self._shared.set_trial_state_values(
                    self._shared.get_trial_id_from_study_id_trial_number(study, trial.number),
                    TrialState.WAITING,
                )
                return trial.number
        if len(trials) >= self._config.trials:
            raise _NoTrialLeft
        return len(trials)


class Searcher:
    """The share of a search that one process does.

    Args:
        folder: a `SearchFolder`.
        study: its `SharedStudy`.
        fixed: flags of all trainings.
        config: a `SearchConfig`.
        max_steps: steps of a training.
        start: starts a training: see `start_training`.
    """

    def __init__(self, folder, study, fixed, config, max_steps, start=start_training):
        self.folder = folder
        self.study = study
        self.fixed = fixed
        self.config = config
        self.max_steps = max_steps
        self.start = start
        self._signals = StopSignals()
        self._abandons = False

    def run(self):
        """Train trials until there are as many as asked for, or until a signal.

        Returns:
            Number of the signal that stopped it, or 0.
        """
        jobs = self.config.jobs
        with self._signals, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            try:
                shares = [pool.submit(self._work) for _ in range(jobs)]
                for share in concurrent.futures.as_completed(shares):
                    share.result()
            except BaseException:
                # After an error or a second Ctrl-C, the trainings save, but nobody waits for them.
                self._abandons = True
                raise
        return self._signals.received

    def _work(self):
        """Train one trial after the other."""
        while not (self._signals.received or self._abandons):
            try:
                self.study.optimize(self._objective, catch=(_Failed,), callbacks=[self._conclude])
            except _NoTrialLeft:
                return
            except _CutOff as cut:
                if cut.__cause__:
                    raise cut.__cause__ from None

    def _objective(self, trial):
        """Return the error of a trial, which Optuna minimizes."""
        try:
            return self._train(trial, self.study.locks[trial.number])
        except (_Failed, optuna.TrialPruned):
            raise
        except BaseException as error:
            self.study.locks.pop(trial.number).close()
            if isinstance(error, _CutOff):
                raise
            raise _CutOff from error

    def _train(self, trial, lock):
        run = RunDirectory(self.folder.trial(trial.number))
        log = self.folder.trial(trial.number, ".log")
        earlier_output = os.path.getsize(log) if os.path.exists(log) else 0
        varied = spaces.as_flags(trial.params)
        command = [f"{self.config.task}.train", *self.fixed, *varied, f"--logdir={run.path}"]
        process = self.start(command, log, lock)
        is_pruned = self._follow(trial, run, process)
        status = process.returncode
        error = self._error(run) if status == 0 else None
        if error is not None:
            trial.set_user_attr(SECONDS, run.read_results()["wall_time_seconds"])
            return error
        if status in _STOPPED and is_pruned:
            raise optuna.TrialPruned
        if status in _STOPPED:
            self.study.stopped.add(trial.number)
            text = f"trial {trial.number}: stopped; the same command goes on with it"
            terminal.say(text)
            raise _CutOff
        trial.set_user_attr(FAILURE, f"exit status {status}: {last_line(log, earlier_output)}")
        raise _Failed

    def _error(self, run):
        """Return the error of a complete training on held-out images, or None if it has none."""
        cross_validated = run.read_json("cross_validation.json")
        if cross_validated is not None:
            return cross_validated["error"] if cross_validated["step"] == self.max_steps else None
        results = run.read_results() or {}
        measured = results.get("step"), results.get("evaluated_on")
        return results[ERROR] if measured == (self.max_steps, EVALUATED_ON) else None

    def _follow(self, trial, run, process):
        """Report the errors of a training until it ends; return whether it was pruned."""
        reported = set(self.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        is_pruned = is_told = has_ended = False
        try:
            while not has_ended:
                # Ask first, since it may log and end between the two looks.
                has_ended = process.poll() is not None
                for step, error in _errors(run):
                    if step not in reported:
                        reported.add(step)
                        trial.report(error, step)
                        if not (has_ended or is_told) and step < self.max_steps:
                            is_pruned = is_pruned or trial.should_prune()
                if has_ended:
                    break
                if self._abandons:
                    raise _CutOff
                if (is_pruned or self._signals.received) and not is_told:
                    if not is_pruned:
                        terminal.say(f"\ntrial {trial.number}: it saves what it has ...")
                    is_told = True
                    process.terminate()
                time.sleep(_POLL_SECONDS)
        finally:
            # Only once, since a second signal would kill it.
            if not (has_ended or is_told):
                process.terminate()
        return is_pruned

    def _conclude(self, study, trial):
        """Say what came of a trial, and release it, after Optuna has recorded it."""
        self.study.locks.pop(trial.number).close()
        if trial.state == TrialState.COMPLETE:
            best = study.best_trial.number
            of_best = "" if best == trial.number else f" is that of trial {best}"
            text = f": validation error {100 * trial.value:.2f} %; the best so far{of_best}"
        elif trial.state == TrialState.PRUNED:
            text = f": pruned after {trial.last_step} steps"
        else:
            text = f" failed: {trial.user_attrs[FAILURE]}"
        terminal.say(f"trial {trial.number}{text}")
        if self._signals.received:
            study.stop()


def _errors(run):
    """Return the pairs of step and error that a training has measured so far."""
    return [(entry["step"], entry[ERROR]) for entry in run.read_metrics() if ERROR in entry]


def complete(study):
    """Return the trials that were trained to the end."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def left_to_others(study):
    """Return the trials that other processes train, when this one has nothing left to train."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [trial for trial in running if trial.number not in study.stopped]


def shown(value):
    """Format a value for tables and messages."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sampler(kind, seed, number):
    """Return the Optuna sampler of the values of one trial.

    Args:
        kind: random or tpe.
        seed: seed of the search.
        number: of the trial. Random values depend on nothing but this and the seed, so they are the
            same whichever process begins the trial, and whenever.
    """
    seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # Optuna warns that avoiding values close to those of running trials is experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
