"""Whether a training fits into the memory of the machine, told before it is tried.

A processor that runs out of memory ends a process without a word, or with one of C++. What is
counted here is needed at the very least, so whatever is refused could not have been computed.
"""

import math
import os

import keras

from semisup.errors import UserError

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def check_batch(model, batches):
    """Check that the values of the layers for a batch fit into memory, since gradients need them.

    Half of them count, as others may never be stored.

    Args:
        model: the model, or one with a `network`. Of one that is not functional, nothing is known.
        batches: finite or endless `tf.data.Dataset` of its training batches.

    Raises:
        UserError: if they don't.
    """
    images = sum(_images(batches.element_spec))
    needed = images * bytes_of(getattr(model, "network", model)) // 2
    check(needed, f"the layers of the network for a batch of {images:,} images")


def check(needed, what):
    """Check that something fits into the memory of the machine.

    Args:
        needed: bytes.
        what: what needs them, for the message.

    Raises:
        UserError: if it does not.
    """
    most = memory_bytes()
    if needed > most:
        raise UserError(
            f"{what} need {needed / 2**30:,.1f} GiB, more than the {most / 2**30:,.1f} GiB of "
            "memory that there are: give smaller batches or a smaller --new_size"
        )


def memory_bytes():
    """Return the memory of the machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def bytes_of(network):
    """Return the bytes of the values of the layers of a network for one image, as far as known."""
    total = 0
    for layer in getattr(network, "layers", ()):
        try:
            outputs = keras.tree.flatten(layer.output)
        except (AttributeError, ValueError):
            # It is called not at all, several times, or by the code of a subclass.
            continue
        for output in outputs:
            if None not in output.shape[1:]:
                width = _BYTES.get(keras.backend.standardize_dtype(output.dtype), 1)
                total += width * math.prod(output.shape[1:])
    return total


def _images(specification):
    """Yield the numbers of images in the parts of a batch."""
    import tensorflow as tf

    for part in tf.nest.flatten(specification):
        if part.shape.rank == 4 and part.shape[0]:
            yield part.shape[0]
