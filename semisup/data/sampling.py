"""Batches that are a pure function of (seed, step).

Each pool of images (one per class for the labelled ones, one for the unlabelled) is passed over in
epochs, every epoch in an order of its own. A batch continues where the batch before it ended,
across epochs if need be. So a training that is resumed at a step sees exactly the batches it would
have seen, no iterator's state is saved, and hosts draw the same without talking to each other.
"""

import abc
import dataclasses
import threading

import numpy as np

VERSION = 2
"""Raised whenever a seed gives other batches, or holds out other images; 1 was not recorded."""

UNLABELLED, LABELLED, AMONG_UNLABELLED = 0, 1, 1 << 32
"""Streams of the unlabelled pool, of the first class, and of labelled images among unlabelled ones.
"""
CLASSES, WEAKLY_LABELLED = 2**40, 2**41
"""Streams of the classes of a batch, and of images drawn by weak labels; no class has them."""
_BLOCK = 8
"""Steps whose indices a pipeline computes at a time: a call from TensorFlow costs more than one."""


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of every batch that one of several hosts reads; by default all of it.

    Attributes:
        host: number of the host, from 0 on.
        hosts: number of all hosts.
    """

    host: int = 0
    hosts: int = 1

    def rows(self, size, first=0, whole=None):
        """Return which of some examples of a batch are in the share.

        Args:
            size: number of the examples.
            first: place of the first of them in the batch.
            whole: size of the batch, by default that of the examples.

        Returns:
            A slice of the examples.
        """
        whole = size if whole is None else whole
        ends = (whole * place // self.hosts - first for place in (self.host, self.host + 1))
        return slice(*(min(max(end, 0), size) for end in ends))


WHOLE = Share()
"""All of every batch."""


class StepSampler(abc.ABC):
    """What a batch is drawn as: arrays of indices that are a function of the step.

    Attributes:
        shape: shape of what is drawn for a step.
    """

    shape: tuple[int, ...]

    @abc.abstractmethod
    def draw(self, step):
        """Return what is drawn for a step, an int64 array of `shape`."""

    def indices(self, steps):
        """Compute what is drawn for some steps.

        Args:
            steps: (k,) integers, at least 0, in any order.

        Returns:
            (k, *shape) int64 array.
        """
        return np.stack([self.draw(int(step)) for step in steps])

    def batches(self, first_step=0, rows=slice(None)):
        """Return the batches of all steps from one on: see `in_blocks`."""
        return in_blocks(self.indices, self.shape, first_step, rows)


class Sampler(StepSampler):
    """Draw indices from pools, without replacement within an epoch of a pool.

    Random numbers that are hashed from (seed, stream, epoch, place), with integers alone, sort the
    members of a pool into the order of an epoch: it is the same on every machine. The latest order
    of each pool is kept, so that a batch costs what it draws, however large the pools are. What is
    ordered at a time is a round: one epoch, or as many as a batch may need of a small pool.

    Args:
        pools: for each pool, its (n,) integer indices, at least one.
        draws: members of each pool in a batch; may exceed a pool, which then repeats within the
            batch.
        seed: seed of the training, at least 0.
        stream: number of the first pool. The others are numbered on from there; pools of different
            numbers are shuffled independently.

    Raises:
        ValueError: if there is no pool, or an empty one.
    """

    def __init__(self, pools, draws, seed, stream=0):
        members = np.array([len(pool) for pool in pools], dtype=np.int64)
        if not members.size or not members.all():
            raise ValueError("cannot draw from an empty pool")
        self.shape = (len(pools) * draws,)
        self._draws = draws
        self._epochs = -(-draws // members)
        self._sizes = members * self._epochs
        self._starts = np.cumsum(self._sizes) - self._sizes
        rounds = [np.tile(pool, n) for pool, n in zip(pools, self._epochs, strict=True)]
        self._members = np.concatenate(rounds).astype(np.int64)
        streams = np.arange(stream, stream + len(members))
        self._keys = key_of(seed, streams)
        self._orders = np.empty_like(self._members)
        self._rounds = np.full(len(members), -1)
        # Two pipelines may draw at once, each in a thread of its own.
        self._lock = threading.Lock()

    def indices(self, steps):
        """Compute the indices of some steps, ordered by pool; ascending ones are drawn fastest."""
        with self._lock:
            return super().indices(steps)

    def draw(self, step):
        """Return the indices of a step: see `StepSampler`."""
        rounds, first = np.divmod(step * self._draws, self._sizes)
        places = first[:, None] + np.arange(self._draws)
        starts, sizes = self._starts[:, None], self._sizes[:, None]
        self._shuffle(np.arange(len(rounds)), rounds)
        drawn = self._orders[starts + np.minimum(places, sizes - 1)]
        crossing = np.flatnonzero(places[:, -1] >= self._sizes)
        if len(crossing):
            self._shuffle(crossing, rounds[crossing] + 1)
            places = places[crossing] - sizes[crossing]
            following = self._orders[starts[crossing] + np.maximum(places, 0)]
            drawn[crossing] = np.where(places < 0, drawn[crossing], following)
        return drawn.ravel()

    def _shuffle(self, pools, rounds):
        """Make `_orders` that of the given rounds, for the given pools."""
        stale = self._rounds[pools] != rounds
        pools, rounds = pools[stale], rounds[stale]
        # Rows of a matrix are sorted much faster than one by one; none is padded to more than twice
        # its size.
        widths = np.frexp(self._sizes[pools])[1]
        for width in np.unique(widths):
            chosen = widths == width
            self._shuffle_rows(pools[chosen], rounds[chosen], np.uint64(width))
        self._rounds[pools] = rounds

    def _shuffle_rows(self, pools, rounds, bits):
        """Shuffle pools whose sizes have the same number of bits.

        Nothing may depend on which pools these are: resumed trainings meet them in other company.
        """
        sizes, starts, epochs = (
            values[pools, None] for values in (self._sizes, self._starts, self._epochs)
        )
        place = np.arange(sizes.max(), dtype=np.uint64)
        numbers = hashed(hashed(self._keys[pools], rounds)[:, None], place)
        # The epoch goes first; the place, last, comes back from the sort and leaves no ties.
        if epochs.max() > 1:
            epoch = place // (sizes // epochs).astype(np.uint64)
            numbers >>= np.where(epochs > 1, bits, np.uint64(0))
            numbers |= epoch << (np.uint64(64) - bits)
        numbers = (numbers >> bits << bits) | place
        exists = place < sizes
        numbers[~exists] = np.iinfo(np.uint64).max
        numbers.sort(axis=1)
        order = (numbers & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
        shuffled = self._members[(starts + order)[exists]]
        self._orders[(starts + np.arange(len(place)))[exists]] = shuffled


class ClassSampler(StepSampler):
    """Draw the classes of each batch, and a set number of members of each of their pools.

    Classes are drawn without replacement within an epoch of all classes, and members within an
    epoch of their pool, as a `Sampler` draws them. A class that ends one epoch and begins the next
    may be in a batch twice; other members of it then come.

    Args:
        pools: for each class, its (n_c,) integer indices, at least one.
        classes: number of classes in a batch, at most all.
        draws: members of each class in a batch.
        seed: seed of the training, at least 0.

    Attributes:
        size: examples in a batch.

    Raises:
        ValueError: if there is no class, or an empty one.
    """

    def __init__(self, pools, classes, draws, seed):
        self._count, self._draws = len(pools), draws
        self.size = classes * draws
        self.shape = (2, self.size)
        self._classes = Sampler([np.arange(len(pools))], classes, seed, CLASSES)
        self._members = Sampler(pools, draws, seed, LABELLED)

    def classes(self, step):
        """Return the classes (classes,) of the batch of a step, int64."""
        return self._classes.indices([step])[0]

    def draw(self, step):
        """Return the indices of a step, and their classes, (2, size): see `StepSampler`."""
        classes = self.classes(step)
        # In each epoch of the classes, every class is visited once.
        visits = (step * len(classes) + np.arange(len(classes))) // self._count
        members = np.empty((len(classes), self._draws), np.int64)
        for visit in np.unique(visits):
            drawn = self._members.indices([visit])[0].reshape(self._count, self._draws)
            members[visits == visit] = drawn[classes[visits == visit]]
        return np.stack([members.ravel(), np.repeat(classes, self._draws)])


def in_blocks(indices, shape, first_step, rows=slice(None)):
    """Return what a function draws for each step from one on.

    Args:
        indices: function from (k,) steps to a (k, *shape) int64 array.
        shape: shape of what is drawn for a step.
        first_step: the first step.
        rows: slice of the last axis that is wanted.

    Returns:
        An endless `tf.data.Dataset` of int64 tensors of that shape, or of such slices.
    """
    import tensorflow as tf

    def block(step):
        steps = step + tf.range(_BLOCK, dtype=tf.int64)
        drawn = tf.numpy_function(indices, [steps], tf.int64)
        return tf.ensure_shape(drawn, (_BLOCK, *shape))[..., rows]

    return tf.data.Dataset.counter(first_step, _BLOCK, dtype=tf.int64).map(block).unbatch()


def key_of(seed, stream):
    """Return the key (k,) of a stream, or of an array of streams, for `hashed`."""
    seeds = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return hashed(seeds, np.atleast_1d(stream))


def hashed(key, number):
    """Mix numbers into keys, as the generator SplitMix64 does.

    Args:
        key: uint64 array.
        number: array of integers at least 0, of a shape that broadcasts with it.

    Returns:
        uint64 array; evenly distributed over all 64 bits, whatever the numbers.
    """
    mixed = key + (number.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed
