"""Trains an image classifier with few labels: `semisup-train --help`."""

import os
import sys

from semisup.cli import flags
from semisup.config import TrainConfig
from semisup.errors import UserError

SUMMARY = (
    "Trains an image classifier on a few labelled and many unlabelled images, by association.\n"
    "Without any flag: on 5,000 MNIST digits that need no download, with 10 labels a class."
)


def main():
    """Run the command."""
    hint = (
        "--target_dataset is a flag of domain-adaptation-train, which adapts a classifier from one "
        "domain to another"
    )
    command("semisup", TrainConfig, SUMMARY, hints={"target_dataset": hint})


def command(task, config_class, summary, hints=None, dataset=""):
    """Run the command that trains a task, and exit.

    Args:
        task: name of the task's package, which has the recipes; imported only when something heavy
            may be.
        config_class: class of its configurations.
        summary: see `flags.run`.
        hints: see `flags.run`.
        dataset: what a data set has to be, if the command needs `--dataset`. That is not up to the
            configuration: no recipe can know whose images they are.
    """

    def train(config):
        from semisup.cli import terminal

        if config.architecture == "help":
            terminal.import_quietly()
            from semisup import architectures

            print(architectures.describe())
            return 0
        if dataset and not config.dataset:
            raise UserError(f"--dataset is required: {dataset}")
        config.check_paths()
        terminal.import_quietly()
        from semisup.run import cross_validation
        from semisup.run.task import task_named

        return cross_validation.train(config, task_named(task))

    flags.run(
        train,
        config_class,
        program=f"{task.replace('_', '-')}-train",
        summary=summary,
        recipes=os.path.join(os.path.dirname(sys.modules[task].__file__), "recipes"),
        hints=hints,
    )


if __name__ == "__main__":
    main()
