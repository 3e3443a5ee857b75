"""Heads trained as a recipe trains them, on features that are looked up once, and without a run.

A script that trains many heads on the same photographs spends its time on them alone: what computes
the features is replaced by a network that takes them as they are.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts import published
from semisup.cli.dataset_names import file_name


class Photographs(NamedTuple):
    """The training images of a data set, as the features of a frozen network.

    Attributes:
        class_names: names of the classes.
        labels: (n,) int32.
        features: (n, 1 + views, f) float32, those of the images as they are first.
    """

    class_names: tuple
    labels: np.ndarray
    features: np.ndarray

    def chosen(self, rows):
        """Return some of the images."""
        return Photographs(self.class_names, self.labels[rows], self.features[rows])


def parser(summary, seeds=3, new_size=224, has_to_write=True):
    """Make a parser of the flags that the commands on photographs have in common.

    Args:
        summary: what the command does.
        seeds: default of `--seeds`.
        new_size: default of `--new_size`.
        has_to_write: whether `--output` is required.

    Returns:
        An `argparse.ArgumentParser`.
    """
    made = argparse.ArgumentParser(description=summary)
    made.add_argument("--dataset", required=True, help="data set, such as folder:PATH")
    made.add_argument("--architecture", required=True, help=".keras file: images to features")
    made.add_argument("--new_size", type=int, default=new_size, help="size of the images")
    made.add_argument("--cache_dir", default="", help="folder of the cached features")
    made.add_argument("--seeds", type=positive, default=seeds, help="how often each is measured")
    made.add_argument("--output", required=has_to_write, help="JSON file to write")
    return made


def positive(text):
    """Read the value of a flag that is a number from 1 on."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


def configuration(arguments, *flags, recipe="photos"):
    """Return the configuration of a training on the photographs of a command line.

    Args:
        arguments: those of the command line: see `parser`.
        *flags: further flags of the training.
        recipe: name of its recipe.
    """
    names = ("dataset", "architecture", "new_size", "cache_dir")
    given = [f"--{name}={getattr(arguments, name)}" for name in names]
    return published.settings(recipe, (*given, "--noprogress", *flags))


def origin(arguments):
    """Return what a command on photographs was run on, for its results: see `parser`."""
    return {
        "dataset": file_name(arguments.dataset),
        "architecture": Path(arguments.architecture).name,
        "new_size": arguments.new_size,
    }


def load(task, config, dataset):
    """Load the features of a data set: from the cache, as far as they are there.

    Args:
        task: a `Task`.
        config: a configuration of it with `--trainable=head`; its network makes the features.
        dataset: name of the data set.

    Returns:
        `Photographs`.

    Raises:
        UserError: if there is no such data set, or it has no labels.
    """
    from semisup.data.datasets import is_labelled, load_dataset
    from semisup.errors import UserError
    from semisup.run.features import of_run

    data = load_dataset(dataset, **config.reading, splits=("train",))
    train = data.splits["train"]
    if not is_labelled(train):
        raise UserError(f"{dataset}: its training images have no labels")
    record = {"image_shape": data.image_shape, "class_names": data.class_names}
    features = of_run(task, config, task.build_model(config, record)).views(train.images)
    views = features.reshape(len(features), -1, features.shape[-1])
    return Photographs(data.class_names, train.labels, views)


class Heads:
    """The data and the trainings of heads on photographs.

    Args:
        task: a `Task`.
        config: a configuration of it, whose network need not exist.
        train: `Photographs` that labelled images are drawn from.
        evaluation: `Photographs` that the error is measured on, or None.
        unlabelled: `Photographs` without labels; `train` itself, or None for none.

    Attributes:
        data: the `ImageData`.
    """

    def __init__(self, task, config, train, evaluation=None, unlabelled=None):
        from semisup.data.datasets import Split
        from semisup.run.image_data import compose

        self.task = task
        self.config = config
        self._views = {}

        def split(photographs, labels):
            if photographs is None:
                return None
            found = Split(photographs.features[:, :1, None], labels)
            self._views[id(found.images)] = photographs.features
            return found

        trained = split(train, train.labels)
        others = trained if unlabelled is train else split(unlabelled, None)
        self.data = compose(
            config,
            train.class_names,
            train=trained,
            evaluation=evaluation and split(evaluation, evaluation.labels),
            unlabelled=others,
            match_means=getattr(config, "match_means", False),
        )

    def predictor(self, fold=0):
        """Train a head, and return a function from `Photographs` to its logits.

        Args:
            fold: part of the labels that is held out, from 1 on; 0 for none.
        """
        import dataclasses

        import keras

        from semisup.run import features

        data = self.data.fold(fold) if fold else self.data
        width = data.image_shape[-1]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "features.keras")
            layers = [keras.Input((1, 1, width)), keras.layers.Flatten()]
            keras.Sequential(layers).save(path)
            config = dataclasses.replace(self.config, architecture=path, fold=fold)
            keras.utils.clear_session()
            keras.utils.set_random_seed(config.seed)
            model = self.task.build_model(config, data.record)
        batches = data.batches(0, inputs=lambda images: self._views[id(images)])
        features.centre(model, batches)
        model.fit(
            batches,
            steps_per_epoch=config.max_steps,
            shuffle=False,
            verbose=0,
        )
        predictor = self.task.predictor(model, config.eval_batch_size)
        return lambda photographs: predictor.outputs(photographs.features[:, 0])[0]
