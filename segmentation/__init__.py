"""Segmentation with few images whose pixels are labelled, by association (thesis chapter 6).

Built on `semisup`. The model, its losses and the loading of trained runs are available from here,
and imported when they are first used: `segmentation.SegmentationModel`, ...
"""

from semisup.importing import lazy
from semisup.importing.registration import register

_EXPORTS = {
    "SegmentationModel": "model",
    "SelfTraining": "losses",
}

# What Keras finds in files: its classes by their names, and the modules that they live in.
_REGISTERED = {**_EXPORTS, "Hypercolumns": "pixel_networks", "Patches": "pixel_networks"}

__getattr__, __dir__, __all__ = lazy.exports(
    __name__, _EXPORTS, dict.fromkeys(("load_model", "load_run"), "semisup.run.loading")
)
register(__name__, _REGISTERED)
