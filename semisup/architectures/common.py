"""What all architectures share."""

import keras

from semisup.architectures import normalization as normalizations
from semisup.errors import UserError


def half_squares(weight):
    """Regulariser `weight` times half the sum of squares, as the authors' L2; None for weight 0."""
    return keras.regularizers.L2(weight / 2) if weight else None


def check_size(name, input_shape, least_size):
    """Raises a UserError if images are smaller than a network can take.

    Args:
        name: name of the network.
        input_shape: (height, width, channels).
        least_size: least height and width.
    """
    height, width, _ = input_shape
    if min(height, width) < least_size:
        raise UserError(
            f"images of {height}x{width} pixels are too small for {name}: it takes "
            f"{least_size}x{least_size} or more; --new_size={least_size} enlarges them"
        )


def scaling_by_128():
    """Layer `normalization` that makes (x - 128) / 128 of a pixel x."""
    return normalizations.scaling(128.0, 128.0, name="normalization")
