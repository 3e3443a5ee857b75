"""Nearest neighbours of an image in the embedding: thesis figure 3.4."""

import numpy as np
from matplotlib.figure import Figure

from semisup.data.datasets import over_classes
from semisup.report.figures.drawing import FONT_SIZE, draw_image, draw_score, new_page

_GAP = 0.05
_IMAGE_WIDTH = 0.85
_NEIGHBOURS = 5
_QUERIES = 8
_QUERY_GAP = 0.2


def nearest_neighbours(
    queries: np.ndarray, embeddings: np.ndarray, k: int, exclude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest neighbours by cosine similarity.

    The similarities of an embedding of length zero are 0.

    Args:
        queries: (q, d) float embeddings.
        embeddings: (n, d) float embeddings to search in.
        k: Number of neighbours.
        exclude: (q,) int, for each query a row of `embeddings` to leave out: its own, if queries
            are taken from the embeddings.

    Returns:
        indices: (q, k) int rows of `embeddings`, the most similar first.
        similarities: (q, k) float64 in [-1, 1].

    Raises:
        ValueError: If there are fewer than `k` embeddings to find, or values are not finite.
    """
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(metric="cosine", algorithm="brute").fit(embeddings.astype(np.float64))
    distances, indices = index.kneighbors(queries.astype(np.float64), k + 1)
    excluded = indices == exclude[:, np.newaxis]
    # Among equal embeddings, the excluded one may not be found.
    excluded[~excluded.any(axis=1), -1] = True
    return indices[~excluded].reshape(-1, k), 1 - distances[~excluded].reshape(-1, k)


def neighbours_figure(
    images: np.ndarray, embeddings: np.ndarray, labels: np.ndarray, seed: int
) -> Figure:
    """Draw images of all classes beside their nearest neighbours, with similarities (figure 3.4).

    Args:
        images: uint8 (n, h, w, 1 or 3).
        embeddings: (n, d) float.
        labels: (n,) int classes, or clusters.
        seed: Seed of the choice among the images.

    Returns:
        The figure.

    Raises:
        ValueError: If there are fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"it needs two images, there are {len(images)}")
    queries = over_classes(labels, min(_QUERIES, len(images) - 1), seed)
    k = min(_NEIGHBOURS, len(images) - 1)
    indices, similarities = nearest_neighbours(embeddings[queries], embeddings, k, queries)
    step = _IMAGE_WIDTH + _GAP
    row_step = _IMAGE_WIDTH * images.shape[1] / images.shape[2] + _GAP
    first = step + _QUERY_GAP
    figure, axes = new_page(first + k * step - _GAP, len(queries) * row_step - _GAP)
    for left, text in ((0, "image"), (first, "nearest neighbours")):
        axes.text(left, -0.1, text, size=FONT_SIZE)
    for row, query in enumerate(queries):
        top = row * row_step
        draw_image(axes, images[query], 0, top, _IMAGE_WIDTH)
        for place in range(k):
            left = first + place * step
            draw_image(axes, images[indices[row, place]], left, top, _IMAGE_WIDTH)
            draw_score(axes, similarities[row, place], left, top)
    return figure
