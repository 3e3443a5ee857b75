"""Probabilities that mean what they say: temperature scaling and the expected calibration error.

A network that has learnt its few labels by heart is surer than it is right. Dividing its logits by
one number, the temperature, changes no decision, and lets its probabilities be right on average
(Guo et al. 2017, "On calibration of modern neural networks").
"""

import dataclasses
import logging
from typing import Annotated, NotRequired, TypedDict

import numpy as np
from msgspec import Meta

from semisup.run import checkpoints, evaluation
from semisup.run.features import centred
from semisup.run.file_types import Count, Fraction

_logger = logging.getLogger(__name__)

FILE = "calibration.json"

BINS = 15

_LIMITS = (0.01, 100.0)
"""The least and the greatest temperature."""

_PARTS = 5
_FEWEST = 30
"""Images without labels, at least, whose confidence is matched."""


class CalibrationFile(TypedDict):
    """`calibration.json`."""

    temperature: Annotated[float, Meta(ge=1e-3, le=1e3)]
    step: Count
    fitted_on: str
    images: NotRequired[Count]
    expected_calibration_error: NotRequired[Fraction]
    uncalibrated_error: NotRequired[Fraction]
    expected_accuracy: NotRequired[Fraction]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The temperature of a model.

    Attributes:
        temperature: what divides the logits; 1 leaves them as they are.
        fitted_on: the labelled images that it was fitted on, in words; empty if there were none.
    """

    temperature: float = 1.0
    fitted_on: str = ""

    def probabilities(self, logits):
        """Compute the float64 probabilities of (n, classes) logits."""
        return evaluation.probabilities(np.asarray(logits, "float64") / self.temperature)

    def describe(self):
        """Say in a line where the probabilities come from."""
        if not self.fitted_on:
            return "the probabilities are not calibrated: no labels were held out"
        return f"probabilities calibrated on {self.fitted_on} (temperature {self.temperature:.3g})"


def expected_calibration_error(probabilities, labels, bins=BINS):
    """Compute how far the confidence of predictions is from their accuracy (ECE).

    The predictions are put into bins of equal width by their confidence, the probability of the
    class that is predicted. The error is the mean distance between confidence and accuracy of a
    bin, weighted by its number of predictions.

    Args:
        probabilities: (n, classes) float.
        labels: (n,) int.
        bins: number of bins.

    Returns:
        Float in [0, 1]; 0 where confidence is what it says, or there is no prediction.
    """
    if not len(labels):
        return 0.0
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    differences = np.bincount(numbers, weights=right - confidence, minlength=bins)
    return float(np.abs(differences).sum() / len(labels))


def fit_temperature(logits, labels):
    """Find the temperature with the least cross-entropy.

    A few images that are all classified right would make any model perfectly sure. So the truth
    about one of n images counts as certain to n + 1 in n + 2 (Platt 1999).

    Args:
        logits: (n, classes) float, of images whose labels the training did not see.
        labels: (n,) int.

    Returns:
        Float in [0.01, 100]; 1 where there is no image.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits, count = np.asarray(logits, "float64"), len(labels)
    if not count:
        return 1.0
    doubt = _doubt(count)
    truth = np.full(logits.shape, doubt / (logits.shape[1] - 1))
    truth[np.arange(count), labels] = 1 - doubt

    def cross_entropy(logarithm):
        return -(truth * log_softmax(logits / np.exp(logarithm), axis=1)).sum() / count

    found = minimize_scalar(cross_entropy, bounds=np.log(_LIMITS), method="bounded")
    return float(np.exp(found.x))


def _doubt(count):
    """Return what is left of certainty where all of some images are classified right."""
    return 1 / (count + 2)


def match_confidence(logits, accuracy):
    """Find the temperature at which the mean confidence is an accuracy that is known otherwise.

    Args:
        logits: (n, classes) float, of images whose labels need not be known.
        accuracy: share of right predictions that is expected of them.

    Returns:
        Float in [0.01, 100]; 1 where there is no image.
    """
    from scipy.optimize import brentq

    if not len(logits):
        return 1.0

    def excess(logarithm):
        return Calibration(np.exp(logarithm)).probabilities(logits).max(axis=1).mean() - accuracy

    low, high = np.log(_LIMITS)
    # Confidence falls with the temperature, but not to any value.
    if excess(low) <= 0 or excess(high) >= 0:
        return _LIMITS[0] if excess(low) <= 0 else _LIMITS[1]
    return float(np.exp(brentq(excess, low, high, xtol=1e-4)))


def metrics(calibration, logits, labels, class_names):
    """Compute the metrics of a classification, and how far its confidence is from its accuracy.

    Args:
        calibration: the `Calibration` of the model.
        logits: (n, classes) float.
        labels: (n,) int.
        class_names: names of the classes.

    Returns:
        What `evaluation.metrics` returns, with `expected_calibration_error` and `temperature`.
    """
    found = calibration.probabilities(logits)
    return {
        **evaluation.metrics(labels, found.argmax(axis=1), class_names),
        "expected_calibration_error": expected_calibration_error(found, labels),
        "temperature": calibration.temperature,
    }


def calibrate(run, step, logits, labels, fitted_on):
    """Fit a temperature, and write `calibration.json` into a run if its model is the newest.

    Args:
        run: a `RunDirectory`.
        step: step of the model.
        logits: (n, classes) float, of images whose labels the training did not see.
        labels: (n,) int.
        fitted_on: what these images are, in words.

    Returns:
        A `Calibration`.
    """
    fitted = Calibration(fit_temperature(logits, labels), f"{len(labels):,} {fitted_on}")
    before, after = (
        expected_calibration_error(each.probabilities(logits), labels)
        for each in (Calibration(), fitted)
    )
    content = {
        "temperature": fitted.temperature,
        "step": step,
        "fitted_on": fitted.fitted_on,
        "images": len(labels),
        "uncalibrated_error": before,
        "expected_calibration_error": after,
    }
    try:
        if _newest(run) in (None, step):
            run.write_json(FILE, content)
    except OSError as error:
        # Who predicts with a run of somebody else's needs only to read it.
        _logger.warning("%s: %s; the temperature is not kept", error.filename, error.strerror)
    return fitted


def calibrate_by_features(run, step, features, labels, logits, seed):
    """Write a temperature into a run that has a frozen network and no held-out labels.

    How right a classifier of the features is, is known of a logistic regression, which takes a
    moment to cross-validate. The head is taken to be as right, and made as sure on images without
    labels. All of l labels right count as l + 1 of l + 2, so that nothing becomes perfectly sure.

    Args:
        run: a `RunDirectory`.
        step: step of the model.
        features: (l, f) float, of the labelled images.
        labels: (l,) int.
        logits: (n, classes) float of the model, of images that it was trained on without labels.
        seed: seed of the parts of the cross-validation.

    Returns:
        A `Calibration`; of temperature 1, and not written, where a class has a single label or
        there are fewer than 30 images without labels.
    """
    parts = min(np.bincount(labels).min(), _PARTS)
    if parts < 2 or len(logits) < _FEWEST:
        return Calibration()
    found = _cross_validated_accuracy(features, labels, int(parts), seed)
    accuracy = min(found, 1 - _doubt(len(labels)))
    fitted = Calibration(
        match_confidence(logits, accuracy), f"{len(logits):,} unlabelled images, by their features"
    )
    content = {"temperature": fitted.temperature, "step": step, "fitted_on": fitted.fitted_on}
    run.write_json(FILE, {**content, "expected_accuracy": accuracy})
    return fitted


def _cross_validated_accuracy(features, labels, parts, seed):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from threadpoolctl import threadpool_limits

    (inputs,) = centred(features[None])
    folds = StratifiedKFold(parts, shuffle=True, random_state=seed)
    model = LogisticRegression(C=10.0, max_iter=300)
    # The matrices are small: several threads would mostly wait for each other.
    with threadpool_limits(limits=1):
        return float(cross_val_score(model, inputs, labels, cv=folds).mean())


def read(run, step=None):
    """Read the calibration of a run's model.

    Args:
        run: a `RunDirectory`.
        step: step of the model, or None for the newest checkpoint's.

    Returns:
        A `Calibration`, or None if there is none of this step.

    Raises:
        UserError: if `calibration.json` is damaged.
    """
    content = run.read_json(FILE, CalibrationFile)
    wanted = _newest(run) if step is None else step
    if content is None or wanted not in (None, content["step"]):
        return None
    return Calibration(content["temperature"], content["fitted_on"])


def _newest(run):
    """Return the step of a run's newest checkpoint, or None if it has none."""
    return max(checkpoints.list_steps(run.checkpoints), default=None)
