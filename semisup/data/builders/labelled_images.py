"""What the data sets of this package have in common: an id, an image and a class each."""

from collections.abc import Sequence

import tensorflow_datasets as tfds


class LabelledImages(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of builders of images of one size with one class each.

    The features are `id` (text, unique in a split), `image` and `label`.

    Attributes:
        SHAPE: (height, width, channels) of the images, uint8.
        CLASSES: their names, in the order of the labels, or how many there are if their names are
            "0", "1", ....
        DESCRIPTION: one or a few sentences.
        HOMEPAGE: where it was published.
        IN_ORDER: whether the examples keep the order in which they are made.
    """

    VERSION = tfds.core.Version("1.0.0")
    SHAPE: tuple[int, int, int]
    CLASSES: int | Sequence[str]
    DESCRIPTION: str
    HOMEPAGE: str | None = None
    IN_ORDER = False

    def _info(self) -> tfds.core.DatasetInfo:
        is_number = isinstance(self.CLASSES, int)
        naming = {"num_classes": self.CLASSES} if is_number else {"names": list(self.CLASSES)}
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=self.SHAPE),
                    "label": tfds.features.ClassLabel(**naming),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=self.HOMEPAGE,
            disable_shuffling=self.IN_ORDER,
        )
