"""Domain adaptation: the data and the model that a configuration stands for."""

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from domain_adaptation.config import TrainConfig
from semisup.data import sampling
from semisup.data.datasets import Split, fingerprint, is_labelled, load_dataset
from semisup.errors import UserError
from semisup.run.image_data import ImageData, compose
from semisup.run.task import layout_of
from semisup.task import (
    SemiSupervised,
    association_of,
    envelope_of,
    resolved_unsup_split,
    unlabelled_notes,
    unlabelled_split,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptationData(ImageData):
    """What a training and its evaluation need of the data of two domains."""

    @property
    def source_test(self):
        """Test images of the source, or None if it has none."""
        return self.measured.get("source_test")

    @property
    def target_test(self):
        """Test images of the target, or None if it has none."""
        return self.measured.get("target_test")


class DomainAdaptation(SemiSupervised):
    """The adaptation of a classifier from one domain to another (thesis chapter 4)."""

    name = "domain_adaptation"
    title = "Domain adaptation"
    config_class = TrainConfig
    steered: ClassVar = {
        **SemiSupervised.steered,
        "discrepancy_weight": ("mmd_loss", "coral_loss"),
    }

    def load_data(self, config, sampler=sampling.VERSION):
        """Load the data of both domains: see `Task`. Returns an `AdaptationData`.

        The target's labels serve to measure, not to train.
        """
        # Folders of classes at the top are images to train with, or none with labels.
        labelled_target = config.target_only or config.target_test_split == "train"
        unlabelled_name = unlabelled_split(config, labelled_target)
        source = _load(
            config, config.dataset, None if config.target_only else "train", True, "test"
        )
        target = _load(
            config,
            config.target_dataset,
            "train" if config.target_only else unlabelled_name,
            labelled_target,
            config.target_test_split,
        )
        if not set(target.class_names) <= set(source.class_names):
            raise UserError(
                f"{config.dataset} and {config.target_dataset} have different classes: "
                f"{_difference(source.class_names, target.class_names)}"
            )
        target = _with_classes(target, source.class_names)
        tests = [source.splits.get("test"), target.splits.get(config.target_test_split)]
        if not (config.holds_out or config.cross_validate or is_labelled(tests[1])):
            raise UserError(
                f"{config.target_dataset} has no labelled {config.target_test_split} images to "
                "measure the error on: give --validation_samples, to measure it on held-out images "
                "of the source"
            )
        labelled = target if config.target_only else source
        unlabelled = target.splits[unlabelled_name] if unlabelled_name else None
        composed = compose(
            config,
            labelled.class_names,
            train=labelled.splits["train"],
            evaluation=tests[1],
            # Without its labels, so that nothing can use them.
            unlabelled=None if unlabelled is None else Split(unlabelled.images, None),
            # Whatever is trained on, so that runs of one pair have the same network.
            image_shape=tuple(map(max, zip(source.image_shape, target.image_shape, strict=True))),
            sampler=sampler,
            match_means=config.match_means,
        )
        named = zip(("source_test", "target_test"), tests, strict=True)
        measured = {name: split for name, split in named if split is not None}
        notes = (
            *source.notes,
            *(() if target.notes == source.notes else target.notes),
            *unlabelled_notes(config, composed, labelled_target),
        )
        return dataclasses.replace(_adapted(composed, measured), notes=notes)

    def similarity_term(self, config):
        """Make the similarity term of a configuration, or None: see `SemiSupervised`."""
        from domain_adaptation.discrepancy import CorrelationAlignment, MaximumMeanDiscrepancy

        envelope = functools.partial(envelope_of, config)
        if config.similarity == "association":
            return association_of(config)
        if config.similarity == "mmd":
            return MaximumMeanDiscrepancy(
                envelope("discrepancy"), estimator=config.mmd_estimator, seed=config.seed
            )
        if config.similarity == "coral":
            return CorrelationAlignment(envelope("discrepancy"))
        return None

    def calibrate(self, run, config, predictor, data):
        """Leave a head as it is: what is known of the source's labels is not of the target."""

    def layout(self, config):
        """Find the images of the target: see `Task`. New images are more like those."""
        return layout_of(config.target_dataset)

    def unlabelled_images(self, config):
        """Return data set and split of the target's images: see `Task`."""
        return config.target_dataset, resolved_unsup_split(config, labelled=False)

    def reporter_class(self):
        """Return the `AdaptationReporter`: see `Task`."""
        from domain_adaptation.reporting import AdaptationReporter

        return AdaptationReporter


TASK = DomainAdaptation()


def _adapted(composed, measured):
    """What `compose` returned, cross-validation included, with other images to measure on."""
    parts = {field.name: getattr(composed, field.name) for field in dataclasses.fields(composed)}
    fingerprints = {f"{name}_fingerprint": fingerprint(split) for name, split in measured.items()}
    parts["measured"] = {**composed.measured, **measured}
    parts["record"] = {**composed.record, **fingerprints}
    parts["fold"] = lambda number: _adapted(composed.fold(number), measured)
    return AdaptationData(**parts)


def _load(config, name, split, labelled, test_split):
    """A data set with a split, or None, and with the images to test on if there are any."""
    return load_dataset(
        name,
        **config.reading,
        cache_dir=config.cache_dir,
        splits=() if split is None else (split,),
        optional_splits=() if test_split == split else (test_split,),
        labelled=labelled,
    )


def _with_classes(data, class_names):
    """A data set with the labels that its classes have among others, which may be more."""
    if data.class_names in ((), class_names):
        # A folder of images without labels has no classes.
        return data
    labels = np.array([class_names.index(name) for name in data.class_names], np.int32)
    splits = {
        name: split if split.labels is None else Split(split.images, labels[split.labels])
        for name, split in data.splits.items()
    }
    return dataclasses.replace(data, class_names=class_names, splits=splits)


def _difference(source, target):
    ours = [name for name in source if name not in target]
    theirs = [name for name in target if name not in source]
    parts = [
        f"only the {domain} has {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
        for domain, names in (("source", ours), ("target", theirs))
        if names
    ]
    return "; ".join(parts)
