"""Embeddings of test images for TensorBoard's projector."""

import math
import os

import numpy as np

from semisup.data.datasets import sample
from semisup.files import writing
from semisup.files.names import printable
from semisup.files.replacing import replacing

SHOWN = 1000
"""Images, at most, whose embeddings are written."""

SPRITE_SIDE = 8192
"""Pixels, at most, of the height and width of the picture of all images that TensorBoard draws."""


def project(folder, task, data, predictor):
    """Write the embeddings of some evaluated images, coloured by what the task groups by.

    Args:
        folder: TensorBoard folder.
        task: `Task` of the run.
        data: its `TaskData`.
        predictor: a `Predictor` of the model, with the weights that are evaluated.
    """
    shown = sample(data.evaluation, SHOWN, seed=0)
    groups = task.projected_groups(predictor, data, shown)
    write(folder, predictor.embeddings(shown.images), groups, data.class_names, shown.images)


def write(folder, embeddings, labels, class_names, images):
    """Write embeddings with their classes and thumbnails.

    Args:
        folder: TensorBoard folder.
        embeddings: (n, d) float32.
        labels: (n,) integers.
        class_names: names of the classes.
        images: (n, height, width, 1 or 3) uint8.
    """
    from tensorboard.plugins import projector

    os.makedirs(folder, exist_ok=True)
    with replacing(os.path.join(folder, "embeddings.tsv")) as temporary:
        np.savetxt(temporary, embeddings, fmt="%.6g", delimiter="\t")
    names = "".join(f"{printable(class_names[label])}\n" for label in labels)
    writing.write_text(os.path.join(folder, "classes.tsv"), names)
    picture, size = sprite(images)
    with replacing(os.path.join(folder, "sprite.png")) as temporary:
        picture.save(temporary)
    config = projector.ProjectorConfig()
    entry = config.embeddings.add()
    entry.tensor_name = "test_embeddings"
    entry.tensor_path = "embeddings.tsv"
    entry.metadata_path = "classes.tsv"
    entry.sprite.image_path = "sprite.png"
    entry.sprite.single_image_dim.extend(size)
    # As `projector.visualize_embeddings` does, but the file is never half written.
    writing.write_text(os.path.join(folder, "projector_config.pbtxt"), str(config))


def sprite(images):
    """Set images side by side in a square, row by row, shrunk where TensorBoard needs it.

    Args:
        images: (n, height, width, 1 or 3) uint8, n from 1 to `SPRITE_SIDE` squared.

    Returns:
        picture: a Pillow image of at most `SPRITE_SIDE` pixels along each side.
        size: width and height of each thumbnail in it.
    """
    from PIL import Image

    count, height, width, channels = images.shape
    side = math.ceil(math.sqrt(count))
    scale = min(1, SPRITE_SIDE // side / max(height, width))
    size = max(1, int(scale * width)), max(1, int(scale * height))
    picture = Image.new("L" if channels == 1 else "RGB", (side * size[0], side * size[1]))
    for place, image in enumerate(images):
        thumbnail = Image.fromarray(image.squeeze(-1) if channels == 1 else image)
        if scale < 1:
            thumbnail = thumbnail.resize(size, Image.Resampling.BOX)
        row, column = divmod(place, side)
        picture.paste(thumbnail, (column * size[0], row * size[1]))
    return picture, size
