"""Clusters found without labels: their typical images (thesis figures 5.3 and 5.4), their sizes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from semisup.report.figures.drawing import (
    FONT_SIZE,
    draw_image,
    draw_row_label,
    new_figure,
    new_page,
    shortened,
    text_width,
)
from semisup.report.figures.tsne import COLOURS

_BLOCK_GAP = 0.35
_GAP = 0.04
_IMAGE_WIDTH = 0.5
_LABEL_GAP = 0.1
_LEGEND_ROWS = 25
_MIN_ROW_HEIGHT = 0.34
_NAME_WIDTH = 2.2
_PER_CLUSTER = 10
_ROWS = 25


def clusters_figure(images: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw the most probable images of each cluster in a row (figures 5.3 and 5.4).

    An image belongs only to its most probable cluster, so none is shown twice. The size of each
    cluster is written beside its row. More than 25 clusters are set in several columns, to be read
    downwards.

    Args:
        images: uint8 (n, h, w, 1 or 3).
        probabilities: (n, k) float, the probability that each image belongs to each cluster.
        names: k names of the clusters.

    Returns:
        The figure.
    """
    k = probabilities.shape[1]
    names = [shortened(name, _NAME_WIDTH, FONT_SIZE) for name in names]
    assigned = probabilities.argmax(axis=1)
    sizes = np.bincount(assigned, minlength=k)

    blocks = -(-k // _ROWS)
    rows = -(-k // blocks)
    image_height = _IMAGE_WIDTH * images.shape[1] / images.shape[2]
    row_step = max(image_height, _MIN_ROW_HEIGHT) + _GAP
    row_width = min(_PER_CLUSTER, sizes.max()) * (_IMAGE_WIDTH + _GAP) - _GAP
    label_width = max(text_width(names, FONT_SIZE), text_width(["1,000,000 images"], FONT_SIZE - 2))
    block_step = row_width + _BLOCK_GAP + label_width + _LABEL_GAP
    figure, axes = new_page(blocks * block_step - label_width - _BLOCK_GAP, rows * row_step - _GAP)
    for cluster in range(k):
        block, row = divmod(cluster, rows)
        left, middle = block * block_step, row * row_step + (row_step - _GAP) / 2
        size = {0: "empty", 1: "1 image"}.get(sizes[cluster], f"{sizes[cluster]:,} images")
        draw_row_label(axes, names[cluster], size, left - _LABEL_GAP, middle)
        members = np.flatnonzero(assigned == cluster)
        order = np.argsort(-probabilities[members, cluster], kind="stable")
        for place, index in enumerate(members[order[:_PER_CLUSTER]]):
            image_left = left + place * (_IMAGE_WIDTH + _GAP)
            draw_image(axes, images[index], image_left, middle - image_height / 2, _IMAGE_WIDTH)
    return figure


def cluster_sizes_figure(
    steps: np.ndarray, sizes: np.ndarray, placed_at: int | None = None
) -> Figure:
    """Draw the clusters' shares of the images over the training, stacked.

    The figure shows at once if a cluster swallows others or starves. The legend has the clusters
    in the order of their bands, with their last sizes; ten colours take turns.

    Args:
        steps: (t,) int, ascending; at least two.
        sizes: (t, k) int, how many images each cluster has at each step.
        placed_at: The step at which k-means placed the centroids, marked by a line; None marks
            nothing.

    Returns:
        The figure.

    Raises:
        ValueError: If there are fewer than two steps.
    """
    if len(steps) < 2:
        raise ValueError(f"it needs two evaluations, there are {len(steps)}")
    shares = 100 * sizes / sizes.sum(axis=1, keepdims=True)
    colours = [COLOURS[cluster % len(COLOURS)] for cluster in range(sizes.shape[1])]
    figure = new_figure(5.6, 4.2)
    axes = figure.add_subplot()
    bands = axes.stackplot(steps, shares.T, colors=colours, edgecolor="white", linewidth=0.4)
    names = [f"{cluster}  ({size:,})" for cluster, size in enumerate(sizes[-1])]
    axes.legend(
        bands[::-1],
        names[::-1],
        title="cluster  (images)",
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        ncols=-(-len(names) // _LEGEND_ROWS),
        fontsize=FONT_SIZE - 1,
        title_fontsize=FONT_SIZE - 1,
        frameon=False,
    )
    axes.set(xlim=(steps[0], steps[-1]), ylim=(0, 100))
    if placed_at is not None:
        axes.set_xlim(min(steps[0], placed_at), max(steps[-1], placed_at))
        axes.axvline(placed_at, color="black", lw=1.2, ls=(0, (4, 2)), clip_on=False)
        name = f"k-means, step {placed_at:,}"
        axes.text(placed_at, 101, name, size=FONT_SIZE - 1, ha="center", va="bottom")
    axes.set_xlabel("training step", size=FONT_SIZE)
    axes.set_ylabel("share of the images (%)", size=FONT_SIZE)
    axes.tick_params(labelsize=FONT_SIZE - 1)
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
