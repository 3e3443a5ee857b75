"""The structure of an embedding in two dimensions, by t-SNE (thesis section 2.4)."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semisup.report.figures.drawing import (
    FONT_SIZE,
    MARGIN,
    abbreviate,
    new_figure,
    shortened,
    text_width,
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
_LEGEND = {"fontsize": FONT_SIZE, "frameon": False, "handletextpad": 0.2, "columnspacing": 0.8}
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
    if embeddings.ndim != 2 or embeddings.shape[0] < 3 or embeddings.shape[1] < 2:
        raise ValueError(f"t-SNE needs (n ≥ 3, d ≥ 2) embeddings, got shape {embeddings.shape}")
    if not np.all(np.isfinite(embeddings)):
        raise ValueError("t-SNE needs finite embeddings")
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
        ValueError: If shapes do not fit or a label has no name.
    """
    _check_points(points, labels, class_names)
    if (landmarks is None) != (landmark_labels is None):
        raise ValueError("landmarks and landmark_labels are given together or not at all")
    present = np.unique(labels)
    if landmarks is not None:
        _check_points(landmarks, landmark_labels, class_names, "landmarks")
        present = np.union1d(present, landmark_labels)
    names = [shortened(class_names[label], _NAME_WIDTH, FONT_SIZE) for label in present]
    handles = _legend_handles(present, names)
    if landmarks is not None:
        handles.append(_landmark_handle())
    legend_columns = -(-len(handles) // _LEGEND_ROWS)
    texts = [handle.get_label() for handle in handles]
    legend_width = legend_columns * (text_width(texts, FONT_SIZE) + 0.35)

    figure = new_figure(_PLOT_WIDTH + legend_width, _PLOT_WIDTH, pad=MARGIN)
    axes = figure.add_subplot(aspect="equal", adjustable="datalim", xticks=[], yticks=[])
    _scatter(axes, points, labels)
    if landmarks is not None:
        _draw_landmarks(axes, landmarks, landmark_labels)
    if title:
        axes.set_title(title, size=FONT_SIZE + 2, loc="left")
    figure.legend(
        handles=handles,
        loc="outside right upper",
        ncols=legend_columns,
        **_LEGEND,
    )
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
        ValueError: If there is no panel, shapes do not fit or a group has no name.
    """
    if not panels or not groupings:
        raise ValueError("a grid needs at least one panel and one grouping")
    for _, points in panels:
        for labels, names in groupings.values():
            _check_points(points, labels, names)
    shown = {
        row_title: [shortened(name, _NAME_WIDTH, FONT_SIZE) for name in names]
        for row_title, (_, names) in groupings.items()
    }
    all_names = [name for names in shown.values() for name in names]
    columns = max(-(-len(names) // _PANEL_LEGEND_ROWS) for _, names in groupings.values())
    legend_width = columns * (text_width(all_names, FONT_SIZE) + 0.35)
    figure = new_figure(
        len(panels) * _PANEL_WIDTH + legend_width, len(groupings) * _PANEL_WIDTH, pad=MARGIN / 2
    )
    grid = figure.subplots(
        len(groupings),
        len(panels),
        squeeze=False,
        subplot_kw={"aspect": "equal", "adjustable": "datalim", "xticks": [], "yticks": []},
    )
    for row, (row_title, (labels, names)) in zip(grid, groupings.items(), strict=True):
        for axes, points in zip(row, (points for _, points in panels), strict=True):
            _scatter(axes, points, labels)
        row[0].set_ylabel(row_title, size=FONT_SIZE + 2)
        row[-1].legend(
            handles=_legend_handles(
                np.unique(labels),
                [shown[row_title][label] for label in np.unique(labels)],
            ),
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            ncols=-(-len(names) // _PANEL_LEGEND_ROWS),
            **_LEGEND,
        )
    for axes, (title, _) in zip(grid[0], panels, strict=True):
        axes.set_title(abbreviate(title, 32), size=FONT_SIZE + 2, loc="left")
    return figure


def _check_points(
    points: np.ndarray, labels: np.ndarray, class_names: Sequence[str], name: str = "points"
) -> None:
    """Raise `ValueError` if shapes do not fit or a label has no name."""
    points, labels = np.asarray(points), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != 2 or labels.shape != points.shape[:1]:
        raise ValueError(
            f"{name} must be (n, 2) and their labels (n,), got {points.shape} and {labels.shape}"
        )
    if not len(points) or labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(f"labels of {name} must be in [0, {len(class_names)}), at least one")
    if len(class_names) > len(COLOURS) * len(_MARKERS):
        raise ValueError(f"{len(class_names)} classes cannot be told apart in one figure")


def _scatter(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Put points into axes, coloured by class.

    Args:
        axes: The axes, of which only the frame stays.
        points: (n, 2) float.
        labels: (n,) int.
    """
    points, labels = np.asarray(points), np.asarray(labels)
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


def _draw_landmarks(axes: Axes, landmarks: np.ndarray, labels: np.ndarray) -> None:
    """Put large outlined markers into axes, in the colours and shapes that `_scatter` uses."""
    for landmark, label in zip(np.asarray(landmarks), np.asarray(labels), strict=True):
        axes.scatter(
            *landmark,
            c=COLOURS[label % len(COLOURS)],
            s=110,
            marker=_MARKERS[label // len(COLOURS)],
            linewidths=1.5,
            edgecolors="black",
            zorder=3,
        )


def _landmark_handle() -> Line2D:
    """Return the legend entry for what `_draw_landmarks` draws."""
    return Line2D(
        [],
        [],
        color="white",
        marker="o",
        linestyle="none",
        markersize=9,
        markeredgewidth=1.5,
        markeredgecolor="black",
        label="centroids",
    )


def _legend_handles(labels: Sequence[int], names: Sequence[str]) -> list[Line2D]:
    """Return legend entries for the classes that `_scatter` draws, in the same colours."""
    return [
        Line2D(
            [],
            [],
            color=COLOURS[label % len(COLOURS)],
            marker=_MARKERS[label // len(COLOURS)],
            linestyle="none",
            markersize=6,
            markeredgewidth=0,
            # Matplotlib leaves out what begins with an underscore.
            label=f"\u200a{name}" if name.startswith("_") else name,
        )
        for label, name in zip(labels, names, strict=True)
    ]
