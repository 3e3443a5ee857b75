"""Image classification data sets of TensorFlow Datasets (TFDS): stock, ours, or just on disk."""

import contextlib
import importlib
import logging
import math
import os
import stat
from collections.abc import Iterator
from typing import Any

import numpy as np

from semisup.data import pixels
from semisup.data.cache import UNLABELLED, Blocks, Source
from semisup.errors import UserError, first_line, shown
from semisup.files import locking
from semisup.files.opening import NOT_REGULAR

_BLOCK_BYTES = 2**20
_JSON_BYTES = 2**26

# The default of 10 keeps a user without a network waiting for more than three minutes.
_DOWNLOAD_RETRIES = 5


def open_tfds(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: int = 0,
    fit: str = "squash",
    labelled: bool = True,
) -> tuple[tuple[str, ...], dict[str, Source]]:
    """Find a data set of TFDS, and prepare it if it is not there yet but has a builder.

    What is prepared in `data_dir` is read as it is, whether or not TFDS has a builder for it, and
    whichever version it is. Examples come in the order of the files.

    Args:
        name: name as TFDS has it; a configuration or version may follow (`emnist/letters:3.1.0`).
        data_dir: TFDS' data_dir; `None` is its own default.
        image_size: if not 0, all images are resized to image_size x image_size.
        fit: see `semisup.data.pixels.to_array`.
        labelled: whether the images need to have a `label`.

    Returns:
        The class names, and a source for each split; no names where the images have no `label`.

    Raises:
        UserError: there is no such data set, it could not be prepared, it is not one of images
            with one class each, or its images differ in size and there is no `image_size`.
    """
    tfds = _with_our_builders()
    data_dir = data_dir and os.path.expanduser(data_dir)
    where = data_dir or tfds.core.constants.DATA_DIR
    with _quiet():
        builder = _builder(tfds, name, data_dir, where)
        features = builder.info.features
        if not _is_of_images(tfds, features, labelled):
            raise UserError(
                f"data set {name!r} is not one of images (`image`, uint8, grey or RGB) with one "
                f"class each (`label`){'' if labelled else ' or none'}; it has "
                f"{', '.join(features)}"
            )
        if not builder.is_prepared():
            with _alone(where, name):
                # Another process may have prepared it while this one waited.
                builder = _builder(tfds, name, data_dir, where)
                if not builder.is_prepared():
                    _prepare(builder, name, where)
    sources = {
        split: _source(tfds, builder, split, image_size, fit)
        for split, info in builder.info.splits.items()
        if info.num_examples
    }
    return tuple(features["label"].names if "label" in features else ()), sources


def texts(
    name: str,
    split: str,
    feature: tuple[str, ...],
    *,
    data_dir: str | os.PathLike | None = None,
) -> list[list[str]]:
    """Read the texts of each example of a data set that is prepared: see `open_tfds`.

    Args:
        name: see `open_tfds`.
        split: name of the split.
        feature: where the texts of an example are: names of features, the outermost first.
        data_dir: see `open_tfds`.

    Returns:
        For each example, in the order of the images, its texts.

    Raises:
        UserError: the data set has no such feature, or cannot be read.
    """
    import tensorflow as tf

    tfds = _with_our_builders()
    data_dir = data_dir and os.path.expanduser(data_dir)
    with _quiet():
        builder = _builder(tfds, name, data_dir, data_dir or tfds.core.constants.DATA_DIR)
    spec, features = True, builder.info.features
    for part in feature:
        if part not in features:
            raise UserError(f"data set {name!r} has no {'/'.join(feature)}")
        features = features[part]
    for part in reversed(feature):
        spec = {part: spec}
    found = []
    try:
        for example in _read(tfds, builder, split, spec).as_numpy_iterator():
            for part in feature:
                example = example[part]
            found.append([text.decode("utf-8", "replace") for text in np.ravel(example)])
    except tf.errors.OpError as error:
        raise _unreadable(builder, split, error) from error
    return found


def _is_of_images(tfds: Any, features: Any, labelled: bool) -> bool:
    if not isinstance(features, tfds.features.FeaturesDict) or "image" not in features:
        return False
    has_classes = "label" in features and isinstance(features["label"], tfds.features.ClassLabel)
    return (
        (has_classes or not (labelled or "label" in features))
        and isinstance(features["image"], tfds.features.Image)
        and features["image"].np_dtype == np.uint8
        and features["image"].shape[-1] in (1, 3)
    )


def _with_our_builders():
    """Import TFDS, which then knows the data sets of `semisup.data.builders`, too."""
    # It takes seconds, and no other data set should wait for it.
    import tensorflow_datasets

    importlib.import_module("semisup.data.builders")
    return tensorflow_datasets


def _builder(tfds: Any, name: str, data_dir: str | None, where: str) -> Any:
    try:
        _check_regular(name, where)
        # Files first: a stock builder would pass over data that another version of it prepared.
        with _known_features(tfds):
            return tfds.core.read_only_builder.builder_from_files(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError:
        pass
    except Exception as error:
        raise UserError(f"cannot read data set {name!r} in {where}: {first_line(error)}") from error
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:
        raise UserError(
            f"unknown data set {name!r}: it is not prepared in {where}, and tensorflow-datasets "
            "has none of that name; pass --data_dir if it is prepared elsewhere, or use mnist_5k "
            "or folder:PATH"
        ) from error


def _check_regular(name: str, where: str | os.PathLike) -> None:
    """Check that reading a prepared data set ends: that it has no pipes, and short descriptions.

    Raises:
        ValueError: a file is not regular, or too large.
    """
    for folder, _, files in os.walk(os.path.join(where, name.partition("/")[0].partition(":")[0])):
        for file in files:
            path = os.path.join(folder, file)
            try:
                found = os.stat(path)
            except FileNotFoundError:
                # Another process prepares the data set, and has moved it.
                continue
            if not stat.S_ISREG(found.st_mode):
                raise ValueError(f"{path}: {NOT_REGULAR}")
            if file.endswith(".json") and found.st_size > _JSON_BYTES:
                raise ValueError(f"{path} has more than {_JSON_BYTES:,} bytes")


@contextlib.contextmanager
def _known_features(tfds: Any) -> Iterator[None]:
    """Let no description of a data set import a module: it names the classes of its features.

    Allowed are those of TFDS, and those that the calling program has imported.
    """
    connector = tfds.features.FeatureConnector
    original = connector.__dict__["cls_from_name"]

    def cls_from_name(cls, name):
        if not name.startswith(f"{tfds.__name__}.") and name not in cls._registered_features:
            raise ValueError(f"its features are of a class that is not of TFDS: {shown(name)}")
        return original.__func__(cls, name)

    connector.cls_from_name = classmethod(cls_from_name)
    try:
        yield
    finally:
        connector.cls_from_name = original


def _lock(where: str | os.PathLike, name: str) -> str:
    return os.path.join(where, f".{name.replace('/', '_')}.lock")


@contextlib.contextmanager
def _alone(where: str | os.PathLike, name: str) -> Iterator[None]:
    """Wait until no other process prepares a data set in a folder, and keep others waiting.

    Preparing a set may prepare another, so each has a lock of its own.
    """
    with contextlib.ExitStack() as stack:
        # Otherwise preparing will say what is wrong with the folder.
        if "://" not in str(where):
            with contextlib.suppress(OSError):
                stack.enter_context(locking.locked(_lock(where, name)))
        yield


def _prepare(builder: Any, name: str, where: str) -> None:
    try:
        with _fewer_retries():
            builder.download_and_prepare()
    except UserError:
        raise
    except Exception as error:  # of the network, of the disk, of TFDS, of each builder
        raise UserError(
            f"data set {name!r} is not in {where}, and preparing it failed "
            f"({type(error).__name__}: {first_line(error)}); without a network, "
            f"prepare it elsewhere (`tfds build {name}`) and pass that folder as --data_dir"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings about TFDS' own code and each retried connection, but not its progress."""
    loggers = [logging.getLogger(name) for name in ("absl", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _fewer_retries() -> Iterator[None]:
    from tensorflow_datasets.core.download import downloader

    retries = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = _DOWNLOAD_RETRIES
    try:
        yield
    finally:
        downloader.MAX_RETRIES = retries


def _source(tfds: Any, builder: Any, split: str, image_size: int, fit: str) -> Source:
    info = builder.info.splits[split]
    shape = builder.info.features["image"].shape
    if None in shape:
        shape = next(_examples(tfds, builder, f"{split}[:1]"))[0].shape[1:]
    if image_size:
        shape = (image_size, image_size, shape[-1])
    stats = [(path.name, path.stat().length, path.stat().mtime) for path in info.filepaths]
    return Source(
        name=f"{builder.info.name}-{split}",
        key=repr((builder.info.full_name, split, image_size, fit, stats)),
        shape=(info.num_examples, *shape),
        blocks=lambda: _blocks(tfds, builder, split, shape, image_size, fit),
    )


def _blocks(
    tfds: Any, builder: Any, split: str, shape: tuple[int, int, int], image_size: int, fit: str
) -> Blocks:
    for images, labels in _examples(tfds, builder, split):
        if image_size:
            images = np.stack([pixels.resized(image, image_size, fit) for image in images])
        if images.shape[1:] != shape:
            raise UserError(
                f"images of {builder.info.name}-{split} differ in shape: {shape} and "
                f"{images.shape[1:]}; pass --new_size=N to resize all to N x N"
            )
        yield images, labels


def _examples(tfds: Any, builder: Any, split: str) -> Blocks:
    """Yield images as TFDS has them, in blocks; one by one if their sizes may differ."""
    import tensorflow as tf

    features = builder.info.features
    shape = features["image"].shape
    block = 1 if None in shape else max(1, _BLOCK_BYTES // math.prod(shape))
    read = {name: True for name in ("image", "label") if name in features}
    try:
        dataset = _read(tfds, builder, split, read)
        for batch in dataset.batch(block).as_numpy_iterator():
            images = batch["image"]
            yield images, batch.get("label", np.full(len(images), UNLABELLED))
    except tf.errors.OpError as error:
        raise _unreadable(builder, split, error) from error


def _read(tfds: Any, builder: Any, split: str, features: dict[str, Any]) -> Any:
    """Open some features of a split as a `tf.data.Dataset`, in the order of the files."""
    with _quiet():
        return builder.as_dataset(
            split=split,
            decoders=tfds.decode.PartialDecoding(features),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
            shuffle_files=False,
        )


def _unreadable(builder: Any, split: str, error: Exception) -> UserError:
    return UserError(
        f"cannot read {builder.info.name}-{split} in {builder.data_dir}: "
        f"{first_line(error)}; prepare it anew"
    )
