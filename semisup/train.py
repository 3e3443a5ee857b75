"""Trains an image classifier with few labels: `semisup-train --help`."""

import os

from semisup.cli import flags
from semisup.config import TrainConfig

SUMMARY = (
    "Trains an image classifier on a few labelled and many unlabelled images, by association.\n"
    "Without any flag: on 5,000 MNIST digits that need no download, with 10 labels a class."
)


def main():
    """Entry point of the binary."""
    flags.run(
        _train,
        TrainConfig,
        program="semisup-train",
        summary=SUMMARY,
        recipes=os.path.join(os.path.dirname(__file__), "recipes"),
        hints={
            "target_dataset": "--target_dataset is a flag of domain-adaptation-train, which adapts "
            "a classifier from one domain to another"
        },
    )


def train(config, task):
    """Train as a configuration says, or list the architectures where it asks for them.

    Args:
        config: a configuration of the task's class.
        task: name of the task, imported only when something heavy may be.

    Returns:
        Exit status: see `cross_validation.train`.
    """
    from semisup.cli import terminal

    terminal.import_quietly()
    if config.architecture == "help":
        from semisup import architectures

        print(architectures.describe())
        return 0
    from semisup.run import cross_validation
    from semisup.run.task import task_named

    return cross_validation.train(config, task_named(task))


def _train(config):
    return train(config, "semisup")


if __name__ == "__main__":
    main()
