"""Files of label maps: a class number for each pixel."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from segmentation.choices import NO_CLASS
from semisup.cli.options import is_whole_number
from semisup.data import depth, image_files, pixels
from semisup.data.cache import UNLABELLED, Source
from semisup.errors import UserError

_DECODING = 2
"""Part of every key: raised when the same files would be decoded to other bytes than before."""

_SHOWN = 8

_STEPS = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies the numbers of 2 and 4 bits by, so that they reach 255."""


@dataclasses.dataclass(frozen=True)
class Classes:
    """The classes of pixels.

    Attributes:
        names: their names.
        numbers: what files call them, integers from 0 to 65,535.
        ignored: numbers in files of pixels that don't count.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    ignored: tuple[int, ...]

    def places(self, numbers, path):
        """Return the places of the classes that a file names, `NO_CLASS` for what is ignored.

        Args:
            numbers: integers of any shape.
            path: the file, for messages.

        Raises:
            UserError: if there is another number among them.
        """
        table = np.full(2**16, -1)
        table[list(self.ignored)] = NO_CLASS
        table[list(self.numbers)] = np.arange(len(self.numbers))
        places = table[numbers]
        if places.min() < 0:
            others = sorted(set(numbers[places < 0].tolist()))
            raise UserError(
                f"{path} has the number {others[0]}, which is no class of the training label maps, "
                "or none of --classes: name it there, or give "
                f"--ignore={','.join(map(str, [*self.ignored, others[0]]))}"
            )
        return places.astype(np.uint8)

    def to_file(self, places):
        """Return the numbers, as files have them, of places of classes."""
        dtype = np.uint8 if max(self.numbers) < 256 else np.uint16
        return np.array(self.numbers, dtype)[places]


def parse(names, ignored, found):
    """Return the classes that flags name.

    Args:
        names: value of `--classes`: names joined by commas, in the order of their numbers from 0;
            empty to take the numbers that are found.
        ignored: value of `--ignore`: numbers, or names of classes, joined by commas.
        found: function that returns the numbers that label maps have.

    Raises:
        UserError: if a name occurs twice, there are fewer than two classes or more than 255, or
            what is ignored is neither a number nor a class.
    """
    listed = [name.strip() for name in names.split(",")] if names else []
    if len(set(listed)) < len(listed) or "" in listed:
        raise UserError(f"--classes={names}: every class needs a name of its own")
    if len(listed) == 1:
        raise UserError(f"--classes={names} names one class: give two or more, joined by commas")
    out = set()
    for text in filter(None, (part.strip() for part in ignored.split(","))):
        if text in listed:
            out.add(listed.index(text))
        elif is_whole_number(text, 2**16 - 1):
            out.add(int(text))
        else:
            raise UserError(f"--ignore={ignored}: {text} is neither a number nor one of --classes")
    numbers = list(range(len(listed))) if listed else sorted(found())
    kept = [number for number in numbers if number not in out]
    if not 2 <= len(kept) <= NO_CLASS:
        shown = ", ".join(map(str, [*numbers[:_SHOWN], *["..."][: len(numbers) > _SHOWN]]))
        raise UserError(
            f"pixels have the numbers {shown}, of which --ignore={ignored} leaves {len(kept)} for "
            f"classes: there have to be 2 to {NO_CLASS}; --ignore= counts all pixels"
        )
    return Classes(
        tuple(listed[number] if listed else str(number) for number in kept),
        tuple(kept),
        tuple(sorted(out)),
    )


def read(path):
    """Read the numbers of a label map.

    Args:
        path: the file: one number a pixel, or a palette, whose places are the numbers.

    Returns:
        (height, width) integers.

    Raises:
        UserError: if it cannot be read, or holds colours.
    """
    try:
        with image_files.open_image(path) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
                raise UserError(
                    f"{path} holds colours ({image.mode}): a label map has a number, or an entry "
                    "of a palette, for each pixel"
                )
            if image.format in ("JPEG", "MPO"):
                raise UserError(
                    f"{path} is a JPEG, which changes the numbers of a label map: save it as PNG"
                )
            step = _STEPS.get(depth.raw_mode(image), 1)
            numbers = np.asarray(image).astype(np.int64) // step
    except UserError:
        raise
    except Exception as error:  # damaged files make Pillow raise almost anything
        reason = image_files.why_unreadable(error)
        raise UserError(f"{path} cannot be read as a label map: {reason}") from None
    if numbers.min() < 0 or numbers.max() >= 2**16:
        raise UserError(f"{path} has numbers beyond 0 to 65,535")
    return numbers


def resized(numbers, shape):
    """Bring a map to another size, by the nearest pixels.

    Args:
        numbers: (height, width) integers of up to 16 bits.
        shape: the height and width that are wanted.

    Returns:
        Integers of that shape.
    """
    height, width = shape
    if numbers.shape == (height, width):
        return numbers
    image = Image.fromarray(numbers.astype(np.int32))
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST))


def _size_of(image):
    """Return (width, height) of the file of an image, upright."""
    with image_files.open_image(image) as opened:
        return pixels.describe(opened)[0]


def source(name: str, paths: Sequence[Path], images, image_shape, new_size, classes: Classes):
    """Describe label maps, so that `semisup.data.cache.read` decodes them.

    Args:
        name: what they are called.
        paths: the files.
        images: the files of their images, for messages.
        image_shape: (height, width, channels) of the images.
        new_size: see `--new_size`.
        classes: the `Classes`.

    Returns:
        A `Source` of "images" (n, height, width, 1) uint8: the places of the classes.
    """
    height, width, _ = image_shape

    def blocks():
        for path, image in zip(paths, images, strict=True):
            numbers = read(path)
            found = numbers.shape[::-1]
            # Both are resized, and fit before.
            wanted = _size_of(image) if new_size else (width, height)
            if found != wanted:
                raise UserError(
                    f"{path} has {found[0]} x {found[1]} pixels, and its image {image} "
                    f"{wanted[0]} x {wanted[1]}"
                )
            numbers = resized(numbers, (height, width))
            yield classes.places(numbers, path)[None, :, :, None], np.array([UNLABELLED])

    identities = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    key = repr((_DECODING, identities, dataclasses.astuple(classes), new_size))
    return Source(name, key, (len(paths), height, width, 1), blocks)
