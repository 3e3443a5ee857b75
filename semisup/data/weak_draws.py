"""Unlabelled images drawn by weak labels, so that each class of a step has some among them.

If classes are rare among the unlabelled images, or a batch has a few classes of many, most walks
have nowhere to go. So a share of each batch is drawn as weak labels say, and the rest at random, so
that images with wrong labels do not dominate (thesis, outlook).
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from semisup.data import sampling


@dataclasses.dataclass(frozen=True)
class WeakDraws:
    """How a share of the unlabelled images is drawn.

    Attributes:
        labels: (k,) weak label of each image of the pool, integers of at least 0.
        share: share of a batch that is drawn by them.
        delay: step from which on.
        classes: function from a step to the (c,) classes of its labelled batch.
    """

    labels: np.ndarray
    share: float
    delay: int
    classes: Callable

    def count(self, size):
        """Return how many images of a batch of some size are drawn by weak labels."""
        return round(self.share * size)


class WeakSampler(sampling.StepSampler):
    """Draw unlabelled batches, partly by weak labels: a function of seed, step and the labels.

    As many images of each class of the labelled batch are drawn, with replacement; if a class has
    none, images at random stand in for it. The others are drawn as a `Sampler` draws them.

    Args:
        pool: (k,) indices to draw from.
        size: images in a batch.
        seed: seed of the training.
        draws: the `WeakDraws`.
    """

    def __init__(self, pool, size, seed, draws):
        self.shape = (size,)
        self._pool, self._draws = pool, draws
        self._count = draws.count(size)
        rest = size - self._count
        self._rest = sampling.Sampler([pool], rest, seed, sampling.UNLABELLED) if rest else None
        self._before = sampling.Sampler([pool], size, seed, sampling.UNLABELLED)
        self._key = sampling.key_of(seed, sampling.WEAKLY_LABELLED)
        order = np.argsort(draws.labels, kind="stable")
        self._members = np.asarray(pool)[order]
        self._labels = draws.labels[order]

    def draw(self, step):
        """Return the indices of a step, those at random first: see `StepSampler`."""
        if step < self._draws.delay:
            return self._before.indices([step])[0]
        classes = self._draws.classes(step)
        places = np.arange(self._count)
        # Where the classes do not divide the images, each has its turn to have one more.
        wanted = classes[(step * self._count + places) % len(classes)]
        starts, ends = (np.searchsorted(self._labels, wanted, side) for side in ("left", "right"))
        missing = starts == ends
        starts, ends = np.where(missing, 0, starts), np.where(missing, len(self._pool), ends)
        numbers = sampling.hashed(sampling.hashed(self._key, np.array([step])), places)
        drawn = self._members[starts + (numbers % (ends - starts).astype(np.uint64)).astype(int)]
        rest = [] if self._rest is None else [self._rest.indices([step])[0]]
        return np.concatenate([*rest, drawn])
