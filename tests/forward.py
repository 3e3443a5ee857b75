"""What a network computes of some images, in float32."""

import keras
import numpy as np


def embed(model, images, training=False):
    """Computes embeddings.

    Args:
        model: a built Keras model.
        images: a batch for it.
        training: whether it is called as in training, after which its state is another.

    Returns:
        float32 array.
    """
    if keras.backend.backend() == "jax" and not training:
        # One program: by itself, JAX compiles each operation for each shape.
        import jax

        call = jax.jit(lambda *arguments: model.stateless_call(*arguments, training=False)[0])
        embeddings = call(
            [variable.value for variable in model.trainable_variables],
            [variable.value for variable in model.non_trainable_variables],
            images,
        )
    else:
        embeddings = model(images, training=training)
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(embeddings, "float32")))
