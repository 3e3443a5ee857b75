"""The settings of a training on images and sentences. Nothing here imports Keras."""

import dataclasses
from typing import ClassVar

from multimodal import choices
from semisup.cli.dataset_names import is_folder, whole_path
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
        help="Folder of images, at any depth (required); or a TFDS name with captions "
        "(coco_captions).",
    )
    captions: str = option(
        "",
        "Data",
        "File of the images' captions: CSV or another table with a line of headings, or Flickr's "
        "tokens (NAME.jpg#0, tab, caption). An image may have any number of captions, a line each. "
        "Default: captions.csv, captions.txt or *.token.txt in the folder of images.",
    )
    image_column: str = option(
        "image", "Data", "Column of --captions with the image's path, or its name if it is unique."
    )
    caption_column: str = option("caption", "Data", "Column of --captions with the caption.")
    split_column: str = option(
        "split",
        "Data",
        "Column of --captions that says train or test, if it is there; images of other splits are "
        "left out. Without it, a fifth of the images is for testing: see --fold.",
    )
    fold: int = option(
        0,
        "Data",
        "Which fifth of the images, after a shuffle by --split_seed, is for testing.",
        least=0,
        most=4,
    )
    split_seed: int = option(
        0, "Data", "Seed of that shuffle; it is the same for every --seed.", least=0
    )
    validation_samples: int = option(
        0,
        "Data",
        "Training images to hold out, drawn by --split_seed, and to measure on instead of the test "
        "images (for choosing settings); 0: use the test images.",
        least=0,
    )
    batch_size: int = option(
        100, "Data", "Pairs of an image and a caption in a batch.", least=2, most=100_000
    )
    new_size: int = redefault(RunConfig, "new_size", 224)

    # Network
    architecture: str = redefault(RunConfig, "architecture", "EfficientNetV2B0")
    pretrained: bool = redefault(RunConfig, "pretrained", True)
    trainable: str = redefault(RunConfig, "trainable", "head")
    head_units: int = redefault(RunConfig, "head_units", 0)
    emb_size: int = redefault(
        RunConfig, "emb_size", 256, help="Width of the embeddings of images and sentences."
    )
    encoder: str = option(
        "bag_of_words",
        "Network",
        "Encoder of sentences: the mean of the words' vectors; a recurrent network (GRU); or "
        "convolutions of one to three words with their maxima. A linear map follows each.",
        one_of=choices.ENCODERS,
    )
    word_size: int = option(256, "Network", "Width of the words' vectors.", least=1)
    vocabulary_size: int = option(
        10_000, "Network", "Greatest number of words that are known.", least=1
    )
    least_count: int = option(
        2,
        "Network",
        "How often the training captions have to have a word for it to be known; all others share "
        "a vector.",
        least=1,
    )
    sentence_length: int = option(
        32, "Network", "Words of a sentence that are read.", least=1, most=10_000
    )
    sentence_dropout: float = option(
        0.5, "Network", "Rate of dropout of the words' vectors.", least=0, most=0.999
    )

    # Loss
    loss: str = option(
        "pearson",
        "Loss",
        f"Losses, joined by +: {', '.join(choices.LOSSES)}. Each has a weight below. The "
        "association alone, of walker and visit loss, does not say which sentence belongs to which "
        "image: add another.",
    )
    temperature: float = option(
        0.05,
        "Loss",
        "Number that divides the cosines of InfoNCE and of the association.",
        above=0,
    )
    margin: float = option(
        0.2,
        "Loss",
        "How much greater the hinge loss asks the cosine of a matching pair to be.",
        above=0,
        most=2,
    )
    pearson_weight: float = loss_weight(
        1.0, "Weight of 1 minus Pearson's correlation of the cosines with 1 and -1."
    )
    infonce_weight: float = loss_weight(1.0, "Weight of InfoNCE.")
    hinge_weight: float = loss_weight(1.0, "Weight of the hinge loss.")
    walker_weight: float = loss_weight(1.0, "Weight of the walker loss of the association.")
    visit_weight: float = loss_weight(1.0, "Weight of the visit loss of the association.")

    # Optimisation
    average_decay: float = redefault(RunConfig, "average_decay", 0.99)
    max_steps: int = redefault(RunConfig, "max_steps", 800)

    # Run
    eval_interval: int = redefault(RunConfig, "eval_interval", 200)
    checkpoint_interval: int = redefault(RunConfig, "checkpoint_interval", 200)
    inspect_interval: int = redefault(RunConfig, "inspect_interval", 200)

    LOGDIR_SUFFIX: ClassVar[str] = "_sentences"

    def __post_init__(self):
        super().__post_init__()
        if self.captions:
            if not is_folder(self.dataset):
                raise UserError(f"--captions={self.captions}: {self.dataset} brings its own")
            object.__setattr__(self, "captions", whole_path(self.captions))
        self._check_loss()
        unused = ("initial_run", "joint_batch_statistics", "projector")
        check_unused(self, unused, "on images and sentences: leave it out")

    def _check_loss(self):
        names = self.losses
        for name in names:
            if name not in choices.LOSSES or names.count(name) > 1:
                raise UserError(
                    f"--loss={self.loss}: give one or more of {', '.join(choices.LOSSES)}, each "
                    "once, joined by +"
                )
        for loss, own in choices.LOSSES.items():
            if loss not in names:
                weights = [f"{name}_weight" for name in own]
                check_unused(self, weights, f"with --loss={self.loss}: add {loss}")
        users = {"temperature": {"infonce", "association"}, "margin": {"hinge"}}
        for name, losses in users.items():
            if losses.isdisjoint(names):
                check_unused(self, [name], f"with --loss={self.loss}")

    @property
    def losses(self):
        """The names that `--loss` joins."""
        return self.loss.split("+")
