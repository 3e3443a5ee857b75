"""The embeddings of both domains in one picture (thesis figure 4.2)."""

import numpy as np

from semisup.data.datasets import sample
from semisup.report.figures import tsne

POINTS = 1000
"""Test images in a panel, half of them of each domain."""

PERPLEXITY = 35.0


def domains(panels, data, seed):
    """Draw t-SNE of both domains' test embeddings, by domain and by class, for several models.

    Args:
        panels: pairs of a title and a `Predictor`.
        data: an `AdaptationData` whose test images of both domains are labelled.
        seed: seed of the choice of images and of t-SNE.

    Returns:
        A matplotlib figure with a column for each model.

    Raises:
        ValueError: if there are too few images, or too many classes to tell apart.
    """
    splits = [sample(split, POINTS // 2, seed) for split in (data.source_test, data.target_test)]
    domain = np.repeat([0, 1], [len(split.labels) for split in splits])
    classes = np.concatenate([split.labels for split in splits])
    tsne.check_looks(classes)
    points = []
    for title, predictor in panels:
        embeddings = np.concatenate([predictor.embeddings(split.images) for split in splits])
        points.append((title, tsne.tsne(embeddings, seed=seed, perplexity=PERPLEXITY)))
    return tsne.tsne_grid(
        points,
        {"by domain": (domain, ("source", "target")), "by class": (classes, data.class_names)},
    )
