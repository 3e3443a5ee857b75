"""Trains embeddings of images and sentences: `multimodal-train --help`."""

import os

from multimodal.config import TrainConfig
from semisup.cli import flags
from semisup.errors import UserError
from semisup.train import train

SUMMARY = (
    "Trains embeddings of images and of sentences, on images with captions: the more alike, the\n"
    "better a sentence describes an image."
)


def main():
    """Entry point of the binary."""
    flags.run(
        _train,
        TrainConfig,
        program="multimodal-train",
        summary=SUMMARY,
        recipes=os.path.join(os.path.dirname(__file__), "recipes"),
    )


def _train(config):
    # Not in the configuration: no recipe can know whose images they are.
    if not config.dataset and config.architecture != "help":
        raise UserError("--dataset is required: a folder of images with captions, or coco_captions")
    return train(config, "multimodal")


if __name__ == "__main__":
    main()
