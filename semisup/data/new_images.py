"""Images that a trained run is given: files, or a split of a data set, decoded a block at a time.

However many there are, only two blocks are in memory.
"""

import codecs
import dataclasses
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from semisup.cli import run_options
from semisup.cli.choices import SPLIT_ALIASES
from semisup.cli.dataset_names import FOLDER, is_folder
from semisup.data import ahead, datasets, depth, folder_layout, folders, image_files, pixels
from semisup.data.cache import UNLABELLED, Source
from semisup.errors import UserError
from semisup.files.names import printable

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How an image becomes one as a run was trained on.

    Attributes:
        shape: (height, width, channels) of the images that the run's network takes.
        image_size: the size to which the run's images were resized, 0 if they were not.
        fit: how images that are not square were resized, see `pixels.to_array`.
        find_layout: function that finds the images whose values say how values of more than 8 bits
            become 8 bits, the run's own; it returns None if they are not in a folder.
    """

    shape: tuple[int, int, int]
    image_size: int = 0
    fit: str = "squash"
    find_layout: Callable[[], folder_layout.Layout | None] = lambda: None

    def of_file(self, file: str | os.PathLike) -> np.ndarray:
        """Decode an image file: see `pixels.to_array`.

        Returns:
            uint8 array of the run's shape.

        Raises:
            UserError: the image has more than 8 bits a channel, and the run's folder has moved.
            ValueError: it is a figure or a contact sheet of ours, which often lies among images.
            Exception: whatever Pillow raises for a file that is no image, or a damaged one.
        """
        with image_files.open_image(file) as image:
            image_files.check_is_not_drawn(image)
            scales = self._scales if depth.is_deep(image) else None
            return self._of(image, scales)

    def of_array(self, image: np.ndarray) -> np.ndarray:
        """Bring an image (height, width, 1 or 3), uint8, to the run's shape."""
        if image.shape == self.shape:
            return image
        return self._of(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image))

    def _of(self, image: Image.Image, scales: depth.Scales | None = None) -> np.ndarray:
        height, width, channels = self.shape
        array = pixels.to_array(image, channels, self.image_size, scales, self.fit)
        if array.shape[:2] == (height, width):
            return array
        # The run's images had this size as they were.
        grey = array[..., 0] if channels == 1 else array
        resized = Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(resized).reshape(self.shape)

    @functools.cached_property
    def _scales(self) -> depth.Scales | None:
        try:
            layout = self.find_layout()
            return None if layout is None else folders.scales(layout)
        except UserError as error:
            raise UserError(
                "there are images of more than 8 bits a channel, and how dark and bright they may "
                f"be, the images of the training say: {error}; give --data_dir if they have moved"
            ) from error


class Block(NamedTuple):
    """Some images, in their order.

    Attributes:
        indices: (k,) int, their places among all images.
        images: (k, height, width, channels) uint8.
        labels: (k,) int, `cache.UNLABELLED` where there is none.
    """

    indices: np.ndarray
    images: np.ndarray
    labels: np.ndarray


class ImageFiles:
    """Image files. Those that cannot be read are left out of the blocks.

    Args:
        files: their paths.
        preparation: what becomes of each.
        labels: the class of each, if they are known.

    Attributes:
        names: what they are called, their paths.
        skipped: index and reason of each file that could not be read, in those blocks that have
            been decoded.
    """

    def __init__(
        self,
        files: Iterable[str | os.PathLike],
        preparation: Preparation,
        labels: Sequence[int] | None = None,
    ):
        self.files = [Path(file) for file in files]
        self.names = [str(file) for file in self.files]
        self.skipped: list[tuple[int, str]] = []
        self._preparation = preparation
        self._labels = np.full(len(self.files), UNLABELLED) if labels is None else np.array(labels)

    def __len__(self) -> int:
        return len(self.files)

    def blocks(self, size: int) -> Iterator[Block]:
        """Decode the files on several threads, a block ahead.

        Args:
            size: files in a block.

        Yields:
            A `Block` of those that could be read, if there are any.

        Raises:
            UserError: see `Preparation.of_file`.
        """
        self.skipped.clear()
        indices, images = [], []
        decoded = ahead.in_threads(self._decoded, self.files, ahead=size)
        for index, (image, reason) in enumerate(decoded):
            if image is None:
                self.skipped.append((index, reason))
            else:
                indices.append(index)
                images.append(image)
            is_last = index + 1 == len(self)
            if indices and (is_last or (index + 1) % size == 0):
                yield Block(np.array(indices), np.stack(images), self._labels[indices])
                indices, images = [], []

    def _decoded(self, file: Path) -> tuple[np.ndarray | None, str]:
        """Return an image; or None, and why it cannot be read."""
        try:
            return self._preparation.of_file(file), ""
        except UserError:
            raise
        except Exception as error:  # damaged files make Pillow raise almost anything
            return None, image_files.why_unreadable(error)

    def images(self, indices: Iterable[int]) -> list[np.ndarray]:
        """Return some of the images, uint8 (height, width, channels)."""
        return [self._preparation.of_file(self.files[index]) for index in indices]


class SplitImages:
    """The images of a split of a data set that is not a folder.

    Args:
        name: what the data set and the split are called.
        source: the split.
        preparation: what becomes of each image.

    Attributes:
        names: what they are called: their places in the split.
        files: None: there are no files.
        skipped: empty.
    """

    def __init__(self, name: str, source: Source, preparation: Preparation):
        self.names = [f"{name}[{index}]" for index in range(source.shape[0])]
        self.files = None
        self.skipped: list[tuple[int, str]] = []
        self._source = source
        self._preparation = preparation

    def __len__(self) -> int:
        return len(self.names)

    def blocks(self, size: int) -> Iterator[Block]:
        """Yield a `Block` of `size` images after the other."""
        images, labels, start = [], [], 0
        for image, label in self._examples():
            images.append(self._preparation.of_array(image))
            labels.append(label)
            if len(images) == size or start + len(images) == len(self):
                indices = np.arange(start, start + len(images))
                yield Block(indices, np.stack(images), np.array(labels))
                start += len(images)
                images, labels = [], []

    def images(self, indices: Iterable[int]) -> list[np.ndarray]:
        """Return some of the images, for which those before them are decoded, too, once."""
        wanted, found = set(indices), {}
        for index, (image, _) in enumerate(self._examples()):
            if index in wanted:
                found[index] = self._preparation.of_array(image)
                if len(found) == len(wanted):
                    break
        return [found[index] for index in indices]

    def _examples(self) -> Iterator[tuple[np.ndarray, int]]:
        for images, labels in self._source.blocks():
            yield from zip(images, labels, strict=True)


def count_readable(images: ImageFiles | SplitImages) -> int:
    """Return how many images could be read, and warn of each that could not, by its name.

    Args:
        images: images whose blocks have been decoded.

    Raises:
        UserError: none could be read.
    """
    skipped, count = images.skipped, len(images)
    for index, reason in skipped:
        _logger.warning("not read: %s: %s", printable(images.names[index]), printable(reason))
    if len(skipped) == count:
        raise UserError("none of the images could be read")
    if skipped:
        _logger.warning("%d of %d images could not be read", len(skipped), count)
    return count - len(skipped)


def in_folder(path: str, preparation: Preparation) -> ImageFiles:
    """Find the images of a folder, at any depth; or take one file.

    Raises:
        UserError: there is no such folder or file, or no image in it.
    """
    run_options.check_images(path)
    whole = Path(path).expanduser()
    if whole.is_file():
        return ImageFiles([whole], preparation)
    files = folder_layout.images_below(whole)
    if not files:
        raise UserError(f"--images={path}: there is no image in it, at any depth")
    return ImageFiles(files, preparation)


def listed(path: str, preparation: Preparation) -> ImageFiles:
    """Read a list of image files, a path a line; the list `-` is the standard input.

    A byte order mark, with which some editors begin a text, is no part of the first path.

    Raises:
        UserError: the list cannot be read, or is empty.
    """
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).expanduser().read_bytes()
    except OSError as error:
        raise UserError(f"--list={path}: {error.strerror}") from None
    # As the names of files are read, whatever the locale.
    text = os.fsdecode(content.removeprefix(codecs.BOM_UTF8)).replace("\r\n", "\n")
    # A name may hold what `splitlines` takes for further ends of lines.
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        raise UserError(f"--list={path} names no image: give one path a line")
    return ImageFiles(map(os.path.expanduser, lines), preparation)


def of_dataset(
    name: str,
    split: str,
    preparation: Preparation,
    data_dir: str | None = None,
) -> tuple[tuple[str, ...], "ImageFiles | SplitImages"]:
    """Open a split of a data set by name.

    Args:
        name: see `datasets.load_dataset`.
        split: the split; empty for `test`, or for the only one.
        preparation: what becomes of each image.
        data_dir: see `datasets.load_dataset`.

    Returns:
        The names of the classes, none where there are none, and the images. What cannot be read in
        a folder is left out, as with `ImageFiles`.

    Raises:
        UserError: there is no such data set or split.
    """
    if is_folder(name):
        wanted = SPLIT_ALIASES.get(split, split)
        path = name.removeprefix(FOLDER)
        layout = folder_layout.find(path, labelled=wanted != "unlabelled")
        split = datasets.find_split(name, layout.files, split)
        files = ImageFiles(layout.files[split], preparation, layout.labels[split])
        return layout.class_names, files
    contents = datasets.open_dataset(
        name,
        data_dir=data_dir,
        image_size=preparation.image_size,
        fit=preparation.fit,
        labelled=False,
    )
    split = datasets.find_split(name, contents.sources, split)
    images = SplitImages(printable(f"{name}/{split}"), contents.sources[split], preparation)
    return tuple(map(printable, contents.class_names)), images
