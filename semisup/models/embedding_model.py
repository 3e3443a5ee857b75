"""A Keras model whose losses are of embeddings, which one network computes."""

from collections.abc import Sequence
from typing import Any

import keras

from semisup.architectures import transfer
from semisup.embeddings.types import Tensor
from semisup.models import inputs as model_inputs
from semisup.models.weighted_losses import WeightedLossesModel


class EmbeddingModel(WeightedLossesModel):
    """A network that embeds examples, and weighted losses.

    Images, which are tensors of rank 4, may be uint8: they are cast to float32 first, grey images
    are repeated to RGB, and images of another size are resized bilinearly where the network's input
    asks for it. All other inputs go to the network as they are.

    Args:
        network: any Keras model or layer from inputs of any structure (one tensor, a list or a
            dictionary of tensors) to embeddings (n, d).
        loss_names: see `WeightedLossesModel`.
        statistics_names: see `WeightedLossesModel`.
        augmentation: layer applied to float32 images in training, or None.
        average_decay: see `WeightedLossesModel`.
        **kwargs: arguments of `keras.Model`.

    Attributes:
        input_shapes: structure of the shapes that the model was built with, or None.

    Raises:
        ValueError: if the network is none, or `average_decay` below 0 or not below 1.
    """

    def __init__(
        self,
        network: keras.layers.Layer,
        loss_names: Sequence[str],
        statistics_names: Sequence[str] = (),
        augmentation: keras.layers.Layer | None = None,
        average_decay: float = 0.0,
        **kwargs: Any,
    ):
        # Under mixed precision, Keras would round float images before they are cast to float32.
        super().__init__(
            loss_names, statistics_names, average_decay, **{"autocast": False, **kwargs}
        )
        if not isinstance(network, keras.layers.Layer):
            raise ValueError(f"network {network!r} is no Keras model or layer")
        self.network = network
        self.augmentation = augmentation
        self.input_shapes = None

    def prepare(self, examples: Any) -> Any:
        """Bring examples to the form that the network takes, before augmentation.

        Args:
            examples: a tensor, or a structure of tensors; of images (n, height, width, channels),
                any numeric type.

        Returns:
            The same, images as float32 with the size and the channels of the network's input,
            where it has one of fixed shape.

        Raises:
            ValueError: if the examples don't have the rank of the network's input, or RGB images
                meet a network for grey ones.
        """
        return model_inputs.prepare(self.network, examples, self.input_shapes)

    def embed(self, examples: Any, training: bool = False) -> Tensor:
        """Compute the embeddings of examples.

        Args:
            examples: see `prepare`; a uint8 batch of images is taken as is, without scaling.
            training: whether to augment them and run the network in training mode.

        Returns:
            (n, d) embeddings in the network's compute type.
        """
        return self.run_network(self.augment(self.prepare(examples), training), training)

    def run_network(self, prepared, training=False):
        """Compute the embeddings of examples that are prepared, and augmented if they should be."""
        parts = transfer.parts(self.network)
        if parts is None:
            return self.network(prepared, training=training)
        if transfer.takes_features(self.network, prepared):
            features = transfer.first_view(prepared)
        else:
            features = transfer.features_of(self.network, prepared, training)
        return parts.head(features, training=training)

    def augment(self, prepared, training=True):
        """Change prepared examples at random in training, where there is an augmentation."""
        if training and self.augmentation is not None:
            return self.augmentation(prepared, training=True)
        return prepared

    def get_config(self):
        """Return the arguments of the constructor that are not the losses, parts serialised."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "network": serialize(self.network),
            "augmentation": serialize(self.augmentation),
            "average_decay": 0.0 if self.average is None else self.average.decay,
        }

    @classmethod
    def from_config(cls, config):
        """Make a model from what `get_config` returned, by this or an earlier version."""
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{name: deserialize(value) for name, value in config.items()})
