"""The report on embeddings of images and sentences."""

import functools
from pathlib import Path

import keras
import numpy as np

from multimodal import encoders, metrics, sentence_pairs
from semisup.cli.options import check_unused
from semisup.errors import UserError
from semisup.report.reporting import Reporter
from semisup.run.features import unit_lengths

_DIRECTIONS = ("image_to_sentence", "sentence_to_image")


class MultimodalReporter(Reporter):
    """The report on images and sentences: see `semisup.report.reporting.Reporter`."""

    @staticmethod
    def check(settings, config):
        """Check that files of sentence pairs can be read: see `Reporter.check`."""
        check_unused(settings, ("mc_dropout", "projector"), "on images and sentences: leave it out")
        for path in _paths(settings):
            sentence_pairs.read(path)

    def measure(self):
        """Measure how images, sentences, and pairs of sentences find each other."""
        content = {
            "images": len(self.data.evaluation.images),
            "sentences": len(self.data.evaluation.captions),
            **super().measure(),
        }
        pairs = {
            name: self._agreement(path) for name, path in _named(_paths(self.settings)).items()
        }
        return {**content, "sentence_pairs": pairs} if pairs else content

    @functools.cached_property
    def _untrained(self):
        """The encoder of sentences with new weights."""
        keras.utils.set_random_seed(self.config.seed)
        return keras.models.clone_model(self.model.encoder)

    def _agreement(self, path):
        """Correlate similarities with the scores of a file, by three kinds of embeddings."""
        whole = sentence_pairs.read(path)
        # STS took some of its sentences from captions of Flickr.
        pairs = whole.without(self.data.train.captions)
        if len(pairs.scores) < 2:
            raise UserError(f"--sentence_pairs={path}: all but one are of captions trained on")
        sentences = pairs.first + pairs.second
        words = self.model.words_of(sentences)
        vectors = unit_lengths(self._untrained.predict(words, verbose=0))
        every_word = encoders.vocabulary_of(sentences, size=len(sentences) * 100)
        numbers = encoders.words_of(
            encoders.vectorization(every_word, self.config.sentence_length), sentences
        )
        half = len(pairs.first)
        trained = self.predictor.sentence_embeddings(sentences)
        cosines = {
            "trained": np.sum(trained[:half] * trained[half:], axis=1),
            "untrained": np.sum(vectors[:half] * vectors[half:], axis=1),
            "one_hot": sentence_pairs.word_cosines(numbers[:half], numbers[half:]),
        }
        found = {name: metrics.agreement(each, pairs.scores) for name, each in cosines.items()}
        return {
            "pairs": half,
            "left_out": len(whole.scores) - half,
            **{
                f"{name}_{kind}": value
                for name, both in found.items()
                for kind, value in both.items()
            },
        }

    def scalars(self, content):
        """Return numbers for TensorBoard by their tags: see `Reporter.scalars`."""
        result = {name: content[name] for name in content if name.startswith(_DIRECTIONS)}
        for file, found in content.get("sentence_pairs", {}).items():
            result |= {
                f"{file}/{name}": value
                for name, value in found.items()
                if name.endswith(("spearman", "pearson"))
            }
        return result

    def text(self, content):
        """Return the text to print: see `Reporter.text`."""
        lines = [
            f"step {content['step']}: {content['images']:,} {self.data.evaluated_on} with "
            f"{content['sentences']:,} sentences"
        ]
        for direction in _DIRECTIONS:
            recalls = ", ".join(
                f"{100 * content[f'{direction}_recall_at_{most}']:.1f} %"
                for most in metrics.RECALL_AT
            )
            lines.append(
                f"{direction.replace('_', ' ')}: recall at {_listed(metrics.RECALL_AT)}: "
                f"{recalls}; median rank {content[f'{direction}_median_rank']:g}"
            )
        for file, found in content.get("sentence_pairs", {}).items():
            each = "; ".join(
                f"{label} {found[f'{kind}_spearman']:.3f} / {found[f'{kind}_pearson']:.3f}"
                for kind, label in (
                    ("trained", "trained"),
                    ("untrained", "untrained"),
                    ("one_hot", "one-hot words"),
                )
            )
            left_out = f" ({found['left_out']:,} of training captions left out)"
            lines.append(
                f"{file}, {found['pairs']:,} pairs{left_out if found['left_out'] else ''}, "
                f"Spearman / Pearson: {each}"
            )
        return "\n".join(lines)

    def drawings(self):
        """Return functions that draw the run's figures, by name: see `Reporter.drawings`."""
        from multimodal import figures

        return figures.drawings(self.config, self.data, self.predictor)


def _listed(numbers):
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _paths(settings):
    return [path for path in settings.sentence_pairs.split(",") if path]


def _named(paths):
    """Return paths by the names of their files, or, where these are alike, by all of the path."""
    stems = [Path(path).stem for path in paths]
    alike = len(set(stems)) < len(set(paths))
    return {path if alike else stem: path for path, stem in zip(paths, stems, strict=True)}
