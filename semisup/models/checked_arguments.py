"""A Keras model that looks at what it is given before Keras makes tensors of it."""

import inspect
from typing import Any

import keras


class CheckedArgumentsModel(keras.Model):
    """A model that may check or replace the arguments of `fit`, `evaluate` and their like.

    Tensors in a graph have no values: labels, say, can only be checked before.
    """

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Train the model: see `keras.Model.fit`."""
        return super().fit(**self._arguments("fit", args, kwargs))

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Measure the losses and metrics: see `keras.Model.evaluate`."""
        return super().evaluate(**self._arguments("evaluate", args, kwargs))

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Take a step: see `keras.Model.train_on_batch`."""
        return super().train_on_batch(**self._arguments("train_on_batch", args, kwargs))

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Measure the losses and metrics of a batch: see `keras.Model.test_on_batch`."""
        return super().test_on_batch(**self._arguments("test_on_batch", args, kwargs))

    def check_arguments(self, method: str, arguments: dict[str, Any]) -> None:
        """Check the arguments of a call, or replace some of them; a subclass calls `super`.

        Args:
            method: name of the method of `keras.Model`.
            arguments: those that were given, by name; may be changed.

        Raises:
            ValueError: if one cannot be right.
        """

    def _arguments(self, method, args, kwargs):
        """Return arguments by name, whether they were given by name or by position."""
        signature = inspect.signature(getattr(keras.Model, method))
        # A further base class may take them, or else Keras names the mistake.
        further = {name: kwargs.pop(name) for name in [*kwargs] if name not in signature.parameters}
        bound = signature.bind_partial(self, *args, **kwargs).arguments
        del bound["self"]
        arguments = {**bound, **further}
        self.check_arguments(method, arguments)
        return arguments
