"""The cells of the papers' tables as trainings: what is missing, how to run it, what it costs."""

import contextlib
import dataclasses
import functools
import re
import statistics
import sys
from pathlib import Path

import msgspec

from scripts import published, results
from semisup.errors import UserError
from semisup.run.directory import RunDirectory
from semisup.run.file_types import Entry

# The evaluation of an adaptation is compared with these: runs of the same pair and seed.
_BOUNDS = ("source_only", "target_only")


@dataclasses.dataclass(frozen=True)
class Cell:
    """A training of a table's cell with a seed.

    Attributes:
        recipe: name of the recipe.
        own: the flags that make it this cell of a grid.
        further: flags of all trainings, the seed's excepted.
        seed: the seed.
        folder: folder of all run directories.
        note: what its row says of the data.
    """

    recipe: str
    own: tuple[str, ...]
    further: tuple[str, ...]
    seed: int
    folder: Path
    note: str = ""

    @property
    def flags(self):
        """All flags beside the recipe's, the seed's excepted."""
        return (*self.own, *self.further)

    @functools.cached_property
    def config(self):
        """The configuration of the training."""
        return published.settings(self.recipe, (*self.flags, f"--seed={self.seed}"))

    @functools.cached_property
    def changes(self):
        """Settings that are not the recipes' own: see `results.changes`."""
        first = self.beginning.config.to_dict() if self.beginning else {}
        return self._own_changes + results.beginning_changes(self.recipe, first)

    @functools.cached_property
    def _own_changes(self):
        """Changes but for those of what it went on from."""
        return results.changes(self.recipe, self.config.to_dict())

    @property
    def name(self):
        """Recipe, changes and seed in one line."""
        return " ".join([self.recipe, *self.changes, f"seed {self.seed}"])

    @property
    def run(self):
        """The run directory."""
        return self.folder / self._place

    @property
    def log(self):
        """The file that the commands' output goes to."""
        return self.run.with_suffix(".log")

    @property
    def result(self):
        """The file of `results/` that the cell fills in."""
        return results.RESULTS / f"{self._place}.json"

    @property
    def _place(self):
        return results.place(self.recipe, self.changes, self.note) / f"seed{self.seed}"

    @property
    def task(self):
        """Name of the package that trains it."""
        return published.task_of(self.recipe)

    @property
    def is_trained(self):
        """Whether the training is complete, and was one with the recipe's present settings."""
        result = self._read("results.json")
        return result.get("step") == self.config.max_steps and self._has(result)

    @property
    def is_stale(self):
        """Whether its folder holds a run with settings that the recipe had before."""
        begun = self._read("config.json")
        return bool(begun) and not self._has(begun)

    def _read(self, name):
        """Return what a JSON file of the run holds; nothing if there is none."""
        return RunDirectory(self.run).read_json(name) or {}

    def _has(self, content):
        """Return whether a file of a run has this cell's settings, save what it went on from."""
        if "settings" not in content:
            return False
        settings = {**content["settings"], "max_steps": self.config.max_steps}
        return results.changes(self.recipe, settings) == self._own_changes

    @property
    def is_complete(self):
        """Whether it is trained, and evaluated where results need that."""
        if self.task == "semisup":
            return self.is_trained
        evaluation = self._read("evaluation.json")
        return self.is_trained and evaluation.get("step") == self.config.max_steps

    @property
    def kind(self):
        """What the time of a step depends on: recipe, changes but for the budget, precision."""
        return self.recipe, results.without_budget(self._own_changes), self.config.precision

    @property
    def steps(self):
        """Steps that the run's log has reached."""
        return (_last_entry(self.run / "metrics.jsonl") or {"step": 0})["step"]

    @functools.cached_property
    def beginning(self):
        """The training of the same seed that this one goes on from, if its recipe names one."""
        recipe = published.beginning(self.recipe)
        if recipe is None:
            return None
        known = published.TASKS[published.task_of(recipe)].__dataclass_fields__
        further = [flag for flag in self.further if published.flag_names([flag])[0] in known]
        return Cell(recipe, (), tuple(further), self.seed, self.folder, self.note)

    @property
    def trainings(self):
        """What is left to be trained, one after the other: cells, this one last."""
        if self.beginning and not self.is_trained and not self.beginning.is_trained:
            return [self.beginning, self]
        return [self]

    def commands(self, bounds=()):
        """Return the commands left to run: the training and, where results need it, the evaluation.

        Args:
            bounds: flags of the evaluation that name other runs.
        """
        train = [sys.executable, "-m", f"{self.task}.train", f"--recipe={self.recipe}"]
        train += [*self.flags, f"--seed={self.seed}", f"--logdir={self.run}", "--noprogress"]
        if self.beginning:
            train.append(f"--initial_run={self.beginning.run}")
        first = [command for cell in self.trainings[:-1] for command in cell.commands()]
        if self.task == "semisup":
            return [*first, train]
        evaluate = [sys.executable, "-m", f"{self.task}.eval", f"--logdir={self.run}", *bounds]
        return [evaluate] if self.is_trained else [*first, train, evaluate]


def seconds_per_step(cells):
    """Estimate the seconds per step from results on processors, or from the recipes' comments.

    Args:
        cells: `Cell`s.

    Returns:
        Dictionary from the `Cell.kind`s of their trainings to seconds, or None where nothing is
        known.
    """
    rates = {}
    for _, runs in results.rows():
        for run in runs:
            changes = results.without_budget(run["changed"])
            rate = run.get("median_steps_per_second")
            if rate and not run["hardware"]["accelerators"]:
                kind = run["recipe"], changes, run["settings"].get("precision", "float32")
                rates.setdefault(kind, []).append(rate)
    estimates = {}
    for training in (training for cell in cells for training in cell.trainings):
        recipe, changes, _ = training.kind
        if training.kind in rates:
            estimates[training.kind] = 1 / statistics.median(rates[training.kind])
        else:
            # The time that a recipe's comment gives holds for all cells of its grid.
            others = results.without(changes, published.flag_names(training.own))
            estimates[training.kind] = None if others else _promised(recipe)
    return estimates


def _promised(recipe):
    """Return the seconds per step that a recipe's comment promises, or None."""
    path = published.recipes(published.task_of(recipe)) / f"{recipe}.flags"
    text = path.read_text(encoding="utf-8")
    found = re.search(r"# Run time: (?:about|estimated) ([\d.]+) (minutes|hours)", text)
    if found is None:
        return None
    seconds = float(found[1]) * {"minutes": 60, "hours": 3600}[found[2]]
    return seconds / published.settings(recipe).max_steps


def of_table(numbers, folder, seeds, further, note=""):
    """Return the cells of published numbers, each once, in their order.

    Args:
        numbers: published `Number`s; those without a recipe are passed over.
        folder: folder of all run directories.
        seeds: the seeds.
        further: flags that all of them get.
        note: what their rows say of the data.

    Returns:
        List of `Cell`s, the seeds of each training together.

    Raises:
        UserError: if a flag is wrong for one of them.
    """
    kinds = dict.fromkeys(number.cell for number in numbers if number.recipe)
    cells = []
    folder = Path(folder).expanduser().absolute()
    for recipe, flags in kinds:
        for seed in seeds:
            cell = Cell(recipe, flags, tuple(further), seed, folder, note)
            try:
                published.settings(recipe, cell.flags)
            except UserError as error:
                raise UserError(f"{recipe}: {error}") from None
            cells.append(cell)
    return cells


def with_bounds(cells):
    """Return the adaptations whose coverage can be measured, and the flags that do so.

    Args:
        cells: `Cell`s.

    Returns:
        Dictionary from cells to flags of the evaluation.
    """
    trained = {(cell.recipe, cell.seed): cell for cell in cells if cell.is_trained}
    found = {}
    for (recipe, seed), cell in trained.items():
        if cell.task != "domain_adaptation" or recipe.endswith(_BOUNDS):
            continue
        pair = re.sub(r"_(fixed|mmd)$", "", recipe)
        bounds = {kind: trained.get((f"{pair}_{kind}", seed)) for kind in _BOUNDS}
        if all(bounds.values()):
            found[cell] = [f"--{kind}={bound.run}" for kind, bound in bounds.items()]
    return found


def _last_entry(path, tail=20_000):
    """Return the last whole entry of a log, or None."""
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - tail))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
            return msgspec.json.decode(line, type=Entry)
    return None
