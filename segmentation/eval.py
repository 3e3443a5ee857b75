"""The evaluation of a segmentation: `segmentation-eval --help`."""

import dataclasses

from semisup.cli.options import redefault
from semisup.eval import EvaluationConfig, command

SUMMARY = (
    "Evaluates the checkpoints of a segmentation pixel by pixel: intersection over union of each\n"
    "class, accuracy, confusion matrix."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(EvaluationConfig):
    """Settings of an evaluation (see the help of each field's flag)."""

    eval_batch_size: int = redefault(EvaluationConfig, "eval_batch_size", 8)
    figures: bool = redefault(
        EvaluationConfig,
        "figures",
        False,
        help="Draw test images beside their true and predicted maps and what is wrong, the "
        "confusion matrix, and labelled pixels that others are associated with, into figures/.",
    )


def main():
    """Run the command."""
    command("segmentation", EvalConfig, SUMMARY)


if __name__ == "__main__":
    main()
