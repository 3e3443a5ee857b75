"""Pipelines of training batches: rows of arrays, gathered as a sampler has drawn them."""

import numpy as np

from semisup.data.sampling import LABELLED, WHOLE, Sampler


def images_themselves(images):
    """Return images: they are what a network is given, unless it is given features of them."""
    return images


def source(examples):
    """Return examples as pipelines gather from them: copied once, however many pipelines do.

    Args:
        examples: (n, height, width, channels) uint8 images, in memory or memory-mapped; or an array
            of whatever else a network is given, or a structure of such arrays.

    Returns:
        A tensor in the processor's memory for each array; a memory-mapped array as it is.
    """
    import tensorflow as tf

    with tf.device("CPU:0"):
        return tf.nest.map_structure(
            lambda part: part if isinstance(part, np.memmap) else tf.constant(part), examples
        )


def gather(examples, indices):
    """Gather rows of arrays inside a `tf.data` pipeline.

    Args:
        examples: what `source` returned for (n, ...) images, or for anything else.
        indices: (k,) int64 tensor.

    Returns:
        (k, ...) tensor of the array's type, or a structure of them.
    """
    import tensorflow as tf

    def rows(part):
        if not isinstance(part, np.memmap):
            return tf.gather(part, indices)
        chosen = tf.numpy_function(lambda some: part[some], [indices], part.dtype, stateful=False)
        return tf.ensure_shape(chosen, (indices.shape[0], *part.shape[1:]))

    return tf.nest.map_structure(rows, examples)


def labelled_batches(images, class_pools, per_class, seed, first_step=0, share=WHOLE):
    """Make endless labelled batches with a set number of images of each class, in their order.

    Args:
        images: what `source` returned for (n, height, width, channels) uint8 images.
        class_pools: for each class, the (n_c,) indices of its labelled images.
        per_class: images of each class in a batch.
        seed: seed of the training.
        first_step: step of the first batch.
        share: the `Share` of each batch that is read.

    Returns:
        A `tf.data.Dataset` of pairs: images (classes * per_class, height, width, channels) uint8
        and labels (classes * per_class,) int32.
    """
    labels = np.repeat(np.arange(len(class_pools), dtype=np.int32), per_class)
    rows = share.rows(len(labels))
    indices = Sampler(class_pools, per_class, seed, LABELLED).batches(first_step, rows)
    return indices.map(lambda chosen: (gather(images, chosen), labels[rows]))


def batches_of_classes(images, sampler, first_step=0, share=WHOLE):
    """Make endless labelled batches, each of some of the classes.

    Args:
        images: see `labelled_batches`.
        sampler: a `ClassSampler`.
        first_step: step of the first batch.
        share: see `labelled_batches`.

    Returns:
        A `tf.data.Dataset` of pairs, see `labelled_batches`.
    """
    import tensorflow as tf

    drawn = sampler.batches(first_step, share.rows(sampler.size))
    return drawn.map(lambda pair: (gather(images, pair[0]), tf.cast(pair[1], tf.int32)))


def unlabelled_batches(images, sampler, first_step=0, rows=slice(None)):
    """Make endless batches of images without labels.

    Args:
        images: what `source` returned for (n, height, width, channels) uint8 images.
        sampler: what draws them, a `Sampler` of a single pool say.
        first_step: step of the first batch.
        rows: slice of each batch that is read.

    Returns:
        A `tf.data.Dataset` of (size, height, width, channels) uint8 tensors.
    """
    return sampler.batches(first_step, rows).map(lambda chosen: gather(images, chosen))


def joined(batches, others):
    """Append the examples of batches to those of others, for every step.

    Args:
        batches: `tf.data.Dataset` of tensors.
        others: the same, of examples of the same shape and type.
    """
    import tensorflow as tf

    return tf.data.Dataset.zip(batches, others).map(lambda *parts: tf.concat(parts, axis=0))


def training_batches(labelled, unlabelled=None):
    """Make batches for `AssociativeModel.fit`.

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
    """Let batches have the same order every time, and prepare them a step ahead."""
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
