"""From sentences to embeddings: words as numbers, and the encoders by name, of Keras' layers.

A sentence is a row of numbers of words, filled up with 0; 1 stands for any unknown word.
"""

import keras
import numpy as np
from keras import ops

from multimodal import choices
from semisup.data.folder_walk import composed

UNITS = 256
"""Units of the recurrent encoder, and of each width of the convolutional one."""

WIDTHS = (1, 2, 3)
"""Words that the convolutions see at a time."""


def vectorization(vocabulary, length):
    """Make the layer from sentences to numbers of words.

    It takes strings (n,), which are standardised and split at white space.

    Args:
        vocabulary: the words that are known, in the order of their numbers.
        length: words of a sentence that are read.

    Returns:
        A `keras.layers.TextVectorization`, which returns (n, length) integers.
    """
    return keras.layers.TextVectorization(
        vocabulary=list(vocabulary),
        standardize=standardized,
        output_sequence_length=length,
        name="vectorization",
    )


@keras.saving.register_keras_serializable(package="multimodal")
def standardized(sentences):
    """Lower the letters of sentences of any script, and leave punctuation out.

    Args:
        sentences: TensorFlow tensor of strings in UTF-8.
    """
    import tensorflow as tf

    # Some of ASCII's marks are symbols, as emojis are.
    lowered = tf.strings.lower(sentences, encoding="utf-8")
    return tf.strings.regex_replace(lowered, r"[\p{P}$+<=>^`|~]", "")


def words_of(vectorization, sentences):
    """Return the numbers of the words of sentences.

    Args:
        vectorization: a `keras.layers.TextVectorization`.
        sentences: list of n strings. Accents may be composed or not.

    Returns:
        (n, length) int32 array.

    Raises:
        TypeError: if there is a single string in place of a list.
    """
    return ops.convert_to_numpy(vectorization(_composed(sentences))).astype("int32")


def vocabulary_of(sentences, size, least_count=1):
    """Find the most frequent words of sentences.

    Args:
        sentences: list of strings.
        size: greatest number of words.
        least_count: how often a word has to occur.

    Returns:
        List of words, the most frequent first; empty if the sentences have none.
    """
    layer = keras.layers.TextVectorization(standardize=standardized, name="counting")
    layer.adapt(_composed(sentences))
    words = layer.get_vocabulary(include_special_tokens=False)
    if not words:
        # The layer has no table to look words up in.
        return []
    counts = np.bincount(words_of(layer, sentences).ravel(), minlength=len(words) + 2)[2:]
    return words[: min(size, int(np.sum(counts >= least_count)))]


def _composed(sentences):
    """Return sentences as an array of strings, with composed accents."""
    if isinstance(sentences, str):
        raise TypeError(f"sentences are the string {sentences!r}: give a list, [{sentences!r}]")
    return np.array([composed(sentence) for sentence in sentences])


@keras.saving.register_keras_serializable(package="multimodal")
class PoolOverWords(keras.layers.Layer):
    """Pool the vectors of a sentence's words, and of no others, into one; 0 where there is none.

    Args:
        kind: "mean" or "max".
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, kind, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, vectors, words):
        """Pool (n, length, d) vectors of the (n, length) numbers of words into (n, d)."""
        present = ops.not_equal(words, 0)[..., None]
        if self.kind == "mean":
            count = ops.cast(ops.sum(present, axis=1), vectors.dtype)
            vectors = ops.where(present, vectors, ops.zeros_like(vectors))
            return ops.sum(vectors, axis=1) / ops.maximum(count, 1)
        greatest = ops.max(ops.where(present, vectors, -1e4), axis=1)
        return ops.where(ops.any(present, axis=1), greatest, ops.zeros_like(greatest))

    def compute_output_shape(self, vectors_shape, words_shape):
        """Return the shape of one vector a sentence."""
        return vectors_shape[0], vectors_shape[2]

    def get_config(self):
        """Return the arguments of the constructor."""
        return {**super().get_config(), "kind": self.kind}


def build(name, vocabulary_size, length, embedding_size, word_size=256, dropout=0.0):
    """Build an encoder of sentences.

    Args:
        name: "bag_of_words" for the mean of the words' vectors, "recurrent" for a GRU,
            "convolutional" for the maxima of convolutions over one to three words.
        vocabulary_size: number of known words.
        length: words of a sentence.
        embedding_size: width of the embeddings.
        word_size: width of the words' vectors.
        dropout: rate at which parts of the words' vectors are dropped in training.

    Returns:
        A functional Keras model from numbers of words (n, length), as `vectorization` makes them,
        to embeddings (n, embedding_size).

    Raises:
        ValueError: if there is no encoder of that name.
    """
    if name not in choices.ENCODERS:
        raise ValueError(f"encoder {name!r} is none of {', '.join(choices.ENCODERS)}")
    layers = keras.layers
    words = keras.Input((length,), dtype="int32", name="words")
    vectors = layers.Embedding(vocabulary_size + 2, word_size, name="vectors")(words)
    vectors = layers.Dropout(dropout, name="dropout")(vectors)
    if name == "bag_of_words":
        sentence = PoolOverWords("mean", name="mean")(vectors, words)
    elif name == "recurrent":
        sentence = layers.GRU(UNITS, name="recurrent")(vectors, mask=ops.not_equal(words, 0))
    else:
        found = [
            layers.Conv1D(UNITS, width, padding="same", activation="relu", name=f"width{width}")
            for width in WIDTHS
        ]
        maxima = [
            PoolOverWords("max", name=f"max_{each.name}")(each(vectors), words) for each in found
        ]
        sentence = layers.Concatenate(name="maxima")(maxima)
    sentence = layers.Dense(embedding_size, name="embedding")(sentence)
    return keras.Model(words, sentence, name="encoder")
