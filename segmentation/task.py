"""Segmentation: the data and the model that a configuration stands for."""

import dataclasses
import functools
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from segmentation import data, metrics, pixel_draws
from segmentation.choices import NO_CLASS
from segmentation.config import TrainConfig
from segmentation.label_maps import Classes
from semisup.data import pipelines, sampling
from semisup.data.datasets import fingerprint
from semisup.errors import UserError
from semisup.run import building, file_types
from semisup.run.task import Task, TaskData


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelData(TaskData):
    """The data of a training on pixels.

    Attributes:
        train: the `LabelledImages` to train with.
        evaluation: those that evaluations measure on.
        classes: the `Classes`.
    """

    train: data.LabelledImages
    evaluation: data.LabelledImages
    classes: Classes


class PixelRecord(file_types.Record):
    """`data.json` of a training on pixels.

    It has no `class_names`: commands for classes of whole images have no use for such a run.
    """

    image_shape: file_types.Shape
    evaluation_fingerprint: str
    pixel_classes: Annotated[list[str], Meta(min_length=2)]
    class_shares: list[file_types.Fraction]
    class_numbers: Annotated[list[Annotated[int, Meta(ge=0, lt=2**16)]], Meta(min_length=2)]


class Segmentation(Task):
    """The classes of pixels, from few images whose pixels are labelled (thesis chapter 6)."""

    name = "segmentation"
    title = "Segmentation"
    config_class = TrainConfig
    shown = ("mean_iou", "pixel_accuracy")
    record_type = PixelRecord
    steered: ClassVar = {
        "walker_weight": ("walker_loss",),
        "visit_weight": ("visit_loss",),
        "self_training_weight": ("self_training_loss",),
        "logit_weight": ("classification_loss",),
    }

    def load_data(self, config, sampler=sampling.VERSION):
        """Load and split images and label maps: see `Task`. Returns a `PixelData`."""
        train, evaluation, classes, notes = data.load(config)
        if config.labelled_pixels < len(classes.names):
            raise UserError(
                f"--labelled_pixels={config.labelled_pixels}: give one for each of the "
                f"{len(classes.names)} classes at least"
            )
        if not np.any(evaluation.maps != NO_CLASS):
            raise UserError(
                f"no pixel of the {config.test_split} label maps is of a class that counts: see "
                "--classes and --ignore"
            )
        batches = _Batches(config, train, len(classes.names))
        return PixelData(
            batches=batches,
            train=train,
            evaluation=evaluation,
            classes=classes,
            evaluated_on=f"{config.test_split} images",
            evaluated_examples=len(evaluation.images),
            measured={"evaluation": evaluation.split},
            record={
                "image_shape": list(train.images.shape[1:]),
                "pixel_classes": list(classes.names),
                "class_numbers": list(classes.numbers),
                "class_shares": batches.class_shares.tolist(),
                "labelled_indices": train.labelled.tolist(),
                "unlabelled_images": len(train.images),
                "train_fingerprint": fingerprint(train.split),
                "evaluation_fingerprint": fingerprint(evaluation.split),
            },
            notes=notes,
        )

    def similarity_term(self, config, class_shares):
        """Make the similarity term of a configuration, or None.

        Args:
            config: a `TrainConfig`.
            class_shares: shares of the classes of the labelled pixels.
        """
        from segmentation.losses import SelfTraining
        from semisup.association import Association

        if config.similarity == "none":
            return None
        if config.similarity == "self_training":
            return SelfTraining(config.self_training_weight, config.confidence)
        return Association(
            config.walker_weight,
            config.visit_weight,
            measure=config.similarity_measure,
            temperature=config.temperature,
            class_shares=class_shares if config.visit_prior == "class_shares" else None,
        )

    def build_model(self, config, record, data=None):
        """Build and compile the `SegmentationModel` of a configuration: see `Task`."""
        from segmentation import pixel_networks
        from segmentation.model import SegmentationModel

        image_shape = tuple(record["image_shape"])
        with building.dtype_policy(config):
            model = SegmentationModel(
                pixel_networks.build(config, image_shape),
                len(record["pixel_classes"]),
                pixel_networks.grid_of(image_shape),
                similarity=self.similarity_term(config, record["class_shares"]),
                classification_weight=config.logit_weight,
                classifier_regularizer=building.classifier_regularizer(),
                average_decay=config.average_decay,
                name="model",
            )
            model.build((None, *image_shape))
        return building.compile_model(config, model)

    def features_class(self):
        """Return the class that keeps the features of all pixels: see `Task`."""
        from segmentation.features import PixelFeatures

        return PixelFeatures

    def predictor(self, model, batch_size, features=None):
        """Return the `MapPredictor` of a model: see `Task`."""
        from segmentation.predictor import MapPredictor

        return MapPredictor(model, batch_size, features)

    def measure(self, predictor, data):
        """Measure the agreement of predicted with true maps: see `Task`."""
        return metrics.summary(confusion_of(predictor, data))

    def headline(self, data, measured):
        """Say how well maps agree: see `Task`."""
        return (
            f"Mean intersection over union on {data.evaluated_on} "
            f"{100 * measured['mean_iou']:.1f} %, {100 * measured['pixel_accuracy']:.1f} % of "
            "their pixels right,"
        )

    def layout(self, config):
        """Find the images of a training: see `Task`."""
        return data.find(config)[0]

    def reporter_class(self):
        """Return the `SegmentationReporter`: see `Task`."""
        from segmentation.reporting import SegmentationReporter

        return SegmentationReporter


TASK = Segmentation()


def confusion_of(predictor, data):
    """Count the true against the predicted classes of all evaluated pixels.

    Args:
        predictor: a `MapPredictor`.
        data: a `PixelData`.

    Returns:
        (classes, classes) int64: see `metrics.confusion`.
    """
    held_out, count = data.evaluation, len(data.classes.names)
    total = np.zeros((count, count), np.int64)
    for start, predicted in predictor.maps(held_out.images):
        total += metrics.confusion(held_out.maps[start : start + len(predicted)], predicted, count)
    return total


class _Batches:
    """The batches of a training, from features of pixels or, where they change, from images."""

    def __init__(self, config, train, num_classes):
        self._config = config
        self._train = train
        self._classes = pixel_draws.on_grid(train.maps).reshape(len(train.maps), -1)
        counted = self._classes[self._classes != NO_CLASS]
        if not len(counted):
            raise UserError("no pixel of the labelled images is of a class that counts")
        counts = np.bincount(counted, minlength=num_classes)
        self.class_shares = counts / counts.sum()

    @property
    def _cells(self):
        return self._classes.shape[1]

    def __call__(self, first_step, inputs=None):
        if inputs is None:
            labelled, unlabelled = self._in_images(first_step)
        else:
            labelled, unlabelled = self._of_features(first_step, inputs(self._train.images))
        is_paired = self._config.similarity != "none"
        return pipelines.training_batches(labelled, unlabelled if is_paired else None)

    def _of_features(self, first_step, features):
        import tensorflow as tf

        config, pixels = self._config, pipelines.source(features)
        classes = self._classes.ravel()
        cells = np.arange(self._cells)
        places = (self._train.labelled[:, None] * self._cells + cells).ravel()
        numbers = pipelines.source(np.stack([places, classes.astype(np.int64)], axis=1))

        def labelled(chosen):
            own = pipelines.gather(numbers, chosen)
            return pipelines.gather(pixels, own[:, 0]), tf.cast(own[:, 1], tf.int32)

        drawn = pixel_draws.labelled_batches(
            classes, config.labelled_pixels, config.pixel_draws, config.seed, first_step
        )
        all_pixels = np.arange(len(features))
        sampler = sampling.Sampler([all_pixels], config.unlabelled_pixels, config.seed)
        return drawn.map(labelled), pipelines.unlabelled_batches(pixels, sampler, first_step)

    def _in_images(self, first_step):
        import tensorflow as tf

        config, train = self._config, self._train
        # What is ignored in whole cannot be drawn from.
        usable = np.flatnonzero(np.any(self._classes != NO_CLASS, axis=1))
        count = min(config.images_per_batch, len(usable))
        images, few = pipelines.source(train.images), pipelines.source(train.labelled[usable])
        classes = pipelines.source(self._classes[usable].astype(np.int32))
        draw = functools.partial(
            pixel_draws.pixels_in_images,
            cells=self._cells,
            seed=config.seed,
            first_step=first_step,
        )

        def labelled(chosen):
            own, places = chosen[:count], chosen[count:]
            batch = {
                "images": pipelines.gather(images, tf.gather(few, own)),
                "places": tf.cast(places, tf.int32),
            }
            return batch, tf.gather(tf.reshape(tf.gather(classes, own), [-1]), places)

        def unlabelled(chosen):
            own, places = chosen[: config.images_per_batch], chosen[config.images_per_batch :]
            return {"images": pipelines.gather(images, own), "places": tf.cast(places, tf.int32)}

        return (
            draw(
                len(usable),
                count=count,
                size=config.labelled_pixels,
                stream=sampling.LABELLED,
                classes=self._classes[usable],
                draws=config.pixel_draws,
            ).map(labelled),
            draw(
                len(train.images),
                count=config.images_per_batch,
                size=config.unlabelled_pixels,
                stream=sampling.UNLABELLED,
            ).map(unlabelled),
        )
