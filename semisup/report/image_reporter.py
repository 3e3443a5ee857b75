"""The report on a classifier of images: metrics, the prediction of each image, and figures."""

import functools
import logging

import pandas

from semisup.cli.dataset_names import FOLDER, is_folder
from semisup.data import folders
from semisup.names import printable
from semisup.report import uncertainty
from semisup.report.reporting import Reporter
from semisup.run import evaluation

_logger = logging.getLogger(__name__)


class ImageReporter(Reporter):
    """The report on a classifier of images: see `Reporter`."""

    def __init__(self, settings, run, config, task, data, model):
        super().__init__(settings, run, config, task, data, model)
        self.class_names, self.labels = data.class_names, data.evaluation.labels
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
        """Return data set and split of the evaluated images; None for a held-out split."""
        return self.config.dataset, None if self.config.validation_samples else "test"

    @functools.cached_property
    def image_names(self):
        """What the evaluated images are called: the files of a folder, else their places."""
        dataset, split = self.evaluated()
        if split and is_folder(dataset):
            return folders.image_paths(
                dataset.removeprefix(FOLDER), split, skip_broken=self.config.skip_broken
            )
        return range(len(self.data.evaluation.images))

    def mistakes(self, predicted):
        """Return which images are given a wrong class.

        Args:
            predicted: (n,) int, places in the data's `class_names`, for the evaluated images.

        Returns:
            (n,) bool, or None if their classes are not known.
        """
        return predicted != self.labels

    def measure_images(self):
        """Measure the model's metrics, ready for JSON, and write `predictions.csv`."""
        evaluated, names = self.data.evaluation, self.data.class_names
        logits, _ = self.predictor.outputs(evaluated.images)
        predicted = logits.argmax(axis=1)
        probabilities = evaluation.probabilities(logits).max(axis=1)
        self.run.write_table(
            "predictions.csv",
            ["image", "label", "predicted", "probability"],
            [
                [name, label, names[guess], f"{probability:.4f}"]
                for name, label, guess, probability in zip(
                    self.image_names, self._label_names(), predicted, probabilities, strict=True
                )
            ],
        )
        return evaluation.metrics(evaluated.labels, predicted, names)

    def metrics_on(self, split):
        """Return `evaluation.metrics` of the model on a labelled split."""
        predicted = self.predictor.labels(split.images)
        return evaluation.metrics(split.labels, predicted, self.data.class_names)

    def scalars(self, content):
        """Return numbers for TensorBoard by their tags.

        Args:
            content: the metrics with the `step`.
        """
        accuracies = content["per_class_accuracy"].items()
        return {
            self.data.error_name: content["error"],
            **{
                f"accuracy/{printable(name)}": value
                for name, value in accuracies
                if value is not None
            },
        }

    def text(self, content):
        """Return the text to print: see `scalars`."""
        return f"step {content['step']}: {table(content)}\n{self.where()}"

    def where(self):
        """Return a line that says where the prediction of each image is."""
        return f"\nthe prediction of each image: {self.run.file('predictions.csv')}"

    def drawings(self):
        """Return functions that draw the run's figures, by name: see `illustration.drawings`."""
        from semisup.report import illustration

        return illustration.drawings(self.run, self.config, self.task, self.data, self.predictor)


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
        f"error {100 * content['error']:.2f} % of {content['images']} images; the accuracy of each "
        f"class{note}:\n\n{shown.to_string()}"
    )
