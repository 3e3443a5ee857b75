"""Associative deep clustering: a classifier trained with no labels (thesis chapter 5).

Built on `semisup`. The model, its losses, the metrics and the loading of trained runs are available
from here, and imported when they are first used: `clustering.ClusteringModel`, ...
"""

from semisup import lazy

_EXPORTS = {
    "ClusteringModel": "model",
    "load_model": "runs",
    "load_run": "runs",
    "match_clusters": "metrics",
    "norm_loss": "losses",
    "transformation_loss": "losses",
    "unsupervised_accuracy": "metrics",
}

__getattr__, __dir__, __all__ = lazy.exports(__name__, _EXPORTS)
