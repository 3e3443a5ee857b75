"""The association of large batches, exact, without a matrix of all pairs.

Labelled embeddings are sorted by class and cut into blocks of rows. The similarities of a block and
all unlabelled embeddings are computed when they are needed, and forgotten. So memory is linear in
the sizes of the batches. Round trips are computed only from a block to itself and to the blocks
that its first and its last class reach into, where the loss asks for them.

Three passes over the blocks are made. The first finds the normalisation of the softmaxes and the
probabilities of visits; the second, the losses, and what the gradients of all blocks share; the
third, at differentiation, the gradients.

Notation is that of `semisup.association`; `p_ba` of a block is transposed, (rows, m), so that each
row belongs to a labelled example. The losses depend on a round trip through `log(p + epsilon)`. The
authors normalise these sums again, which adds a constant, because probabilities sum to 1.
"""

import math
from collections.abc import Sequence

from keras import ops

from semisup.embeddings.labels import shares_of_each
from semisup.embeddings.measures import factors, shares_of
from semisup.embeddings.types import Tensor

ROWS = 64
"""Labelled embeddings in a block."""

_NEVER = -3e38
"""Added to the similarities of rows that fill up the last block: as low as float32 goes."""


def walk_values(
    a: Tensor,
    b: Tensor,
    labels: Tensor,
    measure: str,
    temperature: float,
    epsilon: float,
    class_shares: Sequence[float] | None = None,
    rows: int = ROWS,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute walker and visit loss, and the statistics of the walks.

    Args:
        a: (n, d) float embeddings of labelled examples; n and m have to be known.
        b: (m, d) float embeddings of unlabelled examples.
        labels: (n,) integer classes of `a`, in any order.
        measure: see `measures.similarities`.
        temperature: see `measures.similarities`.
        epsilon: added to a probability before its logarithm.
        class_shares: see `semisup.Association`.
        rows: labelled embeddings in a block.

    Returns:
        Four float32 scalars: walker loss, visit loss, entropy of the walker loss' target, and
        round-trip accuracy. The statistics have no gradient.

    Raises:
        ValueError: see `measures.similarities`.
    """
    x, y = factors(a, b, measure, temperature)
    rows = min(rows, x.shape[0])
    order = ops.argsort(labels)
    blocks = _Blocks(ops.take(labels, order), y.shape[0], epsilon, class_shares, rows)
    x = blocks.cut(ops.take(x, order, axis=0))

    @ops.custom_gradient
    def values(x, y):
        walks = _Walks(blocks, x, y)

        def gradient(*args, upstream=None):
            return walks.gradients(args[0] if upstream is None else upstream)

        return walks.values, gradient

    walker, visit, accuracy = ops.unstack(values(x, y))
    return walker, visit, blocks.entropy, accuracy


class _Blocks:
    """Which labelled examples each block has, and which other blocks their classes reach into.

    Args:
        labels: (n,) integers, sorted.
        m: number of unlabelled examples.
        epsilon: see `walk_values`.
        class_shares: see `walk_values`.
        rows: labelled examples in a block.
    """

    def __init__(self, labels, m, epsilon, class_shares, rows):
        self.n, self.m, self.epsilon, self.rows = labels.shape[0], m, epsilon, rows
        self.count = -(-self.n // rows)
        starts = ops.cast(ops.searchsorted(labels, labels, side="left"), "int32")
        ends = ops.cast(ops.searchsorted(labels, labels, side="right"), "int32")
        self.is_full = self.count * rows == self.n
        # A class is known by the place where it starts.
        self.classes = self.cut(starts, -1)
        sizes = ops.cast(ends - starts, "float32")
        self.entropy = ops.mean(ops.log(sizes))
        self.weights = self.cut(1.0 / (sizes * self.n))
        self.exists = self.cut(ops.ones((self.n,), "float32"))
        self.visiting = self.exists / self.n
        if class_shares is not None:
            self.visiting = self.cut(shares_of(shares_of_each(class_shares, labels) / sizes))
        self.first = self.classes[:, 0] // rows
        self.last = (self.cut(ends, self.n)[:, -1] - 1) // rows

    def cut(self, values, filling=0):
        """Cut (n, ...) values into (count, rows, ...), the last block filled up."""
        if not self.is_full:
            missing = [(0, self.count * self.rows - self.n)] + [(0, 0)] * (len(values.shape) - 1)
            values = ops.pad(values, missing, constant_values=filling)
        return ops.reshape(values, (self.count, self.rows, *values.shape[1:]))

    def sum_over(self, body, initial):
        """Fold `body(block, values)` over the numbers of all blocks."""
        return ops.fori_loop(0, self.count, body, initial)

    def sum_over_others(self, block, body, initial):
        """Fold `body(other, *values)` over the other blocks with classes of a block."""

        def advance(place, *values):
            other = ops.where(place < block, place, place + 1)
            return (place + 1, *body(other, *values))

        last = self.last[block]
        _, *values = ops.while_loop(
            lambda place, *_: place < last, advance, (self.first[block], *initial)
        )
        return values

    def reward(self, block, other, p):
        """Compute how good round trips between two blocks are.

        Args:
            block: number of the block in which they begin.
            other: number of the block in which they end.
            p: (rows, rows) their probabilities.

        Returns:
            The walker loss that they add; its gradient (rows, rows) at `p`; and the probability
            (rows,) of ending in the class that they began in.
        """
        beginnings, ends = self.classes[block][:, None], self.classes[other][None, :]
        same = ops.cast(ops.logical_and(ops.equal(beginnings, ends), ends >= 0), "float32")
        weights = self.weights[block][:, None] * same
        loss = -ops.sum(weights * ops.log(p + self.epsilon))
        return loss, -weights / (p + self.epsilon), ops.sum(p * same, axis=1)


class _Walks:
    """The walks of two batches: their losses, and then the gradients.

    Args:
        blocks: the `_Blocks` of the labelled batch.
        x: (count, rows, k) float32, whose dot products with `y` are the similarities.
        y: (m, k) float32.

    Attributes:
        values: (3,) float32: walker loss, visit loss and round-trip accuracy.
    """

    def __init__(self, blocks, x, y):
        self.blocks, self.x, self.y = blocks, x, y
        self._columns = ops.transpose(y)
        self._normalize()
        self._compute_values()

    def _similarities(self, block):
        matrix = ops.matmul(self.x[block], self._columns)
        if self.blocks.is_full:
            return matrix
        return matrix + (1.0 - self.blocks.exists[block][:, None]) * _NEVER

    def _steps(self, block):
        """Return `p_ab` and `p_ba` of a block, both (rows, m)."""
        matrix = self._similarities(block)
        return ops.exp(matrix - self.log_rows[block][:, None]), ops.exp(matrix - self.log_columns)

    def _normalize(self):
        """Find the logarithms of the softmaxes' denominators, and how often each is visited."""
        blocks = self.blocks

        def add(block, values):
            log_rows, peaks, sums, visits = values
            matrix = self._similarities(block)
            highest = ops.max(matrix, axis=1, keepdims=True)
            exponentials = ops.exp(matrix - highest)
            totals = ops.sum(exponentials, axis=1)
            visits += ops.matmul((blocks.visiting[block] / totals)[None, :], exponentials)[0]
            log_rows = _put(log_rows, block, highest[:, 0] + ops.log(totals))
            higher = ops.maximum(peaks, ops.max(matrix, axis=0))
            sums = sums * ops.exp(peaks - higher) + ops.sum(ops.exp(matrix - higher), axis=0)
            return log_rows, higher, sums, visits

        zeros = ops.zeros((blocks.m,), "float32")
        initial = (ops.zeros_like(blocks.weights), zeros + _NEVER, zeros, zeros)
        self.log_rows, peaks, sums, self.visits = blocks.sum_over(add, initial)
        self.log_columns = peaks + ops.log(sums)

    def _compute_values(self):
        blocks = self.blocks

        def add(block, values):
            loss, accuracy, shared = values
            p_ab, p_ba = self._steps(block)

            def meet(other, p_ba, loss, at_p_ab, hits):
                added, at_p, ended = blocks.reward(block, other, _product(p_ab, p_ba))
                return loss + added, at_p_ab + ops.matmul(at_p, p_ba), hits + ended

            met = meet(block, p_ba, loss, ops.zeros_like(p_ab), ops.zeros_like(p_ab[:, 0]))
            loss, at_p_ab, hits = blocks.sum_over_others(
                block, lambda other, *met: meet(other, self._steps(other)[1], *met), met
            )
            accuracy += ops.sum(blocks.exists[block] * ops.sqrt(hits))
            return loss, accuracy, shared + ops.sum(p_ab * at_p_ab, axis=0)

        zero = ops.zeros((), "float32")
        walker, accuracy, self._shared = blocks.sum_over(
            add, (zero, zero, ops.zeros_like(self.visits))
        )
        epsilon = blocks.epsilon
        walker += math.log1p(blocks.n * epsilon)
        visit = math.log1p(blocks.m * epsilon) - ops.mean(ops.log(self.visits + epsilon))
        self.values = ops.stack([walker, visit, accuracy / blocks.n])

    def gradients(self, upstream):
        """Compute the gradients of the losses at `x` and `y`.

        Args:
            upstream: (3,) float32; how a result changes with each value.

        Returns:
            The gradients of that result, in the shapes of `x` and `y`.
        """
        blocks = self.blocks
        at_walker, at_visit = upstream[0], upstream[1]
        at_visits = -at_visit / (blocks.m * (self.visits + blocks.epsilon))

        def add(block, values):
            at_x, at_y = values
            p_ab, p_ba = self._steps(block)

            def meet(other, from_other, to_other, at_p_ab, at_p_ba):
                _, away, _ = blocks.reward(block, other, _product(p_ab, to_other))
                _, home, _ = blocks.reward(other, block, _product(from_other, p_ba))
                at_p_ab += ops.matmul(away, to_other)
                at_p_ba += ops.matmul(ops.transpose(home), from_other)
                return at_p_ab, at_p_ba

            _, at_p, _ = blocks.reward(block, block, _product(p_ab, p_ba))
            met = ops.matmul(at_p, p_ba), ops.matmul(ops.transpose(at_p), p_ab)
            at_p_ab, at_p_ba = blocks.sum_over_others(
                block, lambda other, *met: meet(other, *self._steps(other), *met), met
            )
            at_p_ab = at_walker * at_p_ab + blocks.visiting[block][:, None] * at_visits
            at_p_ab -= ops.sum(p_ab * at_p_ab, axis=1, keepdims=True)
            # What all labelled examples add to a column of `p_ba` times its gradient is the same,
            # summed in another order, as what the second pass has found for `p_ab`.
            at_matrix = p_ab * at_p_ab + at_walker * p_ba * (at_p_ba - self._shared)
            at_x = _put(at_x, block, ops.matmul(at_matrix, self.y))
            return at_x, at_y + ops.matmul(ops.transpose(at_matrix), self.x[block])

        return blocks.sum_over(add, (ops.zeros_like(self.x), ops.zeros_like(self.y)))


def _product(p_ab, p_ba):
    return ops.matmul(p_ab, ops.transpose(p_ba))


def _put(values, block, row):
    """Replace a block's values."""
    return ops.slice_update(values, (block, *(0,) * len(row.shape)), row[None])
