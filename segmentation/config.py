"""The settings of a training on images whose pixels are labelled. Nothing here imports Keras."""

import dataclasses
from typing import ClassVar

from segmentation import choices
from semisup.cli import walk_options
from semisup.cli.dataset_names import is_folder
from semisup.cli.options import check_unused, loss_weight, option, redefault
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
        "",
        help="Folder with the folders train and test, or validation, of images, and of their label "
        "maps, train_labels, ...; and unlabelled, which need not be there (required).",
    )
    label_suffix: str = option(
        "_labels",
        "Data",
        "What the name of a folder of label maps adds to that of the images. A label map has the "
        "name of its image, whatever the ending.",
    )
    classes: str = option(
        "",
        "Data",
        "Names of the classes, joined by commas, in the order of their numbers from 0; default: "
        "the numbers that the label maps of the training images have.",
    )
    ignore: str = option(
        str(choices.NO_CLASS),
        "Data",
        "Numbers or names of what is no class, joined by commas: such pixels don't count.",
    )
    labelled_images: int = option(
        -1,
        "Data",
        "Training images whose label maps are used, drawn by --sup_seed; -1: all. Those of a "
        "smaller number are among those of a larger one.",
        least=-1,
    )
    sup_seed: int = option(
        -1, "Data", "Seed of the choice of labelled images; -1: the value of --seed.", least=-1
    )
    test_split: str = option(
        "test",
        "Data",
        "Images to measure on; validation for choosing settings.",
        one_of=choices.TEST_SPLITS,
    )
    labelled_pixels: int = option(
        1000, "Data", "Labelled pixels in a batch.", least=2, most=1_000_000
    )
    unlabelled_pixels: int = option(
        1000,
        "Data",
        "Pixels without labels in a batch, of all training images and of those in unlabelled.",
        least=1,
        most=1_000_000,
    )
    pixel_draws: str = option(
        "square_root",
        "Data",
        "How labelled pixels are drawn: as they occur, as many of each class (balanced), or as "
        "many as the square root of a class' share says. Unlabelled ones are drawn as they occur.",
        one_of=choices.PIXEL_DRAWS,
    )
    images_per_batch: int = option(
        4,
        "Data",
        "Images of each kind, labelled and unlabelled, that the pixels of a batch are of, where "
        "the network is trained. Pixels of a frozen network are drawn from all images.",
        least=1,
        most=10_000,
    )
    fit: str = redefault(
        RunConfig,
        "fit",
        "squash",
        one_of=("squash",),
        help="How images that are not square become --new_size pixels high and wide: whole.",
    )

    # Network
    architecture: str = redefault(RunConfig, "architecture", "EfficientNetV2B0")
    pretrained: bool = redefault(RunConfig, "pretrained", True)
    trainable: str = redefault(RunConfig, "trainable", "head")
    emb_size: int = redefault(RunConfig, "emb_size", 64)
    embedding: str = option(
        "hypercolumn",
        "Network",
        "What a pixel's embedding is made of: maps of features of several strides of "
        "--architecture, joined; or the patch of the image around it.",
        one_of=choices.EMBEDDINGS,
    )
    patch_size: int = option(
        15, "Network", "Height and width of a patch, for --embedding=patch.", least=1, most=512
    )

    # Loss
    similarity: str = option(
        "association",
        "Loss",
        "What is learnt from pixels without labels: associations; the classes that the classifier "
        "is sure of, as if they were labels; none: train on the labels alone.",
        one_of=choices.SIMILARITY_TERMS,
    )
    similarity_measure: str = walk_options.similarity_measure()
    temperature: float = walk_options.temperature()
    walker_weight: float = loss_weight(1.0, "Weight of the walker loss.")
    visit_weight: float = loss_weight(0.2, "Weight of the visit loss.")
    visit_prior: str = option(
        "class_shares",
        "Loss",
        "How much labelled pixels count in the visit loss: so that classes have the shares that "
        "they have in the labelled images, however pixels are drawn; or all of a batch alike.",
        one_of=choices.VISIT_PRIORS,
    )
    self_training_weight: float = loss_weight(1.0, "Weight of the loss of self-training.")
    logit_weight: float = loss_weight(1.0, "Weight of the classification loss.")
    confidence: float = option(
        0.9,
        "Loss",
        "Least probability of a class that self-training takes for a label.",
        least=0,
        most=1,
    )

    # Optimisation
    max_steps: int = redefault(RunConfig, "max_steps", 400)

    # Run
    eval_interval: int = redefault(RunConfig, "eval_interval", 200)
    eval_batch_size: int = redefault(RunConfig, "eval_batch_size", 8)
    checkpoint_interval: int = redefault(RunConfig, "checkpoint_interval", 200)
    inspect_interval: int = redefault(RunConfig, "inspect_interval", 200)

    LOGDIR_SUFFIX: ClassVar[str] = "_segmentation"

    def __post_init__(self):
        is_patch = self.embedding == "patch"
        if is_patch:
            # Patches have no weights: all that there are are those of the head.
            object.__setattr__(self, "trainable", "all")
        super().__post_init__()
        if self.dataset and not is_folder(self.dataset):
            raise UserError(f"--dataset={self.dataset}: give a folder of images and label maps")
        if self.labelled_images == 0:
            raise UserError("--labelled_images=0: give at least 1, or -1 for all")
        if not self.label_suffix:
            raise UserError("--label_suffix= would make images their own label maps: give a suffix")
        walk_options.resolve(self)
        unused = ("initial_run", "joint_batch_statistics", "projector", "l2_weight")
        check_unused(self, unused, "on pixels: leave it out")
        if not is_patch:
            check_unused(self, ["patch_size"], "without --embedding=patch")
        if self.trainable == "head":
            check_unused(self, ["images_per_batch"], "without --trainable=all")
        own = {
            "association": ("walker_weight", "visit_weight", "visit_prior"),
            "self_training": ("self_training_weight", "confidence"),
        }
        for similarity, names in own.items():
            if self.similarity != similarity:
                check_unused(self, names, f"without --similarity={similarity}")

    @property
    def resolved_sup_seed(self):
        """Seed of the choice of labelled images."""
        return self.seed if self.sup_seed < 0 else self.sup_seed
