"""Types of what public functions take and return."""

from collections.abc import Callable
from typing import Any

Tensor = Any
"""A tensor of any of Keras' backends; where a function takes one, a NumPy array or a list, too."""

LossWeight = float | Callable[[Tensor], Tensor]
"""The weight of a loss: a number, or a schedule of the training step."""
