"""Choosing which images of a training set are labelled, and which are held out for validation."""

import itertools

import numpy as np

from semisup.errors import ArgumentError


def choose_labelled(labels, per_class, class_names, seed):
    """Choose a random labelled subset with the same number of images of each class.

    Args:
        labels: (n,) integer classes.
        per_class: images of each class, or -1 for all images.
        class_names: names of the classes; every class needs an image.
        seed: seed of the choice.

    Returns:
        A list with, for each class, the sorted indices (int64 array) of its labelled images.

    Raises:
        ValueError: if a class has fewer images than asked for, or none.
    """
    generator = np.random.default_rng([seed, 0x1ABE1])
    pools = members_of(labels, len(class_names))
    fewest, name = min((len(pool), name) for pool, name in zip(pools, class_names, strict=True))
    if not fewest:
        raise ArgumentError(
            "labels", None, f"class {name} has no training image; every class needs at least one"
        )
    if fewest < per_class:
        raise ArgumentError(
            "per_class",
            per_class,
            f"class {name} has {fewest} training images; ask for at most {fewest}",
        )
    chosen = []
    for members in pools:
        if per_class >= 0:
            members = generator.choice(members, per_class, replace=False)
        chosen.append(np.sort(members))
    return chosen


def hold_out_part(pools, parts, number, class_names, seed):
    """Hold out one of several parts of the labelled images, a share of every class.

    Each image is in one part. The parts differ by one image at most, and so do their shares of a
    class.

    Args:
        pools: for each class, the indices of its labelled images.
        parts: number of parts, at least 2.
        number: which one is held out, from 0 on.
        class_names: names of the classes.
        seed: seed of the division.

    Returns:
        A list with, for each class, the sorted indices (int64 array) of the images that are left,
        and the sorted indices of those that are held out.

    Raises:
        ValueError: if a class has fewer images than there are parts.
    """
    fewest, name = min((len(pool), name) for pool, name in zip(pools, class_names, strict=True))
    if fewest < parts:
        most = f"give at most {fewest}" if fewest > 1 else "it takes at least 2 of each class"
        raise ArgumentError("parts", parts, f"class {name} has {fewest} labelled images; {most}")
    generator = np.random.default_rng([seed, 0xF01D])
    starts = np.cumsum([0, *map(len, pools[:-1])])
    kept, held_out = [], []
    for start, pool in zip(starts, pools, strict=True):
        shuffled = generator.permutation(pool)
        chosen = (start + np.arange(len(pool))) % parts == number
        kept.append(np.sort(shuffled[~chosen]))
        held_out.append(shuffled[chosen])
    return kept, np.sort(np.concatenate(held_out))


def members_of(labels, num_classes):
    """Sort images by their classes.

    Args:
        labels: (n,) integer classes.
        num_classes: number of classes.

    Returns:
        A list with, for each class, the ascending indices (int64 array) of its images.
    """
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels, np.arange(num_classes + 1), sorter=order)
    return [order[start:end] for start, end in itertools.pairwise(bounds)]


def turns(labels, order):
    """Return the place of each image among those of its class, in an order.

    Args:
        labels: (n,) classes.
        order: (n,) permutation of the images.

    Returns:
        (n,) int64, from 0 on.
    """
    by_class = order[np.argsort(labels[order], kind="stable")]
    first = np.searchsorted(labels[by_class], labels[by_class])
    places = np.empty(len(labels), np.int64)
    places[by_class] = np.arange(len(labels)) - first
    return places


def choose_pool(num_images, samples, seed):
    """Choose the images from which unlabelled batches are drawn.

    Args:
        num_images: images that there are.
        samples: how many to use, or -1 for all.
        seed: seed of the choice.

    Returns:
        Sorted int64 indices.

    Raises:
        ValueError: if there are fewer images than asked for.
    """
    if samples < 0:
        return np.arange(num_images)
    if samples > num_images:
        raise ArgumentError("samples", samples, f"there are only {num_images} images")
    generator = np.random.default_rng([seed, 0x900])
    return np.sort(generator.choice(num_images, samples, replace=False))


def hold_out(labels, count, class_names, seed):
    """Split a training set at random into images to train on and images to validate on.

    Each class gives images in proportion to its size, and keeps at least one to train on.

    Args:
        labels: (n,) integer classes.
        count: images to hold out in all, at least 1.
        class_names: names of the classes.
        seed: seed of the choice.

    Returns:
        Two sorted int64 arrays of indices: to train on, and held out.

    Raises:
        ValueError: if a class would have no image left to train on.
    """
    permutation = _permutation(len(labels), seed)
    members = members_of(labels[permutation], len(class_names))
    shares = _proportional_shares(np.array([len(places) for places in members]), count)
    held_out = [places[:share] for places, share in zip(members, shares, strict=True)]
    held_out = permutation[np.concatenate(held_out)]
    return np.setdiff1d(permutation, held_out), np.sort(held_out)


def hold_out_regardless_of_class(num_images, count, seed):
    """Hold out the images that version 1 of the sampler did, for the evaluation of its runs.

    Args:
        num_images: images of the training set.
        count: images to hold out.
        seed: seed of the choice.

    Returns:
        Two sorted int64 arrays of indices: to train on, and held out.
    """
    permutation = _permutation(num_images, seed)
    return np.sort(permutation[count:]), np.sort(permutation[:count])


def _permutation(num_images, seed):
    return np.random.default_rng([seed, 0x7E57]).permutation(num_images)


def _proportional_shares(sizes, count):
    """Return the images of each class to hold out, by largest remainders; one is always left."""
    most = np.maximum(sizes - 1, 0)
    if count > most.sum():
        raise ArgumentError(
            "count",
            count,
            "a class would have no image left to train on: of "
            f"{sizes.sum()} training images in {np.count_nonzero(sizes)} classes, at most "
            f"{most.sum()} can be held out",
        )
    exact = count * sizes / sizes.sum()
    shares = np.minimum(np.floor(exact).astype(np.int64), most)
    while left := count - shares.sum():
        takers = np.flatnonzero(shares < most)
        takers = takers[np.argsort((shares - exact)[takers], kind="stable")][:left]
        shares[takers] += np.minimum(most[takers] - shares[takers], max(1, left // len(takers)))
    return shares
