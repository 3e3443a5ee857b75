"""How far the confidence of a head with few labels is from its accuracy, by ways to calibrate it.

    python scripts/calibrations.py --dataset=folder:photos --architecture=network.keras \\
        --sup_per_class=10 --cross_validate=5 --seeds=3 --output=calibrations.json

For each seed, some images of each class keep their labels. A head is trained on them as
`--recipe=photos --cross_validate=K` trains it, and cross-validated. Its expected calibration error
(ECE) on all other images is measured at the temperature of each of the `WAYS`. Temperatures are
chosen without a label of these images.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

# Use the source tree of this script, whether it is installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import heads
from semisup.cli import flags


def main():
    """Parse the command line, measure all ways for all seeds, and write what was found."""
    parser = heads.parser(__doc__.splitlines()[0])
    parser.add_argument(
        "--sup_per_class", type=heads.positive, default=10, help="labels of each class"
    )
    parser.add_argument("--cross_validate", type=int, default=5, help="parts of the labels")
    arguments = parser.parse_args()

    from scripts import findings
    from semisup.task import TASK

    labels = {name: getattr(arguments, name) for name in ("sup_per_class", "cross_validate")}
    further = [f"--{name}={value}" for name, value in labels.items()]
    found = {**heads.origin(arguments), **labels, "seeds": {}}
    photographs = None
    for seed in range(arguments.seeds):
        config = heads.configuration(arguments, *further, f"--seed={seed}")
        photographs = photographs or heads.load(TASK, config, config.dataset)
        found["seeds"][seed] = measured = measure(config, photographs)
        print(f"seed {seed}: {measured}", flush=True)
        findings.write(arguments.output, found)
    for way in WAYS:
        errors, temperatures = (
            np.array([measured[part][way] for measured in found["seeds"].values()])
            for part in ("expected_calibration_error", "temperature")
        )
        print(f"{way:42s} ECE {findings.spread(errors)}  temperature {temperatures.mean():.2f}")


@dataclasses.dataclass(frozen=True)
class Labelled:
    """What is known of a trained run without a label of its other images.

    Attributes:
        features: (n, f) of all images.
        logits: (n, classes) of all images.
        rows: (l,) the labelled ones.
        labels: (l,) their labels.
        held_out: `logits` and `labels` of the labelled images, by the head that did not see them.
        seed: the seed.
    """

    features: np.ndarray
    logits: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    held_out: dict
    seed: int

    @property
    def others(self):
        """Logits of the images without labels."""
        return np.delete(self.logits, self.rows, axis=0)

    @property
    def held_out_accuracy(self):
        """Accuracy of the cross-validation."""
        predicted = np.argmax(self.held_out["logits"], axis=1)
        return np.mean(predicted == self.held_out["labels"])


def _not_at_all(known):
    return 1.0


def _held_out_logits(known):
    from semisup.run.calibration import fit_temperature

    return fit_temperature(known.held_out["logits"], np.array(known.held_out["labels"]))


def _held_out_confidence(known):
    from semisup.run.calibration import match_confidence

    return match_confidence(known.held_out["logits"], known.held_out_accuracy)


def _confidence(known):
    from semisup.run.calibration import match_confidence

    return match_confidence(known.others, known.held_out_accuracy)


def _logistic_regression(known):
    from semisup.run.calibration import calibrate_by_features
    from semisup.run.directory import RunDirectory

    with tempfile.TemporaryDirectory() as folder:
        run, features = RunDirectory(folder), known.features[known.rows]
        found = calibrate_by_features(run, 0, features, known.labels, known.others, known.seed)
    return found.temperature


WAYS = {
    "not calibrated": _not_at_all,
    "cross-entropy of held-out logits": _held_out_logits,
    "confidence on held-out images": _held_out_confidence,
    "confidence on others": _confidence,
    "confidence on others, logistic regression": _logistic_regression,
}
"""Each is a function of a `Labelled` that returns a temperature."""


def measure(config, photographs):
    """Train and cross-validate, and measure all ways.

    Args:
        config: the configuration of the training.
        photographs: the `Photographs`, of which some keep their labels.

    Returns:
        Dictionary with `accuracy` in % on the images without labels, the cross-validated one, and
        for each way `temperature` and `expected_calibration_error` in %.
    """
    from semisup.run import calibration
    from semisup.task import TASK

    trainings = heads.Heads(TASK, config, photographs, unlabelled=photographs)
    rows = np.concatenate(trainings.data.class_pools)
    held_out = {"logits": [], "labels": []}
    for fold in range(1, config.cross_validate + 1):
        part = photographs.chosen(trainings.data.fold(fold).record["held_out_indices"])
        held_out["logits"].extend(trainings.predictor(fold)(part))
        held_out["labels"].extend(part.labels)
    known = Labelled(
        photographs.features[:, 0],
        trainings.predictor()(photographs),
        rows,
        photographs.labels[rows],
        held_out,
        config.seed,
    )
    truth = np.delete(photographs.labels, rows)
    measured = {
        "accuracy": 100 * float(np.mean(known.others.argmax(axis=1) == truth)),
        "cross_validated_accuracy": 100 * float(known.held_out_accuracy),
        "temperature": {},
        "expected_calibration_error": {},
    }
    for name, way in WAYS.items():
        temperature = float(way(known))
        probabilities = calibration.Calibration(temperature).probabilities(known.others)
        error = calibration.expected_calibration_error(probabilities, truth)
        measured["temperature"][name] = temperature
        measured["expected_calibration_error"][name] = 100 * error
    return measured


if __name__ == "__main__":
    flags.guard(main, program="calibrations")
