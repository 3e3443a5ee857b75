"""The figures of the thesis' chapters 3 to 5 that are made from runs: see `--help`."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from scripts import published
from semisup.cli import flags
from semisup.cli.options import check, option
from semisup.errors import UserError
from semisup.files import writing
from semisup.run.directory import find_runs

ROOT = Path(__file__).resolve().parent.parent
SUMMARY = (
    "Draws the figures of the thesis' chapters 3 to 5 that are made from runs, from the complete\n"
    "run directories in a folder. If several runs fit a figure, it takes the one on the figure's\n"
    "own data, then the one with most steps, then the one with the lowest seed. It names the\n"
    "figures without a run, with a recipe that makes one."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FiguresConfig:
    """Settings of the drawing (see the help of each field's flag)."""

    folder: str = option("runs", "Figures", "Folder that holds run directories at any depth.")
    output: str = option("figures", "Figures", "Folder for the figures.")
    data_dir: str = option(
        "", "Figures", "Folder of TFDS data sets, if it has moved since the training."
    )

    def __post_init__(self):
        for name in ("folder", "output"):
            object.__setattr__(self, name, os.path.expanduser(getattr(self, name)))
        check(self)
        if not Path(self.folder).is_dir():
            raise UserError(f"--folder={self.folder} is not a folder")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of the thesis.

    Attributes:
        number: chapter and number in the thesis.
        task: package of the runs that it shows.
        drawing: name of the drawing among those of a run.
        dataset: the data set that the thesis shows, or None for any.
        target: the target data set, of an adaptation.
        recipe: a recipe that makes such a run.
    """

    number: str
    task: str
    drawing: str
    dataset: str | None
    recipe: str
    target: str | None = None

    @property
    def name(self):
        """File name without its ending."""
        return f"figure_{self.number}_{self.drawing}"


FIGURES = (
    Figure("3.2", "semisup", "associations", "mnist", "mnist_100"),
    Figure("3.3", "semisup", "confusion", "mnist", "mnist_100"),
    Figure("3.4", "semisup", "neighbours", "stl10", "stl10"),
    Figure(
        "4.2",
        "domain_adaptation",
        "domains",
        "synthetic_digits_generated",
        "synthetic_digits_to_svhn",
        target="svhn_cropped",
    ),
    Figure("5.3", "clustering", "clusters", "mnist", "mnist_vcnn"),
    Figure("5.4", "clustering", "clusters", "stl10", "stl10_resnet"),
)
ABLATION = "figure_5.5_ablation"
_ABLATION_DATASET = "mnist"


@dataclasses.dataclass(frozen=True)
class Run:
    """A complete run.

    Attributes:
        path: its directory.
        task: name of its package.
        settings: its settings by name.
        step: its last step.
    """

    path: Path
    task: str
    settings: dict
    step: int


def complete_runs(folder):
    """Return the complete runs below a folder, by their paths.

    Raises:
        UserError: if a file of a run is damaged.
    """
    return [
        Run(
            Path(run.path),
            task,
            run.read_settings(published.TASKS[task]).to_dict(),
            run.completed_step(),
        )
        for run, task in find_runs(folder, "results.json", published.TASKS)
    ]


def choose(figure, runs):
    """Choose the run that a figure shows, and flags of the evaluation that name others, or None.

    Args:
        figure: a `Figure`.
        runs: the complete `Run`s.
    """
    fitting = [run for run in runs if run.task == figure.task and _fits(figure, run)]
    if not fitting:
        return None
    best = min(
        fitting,
        key=lambda run: (not _is_own(figure, run), -run.step, run.settings["seed"], str(run.path)),
    )
    return best, _others(best, runs) if figure.drawing == "domains" else []


def _others(best, runs):
    """Return flags of an adaptation's evaluation that name the runs to show beside it."""
    kinds = ("source_only", "target_only", "mmd")
    found = {kind: run for kind in kinds if (run := _beside(best, kind, runs)) is not None}
    paths = {kind: str(run.path.absolute()) for kind, run in found.items()}
    flags = []
    bounds = [found.get(kind) for kind in ("source_only", "target_only")]
    # The evaluation computes the coverage from them, which runs of other lengths would falsify.
    if all(run and _is_alike(run, best) for run in bounds):
        flags = [f"--{kind}={paths.pop(kind)}" for kind in ("source_only", "target_only")]
    else:
        paths.pop("target_only", None)
    return [*flags, *([f"--compare={os.pathsep.join(paths.values())}"] if paths else [])]


def _is_alike(run, other):
    return (run.step, run.settings["seed"]) == (other.step, other.settings["seed"])


def _fits(figure, run):
    settings = run.settings
    if figure.task == "clustering":
        # Two of the figures differ only in the data.
        return settings["dataset"].partition("/")[0] == figure.dataset
    return settings["similarity"] == "association"


def _is_own(figure, run):
    settings = run.settings
    return (
        settings["dataset"].partition("/")[0] == figure.dataset
        and settings.get("target_dataset") == figure.target
    )


def _beside(run, kind, runs):
    """Return another run of the same pair to show beside an adaptation, or None.

    If there are several, prefer the same steps and seed, then the most steps.
    """
    similarity = "mmd" if kind == "mmd" else "none"
    names = ("dataset", "target_dataset")
    fitting = [
        other
        for other in runs
        if other.task == run.task
        and all(other.settings[name] == run.settings[name] for name in names)
        and other.settings["similarity"] == similarity
        and other.settings["target_only"] == (kind == "target_only")
    ]
    return max(fitting, key=lambda other: (_is_alike(other, run), other.step), default=None)


def draw(config, call=subprocess.run):
    """Draw all figures that there are runs for.

    Args:
        config: a `FiguresConfig`.
        call: runs a command, as `subprocess.run` does.

    Returns:
        Paths of the figures.

    Raises:
        UserError: if there is no run for any figure.
    """
    runs = complete_runs(config.folder)
    output = Path(config.output)
    drawn, paths = {}, []
    for figure in FIGURES:
        chosen = choose(figure, runs)
        if chosen is None:
            print(f"figure {figure.number} ({figure.drawing}): no run; --recipe={figure.recipe}")
            continue
        run, others = chosen
        source = run.path / "figures" / f"{figure.drawing}.png"
        if run.path not in drawn:
            moved = [f"--data_dir={config.data_dir}"] if config.data_dir else []
            drawn[run.path] = _call(
                call, figure.task, f"--logdir={run.path.absolute()}", "--figures", *others, *moved
            )
        if drawn[run.path] and source.is_file():
            paths.append(_copy(source, output / f"{figure.name}.png"))
            print(f"figure {figure.number} ({figure.drawing}): {paths[-1]}, of {run.path}")
    ablation = _draw_ablation(config, runs, call)
    if ablation:
        paths.append(ablation)
    if not paths:
        raise UserError(f"--folder={config.folder} holds no complete run that a figure shows")
    return paths


def _draw_ablation(config, runs, call):
    """Draw figure 5.5 and return its path, or say why there is none."""
    source = Path(config.folder) / f"ablation_{_ABLATION_DATASET}.png"
    source.unlink(missing_ok=True)
    shown = [
        run
        for run in runs
        if run.task == "clustering" and run.settings["dataset"] == _ABLATION_DATASET
    ]
    if len(shown) < 2:
        print("figure 5.5 (ablation): no two runs on mnist; --recipe=mnist_vcnn and other settings")
        return None
    if not _call(call, "clustering", f"--ablation={Path(config.folder).absolute()}"):
        return None
    if not source.is_file():
        print(
            "figure 5.5 (ablation): the runs on mnist do not differ in a setting, or too few of "
            "them are evaluated"
        )
        return None
    path = _copy(source, Path(config.output) / f"{ABLATION}.png")
    print(f"figure 5.5 (ablation): {path}, of the evaluated clusterings in the folder")
    return path


def _call(call, task, *arguments):
    """Evaluate; print a line if it fails, and return whether it succeeded."""
    command = [sys.executable, "-m", f"{task}.eval", *arguments]
    result = call(command, capture_output=True, text=True, cwd=ROOT)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["it said nothing"]
        print(f"{' '.join(command[2:])} failed: {lines[-1]}")
    return result.returncode == 0


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    writing.copy(source, target)
    return target


def main():
    """Run the command."""

    def run(config):
        draw(config)

    flags.run(run, FiguresConfig, program="figures", summary=SUMMARY)


if __name__ == "__main__":
    main()
