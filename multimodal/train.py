"""Trains embeddings of images and sentences: `multimodal-train --help`."""

from multimodal.config import TrainConfig
from semisup.train import command

SUMMARY = (
    "Trains embeddings of images and of sentences, on images with captions: the more alike, the\n"
    "better a sentence describes an image."
)


def main():
    """Run the command."""
    command(
        "multimodal",
        TrainConfig,
        SUMMARY,
        dataset="a folder of images with captions, or coco_captions",
    )


if __name__ == "__main__":
    main()
