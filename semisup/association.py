"""Learning by association: walks from labelled to unlabelled embeddings and back.

A walker starts at a labelled example, steps to an unlabelled one along softmaxed similarities, and
steps back. The *walker loss* asks that it ends in the class it began in; the *visit loss* asks that
every unlabelled example is visited equally often (thesis chapter 3, section 3.1).

Notation, as in the thesis: `a` (n, d) labelled embeddings, `b` (m, d) unlabelled embeddings,
`p_ab` (n, m) the probabilities of the first step, `p_ba` (m, n) those of the step back, `p_aba`
(n, n) those of the round trip. Everything is computed in float32, whatever the embeddings' type.

References:
    Haeusser, Mordvintsev, Cremers: Learning by Association, CVPR 2017. The numbers of equations are
    those of chapter 3 of the thesis.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from semisup.cli import choices
from semisup.embeddings import blocked_association
from semisup.embeddings.labels import class_numbers, have_shares, shares_of_each
from semisup.embeddings.measures import check_measure, known_size, shares_of, similarities
from semisup.embeddings.types import LossWeight, Tensor
from semisup.similarity import SimilarityTerm, loss_weight

EPSILON = 1e-8
"""Added to a probability before its logarithm, as the authors did; caps a row's loss at 18.4."""

BLOCKED_PAIRS = 2**20
"""Pairs n * m from which `association_loss` and `Association` walk block by block.

The losses are the same, see `semisup.embeddings.blocked_association`: memory grows with n + m
alone, and time with the pairs of the same class. It asks that the sizes of both batches are known
when the step is compiled.
"""


def transition_probabilities(
    a: Tensor, b: Tensor, measure: str = "dot", temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Compute the probabilities of steps to unlabelled examples, and of steps back (eq. 2).

    Args:
        a: (n, d) float embeddings of labelled examples.
        b: (m, d) float embeddings of unlabelled examples.
        measure: similarity, see `measures.similarities`.
        temperature: see `measures.similarities`.

    Returns:
        `p_ab` (n, m) and `p_ba` (m, n), float32; the rows of each sum to 1.

    Raises:
        ValueError: see `measures.similarities`.

    Example:
        >>> a, b = [[4.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        >>> p_ab, p_ba = semisup.transition_probabilities(a, b)
        >>> np.round(p_ab, 2)
        array([[0.5 , 0.01, 0.5 ],
               [0.01, 0.5 , 0.5 ]], dtype=float32)
        >>> np.round(p_ba, 2)
        array([[0.98, 0.02],
               [0.02, 0.98],
               [0.5 , 0.5 ]], dtype=float32)
    """
    matrix = similarities(a, b, measure, temperature)
    return ops.softmax(matrix, axis=1), ops.softmax(ops.transpose(matrix), axis=1)


def round_trip_probabilities(p_ab: Tensor, p_ba: Tensor) -> Tensor:
    """Compute the probabilities of round trips from one labelled example to another (eq. 3).

    Args:
        p_ab: (n, m) probabilities of the step to the unlabelled examples.
        p_ba: (m, n) probabilities of the step back.

    Returns:
        `p_aba` (n, n); its rows sum to 1.

    Example:
        >>> p_ab, p_ba = [[0.8, 0.2], [0.0, 1.0]], [[1.0, 0.0], [0.5, 0.5]]
        >>> np.round(semisup.round_trip_probabilities(p_ab, p_ba), 2)
        array([[0.9, 0.1],
               [0.5, 0.5]], dtype=float32)
    """
    return ops.matmul(p_ab, p_ba)


def visit_probabilities(p_ab: Tensor, weights: Tensor | None = None) -> Tensor:
    """Compute the probability of visiting each unlabelled example, from any labelled one (eq. 9).

    Args:
        p_ab: (n, m) probabilities of the step to the unlabelled examples.
        weights: (n,) how much each labelled example counts; None: all alike.

    Returns:
        (m,) probabilities that sum to 1.

    Example:
        >>> np.round(semisup.visit_probabilities([[0.8, 0.2], [0.0, 1.0]]), 2)
        array([0.4, 0.6], dtype=float32)
    """
    if weights is None:
        return ops.mean(p_ab, axis=0)
    return ops.matmul(shares_of(weights), p_ab)


def target_distribution(labels: Tensor) -> Tensor:
    """Compute the uniform distribution over the labelled examples of the same class (eq. 7).

    Args:
        labels: (n,) integers, in any order, with any number of examples of a class.

    Returns:
        (n, n) float32; its rows sum to 1.
    """
    same_class = _same_class(class_numbers(labels, ops.convert_to_tensor(labels)))
    return same_class / ops.sum(same_class, axis=1, keepdims=True)


def walker_loss(
    a: Tensor, b: Tensor, labels: Tensor, measure: str = "dot", temperature: float = 1.0
) -> Tensor:
    """Compute the walker loss: do round trips end in the class they began in? (eq. 6-7)

    It is the cross-entropy of the round trips, from each labelled example to an unlabelled one and
    back, against walks that end at any example of the class they began in.

    Args:
        a: (n, d) float embeddings of labelled examples.
        b: (m, d) float embeddings of unlabelled examples.
        labels: (n,) integer classes of `a`.
        measure: similarity, see `measures.similarities`.
        temperature: see `measures.similarities`.

    Returns:
        Scalar float32, at least H(T), the entropy of the target: log 10 with ten examples of
        each class.

    Raises:
        ValueError: if embeddings and labels don't fit together; see `measures.similarities`.

    Example:
        >>> a, b = [[9.0, 0.0], [0.0, 9.0]], [[1.0, 0.0], [0.0, 1.0]]
        >>> round(float(semisup.walker_loss(a, b, labels=[0, 1])), 3)
        0.0
        >>> round(float(semisup.walker_loss(a, [[1.0, 1.0], [1.0, 1.0]], labels=[0, 1])), 3)
        0.693
    """
    p_ab, p_ba = transition_probabilities(a, b, measure, temperature)
    p_aba = round_trip_probabilities(p_ab, p_ba)
    return _walker_loss(p_aba, target_distribution(class_numbers(labels, p_aba)))


def visit_loss(a: Tensor, b: Tensor, measure: str = "dot", temperature: float = 1.0) -> Tensor:
    """Compute the visit loss: are all unlabelled examples visited alike? (eq. 8-10)

    It is the cross-entropy of the probabilities of visits against the uniform distribution.

    Args:
        a: (n, d) float embeddings of labelled examples.
        b: (m, d) float embeddings of unlabelled examples.
        measure: similarity, see `measures.similarities`.
        temperature: see `measures.similarities`.

    Returns:
        Scalar float32, at least log m.

    Raises:
        ValueError: see `measures.similarities`.

    Example:
        >>> a = [[9.0, 0.0], [0.0, 9.0]]
        >>> alike = semisup.visit_loss(a, [[1.0, 0.0], [0.0, 1.0]])
        >>> round(float(alike), 3)  # log 2
        0.693
        >>> missed = semisup.visit_loss(a, [[1.0, 1.0], [0.0, 0.0]])
        >>> bool(missed > alike)
        True
    """
    p_ab, _ = transition_probabilities(a, b, measure, temperature)
    return _visit_loss(p_ab)


def association_loss(
    a: Tensor,
    b: Tensor,
    labels: Tensor,
    walker_weight: float = 1.0,
    visit_weight: float = 1.0,
    measure: str = "dot",
    temperature: float = 1.0,
) -> Tensor:
    """Compute the weighted sum of walker and visit loss (eq. 5 less the classification loss).

    Args:
        a: (n, d) float embeddings of labelled examples.
        b: (m, d) float embeddings of unlabelled examples.
        labels: (n,) integer classes of `a`.
        walker_weight: weight of the walker loss.
        visit_weight: weight of the visit loss; lower it where the classes of the unlabelled
            examples differ from those of the labelled ones.
        measure: similarity, see `measures.similarities`.
        temperature: see `measures.similarities`.

    Returns:
        Scalar float32.

    Raises:
        ValueError: if embeddings and labels don't fit together; see `measures.similarities`.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> a, b = generator.normal(size=(4, 8)), generator.normal(size=(6, 8))
        >>> loss = semisup.association_loss(a, b, labels=[0, 0, 1, 1], visit_weight=0.5)
        >>> round(float(loss), 3)
        3.328
    """
    a, b = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    walker, visit, *_ = _walk_values(a, b, class_numbers(labels, a), measure, temperature)
    return walker_weight * walker + visit_weight * visit


def round_trip_accuracy(p_aba: Tensor, labels: Tensor) -> Tensor:
    """Estimate from round trips how often a single step leads to the right class.

    It is the mean square root of the probability that a round trip ends in the class it began in:
    the root, since a round trip takes two steps.

    Args:
        p_aba: (n, n) round-trip probabilities.
        labels: (n,) integer classes.

    Returns:
        Scalar float32 in [0, 1].

    Raises:
        ValueError: if there is not one label for each row.

    Example:
        >>> p_aba = [[0.5, 0.31, 0.19], [0.4, 0.41, 0.19], [0.36, 0.0, 0.64]]
        >>> round(float(semisup.round_trip_accuracy(p_aba, labels=[0, 0, 1])), 3)
        0.867
    """
    p_aba = ops.convert_to_tensor(p_aba)
    same_class = _same_class(class_numbers(labels, p_aba))
    return ops.mean(ops.sqrt(ops.sum(p_aba * same_class, axis=1)))


@keras.saving.register_keras_serializable(package="semisup")
class Association(SimilarityTerm):
    """The association of a labelled with an unlabelled batch, as a similarity term of a model.

    For custom training steps, `loss` returns the weighted sum of its losses.

    The dot product, which the papers and the functions of this module take by default, suits
    networks whose embeddings begin small. Those of other networks can have dot products in the
    hundreds: each step of a walk is certain, both losses stay at their cap, and nothing is learnt
    from them. So a term takes the cosine by default, whose walks are soft whatever the embeddings'
    lengths.

    Args:
        walker_weight: weight of the walker loss: a number, or a schedule of the step.
        visit_weight: likewise, of the visit loss.
        measure: similarity, see `measures.similarities`.
        temperature: see `measures.similarities`; None: 0.1 for the cosine, otherwise 1.
        class_shares: for each class, its share of the unlabelled examples, as far as that is known.
            The visit loss then counts labelled examples so that their classes have these shares,
            and all unlabelled examples can be visited alike; it is not a number where a label is
            none of the classes. None: it counts all alike.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: see `measures.similarities`.

    Example:
        >>> term = semisup.Association(visit_weight=semisup.Envelope(0.5, "linear", steps=100))
        >>> generator = np.random.default_rng(0)
        >>> a, b = generator.normal(size=(4, 8)), generator.normal(size=(6, 8))
        >>> [round(float(term.loss(a, b, [0, 0, 1, 1], step)), 3) for step in (0, 100)]
        [3.608, 4.63]
    """

    loss_names = ("walker_loss", "visit_loss")
    walker_weight = loss_weight("walker_loss")
    visit_weight = loss_weight("visit_loss")
    statistics_names = ("walker_loss_above_floor", "visit_loss_above_floor", "round_trip_accuracy")

    def __init__(
        self,
        walker_weight: LossWeight = 1.0,
        visit_weight: LossWeight = 1.0,
        measure: str = "cosine",
        temperature: float | None = None,
        class_shares: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__({"walker_loss": walker_weight, "visit_loss": visit_weight}, **kwargs)
        if temperature is None:
            temperature = choices.TEMPERATURES.get(measure, 1.0)
        check_measure(measure, temperature)
        self.measure = measure
        self.temperature = temperature
        self.class_shares = None if class_shares is None else [float(x) for x in class_shares]
        if class_shares is not None:
            finite = all(0 <= share < math.inf for share in self.class_shares)
            if not (finite and sum(self.class_shares)):
                raise ValueError("class_shares have to be at least 0, and not all of them 0")

    def call(self, a, b, labels=None):
        """Compute the losses and statistics of one pair of batches.

        Args:
            a: (n, d) float embeddings of labelled examples.
            b: (m, d) float embeddings of unlabelled examples.
            labels: (n,) integer classes of `a`.

        Returns:
            Two dictionaries of float32 scalars: the unweighted losses, and the statistics. Each
            loss above its floor (walker - H(T), visit - log m) is 0 at best whatever the sizes of
            the batches.

        Raises:
            ValueError: if embeddings and labels don't fit together, or it is known before they are
                computed with that a label has no share.
        """
        labels = class_numbers(labels, a)
        walker, visit, entropy, accuracy = _walk_values(
            a, b, labels, self.measure, self.temperature, self.class_shares
        )
        if self.class_shares is not None:
            visit = ops.where(have_shares(labels, self.class_shares), visit, float("nan"))
        losses = {"walker_loss": walker, "visit_loss": visit}
        m = known_size(b)
        floor = math.log(m) if m else ops.log(ops.cast(ops.shape(b)[0], "float32"))
        statistics = (walker - entropy, visit - floor, accuracy)
        return losses, dict(zip(self.statistics_names, statistics, strict=True))

    def check_classes(self, num_classes):
        """Check that there is a share for each class: see `SimilarityTerm`."""
        if self.class_shares is not None and len(self.class_shares) != num_classes:
            raise ValueError(
                f"there are {len(self.class_shares)} class_shares for {num_classes} classes"
            )

    def get_config(self):
        """Return the arguments of the constructor, schedules serialised."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "walker_weight": serialize(self.loss_weights["walker_loss"]),
            "visit_weight": serialize(self.loss_weights["visit_loss"]),
            "measure": self.measure,
            "temperature": self.temperature,
            "class_shares": self.class_shares,
        }


def _walk_values(a, b, labels, measure, temperature, class_shares=None):
    """Return walker and visit loss, the target's entropy and the round-trip accuracy.

    The labels are `class_numbers`.
    """
    n, m = known_size(a), known_size(b)
    if None not in (n, m) and n * m >= BLOCKED_PAIRS:
        return blocked_association.walk_values(
            a, b, labels, measure, temperature, EPSILON, class_shares
        )
    p_ab, p_ba = transition_probabilities(a, b, measure, temperature)
    p_aba = round_trip_probabilities(p_ab, p_ba)
    target = target_distribution(labels)
    # The target is uniform over its support, so its entropy is the log of the support's size.
    entropy = ops.mean(-ops.log(ops.max(target, axis=1)))
    accuracy = round_trip_accuracy(p_aba, labels)
    weights = None
    if class_shares is not None:
        # An example counts as its class does, divided by the examples of the class.
        weights = shares_of_each(class_shares, labels) * ops.max(target, axis=1)
    return _walker_loss(p_aba, target), _visit_loss(p_ab, weights), entropy, accuracy


def _same_class(labels):
    return ops.cast(ops.equal(labels[:, None], labels[None, :]), "float32")


def _cross_entropy(target, probabilities):
    # Probabilities plus epsilon don't sum to 1: the authors' code normalises them again.
    log_probabilities = ops.log_softmax(ops.log(probabilities + EPSILON), axis=-1)
    return ops.mean(-ops.sum(target * log_probabilities, axis=-1))


def _walker_loss(p_aba, target):
    return _cross_entropy(target, p_aba)


def _visit_loss(p_ab, weights=None):
    return -ops.mean(ops.log_softmax(ops.log(visit_probabilities(p_ab, weights) + EPSILON)))
