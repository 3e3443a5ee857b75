"""The reproduction of the papers' tables: run the missing parts and collect the results.

    python -m scripts.reproduce --table=cvpr17/1 --seeds=0:3 -- --precision=bfloat16

The flags after `--` are given to every training.
"""

import dataclasses
import itertools
import sys

from scripts import cells, executors, published
from scripts.reproduction import Reproduction, duration
from semisup.cli import flags
from semisup.cli.options import check, check_unused, option
from semisup.errors import TrainingError, UserError

SUMMARY = (
    "Runs every missing cell and seed of a published table, each as a process and in a folder of\n"
    "its own, and collects the results. Complete runs are skipped, and those that were cut off go\n"
    "on. Flags after -- are given to every training."
)
MOST_SEEDS = 1000
_OWN_FLAGS = ("seed", "logdir", "max_steps", "progress", "recipe", "overwrite", "live_config")
_OWN_FLAGS += ("initial_run",)


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
        "Steps of each training instead of the recipes'; the tables say so. 0: the recipes'.",
        least=0,
    )
    folder: str = option("runs/reproduce", "Runs", "Folder of the run directories.")
    jobs: int = option(1, "Runs", "Trainings at a time.", least=1)
    dry_run: bool = option(False, "Runs", "List the cells and their cost; run nothing.")
    collect: bool = option(
        True,
        "Runs",
        "Copy results into results/ as they come in, and skip what is already there; --nocollect "
        "trains all and leaves results/ alone.",
    )
    note: str = option("", "Runs", "What the rows of the tables say about the data.")
    not_comparable: bool = option(
        False,
        "Runs",
        "Leave the published numbers out of the rows, since they were measured on other data.",
    )
    executor: str = option("local", "Cluster", "Where trainings run.", one_of=("local", "ray"))
    address: str = option("", "Cluster", "Address of a Ray cluster; default: start one here.")
    cpus: float = option(1.0, "Cluster", "Processor cores that Ray gives a training.", above=0)
    gpus: float = option(0.0, "Cluster", "GPUs that Ray gives a training.", least=0)

    def __post_init__(self):
        check(self)
        if not self.table:
            raise UserError("--table is required, as cvpr17/1; --table=help lists them")
        if self.executor == "local":
            check_unused(self, ("address", "cpus", "gpus"), "without --executor=ray")
        else:
            check_unused(
                self,
                ["jobs"],
                "with --executor=ray, which runs as many at a time as there is room for: give "
                "--cpus or --gpus",
            )
        self.chosen_seeds()

    def chosen_seeds(self):
        """Return the seeds, ascending.

        Raises:
            UserError: if they cannot be read.
        """
        try:
            first, colon, last = self.seeds.partition(":")
            chosen = range(int(first), int(last)) if colon else map(int, self.seeds.split(","))
            # One too many tells of more, however many there are.
            chosen = sorted(set(itertools.islice(chosen, MOST_SEEDS + 1)))
        except ValueError:
            chosen = []
        if not 0 < len(chosen) <= MOST_SEEDS or chosen[0] < 0:
            raise UserError(
                f"--seeds={self.seeds}: give a number, 0,2,5 or 0:10, of at most {MOST_SEEDS} seeds"
            )
        return chosen


def chosen_numbers(config):
    """Return the published numbers that a reproduction is about.

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
    """List all tables with the recipes and flags of their cells, as text."""
    cells_of = {}
    for number in published.numbers():
        if number.recipe:
            cells_of.setdefault(number.place, []).append(number.cell)
    lines = []
    for place, members in cells_of.items():
        lines.append(place)
        lines += [f"  {' '.join([recipe, *further])}" for recipe, further in dict.fromkeys(members)]
    return "\n".join(lines)


def plan(config, further):
    """Plan all cells of a reproduction.

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
    """Describe the cells and what they will cost, as text."""
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
    """Run what is missing.

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
            # An earlier call trained it, and was stopped or told not to collect.
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
    """Run the command."""
    own, further = flags.split(sys.argv)

    def run(config):
        reproduce(config, tuple(further))

    flags.run(run, ReproduceConfig, program="reproduce", summary=SUMMARY, argv=own)


if __name__ == "__main__":
    main()
