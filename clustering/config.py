"""The settings of a clustering. Nothing here imports Keras."""

import dataclasses
from typing import ClassVar

from clustering import choices
from semisup.cli import walk_options
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
        "mnist_5k",
        help="Data set; its labels are not read: mnist_5k (embedded, needs no download), a TFDS "
        "name (mnist, svhn_cropped, cifar10, stl10, frgc, ...), or folder:PATH with images at any "
        "depth, or with PATH/train/CLASS/* and PATH/test/CLASS/*.",
    )
    num_clusters: int = option(10, "Data", "Number of clusters.", least=2, most=10_000)
    unsup_split: str = option(
        "",
        "Data",
        "Split to train on; default: train, or all images of a folder that has none.",
    )
    unsup_samples: int = option(
        -1, "Data", "Images of that split to use, drawn by --seed; -1: all.", least=-1
    )
    extra_split: str = option(
        "",
        "Data",
        "Another split to train on as well (extra for svhn_cropped, unlabelled for stl10).",
    )
    num_unlabeled_images: int = option(
        -1, "Data", "Images of --extra_split to use, drawn by --seed; -1: all.", least=-1
    )
    unsup_batch_size: int = option(
        100, "Data", "Images in a batch, before they are augmented.", least=2, most=1_000_000
    )
    num_augmented_samples: int = option(
        4, "Data", "Augmented copies of each image in a batch.", least=1, most=1000
    )
    crop_size: int = option(
        0,
        "Data",
        "Train on windows of this height and width in pixels, at random places, and evaluate on "
        "the centre; 0: whole images.",
        least=0,
    )
    augmentation: str = option(
        "auto",
        "Data",
        "Random changes of the copies of an image, by the name of the data set that they were "
        "chosen for; auto: those of --dataset.",
        one_of=choices.AUGMENTATIONS,
    )

    # Network
    architecture: str = redefault(RunConfig, "architecture", "mnist_model_dropout")

    # Loss
    reg_warmup_steps: int = option(
        400,
        "Loss",
        "Steps with only the associations of augmented copies; then the centroids are placed "
        "and the losses of the clusters are switched on.",
        least=0,
    )
    init_with_kmeans: bool = option(
        True, "Loss", "Place the centroids by k-means on the embeddings of all training images."
    )
    virtual_embeddings_per_class: int = option(
        4, "Loss", "Trainable centroids of each cluster.", least=1, most=1000
    )
    centroid_noise: float = option(
        0.1,
        "Loss",
        "Largest distance of a centroid, along each axis, from where k-means places its cluster.",
        least=0,
    )
    similarity_measure: str = walk_options.similarity_measure()
    temperature: float = walk_options.temperature()
    cluster_association_weight: float = loss_weight(
        1.0, "Weight of the association of centroids with images (alpha)."
    )
    visit_weight: float = loss_weight(1.0, "Weight of the visit loss within that association.")
    reg_association_weight: float = loss_weight(
        1.0,
        "Weight of the association of augmented copies with images (beta), until the centroids are "
        "placed.",
    )
    rvisit_weight: float = loss_weight(1.0, "Weight of the visit loss within that association.")
    reg_decay_factor: float = option(
        0.2,
        "Loss",
        "Factor of that association's weight once the centroids are placed.",
        least=0,
    )
    norm_weight: float = loss_weight(
        2e-4, "Weight of the squared distances of all lengths from --norm_target (gamma)."
    )
    norm_target: float = option(
        3.0, "Loss", "Length that embeddings and centroids are drawn to.", least=0
    )
    trafo_weight: float = loss_weight(0.0, "Weight of the transformation loss (delta).")
    logit_weight: float = loss_weight(0.5, "Weight of the classification of the centroids.")
    cluster_ramp_steps: int = option(
        1,
        "Loss",
        "Steps in which the losses of the clusters grow to their full weight.",
        least=1,
    )

    # Optimisation
    warmup_steps: int = redefault(RunConfig, "warmup_steps", 400)
    beta1: float = redefault(RunConfig, "beta1", 0.8)
    beta2: float = redefault(RunConfig, "beta2", 0.9)
    average_decay: float = redefault(
        RunConfig,
        "average_decay",
        0.99,
        help="Decay of a moving average of the weights. k-means uses it, the training then goes on "
        "from it, and it is evaluated and exported in place of the weights; 0: no average.",
    )
    max_steps: int = redefault(RunConfig, "max_steps", 1000)

    INTERVALS: ClassVar[tuple[str, ...]] = (*RunConfig.INTERVALS, "reg_warmup_steps")

    LOGDIR_SUFFIX: ClassVar[str] = "_clusters"

    def __post_init__(self):
        super().__post_init__()
        walk_options.resolve(self)
        if self.reg_warmup_steps >= self.max_steps:
            raise UserError(
                f"--reg_warmup_steps={self.reg_warmup_steps} is not before "
                f"--max_steps={self.max_steps}: nothing would be clustered; lower it"
            )
        together = self.init_with_kmeans and self.virtual_embeddings_per_class > 1
        if together and self.centroid_noise == 0:
            raise UserError(
                f"--centroid_noise=0: the {self.virtual_embeddings_per_class} centroids of a "
                "cluster would stay on the same point for ever; give more than 0, or "
                "--virtual_embeddings_per_class=1"
            )
        if not self.init_with_kmeans:
            check_unused(self, ["centroid_noise"], "with --noinit_with_kmeans")
        if not self.extra_split:
            check_unused(self, ["num_unlabeled_images"], "without --extra_split")
        for name in ("unsup_samples", "num_unlabeled_images"):
            if getattr(self, name) == 0:
                raise UserError(f"--{name}=0: give at least 1, or -1 for all")
