"""The evaluation of a clustering, finished or running: `clustering-eval --help`."""

import dataclasses

from semisup.cli import terminal
from semisup.cli.options import check_unused, option, redefault
from semisup.eval import EvaluationConfig, command

SUMMARY = (
    "Evaluates the checkpoints of a clustering: sizes and confidence of its clusters and, where\n"
    "the images have labels, how well the clusters agree with the classes. Writes the cluster of\n"
    "each image into assignments.csv, and draws figures."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(EvaluationConfig):
    """Settings of an evaluation (see the help of each field's flag)."""

    logdir: str = redefault(
        EvaluationConfig,
        "logdir",
        "",
        help="Folder of the run (required without --ablation).",
    )
    figures: bool = redefault(
        EvaluationConfig,
        "figures",
        False,
        help="Draw the most probable images of each cluster, the clusters' sizes over the "
        "training, t-SNE with centroids, nearest neighbours, the confusion matrix, first kernels "
        "and what excites kernels into figures/.",
    )
    ablation: str = option(
        "",
        "Comparison",
        "Folder of many evaluated runs: draw their accuracy against each setting that varies into "
        "ablation_DATASET.png there, for each data set, instead of evaluating a run.",
    )

    def __post_init__(self):
        if not self.ablation:
            super().__post_init__()
            return
        others = [name for name in self.__dataclass_fields__ if name != "ablation"]
        check_unused(self, others, "with --ablation: leave it out")

    def check_paths(self):
        """Check that there is a run, unless many are compared: see `RunOptions`."""
        if not self.ablation:
            super().check_paths()


def main():
    """Run the command."""
    command("clustering", EvalConfig, SUMMARY, instead=_compare)


def _compare(config):
    if config.ablation:
        from clustering import ablation

        for path in ablation.draw(config.ablation):
            terminal.say(f"wrote {path}")
    return bool(config.ablation)


if __name__ == "__main__":
    main()
