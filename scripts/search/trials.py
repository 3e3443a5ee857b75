"""The trials of a search: which process trains which one, and what came of it.

A process that trains a trial holds a lock, which its training inherits: a trial whose process has
gone is free once its training has gone too, and whoever finds it goes on with it.
"""

import os
import signal
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
from semisup.run_directory import RunDirectory
from semisup.signals import StopSignals

ROOT = Path(__file__).resolve().parent.parent.parent
ERROR = "validation_error"
"""Name of the error on validation images in logs and results."""
EVALUATED_ON = "validation images"
FAILURE, SECONDS = "failure", "seconds"

_STOPPED = {sign for number in (signal.SIGINT, signal.SIGTERM) for sign in (128 + number, -number)}
_POLL_SECONDS = 0.5


def start_training(command, log, lock):
    """Starts a training process, out of reach of the keyboard's Ctrl-C.

    Args:
        command: its module and its flags.
        log: path of the file that its output is appended to.
        lock: file that is to be open until it ends.

    Returns:
        The `subprocess.Popen`.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )


class Job:
    """A trial that this process trains.

    Args:
        trial: the Optuna trial, with all its parameters.
        folder: a `SearchFolder`.
        lock: its open lock file.
    """

    def __init__(self, trial, folder, lock):
        self.trial = trial
        self.lock = lock
        self.run = RunDirectory(folder.trial(trial.number))
        self.log = folder.trial(trial.number, ".log")
        self.earlier_output = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.reported = set(
            trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        )
        self.process = None
        self.is_pruned = False
        self.was_told = False

    def stop(self):
        """Asks the training to save and stop; once, since it would not live through a second."""
        if not self.was_told:
            self.was_told = True
            self.process.terminate()

    def new_errors(self):
        """Pairs of step and error that were measured since the last call."""
        for entry in self.run.read_metrics():
            if ERROR in entry and entry["step"] not in self.reported:
                self.reported.add(entry["step"])
                yield entry["step"], entry[ERROR]

    def failure(self):
        """Exit status, and the last line that the training printed."""
        line = last_line(self.log, self.earlier_output)
        return f"exit status {self.process.returncode}: {line}"


class Searcher:
    """One process' share of a search.

    Args:
        folder: a `SearchFolder`.
        study: its Optuna study.
        space: tuple of `Dimension`s.
        fixed: flags of all trainings.
        config: a `SearchConfig`.
        max_steps: steps of a training.
        start: starts a training: see `start_training`.
    """

    def __init__(self, folder, study, space, fixed, config, max_steps, start=start_training):
        self.folder = folder
        self.study = study
        self.space = space
        self.fixed = fixed
        self.config = config
        self.max_steps = max_steps
        self.start = start
        self.jobs = []
        self._stopped = set()
        study.pruner = optuna.pruners.MedianPruner() if config.prune else optuna.pruners.NopPruner()

    def run(self):
        """Trains trials until there are as many as asked for, or until a signal.

        Returns:
            Number of the signal that stopped it, or 0.
        """
        with StopSignals() as signals:
            try:
                while True:
                    while not signals.received and len(self.jobs) < self.config.jobs:
                        with self.folder.lock():
                            job = self._find()
                        if job is None:
                            break
                        job.process = self.start(self._command(job), job.log, job.lock)
                        self.jobs.append(job)
                    if not self.jobs:
                        return signals.received
                    if signals.received and not all(job.was_told for job in self.jobs):
                        print("\nStopping: the trainings save what they have ...", flush=True)
                        self._stop()
                    time.sleep(_POLL_SECONDS)
                    self.jobs = [job for job in self.jobs if self._goes_on(job)]
            finally:
                # None is left but after an error, or a second Ctrl-C.
                self._stop()
                for job in self.jobs:
                    job.lock.close()

    def _stop(self):
        for job in self.jobs:
            job.stop()

    def _find(self):
        """A trial that was cut off, else a new one, or None if there is none to train."""
        trials = self.study.get_trials(deepcopy=False)
        for frozen in trials:
            if frozen.state != TrialState.RUNNING or frozen.number in self._stopped:
                continue
            lock = self.folder.lock_trial(frozen.number)
            if lock is None:
                continue
            # Asked again: it may have ended between the first look and the lock.
            frozen = self.study.get_trials(deepcopy=False)[frozen.number]
            if frozen.state == TrialState.RUNNING:
                trial = optuna.trial.Trial(self.study, frozen._trial_id)
                return self._job(trial, lock, "goes on")
            lock.close()
        if len(trials) >= self.config.trials:
            return None
        trial = self.study.ask()
        return self._job(trial, self.folder.lock_trial(trial.number), "begins")

    def _job(self, trial, lock, verb):
        self.study.sampler = sampler(self.config.sampler, self.config.seed, trial.number)
        # By name, so that the order of the lines of the space does not matter.
        for dimension in sorted(self.space, key=lambda dimension: dimension.name):
            dimension.suggest(trial)
        values = self._values(trial)
        text = ", ".join(f"{name}={shown(value)}" for name, value in values.items())
        print(f"trial {trial.number} {verb}: {text}", flush=True)
        return Job(trial, self.folder, lock)

    def _command(self, job):
        """Module and flags of a trial's training."""
        varied = spaces.as_flags(self._values(job.trial))
        return [f"{self.config.task}.train", *self.fixed, *varied, f"--logdir={job.run.path}"]

    def _values(self, trial):
        return {dimension.name: trial.params[dimension.name] for dimension in self.space}

    def _goes_on(self, job):
        """Looks after a training, and records what came of it if it has ended."""
        # Asked first: it may log and end between two looks.
        ended = job.process.poll() is not None
        for step, error in job.new_errors():
            job.trial.report(error, step)
            if not ended and not job.was_told and step < self.max_steps:
                job.is_pruned = job.trial.should_prune()
                if job.is_pruned:
                    job.stop()
        if ended:
            self._record(job)
            job.lock.close()
        return not ended

    def _record(self, job):
        status, number = job.process.returncode, job.trial.number
        results = job.run.read_results() if status == 0 else None
        measured = (results or {}).get("step"), (results or {}).get("evaluated_on")
        if measured == (self.max_steps, EVALUATED_ON):
            error = results[ERROR]
            job.trial.set_user_attr(SECONDS, results["wall_time_seconds"])
            self.study.tell(number, error)
            best = min(complete(self.study), key=lambda trial: trial.value)
            of_best = "" if best.number == number else f" is that of trial {best.number}"
            text = f"validation error {100 * error:.2f} %; the best so far{of_best}"
            print(f"trial {number}: {text}", flush=True)
        elif status in _STOPPED and job.is_pruned:
            self.study.tell(number, state=TrialState.PRUNED)
            step = max(job.reported)
            print(f"trial {number}: pruned after {step} steps", flush=True)
        elif status in _STOPPED:
            self._stopped.add(number)
            print(f"trial {number}: stopped; the same command goes on with it", flush=True)
        else:
            job.trial.set_user_attr(FAILURE, job.failure())
            self.study.tell(number, state=TrialState.FAIL)
            print(f"trial {number} failed: {job.failure()}", flush=True)


def complete(study):
    """The trials that were trained to the end."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def shown(value):
    """A value as tables and messages show it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sampler(kind, seed, number):
    """Sampler of the values of one trial.

    Args:
        kind: random or tpe.
        seed: seed of the search.
        number: of the trial. Random values depend on nothing but this and the seed, so they are the
            same whichever process begins the trial, and whenever.

    Returns:
        An Optuna sampler.
    """
    seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # That values close to those of running trials are avoided counts as experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
