"""The figures of a run, drawn from its directory alone (thesis figures 3.2 to 3.4)."""

import keras
import numpy as np

from semisup import analysis, association, checkpoints, evaluation, runs

LABELLED_PER_CLASS = 2
UNLABELLED = 40
QUERIES = 8
NEIGHBOURS = 5
POINTS = 1000


def draw(run, config, data, model):
    """Draws the figures of a run into `figures/`, and as images for TensorBoard.

    Args:
        run: a `RunDirectory`.
        config: its configuration.
        data: its `TaskData`.
        model: the model, with the weights that the run is evaluated with.

    Returns:
        Paths of the PNG files.
    """
    import tensorflow as tf

    images, labels = _sample(config, data, POINTS)
    embedder = evaluation.Embedder(model)
    embeddings = embedder.embed(images)
    figures = {
        "confusion": _confusion(data, model),
        "neighbours": _neighbours(images, embeddings),
        "tsne": _tsne(config, data, embeddings, labels),
    }
    if config.similarity != "none":
        figures["associations"] = _associations(run, config, data, runs.step_of(model), embedder)
    step = runs.step_of(model)
    paths = []
    with tf.summary.create_file_writer(run.file("eval")).as_default():
        for name, figure in sorted(figures.items()):
            paths.append(analysis.save(figure, run.file("figures", f"{name}.png")))
            tf.summary.image(f"figures/{name}", analysis.to_image(figure)[None], step=step)
    return paths


def _confusion(data, model):
    images, labels = data.evaluation.images, data.evaluation.labels
    predicted = evaluation.predict_labels(model, images)
    matrix = evaluation.confusion_matrix(labels, predicted, len(data.class_names))
    wrong = np.flatnonzero(predicted != labels)
    return analysis.confusion_figure(
        matrix,
        data.class_names,
        images[wrong],
        labels[wrong],
        predicted[wrong],
        labelled_images=data.labelled.images,
        labelled_labels=data.labelled.labels,
    )


def _sample(config, data, count):
    """Evaluation images drawn by the run's seed, with their labels."""
    total = len(data.evaluation.labels)
    generator = np.random.default_rng([config.seed, 0xF16])
    chosen = np.sort(generator.choice(total, min(count, total), replace=False))
    return data.evaluation.images[chosen], data.evaluation.labels[chosen]


def _neighbours(images, embeddings):
    queries = np.arange(min(QUERIES, len(images) - 1))
    count = min(NEIGHBOURS, len(images) - 1)
    indices, similarities = analysis.nearest_neighbours(
        embeddings[queries], embeddings, k=count, exclude=queries
    )
    return analysis.nearest_neighbours_figure(images[queries], images[indices], similarities)


def _tsne(config, data, embeddings, labels):
    points = analysis.tsne(embeddings, seed=config.seed)
    perplexity = analysis.effective_perplexity(len(embeddings))
    title = f"t-SNE of {len(embeddings)} test embeddings (perplexity {perplexity:g})"
    return analysis.tsne_figure(points, labels, data.class_names, title=title)


def _associations(run, config, data, step, embedder):
    """Associations at the run's first checkpoint and at that of the model."""
    first = checkpoints.list_steps(run.checkpoints)[0]
    moments = [(step, embedder)]
    if first < step:
        early, _ = runs.load_run(run.path, first)
        moments.insert(0, (first, evaluation.Embedder(early)))
    labelled = np.concatenate(
        [
            np.flatnonzero(data.labelled.labels == label)[:LABELLED_PER_CLASS]
            for label in range(len(data.class_names))
        ]
    )
    labelled = data.labelled.images[labelled]
    (_, batch), _ = next(iter(data.batches(0).as_numpy_iterator()))
    unlabelled = batch[:UNLABELLED]
    panels = []
    for moment, trained in moments:
        a, b = trained.embed(labelled), trained.embed(unlabelled)
        p_ab, p_ba = association.transition_probabilities(
            a, b, config.similarity_measure, config.temperature
        )
        panels.append(
            analysis.AssociationPanel(
                keras.ops.convert_to_numpy(p_ab),
                keras.ops.convert_to_numpy(p_ba),
                labelled,
                unlabelled,
                title=f"step {moment}",
            )
        )
    return analysis.association_graphs(panels)
