"""Associative domain adaptation: labels from one domain, images from another (thesis chapter 4).

Built on `semisup`. The terms that compare domains and the loading of trained runs are available
from here, and imported when they are first used: `domain_adaptation.squared_mmd`, ...
"""

import importlib

from semisup.registration import register

_EXPORTS = {
    "CorrelationAlignment": "discrepancy",
    "MaximumMeanDiscrepancy": "discrepancy",
    "coral_distance": "discrepancy",
    "gaussian_mixture_kernel": "discrepancy",
    "linear_squared_mmd": "discrepancy",
    "load_model": "runs",
    "load_run": "runs",
    "squared_mmd": "discrepancy",
}

# What Keras finds in files: its classes by their names, and the modules that they live in.
_REGISTERED = {
    "MaximumMeanDiscrepancy": "discrepancy",
    "CorrelationAlignment": "discrepancy",
}

__all__ = sorted(_EXPORTS)

register(__name__, {name: f"{__name__}.{module}" for name, module in _REGISTERED.items()})


def __getattr__(name):
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"domain_adaptation.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module 'domain_adaptation' has no attribute {name!r}")


def __dir__():
    return [*globals(), *_EXPORTS]
