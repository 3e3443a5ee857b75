"""A bar that shows how much of some work is done, where somebody looks on."""

import sys
from collections.abc import Callable

import keras


def image_bar(count: int, wanted: bool = True) -> Callable[[int], None]:
    """Show the progress of work on images, if the output is a terminal.

    Args:
        count: number of images.
        wanted: whether to show anything.

    Returns:
        Function of how many images are done; a number that is no higher changes nothing.
    """
    if not (wanted and sys.stdout.isatty()):
        return lambda done: None
    bar = keras.utils.Progbar(count, unit_name="image")
    shown = 0

    def show(done):
        nonlocal shown
        if done > shown:
            shown = done
            bar.update(done)

    return show
