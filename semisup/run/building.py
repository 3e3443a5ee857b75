"""From a configuration to the parts of a model that all tasks build alike."""

import contextlib

from semisup.errors import rephrased


@rephrased(
    name="--architecture={value}: {reason}; --architecture=help lists all",
    input_shape="{reason}; --new_size enlarges them",
    embedding_size="--emb_size={value}: {reason}",
    normalization="{reason}; leave --normalization at auto",
    images="{reason}; try --normalization=image",
    pretrained="--pretrained: {reason}",
    num_blocks="--num_blocks={value}: {reason}",
    dropout="--dropout={value}: {reason}",
    trainable="--trainable={value}: {reason}",
)
def build_network(config, image_shape, normalization_images=None):
    """Build the network of a configuration, under the dtype policy of the moment.

    Args:
        config: a `RunConfig`.
        image_shape: (height, width, channels).
        normalization_images: images whose statistics normalise; None where the statistics are
            restored from a checkpoint afterwards.

    Returns:
        A Keras model from images (n, *image_shape) to embeddings.

    Raises:
        UserError: if the architecture is unknown or does not fit the images.
    """
    from semisup import architectures
    from semisup.architectures import normalization

    return architectures.build(
        config.architecture,
        image_shape,
        embedding_size=config.emb_size,
        normalization=None
        if config.normalization == "auto"
        else normalization.build(config.normalization, normalization_images, image_shape),
        l2_weight=None if config.l2_weight < 0 else config.l2_weight,
        pretrained=config.pretrained,
        num_blocks=config.num_blocks or None,
        dropout=None if config.dropout < 0 else config.dropout,
        trainable=int(config.trainable) if config.trainable.isdecimal() else config.trainable,
        head_units=None if config.head_units < 0 else config.head_units,
        centre_features=config.centre_features,
    )


@rephrased(name="--architecture={value}: {reason}; --architecture=help lists all")
def check_network(config):
    """Make sure that there is a network of a configuration's name, before its data is read.

    Args:
        config: a `RunConfig`.

    Raises:
        UserError: if there is none.
    """
    from semisup import architectures

    architectures.check_name(config.architecture)


def build_augmentation(task, config):
    """Build what changes the training examples of a configuration, or return None.

    Args:
        task: its `Task`.
        config: a configuration of the task.

    Returns:
        A layer for images; for cached features, one that draws views.
    """
    if not config.feature_views:
        return task.augmentation(config, config.seed)
    from semisup.architectures.transfer import RandomView

    return RandomView(config.seed, name="views")


def classifier_regularizer():
    """Make the L2 of the classifier in the authors' code, whatever the network's own.

    1e-4 times half the sum of squares, which Keras takes without the half.
    """
    import keras

    return keras.regularizers.L2(0.5e-4)


def compile_model(config, model, optimizer_class=None):
    """Compile a built model with the optimizer of a configuration.

    Args:
        config: a `RunConfig`.
        model: an `EmbeddingClassifier`.
        optimizer_class: `SteerableAdam` (the default) or a subclass.

    Returns:
        The model.
    """
    import keras

    from semisup.architectures import transfer
    from semisup.models.optimizers import SteerableAdam
    from semisup.models.schedules import StaircaseDecay

    model.compile(
        optimizer=(optimizer_class or SteerableAdam)(
            StaircaseDecay(
                config.learning_rate,
                config.decay_factor,
                config.decay_steps,
                config.minimum_learning_rate,
                config.warmup_steps,
            ),
            beta_1=config.beta1,
            beta_2=config.beta2,
            epsilon=1e-8,
            global_clipnorm=config.clip_norm or None,
            name="adam",
        ),
        jit_compile=config.jit_compile == "on"
        or (config.jit_compile == "auto" and keras.backend.backend() == "jax"),
        steps_per_execution=config.steps_per_execution,
    )
    model.optimizer.build(model.trainable_variables)
    if config.network_learning_rate:
        factor = config.network_learning_rate / config.learning_rate
        backbone = transfer.backbone_of(model.network)
        below = {variable.path for variable in backbone.trainable_variables}
        model.optimizer.rate_factors = [
            factor if variable.path in below else 1.0 for variable in model.trainable_variables
        ]
    return model


@contextlib.contextmanager
def dtype_policy(config):
    """Set Keras' dtype policy to a configuration's precision, and put the old one back.

    Args:
        config: a `RunConfig`.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if config.precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
