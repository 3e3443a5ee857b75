"""The command line of the search of hyper-parameters."""

import dataclasses
import importlib.util
import sys

from domain_adaptation.config import TrainConfig
from semisup.cli import flags, terminal
from semisup.cli.options import check, check_unused, option
from semisup.errors import TrainingError, UserError, first_line

PROGRAM = "search"
SUMMARY = """Searches hyper-parameters at random (thesis section 2.3): trains with each of --trials
sets of values, and compares the errors at the last step. They are measured on --validation_samples
training images that are held out, never on test images; of an adaptation, on images held out of
the source, since the labels of the target are not to be looked at. With few labels, give
--cross_validate=K instead: each label is held out once, and a trial takes K + 1 trainings.

    python -m scripts.search --space=space.toml --folder=searches/mnist --trials=20 -- \\
      --recipe=mnist_100 --max_steps=1000 --validation_samples=5000

Flags after -- are those of the training's binary, the same for all trials. --space has a line for
each flag that varies:

    learning_rate = {log = [1e-4, 1e-2]}             # exponential
    visit_weight = {linear = [0, 1]}
    emb_size = {integer = [32, 256]}
    augmentation = {choice = ["none", "affine"]}

Ctrl-C stops the trainings, which save first; the same command goes on. Other processes, on other
machines too where they share the folder, join a search by the same command."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Settings of a search (see the help of each field's flag).

    Raises:
        UserError: on construction, if a value is out of its range or a required one is missing.
    """

    folder: str = option("", "Search", "Folder of the search (required).")
    task: str = option(
        "semisup", "Search", "What is trained.", one_of=("semisup", "domain_adaptation")
    )
    space: str = option("", "Search", "TOML file of what varies (required to search).")
    trials: int = option(
        20,
        "Search",
        "Trials of the whole search, by all its processes; failed ones count. Give more to go on "
        "with one that has ended.",
        least=1,
    )
    sampler: str = option(
        "random",
        "Search",
        "Choice of the values: at random, or by a tree-structured Parzen estimator (tpe), which "
        "learns from earlier trials after ten of them.",
        one_of=("random", "tpe"),
    )
    seed: int = option(
        0,
        "Search",
        "Seed of the sampling: with --sampler=random, it and a trial's number determine the "
        "trial's values. (The trainings' --seed goes after --.)",
        least=0,
        most=2**31 - 1,
    )
    prune: bool = option(
        False,
        "Search",
        "Stop a training whose error at an evaluation is above the median of the earlier trials', "
        "once five are complete. --eval_interval, after --, says how often that is asked.",
    )
    jobs: int = option(1, "Search", "Trainings at a time.", least=1)
    storage: str = option(
        "",
        "Search",
        "URL of a database for the record of the trials (sqlite:///FILE, postgresql://...); "
        "default: a file in the folder.",
    )
    report: bool = option(
        False, "Search", "Report on the search in --folder, which may be running; train nothing."
    )

    def __post_init__(self):
        if self.task == "clustering":
            raise UserError(
                "--task=clustering: it has no labels while it trains, and so no error to choose by"
            )
        check(self)
        if not self.folder:
            raise UserError("--folder: give the folder of the search")
        if self.report:
            own = ("folder", "storage", "report")
            others = [name for name in self.__dataclass_fields__ if name not in own]
            check_unused(self, others, "with --report: leave it out")
        elif not self.space:
            raise UserError("--space: give the TOML file of what varies")


def main(argv=None):
    """Run the command.

    Args:
        argv: command line, by default that of the process.
    """
    own, fixed = flags.split(list(sys.argv if argv is None else argv))
    theirs = ["recipe", *(field.name for field in dataclasses.fields(TrainConfig))]
    flags.run(
        lambda config: search(config, fixed),
        SearchConfig,
        program=PROGRAM,
        summary=SUMMARY,
        hints={name: f"--{name} is a flag of the trainings: give it after --" for name in theirs},
        argv=own,
    )


def search(config, fixed, **options):
    """Search, or go on searching, and report.

    Args:
        config: a `SearchConfig`.
        fixed: flags of all trainings.
        **options: for `trials.Searcher`.

    Returns:
        Exit status: 0 when this process has nothing left to train, 128 plus the signal's number
        when a signal stopped it.

    Raises:
        UserError: if the space, a flag or the folder is not what it has to be.
        TrainingError: if all trials failed, or the database does.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError("a search needs Optuna: pip install '.[search]'")
    from optuna.exceptions import StorageInternalError

    try:
        return _report(config, fixed) if config.report else _search(config, fixed, options)
    except StorageInternalError as error:
        raise TrainingError(f"--storage failed: {first_line(error)}") from None


def _search(config, fixed, options):
    from scripts.search import folders, reports, spaces, trials

    space = spaces.read(config.space, config.task)
    example = spaces.check(space, fixed, config.task)
    if config.prune and example.eval_interval >= example.max_steps:
        raise UserError(
            f"--eval_interval={example.eval_interval} is not before "
            f"--max_steps={example.max_steps}: --prune would have no error to decide by; lower it"
        )
    if config.prune and example.cross_validate:
        raise UserError(
            f"--cross_validate={example.cross_validate} has no error before the end of a trial by "
            "which --prune could decide; leave one of them out"
        )
    folder = folders.SearchFolder(config.folder, config.storage)
    description = folder.begin(config.task, space, fixed, example)
    shared = {"folder": folder, "space": space, "config": config}
    study = folder.study(description, trials.SharedStudy, **shared)
    searcher = trials.Searcher(folder, study, fixed, config, example.max_steps, **options)
    if received := searcher.run():
        terminal.say(
            f"Stopped; the same command goes on. --report --folder={config.folder} shows all."
        )
        return 128 + received
    reports.write(folder, study, description)
    if trials.left_to_others(study):
        terminal.say("Other processes train the trials that are left.")
    elif not trials.complete(study):
        raise TrainingError("no trial is complete")
    return 0


def _report(config, fixed):
    from scripts.search import folders, reports

    if fixed:
        raise UserError(f"{fixed[0]} has no effect with --report: leave it out")
    folder = folders.SearchFolder(config.folder, config.storage)
    description = folder.description()
    if description is None:
        raise UserError(f"--folder={config.folder} holds no search: it has no search.json")
    reports.write(folder, folder.study(description), description)
    return 0
