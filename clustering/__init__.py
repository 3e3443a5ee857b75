"""Associative deep clustering: a classifier trained with no labels (thesis chapter 5).

Built on `semisup`. The model, its losses, the metrics and the loading of trained runs are available
from here, and imported when they are first used: `clustering.ClusteringModel`, ...
"""

from semisup.importing import lazy
from semisup.importing.registration import register

_EXPORTS = {
    "ClusteringModel": "model",
    "Phases": "schedules",
    "PlaceCentroids": "centroids",
    "match_clusters": "metrics",
    "norm_loss": "losses",
    "transformation_loss": "losses",
    "unsupervised_accuracy": "metrics",
}

# What Keras finds in files: its classes by their names, and the modules that they live in.
_REGISTERED = {
    "ClusteringModel": "model",
    "Phases": "schedules",
}

__getattr__, __dir__, __all__ = lazy.exports(
    __name__, _EXPORTS, dict.fromkeys(("load_model", "load_run"), "semisup.run.loading")
)
register(__name__, _REGISTERED)
