"""Metrics of a trained model, from every image of a split exactly once."""

import math

import keras
import numpy as np

from semisup.data import pipelines, sampling
from semisup.machine import backend, hosts


def image_batches(images, batch_size, multiple=1, share=sampling.WHOLE):
    """Return all images of an array in order, in batches of which the last may be smaller.

    Args:
        images: (n, height, width, channels) uint8, in memory or memory-mapped; or arrays with n
            rows of whatever else a network is given.
        batch_size: images in a batch.
        multiple: the last image is repeated until the number of images, like that in a batch, is
            a multiple of this.
        share: the `sampling.Share` of each batch that is read.

    Returns:
        A finite `tf.data.Dataset`.
    """
    import tensorflow as tf

    source, given = pipelines.source(images), rows(images)
    count, size = (math.ceil(number / multiple) * multiple for number in (given, batch_size))

    def batch(indices):
        return pipelines.gather(source, tf.minimum(indices, given - 1))

    indices = tf.data.Dataset.range(count).batch(size)
    if share.hosts > 1:
        # The last batch has a size of its own, so that the share is not known before.
        last = count % size or size
        rows_of_whole, rows_of_last = share.rows(size), share.rows(last)
        whole = (count - last) // size
        indices = indices.enumerate().map(
            lambda number, each: each[rows_of_whole] if number < whole else each[rows_of_last]
        )
    return indices.map(batch).prefetch(tf.data.AUTOTUNE)


def rows(examples):
    """Count the rows of an array, or of those of a structure."""
    return len(keras.tree.flatten(examples)[0])


class Predictor(keras.Model):
    """Logits and embeddings of an `EmbeddingClassifier`, by a function that is traced once.

    It is compiled on its own: under the model's `steps_per_execution`, Keras would put as many
    forward passes into one graph.

    Args:
        model: an `EmbeddingClassifier`.
        batch_size: images in a batch.
        features: the `Features` of images, which are looked up and given to the model; None to give
            it the images.
    """

    def __init__(self, model, batch_size=500, features=None):
        super().__init__(name="predictor")
        self.model = model
        self.batch_size = batch_size
        self.features = features
        self._functions = {}
        self.compile(jit_compile=keras.backend.backend() == "jax")

    def call(self, images):
        """Compute float32 logits (n, classes) and embeddings (n, d) of images."""
        embeddings = self.model.embed(images, training=False)
        logits = self.model.classify(embeddings)
        return hosts.gathered(logits), hosts.gathered(keras.ops.cast(embeddings, "float32"))

    def labels(self, images):
        """Predict classes (n,), int64, of uint8 images (n, height, width, channels)."""
        return np.argmax(self.outputs(images)[0], axis=1)

    def embeddings(self, images):
        """Compute embeddings (n, d), float32, of images, or of whatever else the network takes."""
        return self.outputs(images)[1]

    def outputs(self, images):
        """Compute logits (n, classes) and embeddings (n, d), float32, of images, or other rows."""
        if self.features is not None:
            images = self.features.plain(images)
        # A function that has seen two shapes of images would take any, without known channels.
        shape = tuple(tuple(part.shape[1:]) for part in keras.tree.flatten(images))
        self.predict_function = self._functions.get(shape)
        multiple = backend.sharing_devices()
        several = isinstance(images, (list, tuple))
        given = tuple(images) if several else images
        batches = image_batches(given, self.batch_size, multiple, hosts.share())
        if several:
            # Two would be taken for inputs and labels, and tf.data would stack those of a list.
            batches = batches.map(lambda *parts: (parts,))
        outputs = self.predict(batches, verbose=0)
        self._functions[shape] = self.predict_function
        return tuple(output[: rows(images)] for output in outputs)


def probabilities(logits):
    """Compute the softmax of (n, classes) logits as a float64 array."""
    from scipy.special import softmax

    return softmax(np.asarray(logits, "float64"), axis=1)


def confusion_matrix(labels, predicted, num_classes, num_predicted=None):
    """Count the true classes (rows) against the predicted classes (columns).

    Args:
        labels: (n,) true classes.
        predicted: (n,) predicted classes, or clusters.
        num_classes: number of classes.
        num_predicted: number of values that can be predicted, if it is not that of the classes.

    Returns:
        (num_classes, num_predicted) int64.
    """
    from sklearn import metrics as sklearn_metrics

    num_predicted = num_predicted or num_classes
    every = np.arange(max(num_classes, num_predicted))
    matrix = sklearn_metrics.confusion_matrix(labels, predicted, labels=every)
    return matrix[:num_classes, :num_predicted]


def metrics(labels, predicted, class_names):
    """Compute error, accuracy of each class and confusion matrix, ready for JSON.

    Args:
        labels: (n,) true classes.
        predicted: (n,) predicted classes.
        class_names: names of the classes.

    Returns:
        Dictionary with `error` (fraction in [0, 1]), `images`, `per_class_accuracy` (None for a
        class without images) and `confusion_matrix`.
    """
    matrix = confusion_matrix(labels, predicted, len(class_names))
    return {
        "error": float(1 - np.trace(matrix) / matrix.sum()),
        "images": int(matrix.sum()),
        "per_class_accuracy": per_class_accuracy(matrix, class_names),
        "confusion_matrix": matrix.tolist(),
    }


def per_class_accuracy(matrix, class_names):
    """Return the share of each class that lies on the diagonal of a confusion matrix.

    Args:
        matrix: (classes, at least classes) counts.
        class_names: names of the classes.

    Returns:
        Floats by name; None for a class without images.
    """
    totals = matrix.sum(axis=1)
    return {
        name: float(matrix[i, i] / totals[i]) if totals[i] else None
        for i, name in enumerate(class_names)
    }
