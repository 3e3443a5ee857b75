"""Figures that show what a network has learnt: thesis figures 3.2 to 3.4, 5.3 to 5.5, and others.

Every function takes NumPy arrays and returns a `matplotlib.figure.Figure` of its own: pyplot and
its global state stay out, so figures can be drawn in threads, in notebooks and without a display.
Write one with `save`, or give the result of `to_image` to TensorBoard. Only the module `excitation`
takes a Keras model: it finds what `excitation_figure` draws.
"""

from semisup.report.figures.associations import AssociationPanel, association_graphs
from semisup.report.figures.clusters import cluster_sizes_figure, clusters_figure
from semisup.report.figures.confusion import confusion_figure
from semisup.report.figures.drawing import drawn, save, to_image
from semisup.report.figures.kernels import ExcitedLayer, excitation_figure, kernels_figure
from semisup.report.figures.marginals import marginal_figure
from semisup.report.figures.neighbours import nearest_neighbours, nearest_neighbours_figure
from semisup.report.figures.tsne import effective_perplexity, tsne, tsne_figure, tsne_grid

__all__ = [
    "AssociationPanel",
    "ExcitedLayer",
    "association_graphs",
    "cluster_sizes_figure",
    "clusters_figure",
    "confusion_figure",
    "drawn",
    "effective_perplexity",
    "excitation_figure",
    "kernels_figure",
    "marginal_figure",
    "nearest_neighbours",
    "nearest_neighbours_figure",
    "save",
    "to_image",
    "tsne",
    "tsne_figure",
    "tsne_grid",
]
