"""Images and sentences: embeddings that say whether they belong together (thesis chapter 6).

Built on `semisup`. The model, its losses and the loading of trained runs are available from here,
and imported when they are first used: `multimodal.MultimodalModel`, ...
"""

from semisup.importing import lazy
from semisup.importing.registration import register

_EXPORTS = {
    "Hinge": "losses",
    "InfoNCE": "losses",
    "MultimodalModel": "model",
    "PearsonCorrelation": "losses",
}

# What Keras finds in files: its classes by their names, and the modules that they live in.
_REGISTERED = {**_EXPORTS, "PoolOverWords": "encoders"}

__getattr__, __dir__, __all__ = lazy.exports(
    __name__, _EXPORTS, dict.fromkeys(("load_model", "load_run"), "semisup.run.loading")
)
register(__name__, _REGISTERED)
