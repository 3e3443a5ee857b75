"""The space of a search: a small TOML file, one line for each flag, checked before any training.

    learning_rate = {log = [1e-4, 1e-2]}
    visit_weight = {linear = [0, 1]}
    emb_size = {integer = [32, 256]}
    augmentation = {choice = ["none", "affine"]}

`log` samples a range exponentially; it takes whole numbers if the flag does.
"""

import dataclasses
import difflib
import itertools
import json

from optuna import distributions

from scripts import published
from semisup.cli import flags
from semisup.cli.options import checked
from semisup.errors import UserError, shown
from semisup.files.reading import read_toml

_ALLOWED = {
    bool: ("choice",),
    str: ("choice",),
    int: ("integer", "log", "choice"),
    float: ("linear", "log", "choice"),
}
_TYPE_NAMES = {bool: "true or false", str: "texts", int: "whole numbers", float: "numbers"}
_OTHER_IMAGES = "errors on different images do not compare"
_OWN_FOLDER = "each trial has a folder of its own"
_LOSES_TRIALS = "it would delete what a cut-off trial has trained"
_STEERS = "it would change settings of trials without a record"
_NOT_VARIED = {
    "max_steps": "errors after different numbers of steps do not compare",
    "dataset": _OTHER_IMAGES,
    "target_dataset": _OTHER_IMAGES,
    "target_only": _OTHER_IMAGES,
    "validation_samples": _OTHER_IMAGES,
    "cross_validate": _OTHER_IMAGES,
    "fold": _OTHER_IMAGES,
    "sup_seed": _OTHER_IMAGES,
    "logdir": _OWN_FOLDER,
    "overwrite": _LOSES_TRIALS,
    "live_config": _STEERS,
}
_NOT_FIXED = {"logdir": _OWN_FOLDER, "overwrite": _LOSES_TRIALS, "live_config": _STEERS}
_HINTS = {
    "target_dataset": "--target_dataset is a flag of adaptations: give --task=domain_adaptation"
}


@dataclasses.dataclass(frozen=True)
class Dimension:
    """A flag that a search varies.

    Attributes:
        name: the flag.
        kind: linear, log, integer or choice.
        values: the least and the greatest value, or all of a choice, of the flag's type.
    """

    name: str
    kind: str
    values: tuple

    @property
    def distribution(self):
        """The values as Optuna takes them."""
        if self.kind == "choice":
            return distributions.CategoricalDistribution(self.values)
        is_whole = isinstance(self.values[0], int)
        kind = distributions.IntDistribution if is_whole else distributions.FloatDistribution
        return kind(*self.values, log=self.kind == "log")

    def __str__(self):
        return f"{self.name} = {{{self.kind} = {json.dumps(self.values)}}}"


def training_config(task, arguments):
    """Return the configuration that flags of a training stand for.

    Args:
        task: name of the task's package.
        arguments: the flags.

    Raises:
        UserError: if a flag is unknown, or its value is not allowed.
    """
    argv = [f"{task}.train", *arguments]
    return flags.parse(argv, _config_class(task), published.recipes(task), _HINTS)


def _config_class(task):
    """Return the configuration class of a known task, and of no other package a file may name."""
    if task not in published.TASKS:
        raise UserError(
            f"the task of a search is one of {', '.join(published.TASKS)}, not {task!r}"
        )
    return published.TASKS[task]


def as_flags(values):
    """Return values by name as flags of a training."""
    return [f"--{name}={value}" for name, value in values.items()]


def read(path, task):
    """Read the space of a search.

    Args:
        path: the TOML file.
        task: name of the task's package.

    Returns:
        Tuple of `Dimension`s.

    Raises:
        UserError: if it cannot be read, or a line of it says what no search can do.
    """
    lines = read_toml(path)
    if lines is None:
        raise UserError(f"--space={path} cannot be read: there is no such file")
    try:
        return parse(lines, task)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def parse(lines, task):
    """Parse the space that the lines of a file describe.

    Args:
        lines: dictionary from flags to dictionaries of one kind and its list, as TOML has them.
        task: name of the task's package.

    Returns:
        Tuple of `Dimension`s.

    Raises:
        UserError: see `read`.
    """
    config_class = _config_class(task)
    if not lines:
        raise UserError("nothing varies: give a line like learning_rate = {log = [1e-4, 1e-2]}")
    return tuple(_dimension(name, line, config_class) for name, line in lines.items())


def _dimension(name, line, config_class):
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    if name not in fields:
        raise UserError(f"no flag is called {shown(name)!r}{_nearest(name, fields)}")
    if reason := _why_not_varied(fields[name]):
        raise UserError(f"{name} cannot be varied: {reason}")
    kinds = _ALLOWED[fields[name].type]
    is_one = isinstance(line, dict) and len(line) == 1
    kind, values = next(iter(line.items())) if is_one else (None, None)
    if kind not in kinds:
        raise UserError(
            f"{name} = {shown(line)}: --{name} takes {_TYPE_NAMES[fields[name].type]}; give "
            f"{' or '.join(kinds)}, {_example(kinds[0])}"
        )
    if not isinstance(values, list) or len(values) < 2 or (kind != "choice" and len(values) != 2):
        wanted = "a list of two values or more" if kind == "choice" else "[low, high]"
        raise UserError(f"{name} = {{{kind} = {shown(values)}}}: give {wanted}")
    values = [checked(fields[name], value, f"--{name}") for value in values]
    dimension = Dimension(name, kind, tuple(values))
    if kind == "choice":
        if len(set(dimension.values)) < len(values):
            raise UserError(f"{dimension}: a value occurs twice")
    elif dimension.values[0] >= dimension.values[1]:
        raise UserError(f"{dimension}: the least value comes first, and is less than the other")
    elif kind == "log" and dimension.values[0] <= 0:
        raise UserError(f"{dimension}: an exponential range begins above 0")
    return dimension


def _nearest(name, names):
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _example(kind):
    values = {"choice": "[..., ...]"}.get(kind, "[low, high]")
    return f"like {{{kind} = {values}}}"


def _why_not_varied(field):
    if field.name in _NOT_VARIED:
        return _NOT_VARIED[field.name]
    speed = field.metadata["section"] == "Speed" and field.name != "precision"
    return "it does not change what is learnt" if speed or field.metadata["resume"] else None


def check(space, fixed, task):
    """Check that every training of a search has flags that its command accepts.

    The settings check themselves: at both ends of every range and, since some settings contradict
    each other, at the ends of every two ranges together.

    Args:
        space: tuple of `Dimension`s.
        fixed: flags that all trainings have.
        task: name of the task's package.

    Returns:
        The configuration of one of the trainings.

    Raises:
        UserError: if a flag or value is not allowed, or the error would not be measured on
            validation images.
    """
    names = [dimension.name for dimension in space]
    for argument in fixed:
        name = argument.lstrip("-").split("=")[0]
        if argument.startswith("-") and {name, name.removeprefix("no")} & set(names):
            raise UserError(f"{argument} is given after --, but the search varies it: choose one")
    configs = [training_config(task, [*fixed, *as_flags(values)]) for values in _corners(space)]
    config = configs[0]
    for name, reason in _NOT_FIXED.items():
        if getattr(config, name):
            raise UserError(f"leave --{name} out of the flags after --: {reason}")
    if not (config.holds_out or config.cross_validate):
        raise UserError(
            "give --validation_samples=N or --cross_validate=K after --: a search chooses by the "
            "error on held-out training images, never on test images"
        )
    if "seed" in names and config.sup_seed < 0:
        raise UserError(
            "the search varies seed, which chooses the held-out images too: give --sup_seed=N "
            "after --, so that all trials are measured on the same ones"
        )
    return config


def _corners(space):
    """Yield values by name: the first of all dimensions, and all ends of every two dimensions."""
    first = {dimension.name: dimension.values[0] for dimension in space}
    yield first
    for dimension in space:
        yield from ({**first, dimension.name: value} for value in dimension.values)
    for one, other in itertools.combinations(space, 2):
        for values in itertools.product(one.values, other.values):
            yield {**first, one.name: values[0], other.name: values[1]}
