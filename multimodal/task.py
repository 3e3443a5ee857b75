"""Images and sentences: the data and the model that a configuration stands for."""

import dataclasses
import functools
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from multimodal import choices, data, metrics
from multimodal.config import TrainConfig
from semisup.cli.dataset_names import is_folder
from semisup.data import pipelines, sampling
from semisup.data.datasets import fingerprint
from semisup.errors import UserError, shown
from semisup.run import building, file_types
from semisup.run.task import Task, TaskData


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairData(TaskData):
    """The data of a training on images and sentences.

    Attributes:
        train: the `Captioned` images to train with.
        evaluation: those that evaluations measure on.
    """

    train: data.Captioned
    evaluation: data.Captioned


class PairRecord(file_types.Record):
    """`data.json` of a training on images and sentences."""

    image_shape: file_types.Shape
    vocabulary: Annotated[list[str], Meta(max_length=10_000_000)]


class Multimodal(Task):
    """Embeddings of images and of sentences that say whether they belong together (chapter 6)."""

    name = "multimodal"
    title = "Images and sentences"
    config_class = TrainConfig
    shown = ("image_to_sentence_recall_at_1", "sentence_to_image_recall_at_1")
    record_type = PairRecord
    steered: ClassVar = {
        f"{name}_weight": (f"{name}_loss",) for names in choices.LOSSES.values() for name in names
    }

    def load_data(self, config, sampler=sampling.VERSION):
        """Load and split images and captions: see `Task`. Returns a `PairData`."""
        from multimodal import encoders

        train, evaluation, notes = data.load(config)
        if config.losses == ["association"]:
            notes += (
                "The association alone does not say which sentence belongs to which image: "
                "--loss=infonce+association does.",
            )
        vocabulary = encoders.vocabulary_of(
            train.captions, config.vocabulary_size, config.least_count
        )
        if not vocabulary:
            raise UserError(
                f"--least_count={config.least_count}: no word occurs so often in the captions of "
                f"the training images, such as {shown(train.captions[0])}"
            )

        @functools.cache
        def sources(inputs):
            vectorization = encoders.vectorization(vocabulary, config.sentence_length)
            words = encoders.words_of(vectorization, train.captions)
            return pipelines.source((inputs(train.images), words))

        def batches(first_step, inputs=pipelines.images_themselves):
            images, words = sources(inputs)
            numbers = pipelines.source(train.numbers.astype("int32"))

            def pairs(chosen):
                own = pipelines.gather(numbers, chosen)
                batch = {
                    "images": pipelines.gather(images, own),
                    "sentences": pipelines.gather(words, chosen),
                }
                return batch, own

            pool = np.arange(len(train.captions))
            drawn = sampling.Sampler([pool], config.batch_size, config.seed).batches(first_step)
            return pipelines.in_order(drawn.map(pairs))

        return PairData(
            batches=batches,
            train=train,
            evaluation=evaluation,
            evaluated_on="validation images" if config.validation_samples else "test images",
            evaluated_examples=len(evaluation.images),
            measured={"evaluation": evaluation.split},
            record={
                "image_shape": list(train.images.shape[1:]),
                "vocabulary": vocabulary,
                "train_images": len(np.unique(train.numbers)),
                "train_fingerprint": fingerprint(train.split),
                "evaluation_images": len(evaluation.images),
                "evaluation_fingerprint": fingerprint(evaluation.split),
                "captions_digest": data.digest_of(train.captions + evaluation.captions),
            },
            notes=notes,
        )

    def build_model(self, config, record, data=None):
        """Build and compile the `MultimodalModel` of a configuration: see `Task`."""
        from multimodal import encoders
        from multimodal.model import MultimodalModel

        image_shape = tuple(record["image_shape"])
        with building.dtype_policy(config):
            network = building.build_network(config, image_shape, data and data.train.images)
            model = MultimodalModel(
                network,
                encoders.build(
                    config.encoder,
                    len(record["vocabulary"]),
                    config.sentence_length,
                    network.output_shape[-1],
                    config.word_size,
                    config.sentence_dropout,
                ),
                encoders.vectorization(record["vocabulary"], config.sentence_length),
                terms(config),
                average_decay=config.average_decay,
                name="model",
            )
            model.build()
        return building.compile_model(config, model)

    def predictor(self, model, batch_size, features=None):
        """Return the `PairPredictor` of a model: see `Task`."""
        from multimodal.predictor import PairPredictor

        return PairPredictor(model, batch_size, features)

    def measure(self, predictor, data):
        """Measure how well test images and sentences find each other: see `Task`."""
        held_out = data.evaluation
        return metrics.retrieval(
            predictor.embeddings(held_out.images),
            predictor.sentence_embeddings(held_out.captions),
            held_out.numbers,
        )

    def headline(self, data, measured):
        """Say how often the first one found is right: see `Task`."""
        to_sentence, to_image = (100 * measured[name] for name in self.shown)
        return (
            f"Recall at 1 on {len(data.evaluation.images):,} {data.evaluated_on}: "
            f"{to_sentence:.1f} % from image to sentence, {to_image:.1f} % from sentence to image,"
        )

    def layout(self, config):
        """Find the images of a training: see `Task`."""
        return data.find(config)[0] if is_folder(config.dataset) else None

    def reporter_class(self):
        """Return the `MultimodalReporter`: see `Task`."""
        from multimodal.reporting import MultimodalReporter

        return MultimodalReporter


TASK = Multimodal()


def terms(config):
    """Make the losses of a configuration, a list of `SimilarityTerm`s.

    Args:
        config: a `TrainConfig`.
    """
    from multimodal import losses
    from semisup.association import Association

    makers = {
        "pearson": lambda: losses.PearsonCorrelation(config.pearson_weight),
        "infonce": lambda: losses.InfoNCE(config.infonce_weight, config.temperature),
        "hinge": lambda: losses.Hinge(config.hinge_weight, config.margin),
        "association": lambda: Association(
            config.walker_weight, config.visit_weight, temperature=config.temperature
        ),
    }
    return [makers[name]() for name in config.losses]
