"""Trains a segmentation with few labelled images: `segmentation-train --help`."""

import os

from segmentation.config import TrainConfig
from semisup.cli import flags
from semisup.errors import UserError
from semisup.train import train

SUMMARY = (
    "Trains a network that says of each pixel what it shows, on a few images with label maps and\n"
    "many without, by association of their pixels."
)


def main():
    """Entry point of the binary."""
    flags.run(
        _train,
        TrainConfig,
        program="segmentation-train",
        summary=SUMMARY,
        recipes=os.path.join(os.path.dirname(__file__), "recipes"),
    )


def _train(config):
    # Not in the configuration: no recipe can know whose images they are.
    if not config.dataset and config.architecture != "help":
        raise UserError("--dataset is required: a folder of images and label maps")
    return train(config, "segmentation")


if __name__ == "__main__":
    main()
