"""Semi-supervised classification: the data and the model that a configuration stands for."""

import dataclasses
from collections.abc import Callable

import numpy as np

from semisup.config import TrainConfig
from semisup.data import labelled_subset, sampling
from semisup.data.datasets import Split, fingerprint, is_labelled, load_dataset
from semisup.errors import UserError, rephrased
from semisup.run import building

NAME = "semisup"
Config = TrainConfig
SHOWN = ("test_error", "validation_error")
"""What `measure` measures that the progress bar shows; one is always there."""
STEERED = {
    "walker_weight": ("walker_loss",),
    "visit_weight": ("visit_loss",),
    "logit_weight": ("classification_loss",),
}
"""For each loss weight's flag, the losses that it multiplies."""


@dataclasses.dataclass(frozen=True)
class TaskData:
    """What a training needs of its data.

    Attributes:
        batches: function from a first step to a `tf.data.Dataset` of training batches.
        evaluation: images and labels on which the error is measured.
        evaluated_on: what these images are, for messages.
        class_names: names of the classes, in the order of the labels.
        image_shape: (height, width, channels) of an image.
        train: images and labels of the training split.
        class_pools: for each class, the indices of its labelled images in the training split.
        measured: splits that evaluations measure on, by names for messages.
        record: what is saved in the run directory as `data.json`.
        notes: lines to print on what may surprise: see `semisup.data.datasets.DataSet`.
    """

    batches: Callable
    evaluation: Split
    evaluated_on: str
    class_names: tuple
    image_shape: tuple
    train: Split
    class_pools: list
    measured: dict
    record: dict
    notes: tuple = ()

    @property
    def error_name(self):
        """Name of the error on the evaluated images, in logs and results."""
        return f"{self.evaluated_on.split()[0]}_error"


def load_data(config, sampler=sampling.VERSION):
    """Loads and splits the data of a configuration.

    Args:
        config: a `TrainConfig`.
        sampler: version of the sampler that the run was begun with.

    Returns:
        A `TaskData`.

    Raises:
        UserError: if data is missing, or there are fewer images than asked for.
    """
    association = config.similarity != "none"
    splits = {"train"} | ({config.unsup_split} if association else set())
    data = load_dataset(
        config.dataset,
        data_dir=config.resolved_data_dir,
        cache_dir=config.cache_dir or None,
        image_size=config.new_size,
        splits=tuple(sorted(splits)),
        # Held-out images stand in for it.
        optional_splits=() if config.validation_samples else ("test",),
    )
    composed = compose(
        config,
        data.class_names,
        train=data.splits["train"],
        evaluation=data.splits.get("test"),
        unlabelled=data.splits[config.unsup_split] if association else None,
        sampler=sampler,
        layout=data.layout,
    )
    return dataclasses.replace(composed, notes=data.notes)


@rephrased(
    per_class="--sup_per_class={value}: {reason}",
    count="--validation_samples={value}: {reason}",
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
):
    """Chooses labelled, held-out and unlabelled images, and makes batches of them.

    Args:
        config: a `TrainConfig`.
        class_names: names of the classes, in the order of the labels.
        train: `Split` that labelled images are drawn from, and held out for validation.
        evaluation: `Split` that the error is measured on, or None where images are held out.
        unlabelled: `Split` that unlabelled images are drawn from, or None to train on the labels
            alone. Its labels are not read. If it is `train`, held-out images are not drawn.
        image_shape: (height, width, channels) that the network takes; by default that of `train`.
        layout: what the data looks like and should look like, for a message on what is missing.
        sampler: see `load_data`.

    Returns:
        A `TaskData`.

    Raises:
        UserError: if there are fewer images than asked for, or labels are missing.
    """
    num_classes = len(class_names)
    if num_classes < 2:
        raise UserError(f"the data has {num_classes} class; a classifier needs two")
    image_shape = tuple(image_shape or train.images.shape[1:])
    if train.labels is None:
        raise UserError("the images to train on have no labels")
    if not config.validation_samples and not is_labelled(evaluation):
        raise UserError(
            "there are no labelled test images to measure the error on: give --validation_samples, "
            "to measure it on held-out training images" + (f"; {layout}" if layout else "")
        )
    usable = np.arange(len(train.labels))
    if config.validation_samples:
        samples, seed = config.validation_samples, config.resolved_sup_seed
        if sampler == 1:
            usable, held_out = labelled_subset.hold_out_regardless_of_class(
                len(train.labels), samples, seed
            )
        else:
            usable, held_out = labelled_subset.hold_out(train.labels, samples, class_names, seed)
        evaluation = Split(train.images[held_out], train.labels[held_out])
    chosen = labelled_subset.choose_labelled(
        train.labels[usable], config.sup_per_class, class_names, config.resolved_sup_seed
    )
    class_pools = [usable[members] for members in chosen]
    train_source = sampling.source(train.images)

    unlabelled_source = pool = None
    if unlabelled is not None:
        same = unlabelled is train
        unlabelled_source = train_source if same else sampling.source(unlabelled.images)
        members = usable if same else np.arange(len(unlabelled.images))
        samples = labelled_subset.choose_pool(len(members), config.unsup_samples, config.seed)
        pool = members[samples]

    def batches(first_step):
        return sampling.training_batches(
            sampling.labelled_batches(
                train_source, class_pools, config.sup_per_batch, config.seed, first_step
            ),
            None
            if pool is None
            else sampling.unlabelled_batches(
                unlabelled_source, pool, config.unsup_batch_size, config.seed, first_step
            ),
        )

    return TaskData(
        batches=batches,
        evaluation=evaluation,
        evaluated_on="validation images" if config.validation_samples else "test images",
        class_names=class_names,
        image_shape=image_shape,
        train=train,
        class_pools=class_pools,
        measured={"evaluation": evaluation},
        record={
            "class_names": list(class_names),
            "image_shape": list(image_shape),
            "labelled_indices": np.concatenate(class_pools).tolist(),
            "unlabelled_images": 0 if pool is None else len(pool),
            "train_fingerprint": fingerprint(train),
            "unlabelled_fingerprint": None
            if unlabelled is None
            else fingerprint(Split(unlabelled.images, None)),
            "evaluation_images": len(evaluation.labels),
            "evaluation_fingerprint": fingerprint(evaluation),
        },
    )


def build_model(config, image_shape, num_classes, normalization_images=None):
    """Builds and compiles the model of a configuration.

    Args:
        config: a `TrainConfig`.
        image_shape: (height, width, channels).
        num_classes: number of classes.
        normalization_images: images whose statistics normalise; None where the statistics are
            restored from a checkpoint afterwards.

    Returns:
        A built and compiled `AssociativeModel`.

    Raises:
        UserError: if the architecture is unknown or does not fit the images.
    """
    return assemble(
        config,
        None if config.similarity == "none" else association_of(config),
        image_shape,
        num_classes,
        normalization_images,
    )


def assemble(config, similarity, image_shape, num_classes, normalization_images=None):
    """Builds and compiles a model with a similarity term.

    Args:
        config: a `TrainConfig`.
        similarity: a similarity term, or None.
        image_shape: see `build_model`.
        num_classes: see `build_model`.
        normalization_images: see `build_model`.

    Returns:
        A built and compiled `AssociativeModel`.

    Raises:
        UserError: if the architecture is unknown or does not fit the images.
    """
    from semisup import augmentation
    from semisup.models.associative import AssociativeModel

    with building.dtype_policy(config):
        model = AssociativeModel(
            building.build_network(config, image_shape, normalization_images),
            num_classes,
            similarity=similarity,
            augmentation=augmentation.build(config.augmentation, config.seed),
            classification_weight=envelope_of(config, "logit"),
            classifier_regularizer=building.classifier_regularizer(),
            joint_batch_statistics=config.joint_batch_statistics,
            average_decay=config.average_decay,
            name="model",
        )
        model.build((None, *image_shape))
    return building.compile_model(config, model)


def association_of(config):
    """The `Association` of a configuration."""
    from semisup.association import Association

    return Association(
        walker_weight=envelope_of(config, "walker"),
        visit_weight=envelope_of(config, "visit"),
        measure=config.similarity_measure,
        temperature=config.temperature,
    )


def envelope_of(config, name):
    """The schedule of a loss weight.

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


def measure(predictor, data):
    """What is measured at intervals and at the end of a training.

    Args:
        predictor: a `Predictor` of the model.
        data: the `TaskData`.

    Returns:
        Floats by their names, ready for the log.
    """
    predicted = predictor.labels(data.evaluation.images)
    return {data.error_name: float(np.mean(predicted != data.evaluation.labels))}


def headline(data, measured):
    """What a training ends with, in a few words.

    Args:
        data: its `TaskData`.
        measured: what `measure` returned at the last step.
    """
    name = data.error_name
    return f"{name.replace('_', ' ').capitalize()} {100 * measured[name]:.2f} %"


def milestones(config, data):
    """What happens between two steps of a training: nothing, here.

    Args:
        config: a configuration of the task.
        data: its `TaskData`.

    Returns:
        Dictionary from steps to functions that take a `Predictor`, change its model, and return
        values for the log, or None where a checkpoint says that it has been done.
    """
    return {}


def projected_groups(predictor, data, images):
    """Groups of images by which TensorBoard's projector colours them.

    Args:
        predictor: a `Predictor` of the model.
        data: the `TaskData`.
        images: the first images of `data.evaluation`.

    Returns:
        (n,) integers.
    """
    return data.evaluation.labels[: len(images)]
