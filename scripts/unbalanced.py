"""Unlabelled images with other class shares than the labelled ones: what they cost an adaptation.

    python scripts/unbalanced.py --dataset=folder:amazon --target_dataset=folder:webcam \\
        --architecture=network.keras --seeds=3 --output=unbalanced.json

Some images of a target are left out by their labels (`SITUATIONS`). Each method (`METHODS`) is then
trained as its recipe trains it, on a frozen network, and tested on the target's images that are
left, but for those of classes that the source lacks.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np

# Use the source tree of this script, whether it is installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import heads
from scripts.skewed import skewed_rows
from semisup.cli import flags
from semisup.cli.dataset_names import file_name
from semisup.errors import UserError

METHODS = {
    "source only": ("photos_to_photos_source_only",),
    "association": ("photos_to_photos",),
    "a quarter labelled": ("photos_to_photos", "--labelled_in_unlabelled=0.25"),
    "half labelled": ("photos_to_photos", "--labelled_in_unlabelled=0.5"),
    "visit weight 0.02": ("photos_to_photos", "--visit_weight=0.02"),
}
"""The recipe of each method, and flags beside it."""

SKEW = 10
"""How many times more images of the most frequent class than of the rarest are kept."""


def main():
    """Parse the command line, measure all methods in all situations, and write what was found."""
    parser = heads.parser(__doc__.splitlines()[0])
    parser.add_argument("--target_dataset", required=True, help="target, with labels to test on")
    parser.add_argument("--situations", nargs="*", choices=SITUATIONS, default=list(SITUATIONS))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()

    from domain_adaptation.task import TASK
    from scripts import findings

    every = configuration("association", 0, arguments)
    source, target = (
        heads.load(TASK, every, getattr(every, name)) for name in ("dataset", "target_dataset")
    )
    if source.class_names != target.class_names:
        raise UserError(f"{every.dataset} and {every.target_dataset} have different classes")
    path = Path(arguments.output)
    accuracies = json.loads(path.read_text())["accuracy"] if path.exists() else {}
    trainings = itertools.product(range(arguments.seeds), arguments.situations, arguments.methods)
    for seed, situation, method in trainings:
        known = accuracies.setdefault(situation, {}).setdefault(method, {})
        if str(seed) in known:
            continue
        config = configuration(method, seed, arguments)
        known[str(seed)] = accuracy(config, situation, source, target)
        print(f"{situation}, {method}, seed {seed}: {known[str(seed)]:.1f} %", flush=True)
        content = {
            "source": file_name(arguments.dataset),
            "target": file_name(arguments.target_dataset),
            "architecture": Path(arguments.architecture).name,
            "new_size": arguments.new_size,
            "methods": METHODS,
            "accuracy": accuracies,
        }
        findings.write(path, content)
    print()
    for situation, method in itertools.product(arguments.situations, arguments.methods):
        values = list(accuracies[situation][method].values())
        print(f"{situation:30s} {method:42s} {findings.spread(values)}")


def configuration(method, seed, arguments):
    """Return the configuration of a method's training.

    Args:
        method: one of `METHODS`.
        seed: its seed.
        arguments: those of the command line.
    """
    recipe, *further = METHODS[method]
    target = f"--target_dataset={arguments.target_dataset}"
    return heads.configuration(arguments, target, *further, f"--seed={seed}", recipe=recipe)


def balanced(source, target, classes, generator):
    """Keep all images."""
    return source, target


def skewed(source, target, classes, generator):
    """Let the classes of the target have from all to a tenth of their images, in random order."""
    kept = skewed_rows(target, classes, SKEW, generator)
    return source, np.where(np.isin(np.arange(len(target)), kept), target, -1)


def incomplete(source, target, classes, generator):
    """Let half of the classes be missing from the target."""
    missing = generator.permutation(classes)[: classes // 2]
    return source, np.where(np.isin(target, missing), -1, target)


def with_strangers(source, target, classes, generator):
    """Let a third of the classes be missing from the source, and not from the target."""
    missing = generator.permutation(classes)[: classes // 3]
    return np.where(np.isin(source, missing), -1, source), target


SITUATIONS = {
    "as it is": balanced,
    "skewed 1 : 10": skewed,
    "half of the classes missing": incomplete,
    "a third of the classes strange": with_strangers,
}
"""Each is a function of the labels of source and target, the number of classes and a generator; it
returns the labels with -1 for an image that is left out."""


def parts(situation, source, target, classes, seed):
    """Choose the images of a situation.

    Args:
        situation: one of `SITUATIONS`.
        source: (n,) int labels of the source.
        target: (m,) int labels of the target.
        classes: number of classes.
        seed: seed of the choice.

    Returns:
        Rows of the source's images, rows of the target's unlabelled images, rows of those that are
        tested, and the classes of the source, ascending.
    """
    generator = np.random.default_rng([seed, 0x5CE2])
    source, target = SITUATIONS[situation](source, target, classes, generator)
    known = np.unique(source[source >= 0])
    rows = [np.flatnonzero(labels >= 0) for labels in (source, target)]
    return *rows, np.flatnonzero(np.isin(target, known)), known


def accuracy(config, situation, source, target):
    """Train a method in a situation.

    Args:
        config: its configuration.
        situation: one of `SITUATIONS`.
        source: `Photographs` of the source.
        target: the same of the target.

    Returns:
        The share, in %, of right predictions for the target's images of known classes.
    """
    from domain_adaptation.task import TASK

    classes = len(source.class_names)
    *rows, known = parts(situation, source.labels, target.labels, classes, config.seed)

    def chosen(photographs, rows):
        numbers = np.searchsorted(known, photographs.labels[rows]).astype("int32")
        names = [photographs.class_names[number] for number in known]
        return heads.Photographs(names, numbers, photographs.features[rows])

    labelled, unlabelled, tested = map(chosen, (source, target, target), rows)
    if config.similarity == "none":
        unlabelled = None
    predict = heads.Heads(TASK, config, labelled, tested, unlabelled).predictor()
    return 100 * float(np.mean(predict(tested).argmax(axis=1) == tested.labels))


if __name__ == "__main__":
    flags.guard(main, program="unbalanced")
