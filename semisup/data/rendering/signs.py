"""Synthetic traffic signs: pictograms put through what a camera does to them.

After Moiseev et al., "Evaluation of traffic sign recognition methods trained on synthetically
generated data" (ACIVS 2013), the source of the thesis' Synthetic Signs: a pictogram is seen in
perspective, in another light, before a piece of a photograph, blurred and noisy. The ranges were
chosen by comparing sizes, positions, colours and sharpness with the original images.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from semisup.data.rendering import pictograms

SIZE = 40

# Pictograms are put into perspective on a grid this much finer than the image, then reduced.
_OVERSAMPLING = 3
_PICTOGRAM_SIZE = 128

# Mounted either way up, to judge by the original images.
_ROUNDABOUT = pictograms.CLASS_NAMES.index("roundabout")

# From the middle of the image to the middle of each pixel.
_OFFSETS = (np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2) / (SIZE / 2)


def render(
    seed: int, photos: Sequence[np.ndarray], indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Render examples, each of them a pure function of its number, the seed and the photos.

    Args:
        seed: non-negative; another one gives another data set.
        photos: one or more (height, width, 3) uint8 that backgrounds are cut out of, at least
            20 pixels high and wide.
        indices: (k,) non-negative int numbers of the examples.

    Returns:
        images (k, 40, 40, 3) uint8, and labels (k,) int32, indices of `pictograms.CLASS_NAMES`
        drawn uniformly.
    """
    images = np.empty((len(indices), SIZE, SIZE, 3), np.uint8)
    labels = np.empty(len(indices), np.int32)
    for row, index in enumerate(indices):
        rng = np.random.default_rng((seed, int(index)))
        labels[row] = rng.integers(len(pictograms.CLASS_NAMES))
        images[row] = _render(rng, labels[row], photos)
    return images, labels


def _render(rng: np.random.Generator, label: int, photos: Sequence[np.ndarray]) -> np.ndarray:
    sign, opacity = _in_perspective(rng, label)
    sign = np.minimum(_in_light(rng, sign), 255 * opacity)
    scene = sign + (1 - opacity) * _background(rng, photos)
    scene = _blurred(rng, scene)
    scene += rng.uniform(0, 2) * rng.standard_normal(scene.shape, np.float32)
    return scene.clip(0, 255).round().astype(np.uint8)


def _in_perspective(rng: np.random.Generator, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Return colours times opacity (40, 40, 3) of 0 to 255, and opacity (40, 40, 1) of 0 to 1."""
    zoom = rng.uniform(0.8, 0.99)
    aspect = math.exp(rng.normal(0, 0.025))
    angle, shear = math.radians(rng.normal(0, 5)), rng.normal(0, 0.03)
    if label == _ROUNDABOUT and rng.random() < 0.5:
        angle += math.pi
    room = max(0.06, 1 - zoom)
    x, y = rng.uniform(-room, room, 2)
    tilt_x, tilt_y = rng.normal(0, 0.03, 2)

    # From the new image to the old, as Pillow wants it; positions are from -1 to 1.
    across = np.array([math.cos(angle), math.sin(angle), 0]) / (zoom * aspect)
    down = np.array([-math.sin(angle), math.cos(angle), 0]) / (zoom / aspect)
    across += shear * down
    depth = np.array([tilt_x, tilt_y, 1])
    for row in (across, down):
        row[2] = -row[0] * x - row[1] * y
    # The same in pixels from the upper left corner.
    matrix = np.stack([across + depth, down + depth, depth])
    matrix[:, 2] -= matrix[:, 0] + matrix[:, 1]
    matrix[:, :2] /= SIZE * _OVERSAMPLING / 2
    matrix[:2] *= _PICTOGRAM_SIZE / 2
    seen = pictograms.pictogram(label, _PICTOGRAM_SIZE).transform(
        (SIZE * _OVERSAMPLING,) * 2,
        Image.Transform.PERSPECTIVE,
        tuple((matrix / matrix[2, 2]).ravel()[:8]),
        Image.Resampling.BILINEAR,
    )
    pixels = np.asarray(seen.reduce(_OVERSAMPLING), np.float32)
    return pixels[..., :3], pixels[..., 3:] / 255


def _in_light(rng: np.random.Generator, sign: np.ndarray) -> np.ndarray:
    """Return the sign with faded, shifted colours, in brighter or darker, uneven, tinted light."""
    brightness = math.exp(rng.uniform(math.log(0.15), math.log(2.2)))
    fading = rng.uniform(0, 0.6)
    hue = rng.normal(0, 0.05)
    tint = rng.normal(1, 0.03, 3).astype(np.float32)
    slope, direction = rng.uniform(0, 0.2), rng.uniform(0, 2 * math.pi)

    brightest = sign.max(-1, keepdims=True)
    sign = sign + fading * (brightest - sign)
    # Across the grey axis: turns the hue, but leaves white white.
    sign += hue * (np.roll(sign, 1, -1) - np.roll(sign, -1, -1))
    shade = 1 + slope * (
        math.cos(direction) * _OFFSETS[:, None] + math.sin(direction) * _OFFSETS[:, None, None]
    )
    return np.maximum(sign, 0) * (brightness * tint * shade)


def _background(rng: np.random.Generator, photos: Sequence[np.ndarray]) -> np.ndarray:
    """Return a square piece of a photograph, (40, 40, 3) of 0 to 255."""
    photo = photos[rng.integers(len(photos))]
    height, width = photo.shape[:2]
    side = int(rng.integers(SIZE // 2, min(height, width, 3 * SIZE), endpoint=True))
    top, left = rng.integers((height - side + 1, width - side + 1))
    exposure = math.exp(rng.normal(-0.15, 0.8))
    patch = Image.fromarray(photo[top : top + side, left : left + side])
    patch = patch.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return (np.asarray(patch, np.float32) * exposure).clip(0, 255)


def _blurred(rng: np.random.Generator, scene: np.ndarray) -> np.ndarray:
    """Blur as a camera out of focus does, and then one that moves while its shutter is open."""
    radius = rng.uniform(0.3, 1.3)
    length = max(0, rng.uniform(-6, 8))
    direction = rng.uniform(0, math.pi)

    image = Image.fromarray(scene.round().astype(np.uint8))
    scene = np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)
    steps = 2 * math.ceil(length) + 1
    margin = math.ceil(length / 2)
    padded = np.pad(scene, ((margin, margin), (margin, margin), (0, 0)), "edge")
    moved = np.zeros_like(scene)
    for i in range(steps):
        way = length * (i / (steps - 1) - 0.5) if steps > 1 else 0
        top = margin + round(way * math.sin(direction))
        left = margin + round(way * math.cos(direction))
        moved += padded[top : top + SIZE, left : left + SIZE]
    return moved / steps
