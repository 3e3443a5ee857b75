"""The figures of a run, drawn from its directory alone (thesis figures 3.2 to 3.4)."""

import keras
import numpy as np

from semisup import association
from semisup.architectures import layer_calls
from semisup.data.datasets import over_classes, sample
from semisup.report.figures import associations, confusion, drawing, kernels, neighbours, tsne
from semisup.run import checkpoints, evaluation, loading

LABELLED_IN_CONFUSION = 10
LABELLED_IN_GRAPH = 40
UNLABELLED_IN_GRAPH = 40
POINTS = 1000


def drawings(run, config, task, data, predictor):
    """Return functions that draw the figures that every run has.

    Args:
        run: a `RunDirectory`.
        config: its configuration.
        task: its `Task`.
        data: its `TaskData`.
        predictor: a `Predictor` of its model, with the weights that the run is evaluated with.

    Returns:
        Dictionary from names to functions without arguments that draw a figure; such a function
        raises `ValueError` if there are too few images or too many classes for its figure.
    """
    shown = sample(data.evaluation, POINTS, config.seed)
    embeddings = predictor.embeddings(shown.images)
    result = {
        "confusion": lambda: _confusion(data, predictor),
        "neighbours": lambda: neighbours.neighbours_figure(
            shown.images, embeddings, shown.labels, config.seed
        ),
        "tsne": lambda: _tsne(config, data, embeddings, shown.labels),
        **kernel_drawings(predictor, shown.images),
    }
    if config.similarity == "association":
        result["associations"] = lambda: _associations(run, config, task, data, predictor)
    return result


def kernel_drawings(predictor, images):
    """Return functions that draw the first kernels of a network, and what excites some kernels.

    Args:
        predictor: a `Predictor` of the model.
        images: (n, height, width, channels) uint8, in memory.

    Returns:
        Functions by names, see `drawings`; they raise `ValueError` for a network without
        convolutions, or one whose layers are not known. None for a network that is not trained.
    """
    if predictor.features is not None:
        return {}
    from semisup.report.figures import excitation

    def first():
        layer = layer_calls.first_convolution(predictor.model.network)
        return kernels.kernels_figure(keras.ops.convert_to_numpy(layer.kernel), layer.name)

    def excited():
        layers = excitation.excited_layers(predictor.model, images, batch_size=predictor.batch_size)
        return kernels.excitation_figure(
            layers,
            "What excites kernels most, and what its pixels contribute: red raises, blue lowers",
        )

    return {"kernels": first, "excitation": excited}


def draw(run, step, drawings):
    """Draw the figures of a run into `figures/`, and write them as images for TensorBoard.

    Each file has its step as the remark `step`.

    Args:
        run: a `RunDirectory`.
        step: training step of the model that they show.
        drawings: see `drawings`.

    Returns:
        Paths of the PNG files.
    """
    import tensorflow as tf

    figures = drawing.drawn(drawings)
    paths = []
    with tf.summary.create_file_writer(run.written("eval")).as_default():
        for name, figure in sorted(figures.items()):
            path = drawing.save(figure, run.written("figures", f"{name}.png"), step=str(step))
            picture = tf.io.decode_png(path.read_bytes(), channels=3)
            tf.summary.image(f"figures/{name}", picture[None], step=step)
            paths.append(path)
    return paths


def _confusion(data, predictor):
    images, labels = data.evaluation.images, data.evaluation.labels
    return confusion.confusion_figure(
        images,
        labels,
        predictor.labels(images),
        data.class_names,
        data.error_name.replace("_", " ").capitalize(),
        **_labelled(data, LABELLED_IN_CONFUSION),
        labelled_total=sum(map(len, data.class_pools)),
    )


def _labelled(data, per_class):
    """Return images and classes of the labelled images, at most `per_class` of each class."""
    indices = np.concatenate([pool[:per_class] for pool in data.class_pools])
    return {
        "labelled_images": data.train.images[indices],
        "labelled_labels": data.train.labels[indices],
    }


def _tsne(config, data, embeddings, labels):
    tsne.check_looks(labels)
    points = tsne.tsne(embeddings, seed=config.seed)
    perplexity = tsne.effective_perplexity(len(embeddings))
    kind = data.evaluated_on.split()[0]
    title = f"t-SNE of {len(embeddings)} {kind} embeddings (perplexity {perplexity:.3g})"
    return tsne.tsne_figure(points, labels, data.class_names, title=title)


def _associations(run, config, task, data, predictor):
    """Draw the associations at the run's first checkpoint and at the model's step."""
    step = loading.step_of(predictor.model)
    first = checkpoints.list_steps(run.checkpoints)[0]
    moments = [(step, predictor)]
    if first < step:
        early, _ = loading.load_run(run.path, first, task)
        early = evaluation.Predictor(early, predictor.batch_size, predictor.features)
        moments.insert(0, (first, early))
    pool = np.concatenate(data.class_pools)
    count = min(2 * len(data.class_pools), LABELLED_IN_GRAPH)
    pool = pool[over_classes(data.train.labels[pool], count, config.seed)]
    labelled = data.train.images[pool]
    (_, batch), _ = next(iter(data.batches(0).as_numpy_iterator()))
    unlabelled = batch[:UNLABELLED_IN_GRAPH]
    panels = []
    for moment, trained in moments:
        p_ab, p_ba = association.transition_probabilities(
            trained.embeddings(labelled),
            trained.embeddings(unlabelled),
            config.similarity_measure,
            config.temperature,
        )
        panels.append(
            associations.AssociationPanel(
                keras.ops.convert_to_numpy(p_ab),
                keras.ops.convert_to_numpy(p_ba),
                labelled,
                unlabelled,
                title=f"step {moment}",
            )
        )
    return associations.association_graphs(panels)
