"""The report on a segmentation."""

import numpy as np

from segmentation import colours, metrics
from segmentation.task import confusion_of
from semisup.cli.options import check_unused
from semisup.files.names import printable
from semisup.report.reporting import Reporter, by_class
from semisup.run.evaluation import per_class_accuracy

_SHOWN = 8


class SegmentationReporter(Reporter):
    """The report on a segmentation: see `semisup.report.reporting.Reporter`."""

    @staticmethod
    def check(settings, config):
        """Check that nothing is asked for that pixels don't have: see `Reporter.check`."""
        check_unused(settings, ("mc_dropout", "projector"), "on pixels: leave it out")

    def write(self, step):
        """Evaluate the model, and write maps for TensorBoard: see `Reporter.write`."""
        import tensorflow as tf

        content = super().write(step)
        images, count = self._shown_images(), len(self.data.classes.names)
        ((_, predicted), *_) = self.predictor.maps(images)
        overlaid = colours.overlaid(images[: len(predicted)], predicted, count)
        with self.writer.as_default():
            tf.summary.image("predicted", overlaid, step=step, max_outputs=_SHOWN)
        self.writer.flush()
        return content

    def _shown_images(self):
        images = self.data.evaluation.images
        chosen = np.linspace(0, len(images) - 1, min(_SHOWN, len(images))).astype(int)
        return images[chosen]

    def measure(self):
        """Measure how predicted maps agree with the true ones, ready for JSON."""
        matrix = confusion_of(self.predictor, self.data)
        names = self.data.classes.names
        unions = metrics.intersections_over_unions(matrix)
        return {
            "images": len(self.data.evaluation.images),
            **metrics.summary(matrix),
            "per_class_iou": {
                name: None if np.isnan(value) else float(value)
                for name, value in zip(names, unions, strict=True)
            },
            "per_class_accuracy": per_class_accuracy(matrix, names),
            "confusion_matrix": matrix.tolist(),
        }

    def scalars(self, content):
        """Return numbers for TensorBoard by their tags: see `Reporter.scalars`."""
        return super().scalars(content) | by_class("iou", content["per_class_iou"])

    def text(self, content):
        """Return the text to print: see `Reporter.text`."""
        lines = [
            f"step {content['step']}: {content['images']:,} {self.data.evaluated_on}: mean "
            f"intersection over union {100 * content['mean_iou']:.1f} %, "
            f"{100 * content['pixel_accuracy']:.1f} % of pixels right"
        ]
        for name, value in content["per_class_iou"].items():
            told = "neither there nor predicted" if value is None else f"{100 * value:.1f} %"
            lines.append(f"  {printable(name)}: {told}")
        return "\n".join(lines)

    def drawings(self):
        """Return functions that draw the run's figures, by name: see `Reporter.drawings`."""
        from segmentation import figures

        return figures.drawings(self.config, self.data, self.predictor)
