"""The settings of a training on labelled and unlabelled images, from which the flags are made.

Nothing here imports Keras.
"""

import dataclasses
from typing import ClassVar

from semisup.cli import choices, walk_options
from semisup.cli.dataset_names import is_folder, whole_path
from semisup.cli.options import (
    check_unused,
    envelope,
    envelope_delay,
    envelope_steps,
    loss_weight,
    option,
    redefault,
)
from semisup.cli.settings import RunConfig
from semisup.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """All settings of a training run (see the help of each field's flag).

    Raises:
        UserError: on construction, if a value is out of its range or two values contradict.
    """

    # Data
    dataset: str = redefault(
        RunConfig,
        "dataset",
        "mnist_5k",
        help="Data set: mnist_5k (embedded, needs no download), a TFDS name (mnist, svhn_cropped, "
        "stl10, cifar10, ...), or folder:PATH with PATH/train/CLASS/*, PATH/test/CLASS/* and "
        "optionally PATH/unlabelled/* (the path alone will do for a folder that exists).",
    )
    sup_per_class: int = option(
        10, "Data", "Labelled training images of each class; -1: all.", least=-1
    )
    sup_seed: int = option(
        -1, "Data", "Seed of the choice of labelled images; -1: the value of --seed.", least=-1
    )
    unsup_split: str = option(
        choices.AUTO,
        "Data",
        "Split that unlabelled batches are drawn from, labelled images included: train, or one "
        "that the data set has (extra for svhn_cropped, unlabelled for stl10). auto: unlabelled "
        "for a folder that has it, else train.",
        before="train",
    )
    unsup_samples: int = option(
        -1, "Data", "Images of that split to use, drawn by --seed; -1: all.", least=-1
    )
    test_split: str = option(
        "test",
        "Data",
        "Split that the error is measured on: test, or another one with labels. train: the "
        "training images that keep no label (the transductive protocol).",
    )
    validation_samples: int = option(
        0,
        "Data",
        "Training images to hold out, of each class in proportion, and to measure the error on, "
        "instead of the test images (for choosing settings); 0: use the test images.",
        least=0,
    )
    cross_validate: int = option(
        0,
        "Data",
        "Parts of the labelled images, each of which is held out of a further training like this "
        "one, when it is complete. The error on all of them is that of labels which were not seen, "
        "and calibrates the probabilities; no label is given up, and no test image is needed. "
        "0: no cross-validation.",
        least=0,
        resume=True,
    )
    fold: int = option(
        0,
        "Data",
        "Part to hold out, from 1 to --cross_validate, in one of these further trainings, which "
        "then runs alone: with --logdir=RUN/folds/2_of_5, the one that the cross-validation of RUN "
        "would begin. 0: none.",
        least=0,
    )
    sup_per_batch: int = option(
        10, "Data", "Labelled images of each class in a batch.", least=1, most=100_000
    )
    classes_per_batch: int = option(
        0,
        "Data",
        "Classes in a labelled batch, drawn anew for each, where there are too many for one batch; "
        "0: all.",
        least=0,
    )
    unsup_batch_size: int = option(
        100, "Data", "Unlabelled images in a batch.", least=1, most=1_000_000
    )
    labelled_in_unlabelled: float = option(
        0.0,
        "Data",
        "Share of an unlabelled batch that is drawn from the labelled images instead, whose labels "
        "are left out: for unlabelled images of which some classes are missing or much rarer than "
        "others. 0: none; try 0.25 for rare classes, and 0.5 for missing ones.",
        least=0,
        most=1,
    )
    weak_label_share: float = option(
        0.0,
        "Data",
        "Share of the unlabelled images in a batch that are drawn by weak labels, as many of each "
        "class of its labelled images; the others are drawn at random.",
        least=0,
        most=1,
    )
    weak_labels: str = option(
        "",
        "Data",
        "Folder of a run whose predictions are the weak labels; default: the trained network's "
        "own, made anew at each evaluation.",
    )
    weak_label_delay: int = option(
        0,
        "Data",
        "Step from which on images are drawn by weak labels: not before a network's own are better "
        "than chance.",
        least=0,
    )
    augmentation: str = option(
        "none",
        "Data",
        "Random changes of each training image, labelled or not.",
        one_of=choices.AUGMENTATIONS,
    )

    # Loss
    similarity: str = option(
        "association",
        "Loss",
        "Similarity term; none: train on the labels alone.",
        one_of=choices.SIMILARITY_TERMS,
    )
    similarity_measure: str = walk_options.similarity_measure()
    temperature: float = walk_options.temperature()
    walker_weight: float = loss_weight(1.0, "Weight of the walker loss.")
    visit_weight: float = loss_weight(1.0, "Weight of the visit loss.")
    logit_weight: float = loss_weight(1.0, "Weight of the classification loss.")
    memory: int = option(
        0,
        "Loss",
        "Labelled embeddings of the latest steps, kept as constants, where walks begin and end, "
        "too: they are of classes that a batch may lack.",
        least=0,
        most=1_000_000,
    )
    walker_weight_envelope: str = envelope("walker")
    walker_weight_envelope_steps: int = envelope_steps("walker")
    walker_weight_envelope_delay: int = envelope_delay("walker")
    visit_weight_envelope: str = envelope("visit")
    visit_weight_envelope_steps: int = envelope_steps("visit")
    visit_weight_envelope_delay: int = envelope_delay("visit")
    logit_weight_envelope: str = envelope("classification")
    logit_weight_envelope_steps: int = envelope_steps("classification")
    logit_weight_envelope_delay: int = envelope_delay("classification")

    WEIGHTS: ClassVar[tuple[str, ...]] = ("walker", "visit", "logit")
    """Losses with a weight, an envelope and its steps and delay, as the flags name them."""
    UNLABELLED: ClassVar[str] = "dataset"
    """Setting that names the data set that unlabelled batches are drawn from."""

    def __post_init__(self):
        super().__post_init__()
        # What a folder has is known when it is read.
        if self.unsup_split == choices.AUTO and not is_folder(getattr(self, self.UNLABELLED)):
            object.__setattr__(self, "unsup_split", "train")
        for name in self.WEIGHTS:
            steps = f"{name}_weight_envelope_steps"
            neutral = (1, self.__dataclass_fields__[steps].default)
            given = getattr(self, steps) not in neutral
            if getattr(self, f"{name}_weight_envelope") == "none" and given:
                raise UserError(
                    f"--{steps}={getattr(self, steps)} has no effect without "
                    f"--{name}_weight_envelope=linear or sigmoid"
                )
        if self.sup_per_class == 0:
            raise UserError("--sup_per_class=0: give at least 1, or -1 for all training images")
        if self.validation_samples:
            why = "with --validation_samples, which measures the error on held-out images"
            check_unused(self, ["test_split"], why)
        if self.unsup_samples == 0:
            raise UserError(
                "--unsup_samples=0: give at least 1, -1 for all, or --similarity=none to train on "
                "the labels alone"
            )
        self._check_cross_validation()
        if self.similarity == "none":
            names = ("labelled_in_unlabelled", "weak_label_share")
            check_unused(self, names, "with --similarity=none, which draws no unlabelled images")
        share = self.labelled_in_unlabelled
        if share and not 0 < self.labelled_among_unlabelled < self.unsup_batch_size:
            raise UserError(
                f"--labelled_in_unlabelled={share} leaves no labelled or no other image in a batch "
                f"of --unsup_batch_size={self.unsup_batch_size}"
            )
        if self.classes_per_batch == 1:
            raise UserError(
                "--classes_per_batch=1: walks need at least 2 classes; 0 stands for all"
            )
        if self.similarity != "association":
            check_unused(self, ["memory"], "without --similarity=association")
        self._check_weak_labels()
        walk_options.resolve(self)

    def _check_cross_validation(self):
        parts = self.cross_validate
        if parts == 1:
            raise UserError("--cross_validate=1: give at least 2 parts, or 0 for none")
        if self.fold > parts:
            raise UserError(f"--fold={self.fold} is none of the parts of --cross_validate={parts}")
        reasons = {
            "validation_samples": "both hold out labels",
            "live_config": "all of its trainings have to be alike",
            "weak_labels": "that run may have seen the labels that are held out",
        }
        for name, reason in reasons.items():
            if parts and getattr(self, name):
                raise UserError(
                    f"--cross_validate={parts} and --{name}={getattr(self, name)}: {reason}; leave "
                    "one of them out"
                )

    def may_change(self, field):
        """Return whether the value of an option may differ when a run is resumed: see the base."""
        # Evaluations make the network's own weak labels, by which images are drawn until the next.
        makes_labels = self.weak_label_share and not self.weak_labels
        return super().may_change(field) and not (makes_labels and field.name == "eval_interval")

    @property
    def holds_out(self):
        """Whether the error is measured on images that are held out of the labelled ones."""
        return bool(self.validation_samples or self.fold)

    @property
    def labelled_among_unlabelled(self):
        """Number of labelled images in an unlabelled batch."""
        return round(self.labelled_in_unlabelled * self.unsup_batch_size)

    def _check_weak_labels(self):
        if self.weak_labels:
            object.__setattr__(self, "weak_labels", whole_path(self.weak_labels))
        if not self.weak_label_share:
            names = ("weak_labels", "weak_label_delay")
            check_unused(self, names, "without --weak_label_share")
            return
        size = self.unsup_batch_size - self.labelled_among_unlabelled
        if not round(self.weak_label_share * size):
            raise UserError(
                f"--weak_label_share={self.weak_label_share} of the {size} unlabelled images in a "
                "batch is no image: raise it, or --unsup_batch_size"
            )
        if self.weak_label_delay >= self.max_steps:
            raise UserError(
                f"--weak_label_delay={self.weak_label_delay} is not before "
                f"--max_steps={self.max_steps}: nothing would be drawn by weak labels"
            )

    @property
    def resolved_sup_seed(self):
        """Seed of the choice of labelled images."""
        return self.seed if self.sup_seed < 0 else self.sup_seed
