"""The fit-able model of images and sentences: two networks whose embeddings can be compared."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from multimodal import encoders
from semisup.embeddings.labels import class_numbers, renumbered
from semisup.embeddings.measures import unit_lengths
from semisup.embeddings.types import LossWeight, Tensor
from semisup.models import exporting
from semisup.models.embedding_model import EmbeddingModel
from semisup.models.own_losses import OwnLosses
from semisup.models.weighted_losses import returns_total
from semisup.similarity import SimilarityTerm, check_embedding_term

IMAGES, SENTENCES = "images", "sentences"


@keras.saving.register_keras_serializable(package="multimodal")
class MultimodalModel(OwnLosses, EmbeddingModel):
    """A network of images and an encoder of sentences, trained on pairs that belong together.

    `fit` and `evaluate` take `{"images": images, "sentences": sentences}`, row by row the pairs,
    and as labels the numbers of the images, so that pairs of one image are never wrong ones of each
    other; without labels, every pair has an image of its own. `predict` takes the same, or one of
    the two alone, and returns the embeddings by the same names: all of length 1, so that their dot
    product is their cosine.

    Sentences are strings, or the numbers of their words as `words_of` returns them; JAX and PyTorch
    have no strings, and take the numbers.

    Args:
        network: Keras model from images to embeddings (n, d).
        encoder: Keras model from numbers of words (n, length) to embeddings (n, d).
        vectorization: layer from strings to numbers of words.
        terms: the losses, `SimilarityTerm`s of images and sentences.
        augmentation: see `EmbeddingModel`.
        average_decay: see `EmbeddingModel`.
        **kwargs: arguments of `keras.Model`.

    Raises:
        ValueError: if there is no term, or two have a loss of the same name.

    Example:
        >>> vectorization = keras.layers.TextVectorization(
        ...     vocabulary=["black", "white"], output_sequence_length=4
        ... )
        >>> network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        >>> network.add(keras.layers.Dense(3))
        >>> encoder = keras.Sequential([keras.Input((4,), dtype="int32")])
        >>> encoder.add(keras.layers.Embedding(4, 3))
        >>> encoder.add(keras.layers.GlobalAveragePooling1D())
        >>> terms = [multimodal.InfoNCE()]
        >>> model = multimodal.MultimodalModel(network, encoder, vectorization, terms)
        >>> model.compile("adam")
        >>> images = np.stack([np.zeros((8, 8, 1)), np.ones((8, 8, 1))])
        >>> words = model.words_of(["a black image", "a white image"])
        >>> history = model.fit({"images": images, "sentences": words}, verbose=0)
        >>> model.predict({"sentences": words}, verbose=0)["sentences"].shape
        (2, 3)
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        encoder: keras.layers.Layer,
        vectorization: keras.layers.Layer,
        terms: Sequence[SimilarityTerm],
        augmentation: keras.layers.Layer | None = None,
        average_decay: float = 0.0,
        **kwargs: Any,
    ):
        terms = list(terms)
        for term in terms:
            check_embedding_term(term)
        names = [name for term in terms for name in term.loss_weights]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"terms have to bring losses, each once, not {', '.join(names)}")
        statistics = [name for term in terms for name in term.statistics_names]
        super().__init__(network, names, statistics, augmentation, average_decay, **kwargs)
        self.encoder = encoder
        self.vectorization = vectorization
        if keras.backend.backend() != "tensorflow":
            # Nothing is compiled that has strings; Keras would compile nothing else, either.
            for layer in vectorization._flatten_layers():
                layer.supports_jit = True
        self.terms = terms

    @property
    def loss_weights(self) -> dict[str, LossWeight]:
        """The weight of each loss but the regularisation: see `WeightedLossesModel`."""
        return {name: weight for term in self.terms for name, weight in term.loss_weights.items()}

    def build(self, input_shape=None):
        """Create the weights of the encoder, where it has none yet: see `keras.Model.build`."""
        self.input_shapes = self.network.input_shape
        if not all(layer.built for layer in self.encoder._flatten_layers()):
            shape = tuple((input_shape or {}).get(SENTENCES, (None,)))
            if len(shape) == 1:
                shape = self.vectorization.compute_output_shape(shape)
            self.encoder(keras.KerasTensor((None, *shape[1:]), "int32"))
        self.track_average()
        self.built = True

    def check_arguments(self, method, arguments):
        """Make known numbers of images small: see `CheckedArgumentsModel`."""
        super().check_arguments(method, arguments)
        arguments["y"] = renumbered(arguments.get("y"))
        held_out = arguments.get("validation_data")
        if isinstance(held_out, (tuple, list)) and len(held_out) > 1:
            arguments["validation_data"] = (held_out[0], renumbered(held_out[1]), *held_out[2:])

    def words_of(self, sentences: Sequence[str]) -> np.ndarray:
        """Return the numbers of the words of sentences, (n, length) int32."""
        return encoders.words_of(self.vectorization, sentences)

    def embed_images(self, images: Tensor, training: bool = False) -> Tensor:
        """Compute the embeddings (n, d), float32 of length 1, of images or of their features."""
        return _normalized(self.embed(images, training))

    def embed_sentences(self, sentences: Tensor, training: bool = False) -> Tensor:
        """Compute the embeddings (n, d), float32 of length 1, of strings or numbers of words."""
        if keras.backend.standardize_dtype(sentences.dtype) == "string":
            sentences = self.vectorization(sentences)
        return _normalized(self.encoder(sentences, training=training))

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Compute the embeddings of images, of sentences, or of both.

        Args:
            inputs: `images` and `sentences`, or one of them.
            training: whether to augment images, and to run the networks in training mode.

        Returns:
            Embeddings (n, d), float32 of length 1, by the same names.

        Raises:
            ValueError: if the inputs are neither.
        """
        embed = {IMAGES: self.embed_images, SENTENCES: self.embed_sentences}
        if not isinstance(inputs, dict) or not inputs or not inputs.keys() <= embed.keys():
            raise ValueError(f"inputs have to be a dictionary of {IMAGES} and {SENTENCES}")
        return {name: embed[name](part, training) for name, part in inputs.items()}

    @returns_total
    def compute_loss(
        self,
        x: Any = None,
        y: Tensor | None = None,
        y_pred: dict[str, Tensor] | None = None,
        sample_weight: None = None,
        training: bool = True,
    ) -> Tensor:
        """Compute the total loss of a batch of pairs; in training, also advance the step.

        Args:
            x: unused; the inputs.
            y: (n,) integers, the numbers of the images; None: all are different.
            y_pred: what `call` returned.
            sample_weight: not taken.
            training: whether this is a training step.

        Returns:
            Scalar float32.

        Raises:
            ValueError: if images or sentences are missing, the labels don't fit, or weights are
                given.
        """
        self.refuse_weights(sample_weight)
        if y_pred.keys() != {IMAGES, SENTENCES}:
            raise ValueError(f"the losses need {IMAGES} and {SENTENCES}, not {', '.join(y_pred)}")
        images, sentences = y_pred[IMAGES], y_pred[SENTENCES]
        labels = ops.arange(ops.shape(images)[0]) if y is None else class_numbers(y, images)
        losses, statistics = {}, {}
        for term in self.terms:
            found, told = term(images, sentences, labels)
            losses.update(found)
            statistics.update(told)
        return self.combine(losses, statistics, ops.shape(images)[0], training)

    def named_images(self, batch):
        """Name the images of a batch: see `WeightedLossesModel`."""
        inputs = batch[0] if isinstance(batch, tuple) else batch
        return {IMAGES: inputs[IMAGES]}

    def inference_model(self) -> keras.Model:
        """Make a functional model from images and sentences, any number of each, to embeddings.

        Returns:
            A `keras.Model` that takes and returns dictionaries as `call` does: images of the
            network's size as float32, and strings; numbers of words where the backend has no
            strings.
        """
        images = keras.Input(self.network.input_shape[1:], dtype="float32", name=IMAGES)
        if keras.backend.backend() == "tensorflow":
            sentences = keras.Input((), dtype="string", name=SENTENCES)
        else:
            sentences = keras.Input(self.encoder.input_shape[1:], dtype="int32", name=SENTENCES)
        inputs = {IMAGES: images, SENTENCES: sentences}
        # By `call`: as a layer of the other, this model would be exported too, as one of numbers.
        return keras.Model(inputs, self.call(inputs), name=self.name)

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Export the model for inference: see `keras.Model.export` and `inference_model`."""
        exporting.export(self, filepath, format, **kwargs)

    def get_config(self):
        """Return the arguments of the constructor, parts serialised."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "encoder": serialize(self.encoder),
            "vectorization": serialize(self.vectorization),
            "terms": serialize(self.terms),
        }


def _normalized(embeddings):
    return unit_lengths(ops.cast(embeddings, "float32"))
