"""Which pixels a batch has: a function of seed and step."""

import numpy as np

from segmentation.choices import NO_CLASS, STRIDE
from semisup.data import sampling


def on_grid(maps):
    """Return the classes at the middle of the cells of the grid.

    Args:
        maps: (k, height, width) uint8.

    Returns:
        (k, rows, columns) uint8.
    """
    rows, columns = map(middles, maps.shape[1:])
    return maps[:, rows[:, None], columns]


def middles(size):
    """Return the rows, or columns, of the pixels at the middle of the cells of the grid.

    Args:
        size: height, or width, of an image.
    """
    return np.minimum(np.arange(0, size, STRIDE) + STRIDE // 2, size - 1)


def class_counts(shares, size, draws):
    """Say how many pixels of each class a batch has.

    Args:
        shares: (classes,) how many pixels the classes have, 0 for those that are missing.
        size: pixels in a batch.
        draws: one of `choices.PIXEL_DRAWS` but the first.

    Returns:
        (classes,) int that sum to `size`, at least 1 for each class that is there.
    """
    weights = np.sqrt(shares) if draws == "square_root" else (shares > 0).astype(float)
    least = (shares > 0).astype(int)
    exact = weights / weights.sum() * (size - least.sum())
    counts = np.floor(exact).astype(int)
    rest = size - least.sum() - counts.sum()
    counts[np.argsort(counts - exact, kind="stable")[:rest]] += 1
    return counts + least


def labelled_batches(classes, size, draws, seed, first_step=0):
    """Draw labelled pixels for each step.

    Args:
        classes: (k,) uint8 classes of all pixels of the labelled images, `NO_CLASS` for what does
            not count.
        size: pixels in a batch.
        draws: one of `choices.PIXEL_DRAWS`.
        seed: seed of the training.
        first_step: step of the first batch.

    Returns:
        An endless `tf.data.Dataset` of (size,) int64 places in `classes`.
    """
    if draws == "as_they_occur":
        pool = np.flatnonzero(classes != NO_CLASS)
        return sampling.Sampler([pool], size, seed, sampling.LABELLED).batches(first_step)
    shares = np.bincount(classes[classes != NO_CLASS])
    counts = class_counts(shares, size, draws)
    samplers = [
        sampling.Sampler([np.flatnonzero(classes == place)], count, seed, sampling.LABELLED + place)
        for place, count in enumerate(counts)
        if count
    ]

    def indices(steps):
        return np.concatenate([sampler.indices(steps) for sampler in samplers], axis=1)

    return sampling.in_blocks(indices, (size,), first_step)


def pixels_in_images(
    images, cells, count, size, seed, stream, first_step=0, classes=None, draws=""
):
    """Draw some images for each step, and pixels in them.

    Args:
        images: number of images to draw from.
        cells: pixels of an image.
        count: images in a batch.
        size: pixels in a batch.
        seed: seed of the training.
        stream: number that tells these draws from others of the seed.
        first_step: step of the first batch.
        classes: (images, cells) uint8 classes, by which pixels are drawn, at least one in each
            image; None to draw any.
        draws: one of `choices.PIXEL_DRAWS`, where there are classes.

    Returns:
        An endless `tf.data.Dataset` of (count + size,) int64: the images, and places of pixels in
        them, from 0 to count * cells.
    """
    sampler = sampling.Sampler([np.arange(images)], count, seed, stream)

    def draw(step):
        chosen = sampler.indices([step])[0]
        weights = np.ones(count * cells)
        if classes is not None:
            weights = _weights(classes[chosen].ravel(), draws)
        generator = np.random.default_rng([seed, stream, step])
        few = np.count_nonzero(weights) < size
        places = generator.choice(len(weights), size, replace=few, p=weights / weights.sum())
        return np.concatenate([chosen, places])

    def indices(steps):
        return np.stack([draw(int(step)) for step in steps])

    return sampling.in_blocks(indices, (count + size,), first_step)


def _weights(classes, draws):
    """Return how probable each pixel is, so that classes have the shares that are asked for."""
    counted = classes != NO_CLASS
    shares = np.bincount(classes[counted], minlength=NO_CLASS + 1).astype(float)
    powers = {"as_they_occur": 0.0, "square_root": -0.5, "balanced": -1.0}
    return np.where(counted, np.maximum(shares, 1)[classes] ** powers[draws], 0.0)
