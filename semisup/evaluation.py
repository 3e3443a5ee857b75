"""Metrics of a trained model, from every image of a split exactly once."""

import keras
import numpy as np

from semisup.data import sampling


def image_batches(images, batch_size):
    """All images of an array in order, in batches of which the last may be smaller.

    Args:
        images: (n, height, width, channels) uint8, in memory or memory-mapped.
        batch_size: images in a batch.

    Returns:
        A finite `tf.data.Dataset`.
    """
    import tensorflow as tf

    indices = tf.data.Dataset.range(len(images)).batch(batch_size)
    return indices.map(lambda chosen: sampling.gather(images, chosen)).prefetch(tf.data.AUTOTUNE)


def predict_labels(model, images, batch_size=500):
    """Predicted classes.

    Args:
        model: an `AssociativeModel`, or any model from images to logits.
        images: (n, height, width, channels) uint8.
        batch_size: images in a batch.

    Returns:
        (n,) int64.
    """
    return np.argmax(model.predict(image_batches(images, batch_size), verbose=0), axis=1)


class Embedder(keras.Model):
    """The embeddings of an `AssociativeModel`, by a compiled function that is traced once.

    Args:
        model: an `AssociativeModel`.
    """

    def __init__(self, model):
        super().__init__(name="embedder")
        self.model = model
        self.compile(jit_compile=keras.backend.backend() == "jax")

    def call(self, images):
        """Float32 embeddings (n, d) of images (n, height, width, channels)."""
        return keras.ops.cast(self.model.embed(images, training=False), "float32")

    def embed(self, images, batch_size=500):
        """Embeddings of an array of images.

        Args:
            images: (n, height, width, channels) uint8.
            batch_size: images in a batch.

        Returns:
            (n, d) float32.
        """
        return self.predict(image_batches(images, batch_size), verbose=0)


def confusion_matrix(labels, predicted, num_classes):
    """Counts of true class (row) against predicted class (column).

    Args:
        labels: (n,) true classes.
        predicted: (n,) predicted classes.
        num_classes: number of classes.

    Returns:
        (num_classes, num_classes) int64.
    """
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (np.asarray(labels), np.asarray(predicted)), 1)
    return matrix


def metrics(labels, predicted, class_names):
    """Error, accuracy of each class and confusion matrix, ready for JSON.

    Args:
        labels: (n,) true classes.
        predicted: (n,) predicted classes.
        class_names: names of the classes.

    Returns:
        Dictionary with `error` (fraction in [0, 1]), `images`, `per_class_accuracy` (None for a
        class without images) and `confusion_matrix`.
    """
    matrix = confusion_matrix(labels, predicted, len(class_names))
    totals = matrix.sum(axis=1)
    return {
        "error": float(1 - np.trace(matrix) / totals.sum()),
        "images": int(totals.sum()),
        "per_class_accuracy": {
            name: float(matrix[i, i] / totals[i]) if totals[i] else None
            for i, name in enumerate(class_names)
        },
        "confusion_matrix": matrix.tolist(),
    }
