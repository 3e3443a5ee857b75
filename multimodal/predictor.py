"""Embeddings of images and of sentences by a trained model."""

import keras

from semisup.run import evaluation


class PairPredictor(evaluation.Predictor):
    """Embeddings of a `MultimodalModel`, by functions that are traced once.

    Args:
        model: the model.
        batch_size: images, or sentences, in a batch.
        features: see `Predictor`.
    """

    def __init__(self, model, batch_size=500, features=None):
        super().__init__(model, batch_size, features)
        self._sentences = _SentencePredictor(model)

    def call(self, images):
        """Compute embeddings (n, d) of images or of their features, as the only output."""
        return (self.model.embed_images(images),)

    def embeddings(self, images):
        """Compute embeddings (n, d), float32, of uint8 images (n, height, width, channels)."""
        return self.outputs(images)[0]

    def sentence_embeddings(self, sentences):
        """Compute embeddings (n, d), float32, of a list of strings."""
        words = self.model.words_of(sentences)
        return self._sentences.predict(words, batch_size=self.batch_size, verbose=0)


class _SentencePredictor(keras.Model):
    """The embeddings of sentences, from numbers of words."""

    def __init__(self, model):
        super().__init__(name="sentence_predictor")
        self.model = model
        self.built = True
        self.compile(jit_compile=keras.backend.backend() == "jax")

    def call(self, words):
        return self.model.embed_sentences(words)
