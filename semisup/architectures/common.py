"""What all architectures share."""

import keras

from semisup.architectures import normalization as normalizations
from semisup.errors import ArgumentError


def half_squares(weight):
    """Make the authors' L2, `weight` times half the sum of squares; None for weight 0."""
    return keras.regularizers.L2(weight / 2) if weight else None


def check_size(name, input_shape, least_size):
    """Check that images are not smaller than a network can take.

    Args:
        name: name of the network.
        input_shape: (height, width, channels).
        least_size: least height and width.

    Raises:
        ArgumentError: if they are.
    """
    height, width, _ = input_shape
    if min(height, width) < least_size:
        raise ArgumentError(
            "input_shape",
            input_shape,
            f"images of {height}x{width} pixels are too small for {name}, which takes "
            f"{least_size}x{least_size} or more",
        )


def scaling_by_128():
    """Make the layer `normalization` that turns a pixel x into (x - 128) / 128."""
    return normalizations.scaling(128.0, 128.0, name="normalization")
