"""Maps of classes of whole images by a trained model, a few images at a time."""

import numpy as np
from keras import ops

from semisup.run import evaluation


class MapPredictor(evaluation.Predictor):
    """Maps of classes by a `SegmentationModel`, from images, by a function that is traced once.

    Nothing but the maps of a batch is in memory, however many images there are.

    Args:
        model: the model.
        batch_size: images in a batch.
        features: the `PixelFeatures` by which the model is trained, or None. Images are not looked
            up in them: to compute features takes no longer than to read them.
    """

    def call(self, images):
        """Compute the classes (n, height, width), int32, of the pixels of images."""
        return ops.cast(ops.argmax(self.model(images, training=False), axis=-1), "int32")

    def maps(self, images):
        """Predict the classes of the pixels of images.

        Args:
            images: (n, height, width, channels) uint8, in memory or memory-mapped.

        Yields:
            The place of a first image, and the classes (k, height, width) int32 of it and those
            that follow.
        """
        count = len(images)
        for start in range(0, count, self.batch_size):
            # Of one size, so that it is compiled once.
            chosen = np.minimum(np.arange(start, start + self.batch_size), count - 1)
            predicted = np.asarray(self.predict_on_batch(images[chosen]))
            yield start, predicted[: count - start]

    def pixel_embeddings(self, images):
        """Compute the embeddings (n * rows * columns, d), float32, of pixels of a few images."""
        embeddings = self.model.embed(images, training=False)
        return ops.convert_to_numpy(ops.cast(embeddings, "float32"))
