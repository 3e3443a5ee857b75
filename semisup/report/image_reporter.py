"""The report on a classifier of images: metrics, the prediction of each image, and figures."""

import functools
import logging

import pandas

from semisup.cli.dataset_names import FOLDER, is_folder
from semisup.data import folders
from semisup.report import uncertainty
from semisup.report.reporting import Reporter, by_class
from semisup.run import calibration, cross_validation, loading

PREDICTION = ("image", "label", "predicted", "probability")

_logger = logging.getLogger(__name__)


class ImageReporter(Reporter):
    """The report on a classifier of images: see `Reporter`."""

    def __init__(self, settings, run, config, task, data, model):
        super().__init__(settings, run, config, task, data, model)
        self.class_names, self.labels = data.class_names, data.evaluation.labels
        self.calibration = calibration.Calibration()
        self.dropout_predictor = None
        if settings.mc_dropout:
            self.dropout_predictor = uncertainty.DropoutPredictor(
                model, settings.mc_dropout, config.seed, settings.eval_batch_size
            )

    def write(self, step):
        """Evaluate the model, and how sure it is if that was asked for: see `Reporter`."""
        content = super().write(step)
        if self.dropout_predictor is not None:
            _logger.info(uncertainty.text(content["mc_dropout"]))
            _logger.info("how sure of each image: %s", self.run.file("uncertainty.csv"))
        return content

    def measure(self):
        """Measure the model, and how sure it is if that was asked for: see `Reporter`."""
        content = self.measure_images()
        found = self.run.read_json("cross_validation.json")
        if found is not None and found["step"] == loading.step_of(self.model):
            content["cross_validation"] = {
                name: part for name, part in found.items() if name not in ("step", "settings")
            }
        if self.dropout_predictor is not None:
            content["mc_dropout"] = self._measure_uncertainty()
        return content

    def _measure_uncertainty(self):
        """Write `uncertainty.csv`, and return a summary over all images."""
        probabilities, entropy, information = self.dropout_predictor.measure(
            self.data.evaluation.images
        )
        predicted = probabilities.argmax(axis=1)
        self.run.write_table(
            "uncertainty.csv",
            ["image", "label", "predicted", "probability", "entropy", "mutual_information"],
            [
                [name, label, self.data.class_names[guess], *(f"{value:.6g}" for value in values)]
                for name, label, guess, *values in zip(
                    self.image_names,
                    self._label_names(),
                    predicted,
                    probabilities.max(axis=1),
                    entropy,
                    information,
                    strict=True,
                )
            ],
        )
        return uncertainty.summary(self.dropout_predictor.passes, entropy, self.mistakes(predicted))

    def _label_names(self):
        """Return the class name of each evaluated image; empty if no labels are known."""
        if self.labels is None:
            return [""] * len(self.data.evaluation.images)
        return [self.class_names[label] for label in self.labels]

    def evaluated(self):
        """Return data set and split that the evaluated images are of."""
        is_tested = self.data.evaluated_on == "test images"
        return self.config.dataset, self.config.test_split if is_tested else "train"

    @functools.cached_property
    def image_names(self):
        """What the evaluated images are called: the files of a folder, else their places."""
        dataset, split = self.evaluated()
        rows = self.data.evaluated_rows
        if is_folder(dataset):
            paths = folders.image_paths(
                dataset.removeprefix(FOLDER), split, skip_broken=self.config.skip_broken
            )
            return paths if rows is None else [paths[row] for row in rows]
        return range(len(self.data.evaluation.images)) if rows is None else rows

    def mistakes(self, predicted):
        """Return which images are given a wrong class.

        Args:
            predicted: (n,) int, places in the data's `class_names`, for the evaluated images.

        Returns:
            (n,) bool, or None if their classes are not known.
        """
        return predicted != self.labels

    def measure_images(self):
        """Measure the model's metrics, ready for JSON, and write `predictions.csv`.

        Where the evaluated images were held out, the probabilities are calibrated on them first.
        """
        evaluated = self.data.evaluation
        logits, _ = self.predictor.outputs(evaluated.images)
        step = loading.step_of(self.model)
        if self.config.holds_out:
            self.calibration = calibration.calibrate(
                self.run, step, logits, evaluated.labels, self.data.evaluated_on
            )
        else:
            self.calibration = calibration.read(self.run, step) or calibration.Calibration()
        self.write_predictions(logits)
        return self._metrics(logits, evaluated.labels)

    def write_predictions(self, logits):
        """Write `predictions.csv`: each evaluated image with its class and how probable that is.

        Args:
            logits: (n, classes) float, of the evaluated images.
        """
        probabilities = self.calibration.probabilities(logits)
        names, labels = self.image_names, self._label_names()
        self.write_rows(prediction_rows(names, labels, probabilities, self.data.class_names))

    def write_rows(self, rows):
        """Write `predictions.csv`, of rows that `prediction_rows` makes."""
        self.run.write_table("predictions.csv", PREDICTION, rows)

    def metrics_on(self, split):
        """Return the metrics of the model on a labelled split: see `evaluation.metrics`."""
        return self._metrics(self.predictor.outputs(split.images)[0], split.labels)

    def _metrics(self, logits, labels):
        return calibration.metrics(self.calibration, logits, labels, self.data.class_names)

    def scalars(self, content):
        """Return numbers for TensorBoard by their tags.

        Args:
            content: the metrics with the `step`.
        """
        return {
            self.data.error_name: content["error"],
            "expected_calibration_error": content["expected_calibration_error"],
            **by_class("accuracy", content["per_class_accuracy"]),
        }

    def text(self, content):
        """Return the text to print: see `scalars`."""
        lines = [f"step {content['step']}: {table(content)}", self.where()]
        return "\n".join([*lines, *self.cross_validated(content)])

    def cross_validated(self, content):
        """Return lines on the run's cross-validation, if it has one: see `text`."""
        found = content.get("cross_validation")
        return [] if found is None else ["", cross_validation.describe(found)]

    def where(self):
        """Return a line that says where the prediction of each image is."""
        return f"\nthe prediction of each image: {self.run.file('predictions.csv')}"

    def drawings(self):
        """Return functions that draw the run's figures, by name: see `illustration.drawings`."""
        from semisup.report import illustration

        return illustration.drawings(self.run, self.config, self.task, self.data, self.predictor)


def prediction_rows(images, labels, probabilities, class_names):
    """Return what is known of each image, as rows of a table with the columns `PREDICTION`.

    Args:
        images: names of the images.
        labels: names of their classes, empty where they are unknown.
        probabilities: (n, classes) float.
        class_names: names of the classes.
    """
    return [
        [name, label, class_names[row.argmax()], f"{row.max():.4f}"]
        for name, label, row in zip(images, labels, probabilities, strict=True)
    ]


def table(content):
    """Format metrics as a table for the screen.

    Args:
        content: what `evaluation.metrics` returned; its confusion matrix may have further columns
            that belong to no class.

    Returns:
        Lines of text: the error, and for each class its accuracy and its row of the confusion
        matrix, if that is not too wide.
    """
    accuracies = content["per_class_accuracy"]
    shown = [["-" if value is None else f"{100 * value:.2f} %"] for value in accuracies.values()]
    shown = pandas.DataFrame(shown, accuracies.keys(), ["accuracy"])
    matrix = pandas.DataFrame(content["confusion_matrix"], accuracies.keys())
    matrix.columns = [*(name[:6] for name in accuracies), *("-" * (matrix.shape[1] - len(matrix)))]
    shows_matrix = matrix.shape[1] <= 20
    if shows_matrix:
        shown = pandas.concat([shown, matrix], axis=1)
    note = ", and what its images are taken for" if shows_matrix else ""
    return (
        f"error {100 * content['error']:.2f} % of {content['images']} images"
        f"{calibration_note(content)}; the accuracy of each class{note}:\n\n{shown.to_string()}"
    )


def calibration_note(content):
    """Say how far confidence is from accuracy; nothing if that was not measured.

    Args:
        content: what `calibration.metrics` returned.
    """
    error = content.get("expected_calibration_error")
    if error is None:
        return ""
    temperature = content["temperature"]
    calibrated = f", at temperature {temperature:.3g}" if temperature != 1 else ""
    return (
        f", expected calibration error {100 * error:.2f} % "
        f"({calibration.BINS} bins of confidence{calibrated})"
    )
