"""Several hosts, processes of JAX on one machine each as a rule, that share every batch.

All of them run the same training: they draw the same batches, of which each reads its own rows,
take the same steps on the same weights, and measure together. What JAX computes over all of them
has to be asked for by each of them, in the same order; so no host does what another leaves out. The
run directory is host 0's: the others work on a copy, in a temporary folder of their own, and say
nothing.
"""

import json

import keras
import numpy as np

from semisup.data import sampling
from semisup.errors import UserError
from semisup.machine.signals import StopSignals


def count():
    """Return the number of hosts that share batches, 1 for a training on a single one."""
    return _jax().process_count() if _are_connected() else 1


def share():
    """Return the `sampling.Share` of each batch that this host reads."""
    if not _are_connected():
        return sampling.WHOLE
    return sampling.Share(_jax().process_index(), _jax().process_count())


def shared(batches):
    """Return the function that makes batches, with this host's rows of them alone.

    Args:
        batches: `TaskData.batches`.
    """
    if count() == 1:
        return batches
    return lambda first_step: batches(first_step, share=share())


def from_first(function):
    """Return what a function returns on host 0, to all hosts; elsewhere it is not called.

    Args:
        function: without arguments; returns what JSON can hold, and may raise `UserError`.

    Raises:
        UserError: if the function does so on host 0; on all hosts.
    """
    if count() == 1:
        return function()
    message = {}
    if not share().host:
        try:
            message = {"value": function()}
        except UserError as error:
            message = {"error": str(error)}
    message = everywhere(message)[0]
    if "error" in message:
        raise UserError(message["error"])
    return message["value"]


def everywhere(value):
    """Return the values that all hosts call this with, a list in the hosts' order.

    Args:
        value: anything that JSON can hold.
    """
    from jax.experimental import multihost_utils

    text = np.frombuffer(json.dumps(value, default=str).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.array([len(text)], np.int32)).ravel()
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: len(text)] = text
    rows = multihost_utils.process_allgather(padded).reshape(len(sizes), -1)
    return [json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def gathered(tensor):
    """Return a tensor whose rows lie on several hosts so that each host has all of them.

    Args:
        tensor: (n, ...), inside a compiled function.
    """
    if count() == 1:
        return tensor
    mesh = keras.distribution.distribution().device_mesh
    layout = keras.distribution.TensorLayout((None,) * len(tensor.shape), mesh)
    return keras.distribution.distribute_tensor(tensor, layout)


class AgreedSignals(StopSignals):
    """Signals that count once all hosts know of them, so that all stop after the same step."""

    def __init__(self):
        super().__init__()
        self._noted = 0

    def _note(self, number, frame):
        super()._note(number, frame)
        self._noted, self.received = number, 0

    def agree(self):
        """Take over what any host has received: see `StopSignals`."""
        self.received = max(everywhere(self._noted))


def stop_signals():
    """Return the `StopSignals` of a training."""
    return StopSignals() if count() == 1 else AgreedSignals()


def _jax():
    import jax

    return jax


def _are_connected():
    return keras.backend.backend() == "jax" and _jax().distributed.is_initialized()
