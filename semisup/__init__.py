"""Learning by association: train image classifiers with few labels, on Keras 3.

The losses, the model and the loading of trained runs are available from here, and imported when
they are first used: `semisup.walker_loss`, `semisup.AssociativeModel`, `semisup.load_run`, ...
"""

from semisup import lazy

__version__ = "0.1.0"

_EXPORTS = {
    "transition_probabilities": "association",
    "round_trip_probabilities": "association",
    "visit_probabilities": "association",
    "round_trip_accuracy": "association",
    "walker_loss": "association",
    "visit_loss": "association",
    "association_loss": "association",
    "Association": "association",
    "AssociativeModel": "model",
    "Envelope": "schedules",
    "load_model": "runs",
    "load_run": "runs",
}

__getattr__, __dir__, __all__ = lazy.exports(__name__, _EXPORTS)
