"""The report on an adaptation: both domains' errors, their discrepancy, and the coverage."""

import logging
from typing import NamedTuple

import numpy as np

from domain_adaptation.config import TrainConfig
from domain_adaptation.discrepancy import squared_mmd
from domain_adaptation.task import TASK
from semisup.data import new_images
from semisup.data.datasets import is_labelled, sample
from semisup.errors import UserError
from semisup.report.image_reporter import ImageReporter, prediction_rows, table
from semisup.run import evaluation, features, loading

_logger = logging.getLogger(__name__)

_MAKE_IMAGES = ("new_size", "fit")
"""Settings that make what images a network is given."""

MMD_IMAGES = 1000
"""Images of each domain, at most, between whose embeddings the MMD is measured."""


class OtherRun(NamedTuple):
    """A run that the evaluated one is compared with."""

    config: TrainConfig
    predictor: evaluation.Predictor


class AdaptationReporter(ImageReporter):
    """The report on an adapted model in both domains: see `ImageReporter`."""

    def __init__(self, settings, run, config, task, data, model):
        super().__init__(settings, run, config, task, data, model)
        if settings.other_logdirs and not is_labelled(data.target_test):
            raise UserError(f"{config.target_dataset} has no labelled test images to compare on")
        self.others = {}
        for logdir in settings.other_logdirs:
            other, other_config = loading.load_run(logdir, task=TASK)
            predictor = evaluation.Predictor(
                other, settings.eval_batch_size, features.of_run(TASK, other_config, other)
            )
            self.others[logdir] = OtherRun(other_config, predictor)
        self.bounds = {
            name: self._target_error(self.others[logdir].predictor)
            for name, logdir in settings.bound_logdirs.items()
        }

    @staticmethod
    def check(settings, config):
        """Check that the runs to compare with are complete, and of the same pair."""
        own = loading.open_run(settings.logdir, TASK)[0].read_record() or {}
        for logdir in settings.other_logdirs:
            run, other, _ = loading.open_run(logdir, TASK)
            _check_same_images(logdir, (other, run.read_record() or {}), (config, own))
            if run.completed_step() < other.max_steps:
                raise UserError(f"{logdir} is not complete: its training has not ended")
        for name, logdir in settings.bound_logdirs.items():
            _, other, _ = loading.open_run(logdir, TASK)
            if other.similarity != "none" or other.target_only != (name == "target_only"):
                raise UserError(f"--{name}={logdir} is a run of another kind: {title(other)}")

    def evaluated(self):
        """Return data set and split of the evaluated images: see `Reporter.evaluated`."""
        config = self.config
        if self.data.evaluated_on == "test images":
            return config.target_dataset, config.target_test_split
        return config.target_dataset if config.target_only else config.dataset, "train"

    def _target_error(self, predictor):
        test = self.data.target_test
        return float(np.mean(predictor.labels(test.images) != test.labels))

    def measure_images(self):
        """Measure the errors on the evaluation images and test sets, the MMD and the coverage."""
        data = self.data
        measured = super().measure_images()
        content = {"target_dataset": self.config.target_dataset, **measured}
        if is_labelled(data.source_test):
            content["source"] = self.metrics_on(data.source_test)
        if is_labelled(data.target_test):
            seen = data.evaluation is data.target_test
            content["target"] = measured if seen else self.metrics_on(data.target_test)
        if data.source_test is not None and data.target_test is not None:
            content["squared_mmd"] = domain_discrepancy(
                *(
                    self.predictor.embeddings(sample(split, MMD_IMAGES, self.config.seed).images)
                    for split in (data.source_test, data.target_test)
                ),
                seed=self.config.seed,
            )
        content.update({f"{name}_error": error for name, error in self.bounds.items()})
        if len(self.bounds) == 2:
            content["coverage"] = coverage(content["target"]["error"], **self.bounds)
        return content

    def write_predictions(self, logits):
        """Write `predictions.csv`: of the unlabelled images where the target has no label."""
        try:
            if not is_labelled(self.data.target_test):
                return self._predict_target()
        except UserError as error:
            _logger.warning("no predictions for the target: %s", error)
        return super().write_predictions(logits)

    def _predict_target(self):
        config = self.config
        dataset, split = self.task.unlabelled_images(config)
        preparation = self.task.preparation(config, self.data.record)
        _, images = new_images.of_dataset(dataset, split, preparation, config.resolved_data_dir)
        rows = []
        for block in images.blocks(self.predictor.batch_size):
            probabilities = self.calibration.probabilities(self.predictor.outputs(block.images)[0])
            names = [images.names[index] for index in block.indices]
            rows += prediction_rows(names, [""] * len(names), probabilities, self.data.class_names)
        self.write_rows(rows)

    def scalars(self, content):
        """Return numbers for TensorBoard by their tags: see `Reporter.scalars`."""
        result = super().scalars(content)
        for domain in ("source", "target"):
            if domain in content:
                result[f"{domain}_test_error"] = content[domain]["error"]
        for kernel, value in content.get("squared_mmd", {}).items():
            result[f"squared_mmd/{kernel}"] = value
        if content.get("coverage") is not None:
            result["coverage"] = content["coverage"]
        return result

    def text(self, content):
        """Return the text to print: see `Reporter.text`."""
        lines = [f"step {content['step']}, {self.config.dataset} to {self.config.target_dataset}"]
        for domain in ("source", "target"):
            if domain in content:
                lines += ["", f"{domain} test images: {table(content[domain])}"]
        if self.data.evaluated_on != "test images":
            lines += ["", f"{self.data.evaluated_on}: error {100 * content['error']:.2f} %"]
        if "squared_mmd" in content:
            between, shuffled = (content["squared_mmd"][name] for name in ("domains", "shuffled"))
            lines += [
                "",
                f"squared MMD between the domains' embeddings: {between:.4f} "
                f"({shuffled:.4f} with the domains shuffled)",
            ]
        for name in self.bounds:
            lines.append(f"{name.replace('_', ' ')}: target error {100 * self.bounds[name]:.2f} %")
        if content.get("coverage") is not None:
            lines.append(f"coverage of the gap between them: {100 * content['coverage']:z.2f} %")
        return "\n".join([*lines, self.where(), *self.cross_validated(content)])

    def drawings(self):
        """Return functions that draw the run's figures, by name: see `Reporter.drawings`."""
        from domain_adaptation import figures

        result = super().drawings()
        if is_labelled(self.data.source_test) and is_labelled(self.data.target_test):
            result["domains"] = lambda: figures.domains(self._panels(), self.data, self.config.seed)
        return result

    def _panels(self):
        """Return titles and predictors of the runs to show side by side."""
        own = OtherRun(self.config, self.predictor)
        first = [self.others[self.settings.source_only]] if self.settings.source_only else []
        shown = [*first, own, *(self.others[path] for path in self.settings.compared_logdirs)]
        return [(title(run.config), run.predictor) for run in shown]


def title(config):
    """Say in two words at most what kind of training a configuration stands for."""
    if config.target_only:
        return "target only"
    names = {"none": "source only", "mmd": "MMD", "coral": "CORAL"}
    return names.get(config.similarity, config.similarity)


def coverage(error, source_only, target_only):
    """Compute the share of a gap that an adaptation closes (thesis ch. 4, section 3.3).

    Args:
        error: error on the target after adaptation, a fraction.
        source_only: error of a training on the source alone.
        target_only: error of a training on the target's labels.

    Returns:
        (error - source_only) / (target_only - source_only): 1 where the adaptation is as good as
        target labels, 0 where it is useless, negative where it harms. None if there is no gap.
    """
    gap = target_only - source_only
    return (error - source_only) / gap if gap else None


def domain_discrepancy(source, target, seed, shuffles=5):
    """Estimate the squared MMD between two domains, and what it would be without a difference.

    Like the authors' estimate, it is biased: above 0 even for two samples of one distribution.

    Args:
        source: (n, d) float embeddings.
        target: (m, d) float embeddings.
        seed: seed of the shuffling.
        shuffles: how often all embeddings are dealt out anew to two samples of these sizes.

    Returns:
        Dictionary with `domains`, `squared_mmd` of the two, and `shuffled`, its mean over samples
        in which both domains are mixed.
    """
    both = np.concatenate([source, target])
    generator = np.random.default_rng([seed, 0x33D])
    orders = [generator.permutation(len(both)) for _ in range(shuffles)]
    values = [
        float(squared_mmd(both[order[: len(source)]], both[order[len(source) :]]))
        for order in orders
    ]
    return {"domains": float(squared_mmd(source, target)), "shuffled": float(np.mean(values))}


def _check_same_images(logdir, theirs, ours):
    """Check that a run to compare with has the test images of the evaluated one.

    Args:
        logdir: folder of the other run.
        theirs: its configuration, and the record of its data.
        ours: those of the evaluated run.

    Raises:
        UserError: if it has others.
    """
    (other, record), (config, own) = theirs, ours
    moved = other.moved(config.to_dict())
    values = [(name, getattr(other, name), getattr(config, name)) for name in _MAKE_IMAGES]
    differ = "; ".join(
        f"--{name}={their}, not {our}" for name, their, our in values if their != our
    )
    for name, domain in (("dataset", "source"), ("target_dataset", "target")):
        tests = [each.get(f"{domain}_test_fingerprint") for each in (record, own)]
        same = tests[0] == tests[1]
        # A folder that has moved between the trainings has other names.
        dataset, wanted = getattr(other, name), getattr(config, name)
        if dataset != wanted and not (name in moved and same):
            raise UserError(f"{logdir} has --{name}={dataset}, not {wanted} as --logdir")
        if domain == "target" and other.target_test_split != config.target_test_split:
            # A bound may have been measured on another split: its settings tell.
            unlike = bool(differ)
        else:
            # The network would see images that are resized otherwise, say.
            unlike = None not in tests and not same
        if unlike:
            why = differ or "their files have changed"
            raise UserError(f"{logdir} has other {domain} test images than --logdir: {why}")
