"""The evaluation of a clustering, finished or running: `clustering-eval --help`."""

import dataclasses

from semisup import eval as semi_supervised
from semisup.cli import flags
from semisup.cli.options import option, redefault
from semisup.errors import UserError

SUMMARY = (
    "Evaluates the checkpoints of a clustering: sizes and confidence of its clusters and, where\n"
    "the images have labels, how well the clusters agree with the classes. Writes the cluster of\n"
    "each image into assignments.csv, and draws figures."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(semi_supervised.EvaluationConfig):
    """Settings of an evaluation (see the help of each field's flag)."""

    logdir: str = redefault(
        semi_supervised.EvaluationConfig,
        "logdir",
        "",
        help="Folder of the run (required without --ablation).",
    )
    figures: bool = redefault(
        semi_supervised.EvaluationConfig,
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
        for field in dataclasses.fields(self):
            if field.name != "ablation" and getattr(self, field.name) != field.default:
                raise UserError(f"--{field.name} has no effect with --ablation: leave it out")


def main():
    """Run the command."""
    flags.run(_eval, EvalConfig, program="clustering-eval", summary=SUMMARY)


def _eval(config):
    from semisup.cli import terminal

    terminal.import_quietly()
    if config.ablation:
        from clustering import ablation

        for path in ablation.draw(config.ablation):
            terminal.say(f"wrote {path}")
        return
    from clustering.task import TASK
    from semisup.report import reporting

    reporting.evaluate_run(config, TASK)


if __name__ == "__main__":
    main()
