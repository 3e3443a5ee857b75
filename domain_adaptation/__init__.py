"""Associative domain adaptation: labels from one domain, images from another (thesis chapter 4).

Built on `semisup`. The terms that compare domains and the loading of trained runs are available
from here, and imported when they are first used: `domain_adaptation.squared_mmd`, ...
"""

from semisup.importing import lazy
from semisup.importing.registration import register

_EXPORTS = {
    "CorrelationAlignment": "discrepancy",
    "MaximumMeanDiscrepancy": "discrepancy",
    "coral_distance": "discrepancy",
    "gaussian_mixture_kernel": "discrepancy",
    "linear_squared_mmd": "discrepancy",
    "squared_mmd": "discrepancy",
}

# What Keras finds in files: its classes by their names, and the modules that they live in.
_REGISTERED = {
    "MaximumMeanDiscrepancy": "discrepancy",
    "CorrelationAlignment": "discrepancy",
}

__getattr__, __dir__, __all__ = lazy.exports(
    __name__, _EXPORTS, dict.fromkeys(("load_model", "load_run"), "semisup.run.loading")
)
register(__name__, _REGISTERED)
