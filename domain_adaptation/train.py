"""Adapts an image classifier to another domain: `domain-adaptation-train --help`."""

import os

from domain_adaptation.config import TrainConfig
from semisup.cli import flags
from semisup.train import train

SUMMARY = (
    "Trains an image classifier on labelled images of a source domain, and adapts it to\n"
    "unlabelled images of a target domain, by association or by a baseline. Without any flag:\n"
    "from 5,000 MNIST digits to scikit-learn's digits of 8 x 8 pixels; neither needs a download."
)


def main():
    """Entry point of the binary."""
    flags.run(
        _train,
        TrainConfig,
        program="domain-adaptation-train",
        summary=SUMMARY,
        recipes=os.path.join(os.path.dirname(__file__), "recipes"),
    )


def _train(config):
    return train(config, "domain_adaptation")


if __name__ == "__main__":
    main()
