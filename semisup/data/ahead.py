"""Work that is done ahead, on several threads or processes, and delivered in order."""

import collections
import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


def in_order(submit: Callable[[Any], Future], items: Iterable, ahead: int) -> Iterator[Any]:
    """Yield the result of each item, in order, while others are worked on.

    Args:
        submit: hands an item to a pool.
        items: what there is to do.
        ahead: how many items are handed over before their results are asked for, at most.

    Raises:
        Exception: what the work on an item raised, in the place of its result. Nothing is begun
            after it.
    """
    waiting = collections.deque()
    try:
        for item in items:
            waiting.append(submit(item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def in_threads(function: Callable, items: Iterable, ahead: int = 64) -> Iterator[Any]:
    """Call a function for each item on several threads, and yield what it returns: see `in_order`.

    Other threads go on while Pillow decodes or resizes in one, or while one waits for a file of
    another machine.
    """
    with ThreadPoolExecutor() as pool:
        yield from in_order(functools.partial(pool.submit, function), items, ahead)
