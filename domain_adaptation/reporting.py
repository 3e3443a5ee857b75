"""The report on an adaptation: both domains' errors, their discrepancy, and the coverage."""

import numpy as np

from domain_adaptation import task
from domain_adaptation.discrepancy import squared_mmd
from semisup import evaluation, runs
from semisup.data.datasets import sample
from semisup.errors import UserError
from semisup.reporting import Reporter, table

MMD_IMAGES = 1000
"""Images of each domain between whose embeddings the MMD is measured."""


class AdaptationReporter(Reporter):
    """Measures an adapted model on both domains: see `semisup.reporting.Reporter`."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        # Loaded first: a mistake in a flag must not show after a long evaluation.
        self.others = {logdir: self._load(logdir) for logdir in self.settings.other_logdirs}
        self.bounds = {}
        for name in ("source_only", "target_only"):
            logdir = getattr(self.settings, name)
            if logdir:
                self._check_kind(logdir, name)
                labels = self.data.target_test.labels
                predicted = self.others[logdir][1].labels(self.data.target_test.images)
                self.bounds[name] = float(np.mean(predicted != labels))

    def _load(self, logdir):
        """Configuration and predictor of another run with the same target."""
        model, config = runs.load_run(logdir, task=task)
        theirs, ours = config.target_dataset, self.config.target_dataset
        if theirs != ours:
            raise UserError(f"{logdir} has the target {theirs}, not {ours} as {self.run.path}")
        if not self._target_is_labelled:
            raise UserError(f"{ours} has no labelled test images to compare {logdir} on")
        return config, evaluation.Predictor(model, self.settings.eval_batch_size)

    def _check_kind(self, logdir, name):
        config, _ = self.others[logdir]
        if config.similarity != "none" or config.target_only != (name == "target_only"):
            kind = title(config)
            raise UserError(f"--{name}={logdir} is a run of another kind: {kind}")

    @property
    def _target_is_labelled(self):
        test = self.data.target_test
        return test is not None and test.labels is not None

    def measure(self):
        """Error on the evaluation images and on both test sets, MMD and coverage."""
        data = self.data
        content = {"target_dataset": self.config.target_dataset, **super().measure()}
        if data.source_test is not None:
            content["source"] = self._metrics(data.source_test)
        if self._target_is_labelled:
            content["target"] = self._metrics(data.target_test)
        if data.source_test is not None and data.target_test is not None:
            embeddings = [
                self.predictor.embeddings(sample(split, MMD_IMAGES, self.config.seed).images)
                for split in (data.source_test, data.target_test)
            ]
            content["squared_mmd"] = {
                "mixture": float(squared_mmd(*embeddings)),
                "width_1": float(squared_mmd(*embeddings, bandwidths=(1.0,))),
            }
        content.update({f"{name}_error": error for name, error in self.bounds.items()})
        if len(self.bounds) == 2:
            content["coverage"] = coverage(content["target"]["error"], **self.bounds)
        return content

    def _metrics(self, split):
        predicted = self.predictor.labels(split.images)
        return evaluation.metrics(split.labels, predicted, self.data.class_names)

    def scalars(self, content):
        """Numbers for TensorBoard by their tags: see `semisup.reporting.Reporter`."""
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
        """What is printed: see `semisup.reporting.Reporter`."""
        lines = [f"step {content['step']}, {self.config.dataset} to {self.config.target_dataset}"]
        for domain in ("source", "target"):
            if domain in content:
                lines += ["", f"{domain} test images: {table(content[domain])}"]
        if self.config.validation_samples:
            lines += ["", f"held-out images: error {100 * content['error']:.2f} %"]
        if "squared_mmd" in content:
            mixture, width_1 = (content["squared_mmd"][name] for name in ("mixture", "width_1"))
            lines += [
                "",
                f"squared MMD of the domains' embeddings: {mixture:.4f} by the mixture of kernels "
                f"that --similarity=mmd trains with, {width_1:.4f} by a kernel of width 1",
            ]
        for name in self.bounds:
            lines.append(f"{name.replace('_', ' ')}: target error {100 * self.bounds[name]:.2f} %")
        if content.get("coverage") is not None:
            lines.append(f"coverage of the gap between them: {100 * content['coverage']:.2f} %")
        return "\n".join(lines)

    def drawings(self):
        """Functions that draw the run's figures, by their names: see `figures.drawings`."""
        from domain_adaptation import figures

        result = super().drawings()
        if self.data.source_test is not None and self._target_is_labelled:
            result["domains"] = lambda: figures.domains(self._panels(), self.data, self.config.seed)
        return result

    def _panels(self):
        """Titles and predictors of the runs to show side by side."""
        shown = [self.settings.source_only, self.run.path, *self.settings.compared_logdirs]
        own = {self.run.path: (self.config, self.predictor)}
        entries = [{**self.others, **own}[logdir] for logdir in shown if logdir]
        return [(title(config), predictor) for config, predictor in entries]


def title(config):
    """What kind of training a configuration stands for, in two words at most."""
    if config.target_only:
        return "target only"
    return {
        "none": "source only",
        "association": "association",
        "mmd": "MMD",
        "coral": "CORAL",
    }[config.similarity]


def coverage(error, source_only, target_only):
    """Share of the gap between two bounds that an adaptation closes (thesis ch. 4, section 3.3).

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
