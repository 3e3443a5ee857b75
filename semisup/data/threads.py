"""Many files read side by side, in their order."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_order(function: Callable, items: Iterable, ahead: int = 64) -> Iterator[Any]:
    """Call a function for each item on several threads, and yield what it returns, in order.

    Other threads go on while Pillow decodes or resizes in one, or while one waits for a file of
    another machine.

    Args:
        function: takes an item; may be called for several at a time.
        items: what it is called for.
        ahead: how many results are at hand before they are asked for, at most.

    Raises:
        Exception: whatever the function raises, in the place of the result.
    """
    with ThreadPoolExecutor() as pool:
        waiting = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
