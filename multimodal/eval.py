"""The evaluation of embeddings of images and sentences: `multimodal-eval --help`."""

import dataclasses

from semisup.cli.options import option, redefault
from semisup.eval import EvaluationConfig, command

SUMMARY = (
    "Evaluates the checkpoints of a training on images and sentences: how often images find their\n"
    "sentences, and sentences their images; and whether sentences are alike that people call alike."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(EvaluationConfig):
    """Settings of an evaluation (see the help of each field's flag)."""

    figures: bool = redefault(
        EvaluationConfig,
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
    command("multimodal", EvalConfig, SUMMARY)


if __name__ == "__main__":
    main()
