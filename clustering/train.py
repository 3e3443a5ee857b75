"""Trains a clustering of images: `clustering-train --help`."""

import os

from clustering.config import TrainConfig
from semisup.cli import flags
from semisup.train import train

SUMMARY = (
    "Trains a classifier of images into clusters, with no labels.\n"
    "Without any flag: on 5,000 MNIST digits that need no download."
)


def main():
    """Entry point of the binary."""
    flags.run(
        _train,
        TrainConfig,
        program="clustering-train",
        summary=SUMMARY,
        recipes=os.path.join(os.path.dirname(__file__), "recipes"),
    )


def _train(config):
    return train(config, "clustering")


if __name__ == "__main__":
    main()
