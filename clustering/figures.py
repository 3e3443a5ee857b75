"""The figures of a clustering, drawn from its run directory (thesis figures 5.3 and 5.4)."""

import keras
import numpy as np

from clustering import metrics
from semisup.data.datasets import sample
from semisup.report import illustration
from semisup.report.figures import clusters, confusion, neighbours, tsne
from semisup.run import evaluation


def drawings(run, config, data, predictor, class_names, labels):
    """Return functions that draw the figures of a clustering.

    Args:
        run: a `RunDirectory`.
        config: its `TrainConfig`.
        data: its `TaskData`.
        predictor: a `Predictor` of its model, with the weights that the run is evaluated with.
        class_names: names of the classes of the evaluated images, if they have any.
        labels: (n,) their classes, or None.

    Returns:
        Dictionary from names to functions without arguments that draw a figure; such a function
        raises `ValueError` if there are too few images or too many classes for its figure.
    """
    images = data.evaluation.images
    probabilities = evaluation.probabilities(predictor.outputs(images)[0])
    names = _cluster_names(probabilities, class_names, labels)
    shown = sample(data.evaluation, illustration.POINTS, config.seed)
    logits, embeddings = predictor.outputs(shown.images)
    assigned = logits.argmax(axis=1)
    result = {
        "clusters": lambda: clusters.clusters_figure(images, probabilities, names),
        "cluster_sizes": lambda: _sizes(run, config, data),
        "neighbours": lambda: neighbours.neighbours_figure(
            shown.images, embeddings, assigned, config.seed
        ),
        "tsne": lambda: _tsne(config, predictor.model, assigned, embeddings, names),
        **illustration.kernel_drawings(predictor, shown.images),
    }
    if labels is not None:
        result["confusion"] = lambda: _confusion(data, probabilities, class_names, labels)
    return result


def _cluster_names(probabilities, class_names, labels):
    """Name clusters by their number and, where there are labels, by the class matched with them."""
    count = probabilities.shape[1]
    if labels is None:
        return [str(cluster) for cluster in range(count)]
    matrix = evaluation.confusion_matrix(
        labels, probabilities.argmax(axis=1), len(class_names), count
    )
    matched = metrics.match_clusters(matrix)
    return [
        f"{cluster}: {class_names[label]}" if label >= 0 else str(cluster)
        for cluster, label in enumerate(matched)
    ]


def _sizes(run, config, data):
    names = [f"cluster_size/{name}" for name in data.class_names]
    entries = [entry for entry in run.read_metrics() if names[0] in entry]
    return clusters.cluster_sizes_figure(
        np.array([entry["step"] for entry in entries]),
        np.array([[entry[name] for name in names] for entry in entries], np.int64),
        placed_at=config.reg_warmup_steps if config.init_with_kmeans else None,
    )


def _tsne(config, model, clusters, embeddings, names):
    """Draw t-SNE of embeddings and centroids together, by cluster."""
    tsne.check_looks(model.centroid_labels)
    centroids = keras.ops.convert_to_numpy(model.centroids)
    points = tsne.tsne(np.concatenate([embeddings, centroids]), seed=config.seed)
    perplexity = tsne.effective_perplexity(len(points))
    return tsne.tsne_figure(
        points[: len(embeddings)],
        clusters,
        names,
        title=f"t-SNE of {len(embeddings)} embeddings and the centroids "
        f"(perplexity {perplexity:.3g})",
        landmarks=points[len(embeddings) :],
        landmark_labels=model.centroid_labels,
    )


def _confusion(data, probabilities, class_names, labels):
    count = probabilities.shape[1]
    if count != len(class_names):
        raise ValueError(f"{count} clusters cannot be matched with {len(class_names)} classes")
    clusters = probabilities.argmax(axis=1)
    matrix = evaluation.confusion_matrix(labels, clusters, count)
    return confusion.confusion_figure(
        data.evaluation.images,
        labels,
        metrics.match_clusters(matrix)[clusters],
        class_names,
        f"Error on {data.evaluated_on} after the best matching",
    )
