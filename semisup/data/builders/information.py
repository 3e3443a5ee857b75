"""What the data sets of this package have in common: an id, an image and a class each."""

from collections.abc import Sequence
from typing import Any

import tensorflow_datasets as tfds


def of_labelled_images(
    builder: tfds.core.DatasetBuilder,
    *,
    shape: tuple[int, int, int],
    classes: int | Sequence[str],
    description: str,
    homepage: str | None = None,
    **options: Any,
) -> tfds.core.DatasetInfo:
    """Describe a data set of images of one size with one class each.

    Args:
        builder: the builder that the description is for.
        shape: (height, width, channels) of the images, uint8.
        classes: their names, in the order of the labels, or how many there are if their names are
            "0", "1", ....
        description: one or a few sentences.
        homepage: where it was published.
        **options: further arguments of `tfds.core.DatasetInfo`.

    Returns:
        The description. Features are `id` (text, unique in a split), `image` and `label`.
    """
    naming = {"num_classes": classes} if isinstance(classes, int) else {"names": list(classes)}
    return tfds.core.DatasetInfo(
        builder=builder,
        description=description,
        features=tfds.features.FeaturesDict(
            {
                "id": tfds.features.Text(),
                "image": tfds.features.Image(shape=shape),
                "label": tfds.features.ClassLabel(**naming),
            }
        ),
        supervised_keys=("image", "label"),
        homepage=homepage,
        **options,
    )
