"""The settings of a domain adaptation: those of `semisup`, and what concerns the two domains.

The defaults are the thesis' fixed parameters (chapter 4, table 2) but for the learning rate and the
growth of the association, which fit small batches. Nothing here imports Keras.
"""

import dataclasses
import os
from typing import ClassVar

from domain_adaptation import choices
from semisup import config as semi_supervised
from semisup.choices import ENVELOPES
from semisup.errors import UserError
from semisup.options import option
from semisup.run_config import file_name, resolved_dataset

_SIMILARITY_DELAY = 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(semi_supervised.TrainConfig):
    """All settings of a training run (see the help of each field's flag).

    Raises:
        UserError: on construction, if a value is out of its range or two values contradict.
    """

    # Data
    dataset: str = option(
        "mnist_5k",
        "Data",
        "Source data set, with labels: mnist_5k (embedded, needs no download), a TFDS name (mnist, "
        "svhn_cropped, synthetic_digits_generated, synthetic_signs_generated, ...), or folder:PATH "
        "with PATH/train/CLASS/* and PATH/test/CLASS/*.",
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
    sup_per_class: int = option(
        -1, "Data", "Labelled source images of each class; -1: all.", least=-1
    )
    unsup_split: str = option(
        "train",
        "Data",
        "Split of the target that unlabelled batches are drawn from: train, or one that the data "
        "set has (unlabelled for folders).",
    )
    unsup_samples: int = option(
        -1, "Data", "Target images of that split to use, drawn by --seed; -1: all.", least=-1
    )
    validation_samples: int = option(
        0,
        "Data",
        "Labelled training images (of the source, but with --target_only) to hold out and to "
        "measure the error on, instead of the target's test images (for choosing settings without "
        "a look at target labels); 0: use the target's test images.",
        least=0,
    )
    sup_per_batch: int = option(
        10, "Data", "Labelled images of each class in a batch.", least=1, most=100_000
    )
    unsup_batch_size: int = option(
        100, "Data", "Target images in a batch.", least=1, most=1_000_000
    )

    # Network
    architecture: str = option(
        "svhn_model",
        "Network",
        "Network by name, any keras.applications network, or a .keras file; help: list them.",
    )

    # Loss
    similarity: str = option(
        "association",
        "Loss",
        "Similarity term of source and target embeddings; none: train on the source alone.",
        one_of=choices.SIMILARITY_TERMS,
    )
    visit_weight: float = option(0.5, "Loss", "Weight of the visit loss.", least=0)
    walker_weight_envelope: str = option(
        "linear", "Loss", "Growth of the walker weight.", one_of=ENVELOPES
    )
    walker_weight_envelope_steps: int = option(
        500, "Loss", "Steps in which the walker weight grows to its full value.", least=1
    )
    walker_weight_envelope_delay: int = option(
        _SIMILARITY_DELAY, "Loss", "Step at which the walker weight begins to grow.", least=0
    )
    visit_weight_envelope: str = option(
        "linear", "Loss", "Growth of the visit weight.", one_of=ENVELOPES
    )
    visit_weight_envelope_steps: int = option(
        500, "Loss", "Steps in which the visit weight grows to its full value.", least=1
    )
    visit_weight_envelope_delay: int = option(
        _SIMILARITY_DELAY, "Loss", "Step at which the visit weight begins to grow.", least=0
    )
    discrepancy_weight: float = option(1.0, "Loss", "Weight of the MMD or CORAL loss.", least=0)
    discrepancy_weight_envelope: str = option(
        "linear", "Loss", "Growth of the MMD or CORAL weight.", one_of=ENVELOPES
    )
    discrepancy_weight_envelope_steps: int = option(
        500, "Loss", "Steps in which the MMD or CORAL weight grows to its full value.", least=1
    )
    discrepancy_weight_envelope_delay: int = option(
        _SIMILARITY_DELAY,
        "Loss",
        "Step at which the MMD or CORAL weight begins to grow.",
        least=0,
    )
    mmd_estimator: str = option(
        "quadratic",
        "Loss",
        "Estimator of the MMD, of quadratic or of linear time in the size of a batch.",
        one_of=choices.MMD_ESTIMATORS,
    )

    # Optimisation
    learning_rate: float = option(3e-4, "Optimisation", "Learning rate of Adam.", above=0)

    WEIGHTS: ClassVar[tuple[str, ...]] = (*semi_supervised.TrainConfig.WEIGHTS, "discrepancy")

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "target_dataset", resolved_dataset(self.target_dataset))
        if self.target_only and self.similarity in ("mmd", "coral"):
            raise UserError(
                f"--target_only trains on labels alone: leave --similarity={self.similarity} out"
            )
        if self.target_only:
            object.__setattr__(self, "similarity", "none")
        if self.mmd_estimator != "quadratic" and self.similarity != "mmd":
            raise UserError(
                f"--mmd_estimator={self.mmd_estimator} has no effect without --similarity=mmd"
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
        # Source only may be asked for by one flag more, beside those of what it is compared with.
        without_effect = {
            "association": ("discrepancy_weight",),
            "mmd": ("similarity_measure", "temperature"),
            "coral": ("similarity_measure", "temperature"),
        }.get(self.similarity, ())
        for name in without_effect:
            value = getattr(self, name)
            if value != type(self).__dataclass_fields__[name].default:
                raise UserError(
                    f"--{name}={value} has no effect with --similarity={self.similarity}"
                )

    @property
    def resolved_logdir(self):
        """Folder of the run."""
        names = map(file_name, (self.dataset, self.target_dataset))
        return self.logdir or os.path.join("runs", "_to_".join(names))
