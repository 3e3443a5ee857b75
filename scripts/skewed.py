"""A folder of images with few labels, whose unlabelled images have other class shares.

    python scripts/skewed.py --dataset=mnist --data_dir=DIR --labels=10 --skew=20 --output=digits
    semisup-train --recipe=mnist_skewed --dataset=folder:digits

In the folder's `train` are some labelled images of each class, in `unlabelled` others of the
training set, and in `test` the whole test set. The most frequent of the unlabelled classes has all
of its images, the rarest one in `--skew`, those between evenly on a logarithmic scale; which class
is how frequent is drawn by `--seed`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

# Use the source tree of this script, whether it is installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.heads import positive
from semisup.cli import flags, terminal
from semisup.cli.dataset_names import resolved
from semisup.data import labelled_subset
from semisup.data.class_folders import empty_folder, folder_names
from semisup.errors import UserError, rephrased


def main():
    """Parse the command line, choose the images, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True, help="data set, of TFDS or embedded")
    parser.add_argument("--data_dir", help="folder of TFDS data sets")
    parser.add_argument("--labels", type=positive, default=10, help="labelled images of each class")
    parser.add_argument("--skew", type=float, default=20, help="most images of a class to fewest")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is chosen")
    parser.add_argument("--output", required=True, help="folder to write, empty or new")
    arguments = parser.parse_args()
    if not 1 <= arguments.skew < float("inf"):
        raise UserError(f"--skew={arguments.skew} is no number from 1 on")
    root = empty_folder(arguments.output)

    terminal.import_quietly()
    from semisup.data.datasets import load_dataset

    name = resolved(arguments.dataset, "dataset", arguments.data_dir)
    data = load_dataset(name, data_dir=arguments.data_dir, splits=("train", "test"))
    train, test = data.splits["train"], data.splits["test"]
    with rephrased(per_class="--labels={value}: {reason}"):
        chosen = np.concatenate(
            labelled_subset.choose_labelled(
                train.labels, arguments.labels, data.class_names, arguments.seed
            )
        )
    others = np.setdiff1d(np.arange(len(train.labels)), chosen)
    generator = np.random.default_rng([arguments.seed, 0x5CE3])
    kept = skewed_rows(train.labels[others], len(data.class_names), arguments.skew, generator)
    unlabelled = others[kept]
    folders = folder_names(data.class_names)
    _write(train, chosen, root / "train", folders)
    _write(train, unlabelled, root / "unlabelled")
    _write(test, np.arange(len(test.labels)), root / "test", folders)
    counts = np.bincount(train.labels[unlabelled], minlength=len(folders))
    listed = ", ".join(
        f"{name} {count}" for name, count in zip(data.class_names, counts, strict=True)
    )
    print(f"{root}: {len(chosen)} labelled and {len(unlabelled)} unlabelled images ({listed})")


def skewed_rows(labels, classes, skew, generator):
    """Keep from all to a fraction of the images of each class, the classes in random order.

    Args:
        labels: (n,) int; negative ones are no images.
        classes: number of classes.
        skew: how many times more images of the most frequent class are kept than of the rarest, if
            all classes had equally many.
        generator: a `numpy.random.Generator`.

    Returns:
        Rows of the images that are kept, ascending; at least one of each class that has any.
    """
    kept = float(skew) ** -np.linspace(0, 1, classes)
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    wanted = np.maximum(1, np.rint(kept[generator.permutation(classes)] * counts))
    turns = labelled_subset.turns(labels, generator.permutation(len(labels)))
    return np.flatnonzero((labels >= 0) & (turns < wanted[labels]))


def _write(split, rows, folder, class_folders=None):
    """Write images as PNG files: into the folders of their classes, or into one without them."""
    from PIL import Image

    for row in rows:
        own = folder / class_folders[split.labels[row]] if class_folders else folder
        own.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(split.images[row])
        pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        Image.fromarray(pixels).save(own / f"{row:06d}.png")


if __name__ == "__main__":
    flags.guard(main, program="skewed")
