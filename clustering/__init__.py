"""Associative deep clustering: a classifier trained with no labels (thesis chapter 5).

Built on `semisup`. The model, its losses, the metrics and the loading of trained runs are available
from here, and imported when they are first used: `clustering.ClusteringModel`, ...
"""

import importlib

from semisup.registration import register

_EXPORTS = {
    "ClusteringModel": "model",
    "load_model": "runs",
    "load_run": "runs",
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

__all__ = sorted(_EXPORTS)

register(__name__, {name: f"{__name__}.{module}" for name, module in _REGISTERED.items()})


def __getattr__(name):
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"clustering.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'clustering' has no attribute {name!r}")


def __dir__():
    return [*globals(), *_EXPORTS]
