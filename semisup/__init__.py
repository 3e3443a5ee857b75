"""Learning by association: train classifiers with few labels or none, on Keras 3.

The losses, the model and the loading of trained runs are available from here, and imported when
they are first used: `semisup.walker_loss`, `semisup.AssociativeModel`, `semisup.load_run`, ...
"""

from semisup.importing import interrupts, lazy  # noqa: F401 (a command of ours may be starting)
from semisup.importing.registration import register

__version__ = "0.2.0"

_EXPORTS = {
    "transition_probabilities": "association",
    "round_trip_probabilities": "association",
    "visit_probabilities": "association",
    "round_trip_accuracy": "association",
    "walker_loss": "association",
    "visit_loss": "association",
    "association_loss": "association",
    "Association": "association",
    "AssociativeModel": "models.associative",
    "pairs": "data.pairs",
    "SimilarityTerm": "similarity",
    "EvaluateAveragedWeights": "models.averaging",
    "averaged_weights": "models.averaging",
    "Envelope": "models.schedules",
    "load_model": "run.loading",
    "load_run": "run.loading",
}

# What Keras finds in files: its classes by their names, and the modules that they live in.
_REGISTERED = {
    "ApplicationPreprocessing": "architectures.applications",
    "Association": "association",
    "RandomHue": "augmentation.appearance",
    "RandomSaturation": "augmentation.appearance",
    "RandomGrayscale": "augmentation.appearance",
    "RandomGaussianBlur": "augmentation.appearance",
    "RandomNoise": "augmentation.appearance",
    "RandomFog": "augmentation.appearance",
    "Augmentation": "augmentation.base",
    "RandomAffine": "augmentation.geometry",
    "RandomNormalAffine": "augmentation.geometry",
    "RandomWindow": "augmentation.geometry",
    "AssociativeModel": "models.associative",
    "Standardization": "architectures.normalization",
    "ImageStandardization": "architectures.normalization",
    "RandomView": "architectures.transfer",
    "SteerableAdam": "models.optimizers",
    "RestartableAdam": "models.optimizers",
    "Envelope": "models.schedules",
    "StaircaseDecay": "models.schedules",
}

__getattr__, __dir__, __all__ = lazy.exports(__name__, _EXPORTS)
register(__name__, _REGISTERED)
