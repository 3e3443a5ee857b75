"""The evaluation of an adaptation, finished or running: `domain-adaptation-eval --help`."""

import dataclasses
import os

from semisup.cli import dataset_names
from semisup.cli.options import check_unused, option, redefault
from semisup.errors import UserError
from semisup.eval import EvaluationConfig, command

SUMMARY = (
    "Evaluates the checkpoints of an adaptation on every test image of both domains, measures\n"
    "the discrepancy of their embeddings and how much of the gap between training on the source\n"
    "and on the target is covered, and draws figures."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(EvaluationConfig):
    """Settings of an evaluation (see the help of each field's flag)."""

    data_dir: str = redefault(
        EvaluationConfig,
        "data_dir",
        "",
        help="Folder of TFDS data sets, if it has moved since the training.",
    )
    figures: bool = redefault(
        EvaluationConfig,
        "figures",
        False,
        help="Draw both domains' embeddings, associations, confusion matrix, nearest neighbours, "
        "t-SNE, first kernels and what excites kernels into figures/.",
    )
    dataset: str = option("", "Run", "Source data set as folder:PATH, if its folder has moved.")
    target_dataset: str = option(
        "", "Run", "Target data set as folder:PATH, if its folder has moved."
    )
    source_only: str = option(
        "",
        "Comparison",
        "Folder of a run trained with --similarity=none on the same pair, for the coverage and the "
        "figure.",
    )
    target_only: str = option(
        "",
        "Comparison",
        "Folder of a run trained with --target_only on the same pair, for the coverage.",
    )
    compare: str = option(
        "",
        "Comparison",
        f"Folders of further runs, separated by {os.pathsep!r}, to show beside this one in the "
        "figure of both domains' embeddings.",
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("dataset", "target_dataset"):
            value = getattr(self, name)
            if value:
                value = dataset_names.resolved(value, name, self.data_dir)
                if not dataset_names.is_folder(value):
                    raise UserError(f"--{name}={value}: give folder:PATH")
                object.__setattr__(self, name, value)
        if not self.figures:
            check_unused(self, ["compare"], "without --figures")

    @property
    def compared_logdirs(self):
        """Folders of the runs to show beside this one."""
        return [path for path in self.compare.split(os.pathsep) if path]

    @property
    def bound_logdirs(self):
        """Folders of the runs that bound the gap, by the flags' names."""
        paths = {"source_only": self.source_only, "target_only": self.target_only}
        return {name: path for name, path in paths.items() if path}

    @property
    def other_logdirs(self):
        """Folders of all runs that this one is compared with."""
        return list(dict.fromkeys([*self.bound_logdirs.values(), *self.compared_logdirs]))

    def relocated(self, config):
        """Return a run's configuration with the data where it lies now."""
        moved = {name: getattr(self, name) for name in ("data_dir", "dataset", "target_dataset")}
        return dataclasses.replace(config, **{name: path for name, path in moved.items() if path})


def main():
    """Run the command."""
    command("domain_adaptation", EvalConfig, SUMMARY)


if __name__ == "__main__":
    main()
