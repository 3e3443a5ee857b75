"""Nearest neighbours of an image in the embedding: thesis figure 3.4."""

import numpy as np
from matplotlib.figure import Figure

from semisup.report.figures.drawing import FONT_SIZE, MARGIN, as_rgb, draw_image, new_page

_GAP = 0.05
_HEADING = 0.25
_IMAGE_WIDTH = 0.85
_QUERY_GAP = 0.2


def nearest_neighbours(
    queries: np.ndarray,
    embeddings: np.ndarray,
    k: int = 5,
    exclude: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest neighbours by cosine similarity.

    The similarities of an embedding of length zero are 0.

    Args:
        queries: (q, d) float embeddings.
        embeddings: (n, d) float embeddings to search in.
        k: Number of neighbours.
        exclude: (q,) int, for each query a row of `embeddings` to leave out: its own, if queries
            are taken from the embeddings. None leaves out nothing.

    Returns:
        indices: (q, k) int rows of `embeddings`, the most similar first.
        similarities: (q, k) float64 in [-1, 1].

    Raises:
        ValueError: If shapes do not fit, values are not finite, or there are fewer than `k`
            embeddings to find.
    """
    from sklearn.neighbors import NearestNeighbors

    queries, embeddings = _checked(queries, "queries"), _checked(embeddings, "embeddings")
    if queries.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} dimensions, embeddings {embeddings.shape[1]}"
        )
    candidates = len(embeddings) - (exclude is not None)
    if not 1 <= k <= candidates:
        raise ValueError(f"k must be from 1 to {candidates}, the embeddings to find, got {k}")
    if exclude is not None and np.shape(exclude) != (len(queries),):
        raise ValueError(f"exclude has shape {np.shape(exclude)} for {len(queries)} queries")

    index = NearestNeighbors(metric="cosine", algorithm="brute").fit(embeddings)
    distances, indices = index.kneighbors(queries, k + (exclude is not None))
    if exclude is not None:
        excluded = indices == np.asarray(exclude)[:, np.newaxis]
        # Among equal embeddings, the excluded one may not be found.
        excluded[~excluded.any(axis=1), -1] = True
        distances, indices = distances[~excluded].reshape(-1, k), indices[~excluded].reshape(-1, k)
    return indices, 1 - distances


def _checked(vectors: np.ndarray, name: str) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or not np.all(np.isfinite(vectors)):
        raise ValueError(f"{name} must be finite and of shape (n, d), got shape {vectors.shape}")
    return vectors


def nearest_neighbours_figure(
    query_images: np.ndarray, neighbour_images: np.ndarray, similarities: np.ndarray
) -> Figure:
    """Draw images beside their nearest neighbours, each with its cosine similarity (figure 3.4).

    Args:
        query_images: uint8 (q, h, w, 1 or 3), the column on the left.
        neighbour_images: uint8 (q, k, h, w, 1 or 3).
        similarities: (q, k) float cosine similarities, written in the images' top left corners.

    Returns:
        The figure.

    Raises:
        ValueError: If shapes or dtypes do not fit.
    """
    query_images = as_rgb(query_images, "query_images")
    neighbour_images, similarities = np.asarray(neighbour_images), np.asarray(similarities)
    q = len(query_images)
    if similarities.ndim != 2 or not q or similarities.shape != neighbour_images.shape[:2]:
        raise ValueError(
            f"similarities must be of shape (q, k), like {neighbour_images.shape[:2]} "
            f"neighbour_images, got {similarities.shape}"
        )
    if len(similarities) != q:
        raise ValueError(f"{q} query_images, but neighbours of {len(similarities)}")
    k = similarities.shape[1]
    neighbour_images = as_rgb(
        neighbour_images.reshape(q * k, *neighbour_images.shape[2:]), "neighbour_images"
    )

    height, width = query_images.shape[1:3]
    step = _IMAGE_WIDTH + _GAP
    row_step = _IMAGE_WIDTH * height / width + _GAP
    neighbours_left = MARGIN + step + _QUERY_GAP
    figure, axes = new_page(
        neighbours_left + k * step - _GAP + MARGIN,
        MARGIN + _HEADING + q * row_step - _GAP + MARGIN,
    )
    for left, text in ((MARGIN, "image"), (neighbours_left, "nearest neighbours")):
        axes.text(left, MARGIN + _HEADING / 3, text, size=FONT_SIZE, va="center")
    for row, image in enumerate(query_images):
        draw_image(axes, image, MARGIN, MARGIN + _HEADING + row * row_step, _IMAGE_WIDTH)
    for place, image in enumerate(neighbour_images):
        row, column = divmod(place, k)
        left, top = neighbours_left + column * step, MARGIN + _HEADING + row * row_step
        draw_image(axes, image, left, top, _IMAGE_WIDTH)
        axes.text(
            left + 0.045,
            top + 0.045,
            f"{similarities[row, column]:.2f}",
            size=FONT_SIZE - 2,
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        )
    return figure
