"""Data sets, labelled subsets and batches.

Importing it makes the data sets of `semisup.data.builders` known to TensorFlow Datasets, so that
`tensorflow_datasets.load` finds them by name.
"""

from semisup.data import builders

__all__ = ["builders"]
