"""Packages whose names are imported when they are first used."""

import importlib
import sys


def exports(package, modules, others=()):
    """Make functions that let a package offer what its modules define (PEP 562).

    Args:
        package: `__name__` of the package.
        modules: for each offered name, the module of the package that defines it.
        others: names and modules of other packages, whole.

    Returns:
        The package's `__getattr__`, `__dir__` and `__all__`.
    """

    homes = {name: f"{package}.{module}" for name, module in modules.items()} | dict(others)

    def get(name):
        if name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names():
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names, sorted(homes)
