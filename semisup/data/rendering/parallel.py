"""Rendering of numbered examples in worker processes, delivered in order.

The workers are plain subprocesses: a forked copy of a process that runs TensorFlow may hang, and
those that `multiprocessing` spawns run the caller's script again, which not every script survives.
"""

import collections
import concurrent.futures
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

# `sys.path` first: what is unpickled next is found where the parent found it. And what is printed
# must not get between the replies.
_WORKER = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
replies, sys.stdout = sys.stdout.buffer, sys.stderr
from semisup.data.rendering import parallel
parallel.serve(sys.stdin.buffer, replies)
"""


def blocks(
    render: Callable[[np.ndarray], Any],
    count: int,
    *,
    block: int = 256,
    processes: int | None = None,
) -> Iterator[Any]:
    """Renders the examples 0 to count - 1, some blocks ahead of the one that is asked for.

    Args:
        render: turns (k,) int64 indices into whatever shall be yielded. Sent to every worker once,
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
    processes = min(processes or _cores(), len(ranges))
    if processes <= 1:
        yield from map(render, ranges)
        return
    workers = [_Worker(render) for _ in range(processes)]
    idle = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def call(indices: np.ndarray) -> Any:
        worker = idle.get()
        try:
            return worker(indices)
        finally:
            idle.put(worker)

    threads = concurrent.futures.ThreadPoolExecutor(processes)
    waiting = collections.deque()
    try:
        for indices in ranges:
            waiting.append(threads.submit(call, indices))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            worker.close()


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Runs in the worker: reads a function, then arguments of it, and writes what it returns.

    Args:
        requests: binary file of pickles, first the function, then its arguments, until it ends.
        replies: binary file that takes a pickled pair (result, exception) for each argument.
    """
    # Ctrl-C is for the parent, whose end ends the requests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    render = pickle.load(requests)
    while True:
        try:
            argument = pickle.load(requests)
        except EOFError:
            return
        try:
            reply = render(argument), None
        except Exception as error:
            reply = None, error
        pickle.dump(reply, replies, pickle.HIGHEST_PROTOCOL)
        replies.flush()


class _Worker:
    """A process that calls one function."""

    def __init__(self, render: Callable[[np.ndarray], Any]):
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._send(sys.path)
        self._send(render)

    def __call__(self, argument: np.ndarray) -> Any:
        try:
            self._send(argument)
            result, error = pickle.load(self._process.stdout)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError) as broken:
            raise RuntimeError(
                f"a rendering process ended early, with exit status {self._process.wait()}; "
                "there may be too little memory"
            ) from broken
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Ends the process and waits for it."""
        with contextlib.suppress(BrokenPipeError):  # of one that was killed
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _send(self, value: Any) -> None:
        pickle.dump(value, self._process.stdin, pickle.HIGHEST_PROTOCOL)
        self._process.stdin.flush()


def _cores() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # neither macOS nor Windows has it
        return os.cpu_count() or 1
