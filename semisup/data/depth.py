"""Values of more than 8 bits, brought to 8 bits in the same way for all images of a data set.

Cameras, microscopes and scanners save 10, 12 or 16 bits a pixel in files of 16 bits, and
measurements are saved as real numbers. Keeping the upper 8 bits of the file would leave 16 grey
levels of an image of 12 bits. Scaling each image by itself would give one brightness another
meaning in each of them. So the values that occur in a whole data set decide:

- Integers count from 0 to the end of the smallest number of bits that holds the greatest of them:
  of 12 bits, each 16 neighbouring values become one of 0 to 255. Values below 256 stay as they are.
- Real numbers, and integers of which some are negative, are scaled linearly so that the smallest
  becomes 0 and the greatest 255.
"""

import dataclasses
import io
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from semisup.data import image_files


class Extremes(NamedTuple):
    """What the values of one image reach.

    Attributes:
        real: whether they are real numbers, else integers.
        low: the smallest.
        high: the greatest.
    """

    real: bool
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Scale:
    """A range of values that becomes 0 to 255, in 256 equal steps.

    Attributes:
        low: what becomes 0.
        high: the end of the range; what lies at the end or beyond becomes 255.
    """

    low: float
    high: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return values as uint8, of the same shape."""
        levels = (values.astype(np.float64) - self.low) * (256 / (self.high - self.low))
        return np.clip(levels, 0, 255).astype(np.uint8)


Scales = Mapping[bool, Scale]
"""A scale for the images of real numbers (True), and one for those of integers (False)."""


def is_deep(image: Image.Image) -> bool:
    """Return whether an opened image, not decoded yet, has channels of more than 8 bits."""
    return _is_deep_grey(image) or _packing(image) in _DEEP_PACKINGS


def is_grey(image: Image.Image) -> bool:
    """Return whether an opened image with `is_deep` has no colours."""
    return _is_deep_grey(image) or _packing(image) == "LA"


def raw_mode(image: Image.Image) -> str:
    """Return how the pixels of an opened image lie in its file, in Pillow's words; else nothing."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    name = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return name if isinstance(name, str) else ""


def extremes(image: Image.Image) -> Extremes:
    """Return what the values of an image reach, for which it is decoded.

    Args:
        image: an opened image with `is_deep`.

    Raises:
        ValueError: a value is infinite or not a number.
    """
    values, _ = _values(image)
    low, high = values.min().item(), values.max().item()
    if not np.isfinite([low, high]).all():
        raise ValueError("it has values that are infinite or not a number")
    return Extremes(image.mode == "F", low, high)


def common_scales(images: Iterable[Extremes]) -> Scales:
    """Return the scales for all images of a data set.

    Args:
        images: what the values of each reach, in any order.
    """
    images = list(images)
    return {
        real: _scale(
            real,
            min(image.low for image in images if image.real == real),
            max(image.high for image in images if image.real == real),
        )
        for real in {image.real for image in images}
    }


def to_bytes(image: Image.Image, scales: Scales | None = None) -> Image.Image:
    """Decode an image to 8 bits a channel.

    Args:
        image: an opened image with `is_deep`.
        scales: those of its data set; its own where they say nothing of its kind of numbers.

    Returns:
        An image of mode `L` or `RGB`, or `LA` or `RGBA` if it has transparency.

    Raises:
        ValueError: see `extremes`, where its own scales count.
    """
    is_real = image.mode == "F"
    if not scales or is_real not in scales:
        scales = common_scales([extremes(image)])
    values, alpha = _values(image)
    scaled = Image.fromarray(scales[is_real](values))
    if alpha is not None:
        scaled.putalpha(Image.fromarray(alpha))
    return scaled


def describe(scales: Scales) -> str:
    """Return what becomes of the values, in a few words."""
    ranges = []
    for real, scale in sorted(scales.items()):
        bits = (scale.high - 1).bit_length() if not real and not scale.low else 0
        ranges.append(
            f"0 to {scale.high - 1} ({bits} bits)" if bits else f"{scale.low:g} to {scale.high:g}"
        )
    return f"{' and '.join(ranges)} {'become' if len(ranges) > 1 else 'becomes'} 0 to 255"


# How the file packs the channels, as Pillow calls it.
_DEEP_PACKINGS = ("LA", "RGB", "RGBA", "RGBX")


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def _packing(image: Image.Image) -> str:
    """Return how the file packs channels of 16 bits, without their order of bytes; else nothing."""
    packing, marked, _ = raw_mode(image).partition(";16")
    return packing if marked else ""


def _values(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return values (height, width) or (height, width, 3), and uint8 alpha if there is any."""
    if _is_deep_grey(image):
        values = np.asarray(image)
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            return values, np.where(values == transparent, 0, 255).astype(np.uint8)
        return values, None
    own_mode = raw_mode(image)
    content = _content(image)
    if own_mode == "LA;16B":
        # Four bytes a pixel, as RGBA has them.
        pairs = _decoded(content, "RGBA").view(">u2")
        return pairs[..., 0], (pairs[..., 1] >> 8).astype(np.uint8)
    # Pillow keeps the first of two bytes, and by the other order of bytes it keeps the second.
    low_mode = own_mode[:-1] + ("B" if own_mode[-1] in "LN" else "L")
    high, low = (_decoded(content, mode) for mode in (own_mode, low_mode))
    values = high[..., :3].astype(np.uint16) * 256 + low[..., :3]
    return values, high[..., 3] if high.shape[-1] == 4 else None


def _content(image: Image.Image) -> bytes:
    place = image.fp.tell()
    image.fp.seek(0)
    content = image.fp.read()
    image.fp.seek(place)
    return content


def _decoded(content: bytes, raw_mode: str) -> np.ndarray:
    """Return the channels of an image file, as a packing reads its bytes."""

    def packed(tile):
        *place, arguments = tile
        arguments = (raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode
        # Named tuples since Pillow 11.
        return getattr(type(tile), "_make", tuple)((*place, arguments))

    with image_files.open_image(io.BytesIO(content)) as image:
        image.tile = [packed(tile) for tile in image.tile]
        return np.asarray(image)


def _scale(real: bool, low: float, high: float) -> Scale:
    if not real and low >= 0:
        return Scale(0, 2 ** max(8, high.bit_length()))
    return Scale(low, high if high > low else low + 1)
