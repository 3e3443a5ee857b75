"""The numbers that the papers published, and the recipe that reproduces each of them.

`results/published.csv` has one line for each number, with its paper, table, row and column. `own`
is "yes" for the 115 numbers that are the dissertation's own; the others are quoted from other work.
Three of the 115 have no recipe: those of source only and target only in table 5 of the CVPR paper,
and that of signs without the batch's constraint in the text of the ICCV paper.
`results/further.csv` lists, in the same columns but for `own`, what is measured but not in any
paper; its values are empty.
"""

import csv
import dataclasses
from pathlib import Path

from clustering.config import TrainConfig as ClusteringConfig
from domain_adaptation.config import TrainConfig as AdaptationConfig
from multimodal.config import TrainConfig as MultimodalConfig
from segmentation.config import TrainConfig as SegmentationConfig
from semisup.cli import flags
from semisup.config import TrainConfig
from semisup.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
FILES = (ROOT / "results" / "published.csv", ROOT / "results" / "further.csv")
TASKS = {
    "semisup": TrainConfig,
    "domain_adaptation": AdaptationConfig,
    "clustering": ClusteringConfig,
    "multimodal": MultimodalConfig,
    "segmentation": SegmentationConfig,
}
PAPERS = {
    "cvpr17": "Learning by Association (CVPR 2017)",
    "iccv17": "Associative Domain Adaptation (ICCV 2017)",
    "adc18": "Associative Deep Clustering (2018)",
    "further": "Not in the papers",
}


@dataclasses.dataclass(frozen=True)
class Number:
    """A published number, or what is measured in the same way and was not published.

    Attributes:
        paper: one of `PAPERS`.
        table: number of the table, or where else it stands.
        setting: data, labels and other circumstances.
        method: name of the method.
        own: whether it is the dissertation's own, and not quoted from other work.
        metric: "test_error" or "least_test_error" (of all evaluations of a run) or "accuracy" or
            "k_means_accuracy", "mean_iou" or a recall such as "image_to_sentence_recall_at_1", in
            per cent, or "mmd".
        statistic: "mean", "median" or "best", of the paper's runs.
        value: the number, or None where none was published.
        std: its standard deviation, or None.
        note: what the paper says of the protocol.
        recipe: name of the recipe that reproduces it; empty if there is none.
        flags: further flags of the cell, as a tuple.
    """

    paper: str
    table: str
    setting: str
    method: str
    own: bool
    metric: str
    statistic: str
    value: float | None
    std: float | None
    note: str
    recipe: str
    flags: tuple[str, ...]

    @property
    def cell(self):
        """The training that reproduces it: recipe and flags."""
        return self.recipe, self.flags

    @property
    def what(self):
        """Setting and method."""
        return self.setting + ("" if self.method == "ours" else f", {self.method}")

    @property
    def place(self):
        """Paper and table, as `cvpr17/1`."""
        return f"{self.paper}/{self.table}"


def numbers():
    """Return all numbers, in the order of the papers; those that no paper has come last."""
    found = []
    for path in FILES:
        with open(path, encoding="utf-8", newline="") as file:
            found += [_number(row) for row in csv.DictReader(file)]
    return found


def _number(row):
    """Make a `Number` of a line of a file."""
    values = {name: float(row[name]) if row[name] else None for name in ("value", "std")}
    own = row.get("own") == "yes"
    return Number(**{**row, **values, "own": own, "flags": tuple(row["flags"].split())})


def task_of(recipe):
    """Return the name of the package that a recipe belongs to.

    Raises:
        UserError: if there is no such recipe.
    """
    for task in TASKS:
        if (recipes(task) / f"{recipe}.flags").is_file():
            return task
    raise UserError(f"no recipe is called {recipe!r}")


def recipes(task):
    """Return the folder of a task's recipes."""
    return ROOT / task / "recipes"


def settings(recipe, further=()):
    """Return the configuration of a recipe and further flags, as the command would read them.

    Raises:
        UserError: if there is no such recipe, or a flag is wrong.
    """
    task = task_of(recipe)
    argv = ["train", f"--recipe={recipe}", *further]
    return flags.parse(argv, TASKS[task], recipes=recipes(task))


def beginning(recipe):
    """Return the name of the recipe whose run a recipe goes on from, or None."""
    initial_run = settings(recipe).to_dict().get("initial_run")
    return Path(initial_run).name if initial_run else None


def headline(recipe):
    """Return the first line of a recipe: what it reproduces."""
    return _text(recipe).splitlines()[0].lstrip("# ")


def wants_gpu(recipe):
    """Return whether a recipe's comment says that it is meant for a GPU."""
    return "meant for a GPU" in _text(recipe)


def _text(recipe):
    return (recipes(task_of(recipe)) / f"{recipe}.flags").read_text(encoding="utf-8")


def flag_names(arguments):
    """Return the settings that flags set; `--noprogress` and `--progress` set the same one."""
    names = [argument.lstrip("-").partition("=")[0] for argument in arguments]
    known = {name for config in TASKS.values() for name in config.__dataclass_fields__}
    return [name if name in known else name.removeprefix("no") for name in names]
