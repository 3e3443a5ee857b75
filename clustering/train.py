"""Trains a clustering of images: `clustering-train --help`."""

from clustering.config import TrainConfig
from semisup.train import command

SUMMARY = (
    "Trains a classifier of images into clusters, with no labels.\n"
    "Without any flag: on 5,000 MNIST digits that need no download."
)


def main():
    """Run the command."""
    command("clustering", TrainConfig, SUMMARY)


if __name__ == "__main__":
    main()
