"""Clusters found without labels: their typical images (thesis figures 5.3 and 5.4), their sizes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semisup.report.figures.drawing import (
    FONT_SIZE,
    MARGIN,
    TITLE_HEIGHT,
    as_rgb,
    draw_image,
    draw_row_label,
    draw_title,
    new_figure,
    new_page,
    row_label_width,
    shortened,
    text_width,
)
from semisup.report.figures.tsne import COLOURS

_BLOCK_GAP = 0.35
_GAP = 0.04
_IMAGE_WIDTH = 0.5
_LABEL_GAP = 0.1
_MIN_ROW_HEIGHT = 0.34
_NAME_WIDTH = 2.2
_ROWS = 25

_PLOT_WIDTH = 5.0
_MIN_PLOT_HEIGHT = 3.2
_END_LABEL_HEIGHT = 0.13


def clusters_figure(
    images: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str] | None = None,
    per_cluster: int = 10,
    title: str = "",
) -> Figure:
    """Draw the most probable images of each cluster in a row (figures 5.3 and 5.4).

    An image belongs only to its most probable cluster, so none is shown twice. The size of each
    cluster is written beside its row. More than 25 clusters are set in several columns, to be read
    downwards.

    Args:
        images: uint8 (n, h, w, 1 or 3).
        probabilities: (n, k) float, the probability that each image belongs to each cluster.
        names: k names of the clusters; None numbers them from 0.
        per_cluster: How many images a row shows at most.
        title: Written above the rows.

    Returns:
        The figure.

    Raises:
        ValueError: If shapes or dtypes do not fit, or `probabilities` holds others than
            probabilities.
    """
    images, probabilities = as_rgb(images), np.asarray(probabilities)
    if probabilities.ndim != 2 or len(probabilities) != len(images) or not probabilities.shape[1]:
        raise ValueError(
            f"probabilities must be of shape (n, k), for {len(images)} images, "
            f"got {probabilities.shape}"
        )
    # A softmax may round to a little above 1.
    if not np.all((probabilities >= 0) & (probabilities <= 1.001)):
        raise ValueError("probabilities must be in [0, 1]")
    k = probabilities.shape[1]
    if names is None:
        names = range(k)
    if len(names) != k:
        raise ValueError(f"{len(names)} names for {k} clusters")
    if per_cluster < 1:
        raise ValueError(f"per_cluster must be at least 1, got {per_cluster}")

    names = [shortened(name, _NAME_WIDTH, FONT_SIZE) for name in names]
    assigned = probabilities.argmax(axis=1)
    sizes = np.bincount(assigned, minlength=k)
    size_texts = [_size_text(size) for size in sizes]

    blocks = -(-k // _ROWS)
    rows = -(-k // blocks)
    height, width = images.shape[1:3]
    image_height = _IMAGE_WIDTH * height / width
    row_height = max(image_height, _MIN_ROW_HEIGHT)
    label_width = row_label_width(names, size_texts)
    longest = min(per_cluster, sizes.max())
    block_width = label_width + _LABEL_GAP + longest * (_IMAGE_WIDTH + _GAP) - _GAP
    page_width = 2 * MARGIN + blocks * (block_width + _BLOCK_GAP) - _BLOCK_GAP
    title_height = TITLE_HEIGHT if title else 0
    figure, axes = new_page(
        max(page_width, 2 * MARGIN + text_width([title], FONT_SIZE + 2)),
        2 * MARGIN + title_height + rows * (row_height + _GAP) - _GAP,
    )
    draw_title(axes, title)
    for cluster in range(k):
        block, row = divmod(cluster, rows)
        left = MARGIN + block * (block_width + _BLOCK_GAP) + label_width + _LABEL_GAP
        middle = MARGIN + title_height + row * (row_height + _GAP) + row_height / 2
        draw_row_label(axes, names[cluster], size_texts[cluster], left - _LABEL_GAP, middle)
        members = np.flatnonzero(assigned == cluster)
        order = np.argsort(-probabilities[members, cluster], kind="stable")
        for place, index in enumerate(members[order[:per_cluster]]):
            image_left = left + place * (_IMAGE_WIDTH + _GAP)
            draw_image(axes, images[index], image_left, middle - image_height / 2, _IMAGE_WIDTH)
    return figure


def _size_text(size: int) -> str:
    return {0: "empty", 1: "1 image"}.get(size, f"{size:,} images")


def cluster_sizes_figure(
    steps: np.ndarray, sizes: np.ndarray, title: str = "", placed_at: int | None = None
) -> Figure:
    """Draw the clusters' shares of the images over the training, stacked.

    The figure shows at once if a cluster swallows others or starves. Each band is named at its
    right end, with its last size; ten colours take turns.

    Args:
        steps: (t,) int, ascending; at least two.
        sizes: (t, k) int, how many images each cluster has at each step.
        title: Written above.
        placed_at: The step at which k-means placed the centroids, marked by a line; None marks
            nothing.

    Returns:
        The figure.

    Raises:
        ValueError: If shapes do not fit, steps do not ascend, or sizes are not counts.
    """
    steps, sizes = np.asarray(steps), np.asarray(sizes)
    if steps.ndim != 1 or len(steps) < 2 or np.any(np.diff(steps) <= 0):
        raise ValueError(f"steps must be at least two and ascend, got shape {steps.shape}")
    if sizes.ndim != 2 or len(sizes) != len(steps) or not sizes.shape[1]:
        raise ValueError(f"sizes must be (t, k), for {len(steps)} steps, got {sizes.shape}")
    if not np.issubdtype(sizes.dtype, np.integer) or np.any(sizes < 0) or not sizes.any(1).all():
        raise ValueError("sizes must be integer counts, of at least one image at each step")

    k = sizes.shape[1]
    shares = 100 * sizes / sizes.sum(axis=1, keepdims=True)
    plot_height = max(_MIN_PLOT_HEIGHT, k * _END_LABEL_HEIGHT)
    end_texts = [f"{cluster}  ({size:,})" for cluster, size in enumerate(sizes[-1])]
    left, top, bottom = 0.65, 0.6 if title else 0.4, 0.55
    right = 0.5 + text_width(["cluster  (images)", *end_texts], FONT_SIZE - 1)
    page_width, page_height = left + _PLOT_WIDTH + right, top + plot_height + bottom

    figure = new_figure(page_width, page_height)
    axes = figure.add_axes(
        (
            left / page_width,
            bottom / page_height,
            _PLOT_WIDTH / page_width,
            plot_height / page_height,
        )
    )
    colours = [COLOURS[cluster % len(COLOURS)] for cluster in range(k)]
    axes.stackplot(steps, shares.T, colors=colours, edgecolor="white", linewidth=0.4)
    first, last = steps[0], steps[-1]
    if placed_at is not None:
        first, last = min(first, placed_at), max(last, placed_at)
    axes.set(xlim=(first, last), ylim=(0, 100))
    axes.set_xlabel("training step", size=FONT_SIZE)
    axes.set_ylabel("share of the images (%)", size=FONT_SIZE)
    axes.tick_params(labelsize=FONT_SIZE - 1)
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    _draw_end_labels(axes, shares[-1], end_texts, colours, 100 * _END_LABEL_HEIGHT / plot_height)
    if placed_at is not None:
        _draw_moment(axes, placed_at, (placed_at - first) / (last - first))
    if title:
        figure.text(
            MARGIN / page_width,
            1 - MARGIN / page_height,
            title,
            size=FONT_SIZE + 2,
            va="top",
        )
    return figure


def _draw_end_labels(
    axes: Axes,
    shares: np.ndarray,
    texts: Sequence[str],
    colours: Sequence[str],
    spacing: float,
) -> None:
    """Name the bands on the right of the plot; names of thin bands are moved apart.

    Args:
        axes: Axes with a share, from 0 to 100, as y.
        shares: (k,) heights of the bands, from the bottom.
        texts: k names.
        colours: k colours.
        spacing: The least distance between two names, in units of the share.
    """
    middles = np.cumsum(shares) - shares / 2
    # Half way between where names below would push it up and names above would push it down.
    offsets = spacing * np.arange(len(shares))
    wanted = middles - offsets
    up, down = np.maximum.accumulate(wanted), np.minimum.accumulate(wanted[::-1])[::-1]
    places = np.clip((up + down) / 2, 0, 100 - offsets[-1]) + offsets
    transform = axes.get_yaxis_transform()
    for middle, place, text, colour in zip(middles, places, texts, colours, strict=True):
        axes.plot(
            [1.005, 1.02, 1.04, 1.055],
            [middle, middle, place, place],
            color=colour,
            lw=1.2,
            transform=transform,
            clip_on=False,
        )
        axes.text(1.065, place, text, size=FONT_SIZE - 1, va="center_baseline", transform=transform)
    axes.annotate(
        "cluster  (images)",
        (1.065, 100),
        (0, 9),
        xycoords=transform,
        textcoords="offset points",
        size=FONT_SIZE - 1,
        color="0.4",
    )


def _draw_moment(axes: Axes, step: int, fraction: float) -> None:
    """Mark a step by a line with a name; `fraction` is its place on the x axis, in [0, 1]."""
    axes.axvline(step, color="black", lw=1.2, ls=(0, (4, 2)), clip_on=False)
    axes.annotate(
        f"k-means, step {step:,}",
        (step, 1),
        (0, 4),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        size=FONT_SIZE - 1,
        ha="left" if fraction < 0.2 else "right" if fraction > 0.8 else "center",
    )
