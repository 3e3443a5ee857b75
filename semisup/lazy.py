"""Packages whose names are imported when they are first used."""

import importlib
import sys


def exports(package, modules):
    """Make functions that let a package offer what its modules define (PEP 562).

    Args:
        package: `__name__` of the package.
        modules: for each offered name, the module of the package that defines it.

    Returns:
        The package's `__getattr__`, `__dir__` and `__all__`.
    """

    def get(name):
        if name in modules:
            return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names():
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names, sorted(modules)
