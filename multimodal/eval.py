"""The evaluation of embeddings of images and sentences: `multimodal-eval --help`."""

import dataclasses

from semisup import eval as semi_supervised
from semisup.cli import flags
from semisup.cli.options import option, redefault

SUMMARY = (
    "Evaluates the checkpoints of a training on images and sentences: how often images find their\n"
    "sentences, and sentences their images; and whether sentences are alike that people call alike."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(semi_supervised.EvaluationConfig):
    """Settings of an evaluation (see the help of each field's flag)."""

    figures: bool = redefault(
        semi_supervised.EvaluationConfig,
        "figures",
        False,
        help="Draw the nearest sentences of test images, and the nearest images of test sentences, "
        "into figures/.",
    )
    sentence_pairs: str = option(
        "",
        "Sentences",
        "Files of pairs of sentences with people's scores, joined by commas: SICK's, the STS "
        "benchmark's, or those of an STS task. The cosines of the trained sentences, of an "
        "untrained encoder's, and of averaged one-hot words are correlated with the scores.",
    )


def main():
    """Run the command."""
    flags.run(_eval, EvalConfig, program="multimodal-eval", summary=SUMMARY)


def _eval(config):
    from semisup.cli import terminal

    terminal.import_quietly()
    from multimodal.task import TASK
    from semisup.report import reporting

    reporting.evaluate_run(config, TASK)


if __name__ == "__main__":
    main()
