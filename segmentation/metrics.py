"""How well maps of classes agree with the true ones, counted pixel by pixel."""

import numpy as np

from segmentation.choices import NO_CLASS


def confusion(truth, predicted, num_classes):
    """Count the true classes (rows) of pixels against the predicted ones (columns).

    Args:
        truth: integers of any shape, `NO_CLASS` where a pixel does not count.
        predicted: integers of the same shape, in [0, num_classes).
        num_classes: number of classes.

    Returns:
        (num_classes, num_classes) int64.
    """
    counted = truth != NO_CLASS
    pairs = truth[counted].astype(np.int64) * num_classes + predicted[counted]
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def intersections_over_unions(matrix):
    """Divide for each class the pixels that are right by those that are, or are taken for, it.

    Args:
        matrix: (classes, classes) counts, see `confusion`.

    Returns:
        (classes,) float; nan for a class that is neither there nor predicted.
    """
    right = np.diag(matrix)
    unions = matrix.sum(axis=0) + matrix.sum(axis=1) - right
    return np.divide(right, unions, out=np.full(len(matrix), np.nan), where=unions > 0)


def summary(matrix):
    """Return the mean intersection over union, and the share of pixels that are right.

    Args:
        matrix: see `intersections_over_unions`.
    """
    return {
        "mean_iou": float(np.nanmean(intersections_over_unions(matrix))),
        "pixel_accuracy": float(np.trace(matrix) / matrix.sum()),
    }
