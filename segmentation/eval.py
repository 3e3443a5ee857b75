"""The evaluation of a segmentation: `segmentation-eval --help`."""

import dataclasses

from semisup import eval as semi_supervised
from semisup.cli import flags
from semisup.cli.options import redefault

SUMMARY = (
    "Evaluates the checkpoints of a segmentation pixel by pixel: intersection over union of each\n"
    "class, accuracy, confusion matrix."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(semi_supervised.EvaluationConfig):
    """Settings of an evaluation (see the help of each field's flag)."""

    eval_batch_size: int = redefault(semi_supervised.EvaluationConfig, "eval_batch_size", 8)
    figures: bool = redefault(
        semi_supervised.EvaluationConfig,
        "figures",
        False,
        help="Draw test images beside their true and predicted maps and what is wrong, the "
        "confusion matrix, and labelled pixels that others are associated with, into figures/.",
    )


def main():
    """Run the command."""
    flags.run(_eval, EvalConfig, program="segmentation-eval", summary=SUMMARY)


def _eval(config):
    from semisup.cli import terminal

    terminal.import_quietly()
    from segmentation.task import TASK
    from semisup.report import reporting

    reporting.evaluate_run(config, TASK)


if __name__ == "__main__":
    main()
