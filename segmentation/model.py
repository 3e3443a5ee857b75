"""The fit-able model of segmentation: a classifier whose examples are pixels."""

import math
from typing import Any

import keras
from keras import ops

from segmentation.choices import NO_CLASS
from semisup.architectures import transfer
from semisup.embeddings.types import Tensor
from semisup.models.associative import AssociativeModel
from semisup.models.weighted_losses import returns_total

IMAGES, PLACES = "images", "places"


@keras.saving.register_keras_serializable(package="segmentation")
class SegmentationModel(AssociativeModel):
    """A classifier of pixels, trained on labelled ones and, by association, on unlabelled ones.

    `fit` takes batches as `AssociativeModel.fit` does. Their examples are pixels: features (k, f)
    of a network that is frozen; or a dictionary of `images` (n, height, width, channels) and the
    `places` (k,) of pixels, where pixel p of image i has the place i * rows * columns + p.
    `predict` takes images and returns logits (n, height, width, num_classes). `evaluate` and
    `validation_data` take images and their maps of classes (n, height, width); so does `fit`,
    without similarity term. A class of 255 says everywhere that a pixel does not count.

    Args:
        network: model from images to the embeddings (n * rows * columns, d) of their pixels, made
            by `semisup.architectures.transfer.with_head`.
        num_classes: see `AssociativeModel`.
        grid: (rows, columns) of the embeddings of an image, image after image and row after row.
        **kwargs: arguments of `AssociativeModel`.

    Raises:
        ValueError: if the network has no head; see `AssociativeModel`. When the model is built: if
            the network returns another number of embeddings of an image than the grid has.

    Example:
        >>> images = keras.Input((8, 8, 3))
        >>> maps = keras.layers.Conv2D(4, 4, strides=4)(images)
        >>> pixels = keras.ops.reshape(maps, (-1, 4))
        >>> from semisup.architectures import transfer
        >>> network = transfer.with_head(keras.Model(images, pixels), embedding_size=5)
        >>> model = segmentation.SegmentationModel(network, num_classes=3, grid=(2, 2))
        >>> model.predict(np.zeros((2, 8, 8, 3)), verbose=0).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self, network: keras.Model, num_classes: int, grid: tuple[int, int], **kwargs: Any
    ):
        if not transfer.has_head(network):
            raise ValueError("the network has no head: make it by transfer.with_head")
        super().__init__(network, num_classes, **kwargs)
        self.grid = tuple(grid)

    def build(self, input_shape):
        """Create the weights: see `EmbeddingClassifier.build`."""
        super().build(input_shape)
        one_image = keras.KerasTensor((1, *self.network.input_shape[1:]))
        found, wanted = self.network.compute_output_spec(one_image).shape[0], math.prod(self.grid)
        if found not in (None, wanted):
            raise ValueError(
                f"grid {self.grid} has {wanted} pixels, and the network returns the embeddings of "
                f"{found} pixels of an image: give their (rows, columns)"
            )

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """Configure the model: see `EmbeddingClassifier.compile`.

        Args:
            optimizer: see there.
            loss: see there; None for the cross-entropy of the pixels that count. Metrics need
                `ignore_class=255`, too, where pixels do not count.
            **kwargs: see there.
        """
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=NO_CLASS
            )
        super().compile(optimizer, loss, **kwargs)

    def prepare(self, examples):
        """Bring images, features of pixels, or pixels in images to the form that is taken."""
        if not isinstance(examples, dict):
            return super().prepare(examples)
        images = super().prepare(examples[IMAGES])
        return {IMAGES: images, PLACES: ops.cast(examples[PLACES], "int32")}

    def run_network(self, prepared, training=False):
        """Compute the embeddings (k, d) of examples that are prepared."""
        if not isinstance(prepared, dict):
            return super().run_network(prepared, training)
        features = transfer.features_of(self.network, prepared[IMAGES], training)
        head = self.network.layers[-1]
        return head(ops.take(features, prepared[PLACES], axis=0), training=training)

    def together(self, function, batches):
        """Apply a function to several batches: see `EmbeddingClassifier`."""
        if isinstance(batches[0], dict):
            # Places count from the first image of their own batch.
            return [function(batch) for batch in batches]
        return super().together(function, batches)

    def call(self, inputs: Any, training: bool = False) -> Tensor | dict[str, Tensor]:
        """Compute the logits of all pixels of images, or those of a training batch.

        Args:
            inputs: images, or pixels; or a pair of labelled and unlabelled pixels.
            training: see `AssociativeModel.call`.

        Returns:
            For images, float32 logits (n, height, width, num_classes); for pixels, what
            `AssociativeModel.call` returns.
        """
        outputs = super().call(inputs, training)
        is_images = len(getattr(inputs, "shape", ())) == 4
        return self.as_maps(outputs) if is_images else outputs

    @returns_total
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Compute the total loss of a batch of pixels, or of whole images and their maps.

        Args:
            x: unused; the inputs.
            y: see `AssociativeModel.compute_loss`; for images (n, height, width) integers.
            y_pred: what `call` returned.
            sample_weight: optional weights: of the pixels, in the shape of `y`, or (n,) of images.
            training: whether this is a training step.

        Returns:
            Scalar float32; not a number if maps have another size than the images, and that is
            not known before the batch is computed.

        Raises:
            ValueError: see `AssociativeModel.compute_loss`; or if it is known before.
        """
        if not isinstance(y_pred, dict) and len(y_pred.shape) == 4:
            if sample_weight is not None and len(sample_weight.shape) < 3:
                of_images = ops.reshape(sample_weight, (-1, *[1] * (len(y.shape) - 1)))
                sample_weight = ops.broadcast_to(of_images, ops.shape(y))
            for maps in (y, sample_weight):
                if maps is not None:
                    y_pred = ops.where(_have_size(maps, y_pred), y_pred, float("nan"))
            y, y_pred, sample_weight = map(_by_pixel, (y, y_pred, sample_weight))
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def as_maps(self, logits: Tensor) -> Tensor:
        """Enlarge logits (n * rows * columns, classes) to maps of the images' height and width."""
        maps = ops.reshape(logits, (-1, *self.grid, self.num_classes))
        size = self.network.input_shape[1:3]
        return ops.image.resize(maps, size, interpolation="bilinear", data_format="channels_last")

    def named_images(self, batch):
        """Name the images of a training batch: see `AssociativeModel`."""
        named = super().named_images(batch)
        return {
            name: part[IMAGES] if isinstance(part, dict) else part for name, part in named.items()
        }

    def get_config(self):
        """Return the arguments of the constructor, parts serialised."""
        return {**super().get_config(), "grid": self.grid}


def _have_size(maps, logits):
    """Say whether maps have the height and width of logits (n, height, width, classes).

    TensorFlow forgets the size of maps, and then their rank, after it has seen others.

    Raises:
        ValueError: if it is known that they do not.
    """
    known, size = maps.shape, tuple(logits.shape[1:3])
    if getattr(known, "rank", 0) is None:
        raise ValueError("maps have another number of axes than earlier ones: compile anew")
    if len(known) < 3 or any(a not in (None, b) for a, b in zip(known[1:], size, strict=False)):
        raise ValueError(
            f"maps of classes, or weights of pixels, have the shape {tuple(known)}: give (n, "
            f"{size[0]}, {size[1]}), the height and width of the images that the network takes"
        )
    return ops.all(ops.equal(ops.stack(ops.shape(maps)[1:3]), size))


def _by_pixel(maps):
    """Reshape (n, height, width, ...) to (n * height * width, ...)."""
    return None if maps is None else ops.reshape(maps, (-1, *maps.shape[3:]))
