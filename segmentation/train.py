"""Trains a segmentation with few labelled images: `segmentation-train --help`."""

from segmentation.config import TrainConfig
from semisup.train import command

SUMMARY = (
    "Trains a network that says of each pixel what it shows, on a few images with label maps and\n"
    "many without, by association of their pixels."
)


def main():
    """Run the command."""
    command("segmentation", TrainConfig, SUMMARY, dataset="a folder of images and label maps")


if __name__ == "__main__":
    main()
