"""Let Keras find a package's classes in files, without importing them, or Keras, beforehand."""

import importlib

import wrapt


def register(package, modules):
    """Let `keras.saving.load_model` find classes once both Keras and a package are imported.

    Either may be imported first. The module of a class is imported when a file needs the class,
    which has to be registered there as "package>Class".

    Args:
        package: `__name__` of the package, under which the classes are registered.
        modules: for each class by its name, the module of the package that defines it.
    """

    def tell(keras):
        known = keras.saving.get_custom_objects()
        for name, module in modules.items():
            known.setdefault(f"{package}>{name}", _Deferred(f"{package}.{module}", name))

    wrapt.register_post_import_hook(tell, "keras")


class _Deferred:
    """Stands for a class whose module is not imported yet; importing it puts the class here."""

    def __init__(self, module, name):
        self.module = module
        self.name = name

    def from_config(self, config):
        """Make an object of the class."""
        return getattr(importlib.import_module(self.module), self.name).from_config(config)
