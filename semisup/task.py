"""Semi-supervised classification: the data and the model that a configuration stands for."""

import dataclasses
from typing import ClassVar

import numpy as np

from semisup.cli.choices import AUTO
from semisup.config import TrainConfig
from semisup.data import sampling
from semisup.data.datasets import load_dataset, open_dataset
from semisup.run import building, file_types
from semisup.run.image_data import compose
from semisup.run.task import Task


class SemiSupervised(Task):
    """The classification of images with few labels (thesis chapter 3)."""

    name = "semisup"
    title = "Semi-supervised classification"
    config_class = TrainConfig
    shown = ("test_error", "validation_error", "training_error")
    record_type = file_types.ImageRecord
    is_shared_by_hosts = True
    steered: ClassVar = {
        "walker_weight": ("walker_loss",),
        "visit_weight": ("visit_loss",),
        "logit_weight": ("classification_loss",),
    }

    def load_data(self, config, sampler=sampling.VERSION):
        """Load and split the images: see `Task`. Returns an `ImageData`."""
        unlabelled = unlabelled_split(config)
        # Held-out images stand in for it.
        tested = set() if config.holds_out else {config.test_split}
        data = load_dataset(
            config.dataset,
            **config.reading,
            cache_dir=config.cache_dir,
            splits=tuple(sorted({"train", unlabelled or "train", *tested - {"test"}})),
            optional_splits=tuple(tested),
        )
        composed = compose(
            config,
            data.class_names,
            train=data.splits["train"],
            evaluation=data.splits.get(config.test_split),
            unlabelled=data.splits[unlabelled] if unlabelled else None,
            sampler=sampler,
            layout=data.layout,
        )
        return dataclasses.replace(composed, notes=data.notes + unlabelled_notes(config, composed))

    def weak_labels(self, config, data):
        """Return the `WeakLabels` of a training: see `Task`."""
        if not config.weak_label_share:
            return None
        from semisup.run.weak_labels import WeakLabels

        return WeakLabels(
            data.unlabelled.images,
            data.pool,
            len(data.class_names),
            config.weak_label_delay,
            fixed=bool(config.weak_labels),
        )

    def similarity_term(self, config):
        """Make the similarity term of a configuration, or None."""
        return None if config.similarity == "none" else association_of(config)

    def augmentation(self, config, seed):
        """Build the pipeline of a configuration: see `Task`."""
        from semisup import augmentation

        return augmentation.build(config.augmentation, seed)

    def build_model(self, config, record, data=None):
        """Build and compile the `AssociativeModel` of a configuration: see `Task`."""
        from semisup.models.associative import AssociativeModel

        image_shape = tuple(record["image_shape"])
        with building.dtype_policy(config):
            model = AssociativeModel(
                building.build_network(config, image_shape, data and data.train.images),
                len(record["class_names"]),
                similarity=self.similarity_term(config),
                augmentation=building.build_augmentation(self, config),
                classification_weight=envelope_of(config, "logit"),
                classifier_regularizer=building.classifier_regularizer(),
                joint_batch_statistics=config.joint_batch_statistics,
                average_decay=config.average_decay,
                memory=config.memory,
                name="model",
            )
            model.build((None, *image_shape))
        return building.compile_model(config, model)

    def measure(self, predictor, data):
        """Measure the error: see `Task`."""
        predicted = predictor.labels(data.evaluation.images)
        return {data.error_name: float(np.mean(predicted != data.evaluation.labels))}

    def headline(self, data, measured):
        """Say how large the error is: see `Task`."""
        name = data.error_name
        return f"{name.replace('_', ' ').capitalize()} {100 * measured[name]:.2f} %"

    def conclude(self, run, config, predictor, data):
        """Calibrate the run, or keep what a cross-validation calibrates it by: see `Task`."""
        from semisup.run import calibration, cross_validation

        if config.holds_out:
            held_out = data.evaluation
            logits, _ = predictor.outputs(held_out.images)
            if config.fold:
                indices = data.record["held_out_indices"]
                cross_validation.keep_held_out(run, indices, held_out.labels, logits)
            else:
                step, labels = config.max_steps, held_out.labels
                calibration.calibrate(run, step, logits, labels, data.evaluated_on)
        elif predictor.features is not None and not config.cross_validate:
            self.calibrate(run, config, predictor, data)

    def calibrate(self, run, config, predictor, data):
        """Calibrate a head on a frozen network, whose labels are all trained on.

        Args:
            run: see `conclude`.
            config: see `conclude`.
            predictor: see `conclude`; it has features.
            data: see `conclude`.
        """
        from semisup.run import calibration

        if data.unlabelled is None:
            return
        labelled = np.concatenate(data.class_pools)
        # Of whole splits, whose features are known.
        features = predictor.features.plain(data.train.images)[labelled]
        logits = predictor.outputs(data.unlabelled.images)[0][data.others]
        calibration.calibrate_by_features(
            run, config.max_steps, features, data.train.labels[labelled], logits, config.seed
        )

    def unlabelled_images(self, config):
        """Return data set and split of the unlabelled images: see `Task`."""
        split = unlabelled_split(config)
        return None if split is None else (config.dataset, split)

    def reporter_class(self):
        """Return the `ImageReporter`: see `Task`."""
        from semisup.report.image_reporter import ImageReporter

        return ImageReporter

    def projected_groups(self, predictor, data, shown):
        """Return the classes of images: see `Task`."""
        return shown.labels


TASK = SemiSupervised()


def unlabelled_split(config, labelled=True):
    """Name the split that unlabelled batches are drawn from; None to train on the labels alone.

    Args:
        config: a `TrainConfig`.
        labelled: whether the classes of that data set matter: see `load_dataset`.
    """
    return None if config.similarity == "none" else resolved_unsup_split(config, labelled)


def resolved_unsup_split(config, labelled=True):
    """Name the split that `--unsup_split` stands for: see `unlabelled_split`."""
    if config.unsup_split != AUTO:
        return config.unsup_split
    name = getattr(config, config.UNLABELLED)
    names = open_dataset(name, **config.reading, labelled=labelled).sources
    return "unlabelled" if "unlabelled" in names else "train"


def unlabelled_notes(config, data, labelled=True):
    """Say in a line which split `--unsup_split=auto` stands for: see `unlabelled_split`.

    Args:
        config: a `TrainConfig`.
        data: what `compose` returned.
        labelled: see `unlabelled_split`.
    """
    split = unlabelled_split(config, labelled)
    if split is None or config.unsup_split != AUTO:
        return ()
    return (
        f"Unlabelled batches are drawn from the {data.record['unlabelled_images']:,} images of "
        f"{split} (--unsup_split).",
    )


def association_of(config):
    """Make the `Association` of a configuration."""
    from semisup.association import Association

    return Association(
        walker_weight=envelope_of(config, "walker"),
        visit_weight=envelope_of(config, "visit"),
        measure=config.similarity_measure,
        temperature=config.temperature,
    )


def envelope_of(config, name):
    """Make the schedule of a loss weight.

    Args:
        config: a `TrainConfig`.
        name: the loss as the flags name it; "walker" for `--walker_weight`.

    Returns:
        An `Envelope`.
    """
    from semisup.models.schedules import Envelope

    return Envelope(
        getattr(config, f"{name}_weight"),
        kind=getattr(config, f"{name}_weight_envelope"),
        steps=getattr(config, f"{name}_weight_envelope_steps"),
        delay=getattr(config, f"{name}_weight_envelope_delay"),
    )
