"""Semi-supervised classification: the data and the model that a configuration stands for."""

import dataclasses
import functools
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from semisup.cli.choices import AUTO
from semisup.config import TrainConfig
from semisup.data import labelled_subset, sampling
from semisup.data.datasets import Split, fingerprint, is_labelled, load_dataset, open_dataset
from semisup.errors import UserError, rephrased
from semisup.run import building, files
from semisup.run.task import Task, TaskData


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageData(TaskData):
    """The data of a task on images.

    Attributes:
        evaluation: images and labels that evaluations measure on.
        class_names: names of the classes, in the order of the labels.
        image_shape: (height, width, channels) of an image.
        evaluated_rows: places of the evaluated images in the split that they are a part of; None
            where all are evaluated, or where images are held out.
        train: images and labels of the training split.
        class_pools: for each class, the indices of its labelled images in the training split.
        unlabelled: images that unlabelled batches are drawn from, or None.
        others: indices of those of them that are drawn, and have no label in the training.
        fold: function from the number of a part of a cross-validation, from 1 on, to an `ImageData`
            of the same images with that part held out.
    """

    evaluation: Split
    evaluated_rows: np.ndarray | None = None
    class_names: tuple
    image_shape: tuple
    train: Split
    class_pools: list
    unlabelled: Split | None
    others: np.ndarray
    fold: Callable

    @property
    def error_name(self):
        """Name of the error on the evaluated images, in logs and results."""
        return f"{self.evaluated_on.split()[0]}_error"


class SemiSupervised(Task):
    """The classification of images with few labels (thesis chapter 3)."""

    name = "semisup"
    title = "Semi-supervised classification"
    config_class = TrainConfig
    shown = ("test_error", "validation_error", "training_error")
    record_type = files.ImageRecord
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
            cache_dir=config.cache_dir or None,
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
        """Keep the logits of images that a cross-validation held out: see `Task`."""
        from semisup.run import cross_validation

        if config.fold:
            held_out = data.evaluation
            logits, _ = predictor.outputs(held_out.images)
            indices = data.record["held_out_indices"]
            cross_validation.keep_held_out(run, indices, held_out.labels, logits)
        elif predictor.features is not None and not (config.holds_out or config.cross_validate):
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


@rephrased(
    per_class="--sup_per_class={value}: {reason}",
    count="--validation_samples={value}: {reason}",
    parts="--cross_validate={value}: {reason}",
    samples="--unsup_samples={value}: {reason}",
)
def compose(
    config,
    class_names,
    train,
    evaluation,
    unlabelled=None,
    image_shape=None,
    layout="",
    sampler=sampling.VERSION,
    match_means=False,
):
    """Choose labelled, held-out and unlabelled images, and make batches of them.

    Args:
        config: a `TrainConfig`.
        class_names: names of the classes, in the order of the labels.
        train: `Split` that labelled images are drawn from, and held out for validation.
        evaluation: `Split` that the error is measured on, or None where images are held out. If it
            is `train`, the error is measured on the images that keep no label. With a
            cross-validation, the labelled images stand in for one without labels.
        unlabelled: `Split` that unlabelled images are drawn from, or None to train on the labels
            alone. Its labels are not read. If it is `train`, held-out images are not drawn.
        image_shape: (height, width, channels) that the network takes; by default that of `train`.
        layout: what the data looks like and should look like, for a message on what is missing.
        sampler: see `Task.load_data`.
        match_means: whether features of the labelled images are moved, all alike, so that their
            mean is that of the unlabelled ones.

    Returns:
        An `ImageData`.

    Raises:
        UserError: if there are fewer images than asked for, or labels are missing.
    """
    num_classes = len(class_names)
    if num_classes < 2:
        raise UserError(f"the data has {num_classes} class; a classifier needs two")
    image_shape = tuple(image_shape or train.images.shape[1:])
    if train.labels is None:
        raise UserError("the images to train on have no labels")
    if not (config.holds_out or config.cross_validate or is_labelled(evaluation)):
        raise UserError(
            "there are no labelled test images to measure the error on: give --validation_samples, "
            "to measure it on held-out training images, or --cross_validate"
            + (f"; {layout}" if layout else "")
        )
    usable, evaluated_on, held_out = np.arange(len(train.labels)), "test images", None
    if config.validation_samples:
        samples, seed = config.validation_samples, config.resolved_sup_seed
        if sampler == 1:
            usable, held_out = labelled_subset.hold_out_regardless_of_class(
                len(train.labels), samples, seed
            )
        else:
            usable, held_out = labelled_subset.hold_out(train.labels, samples, class_names, seed)
    chosen = labelled_subset.choose_labelled(
        train.labels[usable], config.sup_per_class, class_names, config.resolved_sup_seed
    )
    class_pools = [usable[members] for members in chosen]
    if config.cross_validate:
        remaining, part = labelled_subset.hold_out_part(
            class_pools,
            config.cross_validate,
            max(config.fold - 1, 0),
            class_names,
            config.resolved_sup_seed,
        )
        if config.fold:
            class_pools, held_out = remaining, part
    evaluated_rows = None
    if held_out is not None:
        evaluated_on = "validation images"
        evaluation = Split(train.images[held_out], train.labels[held_out])
    elif evaluation is train:
        evaluated_rows = np.setdiff1d(usable, np.concatenate(class_pools))
        if not len(evaluated_rows):
            raise UserError(
                "all training images keep their labels, so none is left to measure the error on: "
                "give a smaller --sup_per_class, or --validation_samples"
            )
        evaluation = Split(train.images[evaluated_rows], train.labels[evaluated_rows])
    elif not is_labelled(evaluation):
        evaluated_on, seen = "training images", np.concatenate(class_pools)
        evaluation = Split(train.images[seen], train.labels[seen])
    pool, others = None, np.zeros(0, np.int64)
    if unlabelled is not None:
        same = unlabelled is train
        members = usable if same else np.arange(len(unlabelled.images))
        samples = labelled_subset.choose_pool(len(members), config.unsup_samples, config.seed)
        pool = members[samples]
        others = np.setdiff1d(pool, np.concatenate(class_pools)) if same else pool
        ours, theirs = train.images.shape[1:], unlabelled.images.shape[1:]
        if config.labelled_in_unlabelled and ours != theirs:
            raise UserError(
                f"--labelled_in_unlabelled={config.labelled_in_unlabelled}: labelled images of "
                f"{ours} and unlabelled ones of {theirs} (height, width, channels) don't fit into "
                "a batch; --new_size makes them equally large"
            )

    @functools.cache
    def sources(inputs):
        given = inputs(train.images)
        if pool is None or unlabelled is train:
            return (sampling.source(given),) * 2
        others = inputs(unlabelled.images)
        # Images are shown as they are, in figures say.
        if match_means and inputs is not sampling.images_themselves:
            from semisup.architectures.transfer import first_view

            ours, theirs = first_view(given)[np.concatenate(class_pools)], first_view(others)[pool]
            given = given + (theirs.mean(axis=0) - ours.mean(axis=0))
        return sampling.source(given), sampling.source(others)

    def unlabelled_batches(first_step, train_source, unlabelled_source):
        seed, labelled = config.seed, config.labelled_among_unlabelled
        others = sampling.unlabelled_batches(
            unlabelled_source, pool, config.unsup_batch_size - labelled, seed, first_step
        )
        if not labelled:
            return others
        stream = sampling.AMONG_UNLABELLED
        members = np.concatenate(class_pools)
        return sampling.joined(
            others,
            sampling.unlabelled_batches(train_source, members, labelled, seed, first_step, stream),
        )

    def batches(first_step, inputs=sampling.images_themselves):
        given = sources(inputs)
        return sampling.training_batches(
            sampling.labelled_batches(
                given[0], class_pools, config.sup_per_batch, config.seed, first_step
            ),
            None if pool is None else unlabelled_batches(first_step, *given),
        )

    return ImageData(
        batches=batches,
        evaluation=evaluation,
        evaluated_rows=evaluated_rows,
        evaluated_on=evaluated_on,
        class_names=class_names,
        image_shape=image_shape,
        train=train,
        class_pools=class_pools,
        unlabelled=unlabelled,
        others=others,
        fold=lambda number: compose(
            dataclasses.replace(config, fold=number),
            class_names,
            train,
            evaluation,
            unlabelled,
            image_shape,
            layout,
            sampler,
            match_means,
        ),
        evaluated_examples=len(evaluation.labels),
        measured={"evaluation": evaluation},
        record={
            "class_names": list(class_names),
            "image_shape": list(image_shape),
            "labelled_indices": np.concatenate(class_pools).tolist(),
            **({"held_out_indices": held_out.tolist()} if config.fold else {}),
            "unlabelled_images": 0 if pool is None else len(pool),
            "train_fingerprint": fingerprint(train),
            "unlabelled_fingerprint": None
            if unlabelled is None
            else fingerprint(Split(unlabelled.images, None)),
            "evaluation_images": len(evaluation.labels),
            "evaluation_fingerprint": fingerprint(evaluation),
        },
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
