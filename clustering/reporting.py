"""The report on a clustering: clusters, and their agreement with classes where there are labels."""

from clustering import centroids, metrics
from clustering.task import describe, evaluated_split, load_classes
from semisup.report.image_reporter import ImageReporter, table
from semisup.report.reporting import by_class
from semisup.run import evaluation


class ClusteringReporter(ImageReporter):
    """The report on a clustering: see `semisup.report.image_reporter.ImageReporter`.

    Only this class reads labels, to compare clusters with them; no training sees its results.
    """

    def __init__(self, settings, run, config, task, data, model):
        super().__init__(settings, run, config, task, data, model)
        self.class_names, self.labels = load_classes(config)

    def evaluated(self):
        """Return data set and split of the evaluated images: see `Reporter.evaluated`."""
        return self.config.dataset, evaluated_split(self.config)

    def mistakes(self, predicted):
        """Return which images are in a cluster that is not matched with their class."""
        if self.labels is None:
            return None
        matrix = evaluation.confusion_matrix(
            self.labels, predicted, len(self.class_names), len(self.data.class_names)
        )
        return metrics.match_clusters(matrix)[predicted] != self.labels

    def measure_images(self):
        """Measure sizes and confidence, and the agreement with the classes if there are any."""
        logits, embeddings = self.predictor.outputs(self.data.evaluation.images)
        probabilities = evaluation.probabilities(logits)
        clusters = probabilities.argmax(axis=1)
        numbers, sizes = describe(probabilities)
        content = {"images": len(clusters), **numbers, "cluster_sizes": sizes.tolist()}
        self._write_assignments(probabilities)
        if self.labels is None:
            return content
        names, count = self.class_names, len(sizes)
        content.update(metrics.agreement(self.labels, clusters, names, count))
        if len(clusters) >= count:
            found = centroids.k_means(embeddings, count, self.config.seed)
            content["k_means_accuracy"] = metrics.unsupervised_accuracy(
                self.labels, found.labels_, len(names), count
            )
        return content

    def _write_assignments(self, probabilities):
        """Write `assignments.csv`: each image with its cluster and how probable that is."""
        self.run.write_table(
            "assignments.csv",
            ["image", "cluster", "probability"],
            [
                [name, row.argmax(), f"{row.max():.4f}"]
                for name, row in zip(self.image_names, probabilities, strict=True)
            ],
        )

    def scalars(self, content):
        """Return numbers for TensorBoard by their tags: see `Reporter.scalars`."""
        names = ("confidence", "size_entropy", "accuracy", "nmi", "ari", "k_means_accuracy")
        result = {name: content[name] for name in names if name in content}
        return result | by_class("accuracy", content.get("per_class_accuracy", {}))

    def text(self, content):
        """Return the text to print: see `Reporter.text`."""
        sizes = content["cluster_sizes"]
        lines = [
            f"step {content['step']}: {content['images']:,} {self.data.evaluated_on} in "
            f"{len(sizes)} clusters of {min(sizes):,} to {max(sizes):,}, "
            f"mean confidence {100 * content['confidence']:.2f} %"
        ]
        if "accuracy" in content:
            lines += [
                f"accuracy {100 * content['accuracy']:.2f} % after the best matching, "
                f"NMI {content['nmi']:.4f}, ARI {content['ari']:.4f}"
            ]
        if "k_means_accuracy" in content:
            lines[-1] += f"; k-means on the embeddings {100 * content['k_means_accuracy']:.2f} %"
        if "accuracy" in content:
            lines += ["", table(content)]
        lines.append(f"the cluster of each image: {self.run.file('assignments.csv')}")
        return "\n".join(lines)

    def drawings(self):
        """Return functions that draw the run's figures, by name: see `Reporter.drawings`."""
        from clustering import figures

        return figures.drawings(
            self.run, self.config, self.data, self.predictor, self.class_names, self.labels
        )
