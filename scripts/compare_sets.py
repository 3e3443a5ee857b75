"""A comparison of data sets with the same classes, such as a generated one with its original.

    python scripts/compare_sets.py mnist_m mnist_m_generated --data_dir=DIR --output=FILE
    python scripts/compare_sets.py synthetic_signs synthetic_signs_generated --also=gtsrb ...

It shows mean and standard deviation of each channel. It also trains a classifier on equally many
images of each set, and tests it on held-out images of all sets: similar sets give similar errors.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

# Use the source tree of this script, whether it is installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from semisup.cli import flags

BATCH = 100
TESTED = 5000
"""Held-out images of each set, at most."""


def main():
    """Parse the command line, compare, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+", help="data sets to train on, and to test on")
    parser.add_argument("--also", nargs="*", default=[], help="data sets only to test on")
    parser.add_argument("--data_dir", help="folder of TFDS data sets")
    parser.add_argument("--steps", type=int, default=1000, help="training steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="JSON file to write")
    arguments = parser.parse_args()

    import keras

    from scripts import findings

    keras.utils.set_random_seed(arguments.seed)
    sets = {
        name: _load(name, arguments.data_dir, arguments.seed)
        for name in (*arguments.datasets, *arguments.also)
    }
    count = min(len(sets[name]["train"].images) for name in arguments.datasets)
    found = {
        "train_images": count,
        "steps": arguments.steps,
        "batch": BATCH,
        "seed": arguments.seed,
        "statistics": {name: _statistics(parts["train"].images) for name, parts in sets.items()},
        "errors": {},
    }
    for name in arguments.datasets:
        model = _trained(sets[name]["train"], count, arguments.steps, arguments.seed)
        found["errors"][name] = {
            other: _error(model, parts["test"]) for other, parts in sets.items()
        }
    _show(found)
    if arguments.output:
        found["test_images"] = {name: len(parts["test"].images) for name, parts in sets.items()}
        findings.write(arguments.output, found)


def _load(name, data_dir, seed):
    """Load training and held-out images of a set; without a test split, a quarter is held out."""
    from semisup.data import labelled_subset
    from semisup.data.datasets import Split, load_dataset, sample

    data = load_dataset(name, data_dir=data_dir, splits=("train",), optional_splits=("test",))
    train, test = data.splits["train"], data.splits.get("test")
    if test is None:
        parts = labelled_subset.hold_out(
            train.labels, len(train.labels) // 4, data.class_names, seed
        )
        train, test = (Split(train.images[part], train.labels[part]) for part in parts)
    return {"train": train, "test": sample(test, TESTED, seed)}


def _statistics(images):
    from semisup.architectures import normalization

    mean, deviation = normalization.statistics(images)
    return {"mean": np.round(mean, 2).tolist(), "deviation": np.round(deviation, 2).tolist()}


def _trained(train, count, steps, seed):
    """Train the network of the adaptations on some images of a set."""
    import keras
    import tensorflow as tf

    from semisup import architectures
    from semisup.data import pipelines, sampling
    from semisup.data.datasets import sample
    from semisup.models.associative import AssociativeModel

    chosen = sample(train, count, seed)
    network = architectures.build("svhn_model", chosen.images.shape[1:])
    model = AssociativeModel(network, int(chosen.labels.max()) + 1, similarity=None)
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0))
    source, labels = pipelines.source(chosen.images), tf.constant(chosen.labels)
    indices = sampling.Sampler([np.arange(count)], min(BATCH, count), seed).batches()
    batches = indices.map(lambda rows: (pipelines.gather(source, rows), tf.gather(labels, rows)))
    model.fit(
        pipelines.in_order(batches), steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0
    )
    return model


def _error(model, test):
    from semisup.run.evaluation import Predictor

    return float(np.mean(Predictor(model).labels(test.images) != test.labels))


def _show(found):
    for name, values in found["statistics"].items():
        print(f"{name}: mean {values['mean']}, deviation {values['deviation']}")
    for name, errors in found["errors"].items():
        shown = ", ".join(f"{100 * error:.2f} % on {other}" for other, error in errors.items())
        print(f"trained on {found['train_images']:,} images of {name}: error {shown}")


if __name__ == "__main__":
    flags.guard(main, program="compare_sets")
