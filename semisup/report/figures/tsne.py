"""The structure of an embedding in two dimensions, by t-SNE (thesis section 2.4)."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semisup.report.figures.drawing import (
    FONT_SIZE,
    abbreviate,
    draw_title,
    new_figure,
    shortened,
)

# M. Petroff, "Accessible color sequences for data visualization", 2021: ten colours that are
# told apart under the common colour vision deficiencies.
COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
_MARKERS = "o^sDvPX<>*"
_LEGEND_ROWS = 22
_PANEL_LEGEND_ROWS = 14
_NAME_WIDTH = 2.2
_PLOT_WIDTH = 5.6
_PANEL_WIDTH = 3.2

_logger = logging.getLogger(__name__)


def effective_perplexity(points: int, perplexity: float = 35.0) -> float:
    """Return the perplexity that t-SNE uses on a number of points.

    The perplexity is about the number of neighbours that a point keeps close, and t-SNE looks at
    three times as many: it has to stay at or below a third of the other points.
    """
    return min(perplexity, (points - 1) / 3)


def tsne(embeddings: np.ndarray, seed: int, perplexity: float = 35.0) -> np.ndarray:
    """Project embeddings to two dimensions by t-SNE.

    With few points the perplexity is reduced to `effective_perplexity`, and a warning is logged.
    Distances between far clusters, and the sizes of clusters, mean little in the result. It is
    computed by one thread, since the order of summation, and so the picture, varies with several.

    Args:
        embeddings: (n, d) float, n ≥ 3 and d ≥ 2; a few thousand points take some seconds to a
            minute.
        seed: The same seed gives the same points.
        perplexity: About the number of neighbours that a point keeps close.

    Returns:
        (n, 2) float32.

    Raises:
        ValueError: If the embeddings are too few, of another shape or not finite.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    embeddings = np.asarray(embeddings, np.float32)
    if embeddings.shape[0] < 3 or embeddings.shape[1] < 2:
        raise ValueError(f"t-SNE needs (n ≥ 3, d ≥ 2) embeddings, got shape {embeddings.shape}")
    used = effective_perplexity(len(embeddings), perplexity)
    if used < perplexity:
        _logger.warning(
            "t-SNE of %d points: perplexity reduced from %g to %.3g",
            len(embeddings),
            perplexity,
            used,
        )
    # A collapsed network's embeddings are all equal: they have no principal components.
    init = "pca" if np.any(np.ptp(embeddings, axis=0)) else "random"
    with threadpool_limits(limits=1):
        return TSNE(perplexity=used, init=init, random_state=seed).fit_transform(embeddings)


def check_looks(labels: np.ndarray) -> None:
    """Check that classes can be told apart in a figure, before t-SNE is computed for it.

    Args:
        labels: (n,) int indices of classes.

    Raises:
        ValueError: If there are more classes than looks.
    """
    if labels.max() >= len(COLOURS) * len(_MARKERS):
        raise ValueError(f"{labels.max() + 1} classes cannot be told apart in one figure")


def tsne_figure(
    points: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    title: str = "",
    landmarks: np.ndarray | None = None,
    landmark_labels: np.ndarray | None = None,
) -> Figure:
    """Draw projected embeddings, coloured by class, and the centroids among them.

    The first ten classes have a colour each; further classes repeat them with other markers.

    Args:
        points: (n, 2) float, for example from `tsne`.
        labels: (n,) int indices into `class_names`.
        class_names: The names in the legend, which lists the classes that occur. Anything that
            groups points can be a class: domains, clusters.
        title: Written above the points.
        landmarks: (m, 2) float centroids, projected together with the points, drawn on top of them
            as large outlined markers; None draws none.
        landmark_labels: (m,) int indices into `class_names`.

    Returns:
        The figure.

    Raises:
        ValueError: If there are more classes than looks.
    """
    figure = new_figure(_PLOT_WIDTH, _PLOT_WIDTH)
    axes = figure.add_axes((0, 0, 1, 1), aspect="equal", adjustable="datalim", xticks=[], yticks=[])
    _scatter(axes, points, labels)
    handles = []
    if landmarks is not None:
        outlined = {"linewidths": 1.5, "edgecolors": "black", "zorder": 3}
        for landmark, label in zip(landmarks, landmark_labels, strict=True):
            axes.scatter(*landmark, s=110, **_look(label), **outlined)
        labels = np.concatenate([labels, landmark_labels])
        handles = [axes.scatter([], [], s=80, color="white", label="centroids", **outlined)]
    _legend(axes, labels, class_names, _LEGEND_ROWS, handles)
    draw_title(axes, title)
    return figure


def tsne_grid(
    panels: Sequence[tuple[str, np.ndarray]],
    groupings: Mapping[str, tuple[np.ndarray, Sequence[str]]],
) -> Figure:
    """Draw several projections of the same examples side by side, coloured in several ways.

    Args:
        panels: For each column, its title and (n, 2) float points, the same examples in each.
        groupings: For each row, its title, the (n,) int groups of the examples, and the groups'
            names.

    Returns:
        The figure: a column for each panel, a row and a legend for each grouping.

    Raises:
        ValueError: If there are more groups than looks.
    """
    rows, columns = len(groupings), len(panels)
    figure = new_figure(columns * _PANEL_WIDTH, rows * _PANEL_WIDTH)
    square = {"aspect": "equal", "adjustable": "datalim", "xticks": [], "yticks": []}
    grid = figure.subplots(
        rows,
        columns,
        squeeze=False,
        subplot_kw=square,
        gridspec_kw={"wspace": 0.05, "hspace": 0.05},
    )
    for row, (row_title, (labels, names)) in zip(grid, groupings.items(), strict=True):
        for axes, (_, points) in zip(row, panels, strict=True):
            _scatter(axes, points, labels)
        row[0].set_ylabel(row_title, size=FONT_SIZE + 2)
        _legend(row[-1], labels, names, _PANEL_LEGEND_ROWS)
    for axes, (title, _) in zip(grid[0], panels, strict=True):
        draw_title(axes, abbreviate(title, 32))
    return figure


def _look(label: int) -> dict:
    return {"color": COLOURS[label % len(COLOURS)], "marker": _MARKERS[label // len(COLOURS)]}


def _scatter(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Put (n, 2) points into axes, coloured by their (n,) classes."""
    check_looks(labels)
    colours = np.array(COLOURS)[labels % len(COLOURS)]
    marker_of = labels // len(COLOURS)
    area = float(np.clip(12_000 / len(points), 4, 30))
    axes.spines[:].set_color("0.8")
    # By marker, not by class, so that one class does not cover all classes before it.
    for marker in np.unique(marker_of):
        chosen = marker_of == marker
        axes.scatter(
            *points[chosen].T,
            c=colours[chosen],
            s=area,
            marker=_MARKERS[marker],
            linewidths=0,
            alpha=0.85,
        )


def _legend(
    axes: Axes, labels: np.ndarray, names: Sequence[str], rows: int, further: Sequence = ()
) -> None:
    """Name the classes that occur on the right of axes."""
    handles = [
        Line2D([], [], linestyle="none", markersize=6, markeredgewidth=0, **_look(label))
        for label in np.unique(labels)
    ]
    texts = [shortened(names[label], _NAME_WIDTH, FONT_SIZE) for label in np.unique(labels)]
    # Matplotlib leaves out what begins with an underscore.
    texts = [f"\u200a{text}" if text.startswith("_") else text for text in texts]
    axes.legend(
        [*handles, *further],
        [*texts, *(handle.get_label() for handle in further)],
        loc="upper left",
        bbox_to_anchor=(1, 1),
        ncols=-(-(len(handles) + len(further)) // rows),
        fontsize=FONT_SIZE,
        frameon=False,
        handletextpad=0.2,
        columnspacing=0.8,
    )
