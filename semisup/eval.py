"""Evaluates a trained or training run: `semisup-eval --help`."""

import dataclasses

from semisup.cli import flags
from semisup.cli.options import option
from semisup.cli.run_options import RunOptions
from semisup.errors import UserError

SUMMARY = "Evaluates the checkpoints of a run on every test image, and draws its figures."


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig(RunOptions):
    """Settings of an evaluation of any task (see the help of each field's flag)."""

    follow: bool = option(
        False,
        "Run",
        "Evaluate what there is, and each new checkpoint until nobody trains in --logdir any more. "
        "In an empty folder, wait for a training to begin.",
    )
    output: str = option(
        "",
        "Run",
        "Folder for what is measured and drawn; default: that of the run, which may be one that "
        "cannot be written.",
    )
    poll_seconds: float = option(
        10.0, "Run", "Seconds between two looks for a new checkpoint.", above=0
    )
    eval_batch_size: int = option(500, "Run", "Images in a batch.", least=1)
    figures: bool = option(
        False,
        "Run",
        "Draw associations, confusion matrix, nearest neighbours, t-SNE, first kernels and what "
        "excites kernels into figures/.",
    )
    projector: bool = option(
        False,
        "Run",
        "Write embeddings of test images for TensorBoard's projector into eval/.",
    )
    mc_dropout: int = option(
        0,
        "Run",
        "Passes of each image with dropout active, 50 say, to tell how sure the network is of it: "
        "uncertainty.csv; 0: none.",
        least=0,
    )
    report: bool = option(
        False,
        "Run",
        "Write report.html, one page to hand on: settings, what was measured, curves, and the "
        "figures that there are, those of --figures included.",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.follow and self.step >= 0:
            raise UserError("--follow evaluates every new checkpoint: leave --step out")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(EvaluationConfig):
    """Settings of an evaluation (see the help of each field's flag)."""

    dataset: str = option(
        "",
        "Other data",
        "Another labelled data set to evaluate on, a TFDS name or folder:PATH; its classes are the "
        "run's, or some of them. Written into evaluations/ in the run's folder.",
    )
    split: str = option(
        "", "Other data", "Split of --dataset; default: test, or the only one that it has."
    )

    def __post_init__(self):
        super().__post_init__()
        if self.split and not self.dataset:
            raise UserError("--split has no effect without --dataset")
        useless = ("follow", "figures", "projector", "mc_dropout", "report")
        for name in useless if self.dataset else ():
            if getattr(self, name):
                raise UserError(f"--{name} has no effect with --dataset: leave it out")


def main():
    """Entry point of the binary."""
    flags.run(_eval, EvalConfig, program="semisup-eval", summary=SUMMARY)


def _eval(config):
    from semisup.cli import terminal

    terminal.import_quietly()
    if config.dataset:
        from semisup.use import other_data

        other_data.evaluate_elsewhere(config)
        return
    from semisup.report import reporting
    from semisup.task import TASK

    reporting.evaluate_run(config, TASK)


if __name__ == "__main__":
    main()
