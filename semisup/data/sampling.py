"""Batches that are a pure function of (seed, step).

Each pool of images (one per class for the labelled ones, one for the unlabelled) is passed over in
epochs, every epoch in an order of its own, drawn by a stateless generator from (seed, pool, epoch).
A batch continues where the batch before it ended, across epochs if need be. So a training that is
resumed at a step sees exactly the batches it would have seen, and no iterator's state is saved.
"""

import numpy as np


def draw_indices(pool, draws, seed, stream, first_step=0):
    """Endless batches of a pool's members, without replacement within an epoch.

    Args:
        pool: (n,) integer indices, at least one.
        draws: members in a batch; may exceed the pool, which then repeats within the batch.
        seed: seed of the training.
        stream: number of the pool; pools of different numbers are shuffled independently.
        first_step: step of the first batch.

    Returns:
        A `tf.data.Dataset` of (draws,) int64 tensors.

    Raises:
        ValueError: if the pool is empty.
    """
    import tensorflow as tf

    pool = np.asarray(pool, dtype=np.int64)
    if not len(pool):
        raise ValueError("cannot draw from an empty pool")
    first_epoch, skipped = divmod(first_step * draws, len(pool))
    # Hashed, since plain seeds of neighbouring pools would share orders between their epochs.
    words = np.random.SeedSequence([seed, stream]).generate_state(2, np.uint64).astype(np.int64)
    members = tf.constant(pool)

    def epoch(number):
        order = tf.random.experimental.stateless_shuffle(
            members, seed=tf.stack([words[0], tf.bitwise.bitwise_xor(words[1], number)])
        )
        return tf.data.Dataset.from_tensor_slices(order)

    epochs = tf.data.Dataset.counter(first_epoch, dtype=tf.int64)
    return epochs.flat_map(epoch).skip(skipped).batch(draws, drop_remainder=True)


def source(images):
    """Images as a pipeline gathers from them: copied once, however many pipelines do.

    Args:
        images: (n, height, width, channels) uint8, in memory or memory-mapped.

    Returns:
        A tensor in the processor's memory; a memory-mapped array as it is.
    """
    import tensorflow as tf

    if isinstance(images, np.memmap):
        return images
    with tf.device("CPU:0"):
        return tf.constant(images)


def gather(images, indices):
    """Rows of an image array inside a `tf.data` pipeline.

    Args:
        images: what `source` returned for (n, height, width, channels) uint8 images.
        indices: (k,) int64 tensor.

    Returns:
        (k, height, width, channels) uint8 tensor.
    """
    import tensorflow as tf

    if not isinstance(images, np.memmap):
        return tf.gather(images, indices)
    rows = tf.numpy_function(lambda chosen: images[chosen], [indices], tf.uint8, stateful=False)
    return tf.ensure_shape(rows, (indices.shape[0], *images.shape[1:]))


def labelled_batches(images, class_pools, per_class, seed, first_step=0):
    """Endless labelled batches with a set number of images of each class, ordered by class.

    Args:
        images: what `source` returned for (n, height, width, channels) uint8 images.
        class_pools: for each class, the (n_c,) indices of its labelled images.
        per_class: images of each class in a batch.
        seed: seed of the training.
        first_step: step of the first batch.

    Returns:
        A `tf.data.Dataset` of pairs: images (classes * per_class, height, width, channels) uint8
        and labels (classes * per_class,) int32.
    """
    import tensorflow as tf

    labels = np.repeat(np.arange(len(class_pools), dtype=np.int32), per_class)
    streams = tuple(
        draw_indices(pool, per_class, seed, stream=1 + label, first_step=first_step)
        for label, pool in enumerate(class_pools)
    )

    def batch(*indices):
        return gather(images, tf.concat(indices, axis=0)), labels

    return tf.data.Dataset.zip(streams).map(batch)


def unlabelled_batches(images, pool, size, seed, first_step=0):
    """Endless batches of unlabelled images.

    Args:
        images: what `source` returned for (n, height, width, channels) uint8 images.
        pool: (k,) indices to draw from.
        size: images in a batch.
        seed: seed of the training.
        first_step: step of the first batch.

    Returns:
        A `tf.data.Dataset` of (size, height, width, channels) uint8 tensors.
    """
    indices = draw_indices(pool, size, seed, stream=0, first_step=first_step)
    return indices.map(lambda chosen: gather(images, chosen))


def training_batches(labelled, unlabelled=None):
    """Batches for `AssociativeModel.fit`.

    Args:
        labelled: dataset of (images, labels).
        unlabelled: dataset of images, or None to train on the labels alone.

    Returns:
        A `tf.data.Dataset` of ((labelled_images, unlabelled_images), labels), or of the labelled
        batches as they are; prefetched.
    """
    import tensorflow as tf

    batches = labelled
    if unlabelled is not None:
        batches = tf.data.Dataset.zip(labelled, unlabelled).map(
            lambda labelled, images: ((labelled[0], images), labelled[1])
        )
    return in_order(batches)


def in_order(batches):
    """Batches in the same order every time, prepared while the step before them is taken."""
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
