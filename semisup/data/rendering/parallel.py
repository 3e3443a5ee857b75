"""Rendering of numbered examples in worker processes, delivered in order."""

import functools
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import joblib
import numpy as np

from semisup.data import ahead


def blocks(
    render: Callable[[np.ndarray], Any],
    count: int,
    *,
    block: int = 256,
    processes: int | None = None,
) -> Iterator[Any]:
    """Render the examples 0 to count - 1, some blocks ahead of the one that is asked for.

    Args:
        render: turns (k,) int64 indices into whatever is yielded. Sent to every worker once,
            so it has to be picklable: a function of a module, or a `functools.partial` of one. For
            the same result with any number of processes it has to depend on nothing else.
        count: number of examples.
        block: examples in a call, the last one may have fewer.
        processes: worker processes; `None` is one for each core that this process may use. With
            one, or no more than one block, `render` is called in this process.

    Yields:
        What `render` returned, for (0, ..., block - 1), (block, ..., 2 * block - 1) and so on.

    Raises:
        RuntimeError: a worker was killed.
        Exception: whatever `render` raised.
    """
    ranges = [np.arange(start, min(start + block, count)) for start in range(0, count, block)]
    processes = min(processes or joblib.cpu_count(), len(ranges))
    if processes <= 1:
        yield from map(render, ranges)
        return
    # Spawned, since a forked copy of a process that runs TensorFlow may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _begin, (render,))
    try:
        yield from ahead.in_order(functools.partial(_submit, pool), ranges, 2 * processes)
    except BrokenProcessPool as broken:
        raise RuntimeError(
            "a rendering process ended early; there may be too little memory"
        ) from broken
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, indices: np.ndarray) -> Future:
    """Hand a block to the workers, which begin without the caller's main script.

    `multiprocessing` would run that again in each of them, which a script without
    `if __name__ == "__main__"` does not survive.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        return pool.submit(_call, indices)
    finally:
        sys.modules["__main__"] = main


def _begin(render: Callable[[np.ndarray], Any]) -> None:
    """Prepare a worker, in which Ctrl-C is for the parent, and which does not outlive that."""
    global _render
    _render = render
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _call(indices: np.ndarray) -> Any:
    return _render(indices)
