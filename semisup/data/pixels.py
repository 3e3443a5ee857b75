"""How an image file becomes a uint8 array, with Pillow: grey or RGB, upright, resized."""

import numpy as np
from PIL import ExifTags, Image, ImageOps

from semisup.data import depth

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_FITS = {"squash": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}


def describe(image: Image.Image) -> tuple[tuple[int, int], int]:
    """Return what the header says of an opened image, without decoding it.

    Returns:
        (width, height) in pixels when upright, and the channels needed: 1 if the file's mode or
        palette is grey, else 3.
    """
    width, height = image.size
    size = (height, width) if _orientation(image) >= 5 else (width, height)
    return size, 1 if _is_grey(image) else 3


def to_array(
    image: Image.Image,
    channels: int,
    image_size: int = 0,
    scales: depth.Scales | None = None,
    fit: str = "squash",
) -> np.ndarray:
    """Decode an opened image.

    It is turned upright as its EXIF orientation says, and laid over white where it is transparent.
    Values of more than 8 bits are scaled as `semisup.data.depth` says. Of an animation, the
    first frame is taken.

    Args:
        image: an opened Pillow image.
        channels: 1 (grey) or 3 (RGB).
        image_size: if not 0, the image is resized to image_size x image_size (bilinear,
            antialiased).
        scales: how values of more than 8 bits become 8 bits, the same for all images of a data
            set; by default, the range of this image alone decides.
        fit: how an image that is not square is resized. `squash`: whole, whatever its proportions;
            `crop`: by its shorter side, of which the centre is kept; `pad`: by its longer side,
            with black margins.

    Returns:
        (height, width, channels) uint8.
    """
    orientation = _orientation(image)
    mode = "L" if channels == 1 else "RGB"
    if depth.is_deep(image):
        image = depth.to_bytes(image, scales)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert(mode)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    if image_size and image.size != (image_size, image_size):
        image = _FITS[fit](image, (image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, channels)


def resized(image: np.ndarray, image_size: int, fit: str = "squash") -> np.ndarray:
    """Resize as `to_array` with `image_size` and `fit`, from (height, width, 1 or 3) uint8."""
    channels = image.shape[-1]
    return to_array(
        Image.fromarray(image[..., 0] if channels == 1 else image), channels, image_size, fit=fit
    )


def _orientation(image: Image.Image) -> int:
    # Pillow itself turns a TIFF upright.
    if image.format == "TIFF":
        return 1
    # PNG's own getexif decodes the whole file to look behind the pixels for a late EXIF chunk.
    return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)


def _is_grey(image: Image.Image) -> bool:
    if depth.is_deep(image):
        return depth.is_grey(image)
    if image.mode in ("P", "PA"):
        palette = np.reshape(image.getpalette("RGB"), (-1, 3))
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La")
