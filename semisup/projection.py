"""Embeddings of test images for TensorBoard's projector."""

import math
import os

import numpy as np

SHOWN = 1000
"""Images, at most, whose embeddings are written."""


def project(folder, task, data, predictor):
    """Writes the embeddings of the first evaluated images, coloured by what the task groups by.

    Args:
        folder: TensorBoard folder.
        task: module of the run's task.
        data: its `TaskData`.
        predictor: a `Predictor` of the model, with the weights that are evaluated.
    """
    images = data.evaluation.images[:SHOWN]
    groups = task.projected_groups(predictor, data, images)
    write(folder, predictor.embeddings(images), groups, data.class_names, images)


def write(folder, embeddings, labels, class_names, images):
    """Writes embeddings with their classes and pictures.

    Args:
        folder: TensorBoard folder.
        embeddings: (n, d) float32.
        labels: (n,) integers.
        class_names: names of the classes.
        images: (n, height, width, channels) uint8.
    """
    from PIL import Image
    from tensorboard.plugins import projector

    os.makedirs(folder, exist_ok=True)
    np.savetxt(os.path.join(folder, "embeddings.tsv"), embeddings, fmt="%.6g", delimiter="\t")
    with open(
        os.path.join(folder, "classes.tsv"), "w", encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.writelines(f"{class_names[label]}\n" for label in labels)
    side = math.ceil(math.sqrt(len(images)))
    height, width, channels = images.shape[1:]
    sprite = np.zeros((side, side, height, width, channels), np.uint8)
    sprite.reshape(side * side, height, width, channels)[: len(images)] = images
    sprite = sprite.swapaxes(1, 2).reshape(side * height, side * width, channels)
    Image.fromarray(sprite.squeeze(-1) if channels == 1 else sprite).save(
        os.path.join(folder, "sprite.png")
    )
    config = projector.ProjectorConfig()
    entry = config.embeddings.add()
    entry.tensor_name = "test_embeddings"
    entry.tensor_path = "embeddings.tsv"
    entry.metadata_path = "classes.tsv"
    entry.sprite.image_path = "sprite.png"
    entry.sprite.single_image_dim.extend([width, height])
    projector.visualize_embeddings(folder, config)
