"""What a task is: all that a training and an evaluation know of one."""

import abc
import dataclasses
import functools
import importlib
from collections.abc import Callable
from typing import ClassVar

from semisup.cli.dataset_names import FOLDER, is_folder
from semisup.data import sampling
from semisup.errors import UserError, shown
from semisup.run import file_types

MODULES = {
    "semisup": "semisup.task",
    "domain_adaptation": "domain_adaptation.task",
    "clustering": "clustering.task",
    "multimodal": "multimodal.task",
    "segmentation": "segmentation.task",
}
"""The module of each task, whose `TASK` is the task; no file can name another."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskData:
    """What a training needs of its data.

    Attributes:
        batches: function from a first step to a `tf.data.Dataset` of training batches, which go on
            for ever. Where networks of the task may be frozen, it takes `inputs`, too: a function
            from an array of images to an array of what the network is given in their place.
        record: what is saved in the run directory as `data.json`: all that `Task.build_model` needs
            to build the model again, and what tells these data from others.
        evaluated_on: what evaluations measure on, for messages: "test images".
        evaluated_examples: how many examples that are.
        measured: `Split`s that evaluations measure on, by names for messages. The record has the
            fingerprint of each as `NAME_fingerprint`.
        notes: lines to print on what was found.
    """

    batches: Callable
    record: dict
    evaluated_on: str
    evaluated_examples: int
    measured: dict = dataclasses.field(default_factory=dict)
    notes: tuple = ()


class Task(abc.ABC):
    """A kind of training: its settings, data, model and measurements.

    `training.train` trains a task, `reporting.evaluate_run` evaluates its runs, and `load_run`
    loads them. The model is a `WeightedLossesModel`.

    Attributes:
        name: name of the task, that of its package.
        title: what the task is, for people.
        config_class: dataclass of its settings, a subclass of `RunConfig`.
        shown: names of measured values that the progress bar shows, of which at least one is always
            measured.
        steered: for each flag of a loss weight, the losses that it multiplies.
        record_type: what a run's `data.json` has to hold, a typed dictionary.
        is_shared_by_hosts: whether its batches take `share`, the part that one of several hosts
            reads.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    config_class: ClassVar[type]
    shown: ClassVar[tuple[str, ...]]
    steered: ClassVar[dict[str, tuple[str, ...]]] = {}
    record_type: ClassVar[type] = file_types.Record
    is_shared_by_hosts: ClassVar[bool] = False

    @abc.abstractmethod
    def load_data(self, config, sampler=sampling.VERSION):
        """Load the data of a configuration.

        Args:
            config: a configuration of the task.
            sampler: version of the sampler by which images were held out.

        Returns:
            A `TaskData`.

        Raises:
            UserError: if data is missing, or there is less than asked for.
        """

    @abc.abstractmethod
    def build_model(self, config, record, data=None):
        """Build and compile the model of a configuration.

        Args:
            config: a configuration of the task.
            record: the record of its `TaskData`.
            data: the `TaskData`; None where the weights are restored from a checkpoint afterwards.

        Returns:
            A built and compiled `WeightedLossesModel`.

        Raises:
            UserError: if the network is unknown or does not fit the data.
        """

    @abc.abstractmethod
    def measure(self, predictor, data):
        """Measure a model, at intervals and at the end of a training.

        Args:
            predictor: what `predictor` returned.
            data: the `TaskData`.

        Returns:
            Floats by their names, ready for the log.
        """

    @abc.abstractmethod
    def headline(self, data, measured):
        """Say in a few words what came of a training.

        Args:
            data: its `TaskData`.
            measured: what `measure` returned at the last step.
        """

    @abc.abstractmethod
    def reporter_class(self):
        """Return the class that evaluates runs: `semisup.report.reporting.Reporter`, or a subclass.

        Imported when it is asked for, since no training needs it.
        """

    def augmentation(self, config, seed):
        """Build the layer that changes training images at random, or return None.

        Args:
            config: a configuration of the task.
            seed: integer, 0 or more.
        """
        return None

    def predictor(self, model, batch_size, features=None):
        """Return what `measure` measures a model by.

        Args:
            model: the model.
            batch_size: examples in a batch.
            features: the `Features` of its images, where only its head is trained, or None.
        """
        from semisup.run.evaluation import Predictor

        return Predictor(model, batch_size, features)

    def features_class(self):
        """Return the class that keeps the features of images: `Features`, or one made like it."""
        from semisup.run.features import Features

        return Features

    def layout(self, config):
        """Find the images of a training that new images are like.

        Args:
            config: a configuration of the task.

        Returns:
            A `semisup.data.folder_layout.Layout`, or None if they are not in a folder.

        Raises:
            UserError: if there is no such folder any more.
        """
        return layout_of(config.dataset)

    def preparation(self, config, record):
        """Return how a new image becomes one as a model was trained on: a `Preparation`.

        Args:
            config: a configuration of the task.
            record: the record of its `TaskData`.
        """
        from semisup.data.new_images import Preparation

        shape = tuple(record["image_shape"])
        layout = functools.partial(self.layout, config)
        return Preparation(shape, config.new_size, config.fit, layout)

    def unlabelled_images(self, config):
        """Return data set and split of the images without labels that a run is trained on.

        Args:
            config: a configuration of the task.

        Returns:
            A pair of names, or None if there are none.
        """
        return None

    def weak_labels(self, config, data):
        """Return the weak labels by which a training draws unlabelled images.

        Args:
            config: a configuration of the task.
            data: the `TaskData`, whose batches take `weak_labels` if there are some.

        Returns:
            A `semisup.run.weak_labels.WeakLabels`, or None.
        """
        return None

    def callbacks(self, config, data, predictor, keep):
        """Return Keras callbacks for what the task does at certain steps.

        Args:
            config: a configuration of the task.
            data: its `TaskData`.
            predictor: what `predictor` returned.
            keep: function that saves a checkpoint and logs the values that it is given; for a
                callback that has changed the model before a step.
        """
        return []

    def conclude(self, run, config, predictor, data):  # noqa: B027 (few tasks keep anything)
        """Write what the task keeps of a complete training, beside model and results.

        Args:
            run: its `RunDirectory`.
            config: its configuration.
            predictor: what `predictor` returned.
            data: its `TaskData`.
        """

    def projected_groups(self, predictor, data, shown):
        """Group images for TensorBoard's projector, which colours them.

        Args:
            predictor: what `predictor` returned.
            data: the `TaskData`.
            shown: a `Split` of some images of `data.evaluation`.

        Returns:
            (n,) integers.
        """
        raise UserError(f"--projector: {self.name} has no embeddings of images to show")


def layout_of(dataset):
    """Find the images of a data set: see `Task.layout`.

    Args:
        dataset: its name, `folder:PATH` say.
    """
    from semisup.data import folder_layout

    return folder_layout.find(dataset.removeprefix(FOLDER)) if is_folder(dataset) else None


def task_named(name):
    """Return the task of a name.

    Args:
        name: name of the task, as a run's `config.json` has it.

    Raises:
        UserError: if there is no such task.
    """
    if name not in MODULES:
        raise UserError(f"there is no task {shown(name)}; there are {', '.join(MODULES)}")
    return importlib.import_module(MODULES[name]).TASK
