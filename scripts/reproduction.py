"""Cells while they run: what is started, how far it has come, and how it ended."""

import dataclasses
import math
import os
import sys
import time

from scripts import cells, executors, published, results
from semisup.errors import UserError
from semisup.machine.signals import StopSignals

_LOOK_SECONDS = 0.5
_LINE_SECONDS = 60


@dataclasses.dataclass
class _Running:
    """What is known of a cell that was handed to the executor.

    Attributes:
        handle: the executor's.
        log_size: size of its log before the training wrote to it.
        started: the time when it began, or None while it waits for room on a cluster.
        training: the cell that is trained now: itself, or what it goes on from.
        steps: number of steps that this had already taken.
        since: the time when this began.
    """

    handle: object
    log_size: int
    started: float | None = None
    training: cells.Cell | None = None
    steps: int = 0
    since: float = 0.0

    def turn_to(self, cell):
        """Note what is trained from now on."""
        self.training, self.steps, self.since = cell, cell.steps, time.monotonic()


class Reproduction:
    """Cells that are being run.

    Args:
        config: a `scripts.reproduce.ReproduceConfig`.
        todo: the `Cell`s to run.
        every: all `Cell`s, those that are complete included.
        executor: see `executors`.
        screen: stream for the progress; by default the standard output.
    """

    def __init__(self, config, todo, every, executor, screen=None):
        self.config = config
        self.waiting = list(todo)
        self.every = every
        self.executor = executor
        self.screen = screen or sys.stdout
        self.running = {}
        self.failed = []
        self.done = 0
        self._estimates = cells.seconds_per_step(todo)
        self._shown = 0
        self._spoken = time.monotonic()

    def run(self):
        """Run all cells, and stop the running ones on an interruption."""
        try:
            with StopSignals() as signals:
                while self.waiting or self.running:
                    if signals.received:
                        # On SIGTERM too, since nobody else would stop the trainings.
                        raise KeyboardInterrupt
                    self._look()
        except KeyboardInterrupt:
            self._say("stopping; the trainings save first ...")
            self.executor.stop([state.handle for state in self.running.values()])
            raise
        self._measure_coverage()

    def _look(self):
        """Start what there is room for, and note what has ended."""
        # Ray has a queue of its own, and knows how many fit.
        room = self.config.jobs if self.config.executor == "local" else math.inf
        while self.waiting and len(self.running) < room:
            self._start(self.waiting.pop(0))
        time.sleep(_LOOK_SECONDS)
        for cell, state in list(self.running.items()):
            if state.started is None and _size(cell.log) != state.log_size:
                self._begin(cell)
            elif state.training not in (None, cell.trainings[0]):
                state.turn_to(cell.trainings[0])
            status = self.executor.status(state.handle)
            if status is not None:
                self._finish(cell, status)
        self._show()

    def _start(self, cell):
        size = _size(cell.log)
        handle = self.executor.submit(cell.commands(), str(cell.log), str(published.ROOT))
        self.running[cell] = _Running(handle, size)
        if self.config.executor == "local":
            self._begin(cell)

    def _begin(self, cell):
        state = self.running[cell]
        state.started = time.monotonic()
        state.turn_to(cell.trainings[0])
        self._say(f"started {cell.name}")

    def _finish(self, cell, status):
        state = self.running.pop(cell)
        if status == 0 and cell.is_complete:
            self.done += 1
            seconds = time.monotonic() - (state.started or time.monotonic())
            self._say(f"complete {cell.name}, after {seconds / 60:.1f} minutes")
            self.collect(cell)
        else:
            self.failed.append(cell)
            self._say(f"FAILED {cell.name}, status {status}: {executors.last_line(cell.log)}")

    def collect(self, cell):
        """Copy the result of a complete run into `results/`."""
        if not self.config.collect:
            return
        try:
            path = results.collect(cell.recipe, cell.run, cell.note, not self.config.not_comparable)
        except UserError as error:
            self._say(f"not collected: {error}")
        else:
            self._say(f"wrote {path}")

    def _measure_coverage(self):
        """Evaluate the adaptations whose bounds are complete by now, for their coverage."""
        for cell, bounds in cells.with_bounds(self.every).items():
            if results.evaluated(cell.run, cell.config.max_steps).get("coverage") is None:
                self._say(f"coverage of {cell.name} ...")
                if self._wait_for(cell.commands(bounds), cell.log):
                    self._say(f"no coverage: {executors.last_line(cell.log)}")
                else:
                    self.collect(cell)

    def _wait_for(self, commands, log):
        """Run commands where trainings run, and return their exit status."""
        handle = self.executor.submit(commands, str(log), str(published.ROOT))
        try:
            while (status := self.executor.status(handle)) is None:
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            self.executor.stop([handle])
            raise
        return status

    def _say(self, text):
        self._clear()
        print(text, file=self.screen, flush=True)

    def _show(self):
        """Show what runs and how long it will take, redrawn on a terminal, else once a minute."""
        if self.screen.isatty():
            self._clear()
            size = os.get_terminal_size(self.screen.fileno())
            lines = self._lines(most=size.lines - 3)
            print(
                "\n".join(line[: size.columns - 1] for line in lines), file=self.screen, flush=True
            )
            self._shown = len(lines)
        elif time.monotonic() - self._spoken > _LINE_SECONDS:
            self._spoken = time.monotonic()
            for line in self._lines():
                print(line, file=self.screen, flush=True)

    def _lines(self, most=math.inf):
        """Return a line for each cell that runs, and one for all."""
        lines = [self._progress(cell) for cell in self._begun()]
        if len(lines) > most:
            hidden = len(lines) - most + 1
            lines = [*lines[:-hidden], f"  and {hidden} more"]
        return [*lines, self._summary()]

    def _begun(self):
        """Return the cells that run; what waits for room on a cluster does not run."""
        return [cell for cell, state in self.running.items() if state.started is not None]

    def _clear(self):
        if self._shown:
            print(f"\x1b[{self._shown}A\x1b[J", end="", file=self.screen)
            self._shown = 0

    def _progress(self, cell):
        left = self._seconds_left(cell)
        time_left = "" if left is None else f", {duration(left)} left"
        shown = self.running[cell].training
        first = "" if shown is cell else f"{shown.recipe} first, "
        return (
            f"  {cell.name}: {first}step {shown.steps:,} of {shown.config.max_steps:,}{time_left}"
        )

    def _summary(self):
        begun = len(self._begun())
        cores = self.config.jobs if self.config.executor == "local" else max(begun, 1)
        times = [self._seconds_left(cell) for cell in (*self.running, *self.waiting)]
        unknown = sum(value is None for value in times)
        total = sum(value for value in times if value is not None) / cores
        waiting = len(self.waiting) + len(self.running) - begun
        text = f"{self.done} complete, {begun} running, {waiting} waiting"
        if self.failed:
            text += f", {len(self.failed)} failed"
        text += f"; about {duration(total)} left"
        return text + (f" and {unknown} of unknown cost" if unknown else "")

    def _seconds_left(self, cell):
        """Estimate the seconds left from the run's own speed, or else from its recipe."""
        state, total = self.running.get(cell), 0.0
        for training in cell.trainings:
            seconds, steps = self._estimates[training.kind], training.steps
            if state and state.training is training and steps > state.steps:
                seconds = (time.monotonic() - state.since) / (steps - state.steps)
            if seconds is None:
                return None
            total += seconds * (training.config.max_steps - steps)
        return total


def _size(path):
    """Return the size of a file in bytes, or -1 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def duration(seconds):
    """Format an estimated time for the screen, no finer than it can be known."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
