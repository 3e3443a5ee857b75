"""The settings of a domain adaptation: those of `semisup`, and what concerns the two domains.

The defaults are the thesis' fixed parameters (chapter 4, table 2), except for the learning rate and
the growth of the association, which suit small batches. Nothing here imports Keras.
"""

import dataclasses
from typing import ClassVar

from domain_adaptation import choices
from semisup.cli.choices import AUTO
from semisup.cli.options import (
    check_unused,
    envelope,
    envelope_delay,
    envelope_steps,
    loss_weight,
    option,
    redefault,
)
from semisup.config import TrainConfig as _Base
from semisup.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(_Base):
    """All settings of a training run (see the help of each field's flag).

    Raises:
        UserError: on construction, if a value is out of its range or two values contradict.
    """

    # Data
    dataset: str = redefault(
        _Base,
        "dataset",
        "mnist_5k",
        help="Source data set, with labels: mnist_5k (embedded, needs no download), a TFDS name "
        "(mnist, svhn_cropped, synthetic_digits_generated, synthetic_signs_generated, ...), or "
        "folder:PATH with PATH/train/CLASS/* and PATH/test/CLASS/*.",
    )
    target_dataset: str = option(
        "optdigits",
        "Data",
        "Target data set, with the same classes; its training labels are not used: optdigits "
        "(embedded, needs no download), a TFDS name (mnist_m, mnist_m_generated, svhn_cropped, "
        "gtsrb, ...), or folder:PATH. Images of other size or channels are resized bilinearly, and "
        "grey ones repeated to RGB, in whichever domain.",
    )
    target_only: bool = option(
        False,
        "Data",
        "Train on the target's labels alone, as an upper bound; implies --similarity=none.",
    )
    sup_per_class: int = redefault(
        _Base, "sup_per_class", -1, help="Labelled source images of each class; -1: all."
    )
    unsup_split: str = redefault(
        _Base,
        "unsup_split",
        "auto",
        help="Split of the target that unlabelled batches are drawn from: train, or one that the "
        "data set has. auto: unlabelled for a folder that has it, else train.",
    )
    target_test_split: str = option(
        "test",
        "Data",
        "Split of the target that the error is measured on: test, or that of --unsup_split, where "
        "the images that are adapted to are those to classify (the transductive protocol).",
    )
    unsup_samples: int = redefault(
        _Base,
        "unsup_samples",
        -1,
        help="Target images of that split to use, drawn by --seed; -1: all.",
    )
    validation_samples: int = redefault(
        _Base,
        "validation_samples",
        0,
        help="Labelled training images (of the source, but with --target_only) to hold out and to "
        "measure the error on, instead of the target's test images (for choosing settings without "
        "a look at target labels); 0: use the target's test images.",
    )
    unsup_batch_size: int = redefault(
        _Base, "unsup_batch_size", 100, help="Target images in a batch."
    )

    # Network
    architecture: str = redefault(_Base, "architecture", "svhn_model")
    match_means: bool = option(
        False,
        "Network",
        "Move the features of all source images alike, so that their mean is that of the target's; "
        "for --trainable=head. What is trained then is for the target: the error on source images, "
        "which are not moved where they are evaluated, may be larger.",
    )

    # Loss
    similarity: str = redefault(
        _Base,
        "similarity",
        "association",
        help="Similarity term of source and target embeddings; none: train on the source alone.",
        one_of=choices.SIMILARITY_TERMS,
    )
    visit_weight: float = redefault(_Base, "visit_weight", 0.5)
    walker_weight_envelope: str = redefault(_Base, "walker_weight_envelope", "linear")
    walker_weight_envelope_steps: int = redefault(_Base, "walker_weight_envelope_steps", 500)
    walker_weight_envelope_delay: int = redefault(_Base, "walker_weight_envelope_delay", 500)
    visit_weight_envelope: str = redefault(_Base, "visit_weight_envelope", "linear")
    visit_weight_envelope_steps: int = redefault(_Base, "visit_weight_envelope_steps", 500)
    visit_weight_envelope_delay: int = redefault(_Base, "visit_weight_envelope_delay", 500)
    discrepancy_weight: float = loss_weight(1.0, "Weight of the MMD or CORAL loss.")
    discrepancy_weight_envelope: str = envelope("MMD or CORAL", "linear")
    discrepancy_weight_envelope_steps: int = envelope_steps("MMD or CORAL", 500)
    discrepancy_weight_envelope_delay: int = envelope_delay("MMD or CORAL", 500)
    mmd_estimator: str = option(
        "quadratic",
        "Loss",
        "Estimator of the MMD, of quadratic or of linear time in the size of a batch.",
        one_of=choices.MMD_ESTIMATORS,
    )

    # Optimisation
    learning_rate: float = redefault(_Base, "learning_rate", 3e-4)

    WEIGHTS: ClassVar[tuple[str, ...]] = (*_Base.WEIGHTS, "discrepancy")
    DATASETS: ClassVar[tuple[str, ...]] = ("dataset", "target_dataset")
    UNLABELLED: ClassVar[str] = "target_dataset"

    def __post_init__(self):
        if self.target_only and self.similarity in ("mmd", "coral"):
            raise UserError(
                f"--target_only trains on labels alone: leave --similarity={self.similarity} out"
            )
        if self.target_only:
            # First, since the checks below depend on it.
            object.__setattr__(self, "similarity", "none")
        if self.similarity in ("mmd", "coral") and self.similarity_measure == AUTO:
            # Nothing walks.
            object.__setattr__(self, "similarity_measure", "dot")
        super().__post_init__()
        if self.test_split != "test":
            raise UserError(
                f"--test_split={self.test_split}: the error is measured on the target's images; "
                "give --target_test_split"
            )
        if self.target_only and self.target_test_split == "train":
            raise UserError(
                "--target_only trains on the labels of the target's train: leave "
                "--target_test_split=train out"
            )
        if self.similarity != "mmd":
            check_unused(self, ["mmd_estimator"], "without --similarity=mmd")
        if self.trainable != "head" or self.similarity == "none":
            check_unused(self, ["match_means"], "without --trainable=head and a --similarity")
        if self.match_means and self.cross_validate:
            raise UserError(
                f"--match_means and --cross_validate={self.cross_validate}: held-out images of the "
                "source would not be moved as those are that train; leave one of them out"
            )
        self._check_that_the_term_acts()
        self._check_that_its_settings_do()
        if self.dataset == self.target_dataset and not self.target_only:
            raise UserError(
                f"source and target are both {self.dataset}: give another --target_dataset, or "
                "train with semisup-train"
            )

    def _check_that_the_term_acts(self):
        delay = {
            "association": "walker_weight_envelope_delay",
            "mmd": "discrepancy_weight_envelope_delay",
            "coral": "discrepancy_weight_envelope_delay",
        }.get(self.similarity)
        if delay and getattr(self, delay) >= self.max_steps:
            raise UserError(
                f"--{delay}={getattr(self, delay)} is not before --max_steps={self.max_steps}: "
                "nothing would be adapted; lower it, or give --similarity=none"
            )
        pairs = self.similarity == "coral" or self.mmd_estimator == "linear"
        if pairs and self.unsup_batch_size < 2:
            raise UserError(
                f"--unsup_batch_size={self.unsup_batch_size}: --similarity={self.similarity} "
                "compares pairs of target images; give at least 2"
            )

    def _check_that_its_settings_do(self):
        # Training on the source only may keep the flags of the run that it is compared with.
        without_effect = {
            "association": ("discrepancy_weight",),
            "mmd": ("similarity_measure", "temperature"),
            "coral": ("similarity_measure", "temperature"),
        }.get(self.similarity, ())
        check_unused(self, without_effect, f"with --similarity={self.similarity}")
