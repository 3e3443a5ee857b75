"""The images of a training on labels: which keep one, which are evaluated, and the batches."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from semisup.data import labelled_subset, pipelines, sampling, weak_draws
from semisup.data.datasets import Split, fingerprint, is_labelled
from semisup.errors import UserError, rephrased
from semisup.run.task import TaskData


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageData(TaskData):
    """The data of a task on images.

    Attributes:
        evaluation: images and labels that evaluations measure on.
        class_names: names of the classes, in the order of the labels.
        image_shape: (height, width, channels) of an image.
        evaluated_rows: places of the evaluated images in the split that they are a part of, the
            training split unless they are test images; None where all of a split are evaluated.
        train: images and labels of the training split.
        class_pools: for each class, the indices of its labelled images in the training split.
        unlabelled: images that unlabelled batches are drawn from; None where there are none.
        others: indices of those of them that are drawn, and have no label in the training; None if
            the task has no labels.
        fold: function from the number of a part of a cross-validation, from 1 on, to an `ImageData`
            of the same images with that part held out; None if the task has no labels.
        pool: indices of those that unlabelled batches are drawn from; None where there are none.
    """

    evaluation: Split
    evaluated_rows: np.ndarray | None = None
    class_names: tuple
    image_shape: tuple
    train: Split
    class_pools: list
    unlabelled: Split | None = None
    others: np.ndarray | None = None
    fold: Callable | None = None
    pool: np.ndarray | None = None

    @property
    def error_name(self):
        """Name of the error on the evaluated images, in logs and results."""
        return f"{self.evaluated_on.split()[0]}_error"


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
            alone. Its labels are not read. If it is `train`, images held out for validation are not
            drawn; those of a part of a cross-validation are.
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
    _check(config, class_names, train, evaluation, layout)
    usable, class_pools, held_out = _choose_labelled(config, class_names, train.labels, sampler)
    labelled = np.concatenate(class_pools)
    evaluated_on, evaluated_rows = "test images", None
    if held_out is not None:
        evaluated_on, evaluated_rows = "validation images", held_out
    elif evaluation is train:
        evaluated_rows = np.setdiff1d(usable, labelled)
        if not len(evaluated_rows):
            raise UserError(
                "all training images keep their labels, so none is left to measure the error on: "
                "give a smaller --sup_per_class, or --validation_samples"
            )
    elif not is_labelled(evaluation):
        evaluated_on, evaluated_rows = "training images", labelled
    if evaluated_rows is not None:
        evaluation = _rows(train, evaluated_rows)
    pool, others = None, np.zeros(0, np.int64)
    if unlabelled is not None:
        same = unlabelled is train
        members = usable if same else np.arange(len(unlabelled.images))
        samples = labelled_subset.choose_pool(len(members), config.unsup_samples, config.seed)
        pool = members[samples]
        others = np.setdiff1d(pool, labelled) if same else pool

    image_shape = tuple(image_shape or train.images.shape[1:])

    def fold(number):
        return compose(
            dataclasses.replace(config, fold=number),
            class_names,
            train,
            evaluation,
            unlabelled,
            image_shape,
            layout,
            sampler,
            match_means,
        )

    return ImageData(
        batches=Batches(config, train, class_pools, unlabelled, pool, match_means),
        evaluation=evaluation,
        evaluated_rows=evaluated_rows,
        evaluated_on=evaluated_on,
        class_names=class_names,
        image_shape=image_shape,
        train=train,
        class_pools=class_pools,
        unlabelled=unlabelled,
        others=others,
        fold=fold,
        pool=pool,
        evaluated_examples=len(evaluation.labels),
        measured={"evaluation": evaluation},
        record={
            "class_names": list(class_names),
            "image_shape": list(image_shape),
            "labelled_indices": labelled.tolist(),
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


class Batches:
    """The batches of a training from any step on: a function of seed and step.

    Args:
        config: a `TrainConfig`.
        train: `Split` of the labelled images.
        class_pools: for each class, the indices of its labelled images.
        unlabelled: `Split` of the unlabelled images, which may be `train`; or None.
        pool: indices of the unlabelled images that are drawn; None if there are none.
        match_means: see `compose`.

    Raises:
        UserError: if images that share a batch have different shapes.
    """

    def __init__(self, config, train, class_pools, unlabelled, pool, match_means):
        self._config = config
        self._train, self._class_pools = train, class_pools
        self._unlabelled, self._pool = unlabelled, pool
        self._match_means = match_means
        self._sources = functools.cache(self._make_sources)
        self._classes = None
        if config.classes_per_batch:
            self._classes = sampling.ClassSampler(
                class_pools, config.classes_per_batch, config.sup_per_batch, config.seed
            )
        if unlabelled is not None and config.labelled_in_unlabelled:
            ours, theirs = train.images.shape[1:], unlabelled.images.shape[1:]
            if ours != theirs:
                raise UserError(
                    f"--labelled_in_unlabelled={config.labelled_in_unlabelled}: labelled images of "
                    f"{ours} and unlabelled ones of {theirs} (height, width, channels) don't fit "
                    "into a batch; --new_size makes them equally large"
                )

    def __call__(
        self,
        first_step,
        inputs=pipelines.images_themselves,
        weak_labels=None,
        share=sampling.WHOLE,
    ):
        """Return the batches from a step on.

        Args:
            first_step: step of the first batch.
            inputs: function from images to what the network takes, features say.
            weak_labels: (k,) integers, labels that some unlabelled images are drawn by, or None.
            share: the `sampling.Share` of each batch that is read.

        Returns:
            An endless `tf.data.Dataset` of what `fit` takes.
        """
        labelled, unlabelled = self._sources(inputs)
        others = None
        if self._pool is not None:
            size = self._config.unsup_batch_size
            again = self._config.labelled_among_unlabelled
            parts = [
                (unlabelled, self._unlabelled_sampler(weak_labels), 0, size - again),
                (labelled, self._sampler_among_unlabelled(again), size - again, again),
            ]
            drawn = [
                pipelines.unlabelled_batches(source, sampler, first_step, rows)
                for source, sampler, first, count in parts
                # A share may have nothing of a part.
                if (rows := share.rows(count, first, size)).stop > rows.start
            ]
            others = functools.reduce(pipelines.joined, drawn)
        return pipelines.training_batches(self._draw_labelled(labelled, first_step, share), others)

    def _make_sources(self, inputs):
        given = inputs(self._train.images)
        if self._pool is None or self._unlabelled is self._train:
            return (pipelines.source(given),) * 2
        others = inputs(self._unlabelled.images)
        # Images are shown as they are, in figures say.
        if self._match_means and inputs is not pipelines.images_themselves:
            from semisup.architectures.transfer import first_view

            ours = first_view(given)[np.concatenate(self._class_pools)]
            theirs = first_view(others)[self._pool]
            given = given + (theirs.mean(axis=0) - ours.mean(axis=0))
        return pipelines.source(given), pipelines.source(others)

    def _draw_labelled(self, source, first_step, share):
        if self._classes is not None:
            return pipelines.batches_of_classes(source, self._classes, first_step, share)
        config = self._config
        return pipelines.labelled_batches(
            source, self._class_pools, config.sup_per_batch, config.seed, first_step, share
        )

    def _unlabelled_sampler(self, weak_labels):
        config = self._config
        size = config.unsup_batch_size - config.labelled_among_unlabelled
        if weak_labels is None:
            return sampling.Sampler([self._pool], size, config.seed, sampling.UNLABELLED)
        share, delay = config.weak_label_share, config.weak_label_delay
        draws = weak_draws.WeakDraws(weak_labels, share, delay, self._classes_of)
        return weak_draws.WeakSampler(self._pool, size, config.seed, draws)

    def _sampler_among_unlabelled(self, count):
        members = np.concatenate(self._class_pools)
        stream = sampling.AMONG_UNLABELLED
        return sampling.Sampler([members], count, self._config.seed, stream)

    def _classes_of(self, step):
        if self._classes is None:
            return np.arange(len(self._class_pools))
        return self._classes.classes(step)


def _check(config, class_names, train, evaluation, layout):
    count = len(class_names)
    if count < 2:
        raise UserError(f"the data has {count} class; a classifier needs two")
    if config.classes_per_batch > count:
        raise UserError(
            f"--classes_per_batch={config.classes_per_batch}: there are {count} classes"
        )
    if train.labels is None:
        raise UserError("the images to train on have no labels")
    if not (config.holds_out or config.cross_validate or is_labelled(evaluation)):
        raise UserError(
            "there are no labelled test images to measure the error on: give --validation_samples, "
            "to measure it on held-out training images, or --cross_validate, or --test_split=train "
            "with a small --sup_per_class, to measure it on the images that keep no label"
            + (f"; {layout}" if layout else "")
        )


def _choose_labelled(config, class_names, labels, sampler):
    """Return the images that may be trained on, the labelled ones by class, and those held out."""
    usable, held_out, seed = np.arange(len(labels)), None, config.resolved_sup_seed
    if config.validation_samples:
        samples = config.validation_samples
        if sampler == 1:
            usable, held_out = labelled_subset.hold_out_regardless_of_class(
                len(labels), samples, seed
            )
        else:
            usable, held_out = labelled_subset.hold_out(labels, samples, class_names, seed)
    chosen = labelled_subset.choose_labelled(
        labels[usable], config.sup_per_class, class_names, seed
    )
    class_pools = [usable[members] for members in chosen]
    if config.cross_validate:
        remaining, part = labelled_subset.hold_out_part(
            class_pools, config.cross_validate, max(config.fold - 1, 0), class_names, seed
        )
        if config.fold:
            class_pools, held_out = remaining, part
    return usable, class_pools, held_out


def _rows(split, rows):
    return Split(split.images[rows], split.labels[rows])
