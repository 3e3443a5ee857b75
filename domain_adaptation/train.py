"""Adapts an image classifier to another domain: `domain-adaptation-train --help`."""

from domain_adaptation.config import TrainConfig
from semisup.train import command

SUMMARY = (
    "Trains an image classifier on labelled images of a source domain, and adapts it to\n"
    "unlabelled images of a target domain, by association or by a baseline. Without any flag:\n"
    "from 5,000 MNIST digits to scikit-learn's digits of 8 x 8 pixels; neither needs a download."
)


def main():
    """Run the command."""
    command("domain_adaptation", TrainConfig, SUMMARY)


if __name__ == "__main__":
    main()
