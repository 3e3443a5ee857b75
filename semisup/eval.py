"""Evaluates a trained or training run: `semisup-eval --help`."""

import dataclasses

from semisup.cli import dataset_names, run_options
from semisup.cli.options import check_unused, option
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

    def check_paths(self):
        """Check that there is a run, unless one is waited for: see `RunOptions`."""
        if not self.follow:
            super().check_paths()


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
        if not self.dataset:
            check_unused(self, ["split"], "without --dataset")
            return
        unused = ("follow", "figures", "projector", "mc_dropout", "report")
        check_unused(self, unused, "with --dataset: leave it out")

    def check_paths(self):
        """Check that what is named exists, without opening any: see `RunOptions`."""
        super().check_paths()
        dataset_names.check_dataset("dataset", self.dataset)


def main():
    """Run the command."""
    command("semisup", EvalConfig, SUMMARY, instead=_elsewhere)


def command(task, config_class, summary, instead=None):
    """Run the command that evaluates runs of a task, and exit.

    Args:
        task: name of the task, imported only when something heavy may be.
        config_class: subclass of `EvaluationConfig`.
        summary: see `flags.run`.
        instead: function that returns whether it has done what a configuration asks for, which is
            something else; or None.
    """

    def evaluate(config):
        if instead is not None and instead(config):
            return
        from semisup.report import reporting
        from semisup.run.task import task_named

        reporting.evaluate_run(config, task_named(task))

    program = f"{task.replace('_', '-')}-eval"
    run_options.run_command(evaluate, config_class, program=program, summary=summary)


def _elsewhere(config):
    if config.dataset:
        from semisup.use import other_data

        other_data.evaluate_elsewhere(config)
    return bool(config.dataset)


if __name__ == "__main__":
    main()
