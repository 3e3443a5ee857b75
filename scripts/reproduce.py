"""Reproduces the tables of the papers: runs what is missing of them, and collects the results.

    python -m scripts.reproduce --table=cvpr17/1 --seeds=0:3 -- --precision=bfloat16

What follows `--` are flags of every training.
"""

import dataclasses
import math
import os
import sys
import time

from scripts import cells, executors, published, results
from semisup import flags
from semisup.errors import TrainingError, UserError
from semisup.options import check_ranges, option
from semisup.signals import StopSignals

SUMMARY = (
    "Runs every missing cell and seed of a published table, each as a process and in a folder of\n"
    "its own, and collects the results. Complete runs are skipped, and those that were cut off go\n"
    "on. Flags after -- are given to every training."
)
_OWN_FLAGS = ("seed", "logdir", "max_steps", "progress", "recipe", "overwrite", "live_config")
_OWN_FLAGS += ("initial_run",)
_LOOK_SECONDS = 0.5
_LINE_SECONDS = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """Settings of a reproduction (see the help of each field's flag)."""

    table: str = option(
        "", "Cells", "Table of a paper, as cvpr17/1; help: list them with their cells."
    )
    row: str = option(
        "", "Cells", "Recipes to run, separated by commas; default: all of the table."
    )
    seeds: str = option("0", "Cells", "Seeds: a number, numbers separated by commas, or 0:10.")
    max_steps: int = option(
        0,
        "Cells",
        "Steps of each training, another budget than the recipes'; the tables say so. 0: theirs.",
        least=0,
    )
    folder: str = option("runs/reproduce", "Runs", "Folder of the run directories.")
    jobs: int = option(1, "Runs", "Trainings at a time.", least=1)
    dry_run: bool = option(False, "Runs", "List the cells with what they will cost; run nothing.")
    collect: bool = option(
        True,
        "Runs",
        "Copy results into results/ as they come in, and skip what is there already; --nocollect "
        "trains all, and leaves results/ alone.",
    )
    note: str = option("", "Runs", "What the rows of the tables say of the data.")
    not_comparable: bool = option(
        False, "Runs", "Leave the published numbers out of the rows: they are of other data."
    )
    executor: str = option("local", "Cluster", "Where trainings run.", one_of=("local", "ray"))
    address: str = option("", "Cluster", "Address of a Ray cluster; default: start one here.")
    cpus: float = option(1.0, "Cluster", "Processor cores that Ray gives a training.", above=0)
    gpus: float = option(0.0, "Cluster", "GPUs that Ray gives a training.", least=0)

    def __post_init__(self):
        check_ranges(self)
        if not self.table:
            raise UserError("--table is required, as cvpr17/1; --table=help lists them")
        for name in ("address", "cpus", "gpus"):
            default = type(self).__dataclass_fields__[name].default
            if self.executor == "local" and getattr(self, name) != default:
                raise UserError(f"--{name} has no effect without --executor=ray")
        if self.executor == "ray" and self.jobs != 1:
            raise UserError(
                f"--jobs={self.jobs} has no effect with --executor=ray, which runs as many at a "
                "time as there is room for: give --cpus or --gpus"
            )
        self.chosen_seeds()

    def chosen_seeds(self):
        """The seeds, ascending.

        Raises:
            UserError: if they cannot be read.
        """
        try:
            first, colon, last = self.seeds.partition(":")
            chosen = range(int(first), int(last)) if colon else map(int, self.seeds.split(","))
            chosen = sorted(set(chosen))
        except ValueError:
            chosen = []
        if not chosen or chosen[0] < 0:
            raise UserError(f"--seeds={self.seeds}: give a number, 0,2,5 or 0:10")
        return chosen


def chosen_numbers(config):
    """The published numbers that a reproduction is about.

    Raises:
        UserError: if there is no such table or row.
    """
    known = [number for number in published.numbers() if number.recipe]
    places = list(dict.fromkeys(number.place for number in known))
    found = [number for number in known if number.place == config.table]
    if not found:
        raise UserError(f"--table={config.table} is none of {', '.join(places)}")
    wanted = [name for name in config.row.split(",") if name]
    names = list(dict.fromkeys(number.recipe for number in found))
    for name in wanted:
        if name not in names:
            raise UserError(f"--row={name} is none of {', '.join(names)}")
    return [number for number in found if not wanted or number.recipe in wanted]


def listing():
    """All tables with the recipes and flags of their cells, as text."""
    cells_of = {}
    for number in published.numbers():
        if number.recipe:
            cells_of.setdefault(number.place, []).append(number.cell)
    lines = []
    for place, members in cells_of.items():
        lines.append(place)
        lines += [f"  {' '.join([recipe, *further])}" for recipe, further in dict.fromkeys(members)]
    return "\n".join(lines)


@dataclasses.dataclass
class _Running:
    """What is known of a cell that was handed to the executor.

    Attributes:
        handle: the executor's.
        log_size: of its log before; what grows it is the training.
        started: the time when it began, or None while it waits for room on a cluster.
        training: the cell that is trained now: itself, or what it goes on from.
        steps: that this had taken at first.
        since: the time when this began.
    """

    handle: object
    log_size: int
    started: float | None = None
    training: cells.Cell | None = None
    steps: int = 0
    since: float = 0.0

    def turn_to(self, cell):
        """Notes what is trained from now on."""
        self.training, self.steps, self.since = cell, cell.steps, time.monotonic()


class Reproduction:
    """Cells that are being run.

    Args:
        config: a `ReproduceConfig`.
        todo: the `Cell`s to run.
        every: all `Cell`s, those that are complete included.
        executor: see `executors`.
        screen: stream to show what is going on; by default the standard output.
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
        """Runs all, and stops those that run where it is interrupted."""
        try:
            with StopSignals() as signals:
                while self.waiting or self.running:
                    if signals.received:
                        # SIGTERM too: nobody else would stop the trainings.
                        raise KeyboardInterrupt
                    self._look()
        except KeyboardInterrupt:
            self._say("stopping; the trainings save first ...")
            self.executor.stop([state.handle for state in self.running.values()])
            raise
        self._measure_coverage()

    def _look(self):
        """Starts what there is room for, and notes what has ended."""
        # Ray queues by itself, and knows how many fit.
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
        """Copies the result of a complete run into `results/`."""
        if not self.config.collect:
            return
        try:
            path = results.collect(cell.recipe, cell.run, cell.note, not self.config.not_comparable)
        except UserError as error:
            self._say(f"not collected: {error}")
        else:
            self._say(f"wrote {path}")

    def _measure_coverage(self):
        """Evaluates adaptations whose bounds are complete by now, for their coverage."""
        for cell, bounds in cells.with_bounds(self.every).items():
            if results.evaluated(cell.run, cell.config.max_steps).get("coverage") is None:
                self._say(f"coverage of {cell.name} ...")
                if self._wait_for(cell.commands(bounds), cell.log):
                    self._say(f"no coverage: {executors.last_line(cell.log)}")
                else:
                    self.collect(cell)

    def _wait_for(self, commands, log):
        """Runs commands where trainings run, and returns their exit status."""
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
        """What runs, and how long all will take: redrawn on a terminal, else a line a minute."""
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
        """A line for each cell that runs, and one for all."""
        lines = [self._progress(cell) for cell in self._begun()]
        if len(lines) > most:
            hidden = len(lines) - most + 1
            lines = [*lines[:-hidden], f"  and {hidden} more"]
        return [*lines, self._summary()]

    def _begun(self):
        """The cells that run: what waits for room on a cluster does not."""
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
        """Estimate from the run's own speed, else from what is known of its recipe."""
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
    """Bytes of a file, or -1 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def duration(seconds):
    """A time for the screen."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def plan(config, further):
    """All cells of a reproduction.

    Args:
        config: a `ReproduceConfig`.
        further: flags of every training.

    Returns:
        List of `Cell`s.

    Raises:
        UserError: if a table, row or flag is wrong.
    """
    for name in published.flag_names(further):
        if name in _OWN_FLAGS:
            raise UserError(f"--{name} is not for all trainings: see the flags before --")
    budget = [f"--max_steps={config.max_steps}"] if config.max_steps else []
    planned = cells.of_table(
        chosen_numbers(config),
        config.folder,
        config.chosen_seeds(),
        (*further, *budget),
        config.note,
    )
    for cell in planned:
        for name in published.flag_names(cell.own):
            if name in published.flag_names(further):
                raise UserError(
                    f"--{name} is not for all trainings: {' '.join(cell.own)} makes a cell"
                )
    return planned


def describe(planned, todo):
    """The cells and what they will cost, as text."""
    lines, total, unknown = [], 0.0, 0
    width = max(len(cell.name) for cell in planned)
    estimates = cells.seconds_per_step(todo)
    for cell in planned:
        if cell not in todo:
            where = "in results/" if cell.result.is_file() else "trained"
            lines.append(f"{cell.name:<{width}}  complete, {where}")
            continue
        parts = []
        for training in reversed(cell.trainings):
            seconds, steps = estimates[training.kind], training.config.max_steps - training.steps
            before = "" if training is cell else f"{training.recipe} before it: "
            begun = f", at step {training.steps:,}" if training.steps else ""
            if seconds is None:
                unknown += 1
                parts.append(f"{before}{steps:,} steps of unknown cost{begun}")
            else:
                total += seconds * steps
                parts.append(f"{before}{steps:,} steps, {duration(seconds * steps)}{begun}")
        lines.append(f"{cell.name:<{width}}  {'; '.join(parts)}")
    rest = f", and {unknown} of unknown cost" if unknown else ""
    lines.append(
        f"{len(todo)} of {len(planned)} to run, {duration(total)} one after the other{rest}; as "
        "measured on CPU cores, or else estimated for two in bfloat16"
    )
    return "\n".join(lines)


def reproduce(config, further=(), executor=None):
    """Runs what is missing.

    Args:
        config: a `ReproduceConfig`.
        further: flags of every training.
        executor: see `executors`; by default the one that the configuration names.

    Raises:
        UserError: if a table, row or flag is wrong.
        TrainingError: at the end, if a run failed.
    """
    if config.table == "help":
        print(listing())
        return
    planned = plan(config, further)
    todo = [
        cell
        for cell in planned
        if not (cell.is_complete or (config.collect and cell.result.is_file()))
    ]
    for training in (training for cell in todo for training in cell.trainings):
        if training.is_stale:
            raise UserError(
                f"{training.run} holds a run with other settings than {training.recipe} has now; "
                "move or delete it, or give another --folder"
            )
    print(describe(planned, todo), flush=True)
    if config.dry_run:
        return
    if executor is None:
        executor = (
            executors.LocalExecutor()
            if config.executor == "local"
            else executors.RayExecutor(config.address, config.cpus, config.gpus)
        )
    run = Reproduction(config, todo, planned, executor)
    for cell in planned:
        if cell.is_complete and not cell.result.is_file():
            # Trained by an earlier call, which was stopped before it collected, or did not.
            run.collect(cell)
    try:
        run.run()
    finally:
        executor.close()
    print(f"{run.done} complete; python -m scripts.tables writes the tables")
    if run.failed:
        names = "; ".join(f"{cell.name} (see {cell.log})" for cell in run.failed)
        raise TrainingError(f"{len(run.failed)} failed: {names}")


def main():
    """Entry point of the script."""
    own, further = flags.split(sys.argv)

    def run(config):
        reproduce(config, tuple(further))

    flags.run(run, ReproduceConfig, program="reproduce", summary=SUMMARY, argv=own)


if __name__ == "__main__":
    main()
