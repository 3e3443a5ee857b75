"""Tests of images with more than 8 bits a channel."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from semisup.data import depth, folders, pixels
from semisup.data.datasets import load_dataset
from semisup.errors import UserError


def values(bits, channels=1, seed=0, height=32, width=33):
    """Random (height, width, channels) uint16 of so many bits, with the greatest of them."""
    found = np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels), np.uint16)
    found[0, 0] = 2**bits - 1
    return found


def png(array):
    """A PNG file of 16 bits a channel: grey, with alpha, RGB or RGBA."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, channels = array.shape
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colours, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff(array, order, compressed):
    """A TIFF file of RGB with 16 bits a channel, in an order of bytes, `<` or `>`."""
    height, width, channels = array.shape
    data = array.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if compressed else data
    depths = struct.pack(f"{order}{channels}H", *[16] * channels)
    entries = 9
    end = 8 + 2 + 12 * entries + 4

    def entry(tag, kind, count, value):
        short = kind == 3 and count == 1
        number = struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
        return struct.pack(f"{order}HHI", tag, kind, count) + number

    directory = [
        entry(256, 3, 1, width),
        entry(257, 3, 1, height),
        entry(258, 3, channels, end),
        entry(259, 3, 1, 8 if compressed else 1),
        entry(262, 3, 1, 2),
        entry(273, 4, 1, end + len(depths)),
        entry(277, 3, 1, channels),
        entry(278, 3, 1, height),
        entry(279, 4, 1, len(data)),
    ]
    return (
        {"<": b"II", ">": b"MM"}[order]
        + struct.pack(f"{order}HIH", 42, 8, entries)
        + b"".join(directory)
        + struct.pack(f"{order}I", 0)
        + depths
        + data
    )


def decoded(content, scales=None):
    with Image.open(io.BytesIO(content)) as image:
        assert depth.is_deep(image)
        _, channels = pixels.describe(image)
        return pixels.to_array(image, channels, scales=scales)


def saved(array, file_format):
    content = io.BytesIO()
    Image.fromarray(array).save(content, file_format)
    return content.getvalue()


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_grey_values_keep_the_upper_eight_of_the_bits_that_are_used(bits, file_format):
    grey = values(bits)
    array = decoded(saved(grey[..., 0], file_format))
    np.testing.assert_array_equal(array, grey >> (bits - 8))
    assert len(np.unique(array)) > 240


def test_values_below_256_stay_as_they_are():
    grey = values(5)
    np.testing.assert_array_equal(decoded(png(grey)), grey)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_keep_the_upper_eight_of_the_bits_that_are_used(bits, channels):
    colours = values(bits, channels)
    colours[..., 3:] = 65535
    np.testing.assert_array_equal(decoded(png(colours)), colours[..., :3] >> (bits - 8))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compressed", [False, True])
def test_colours_of_a_tiff_are_read_in_either_order_of_bytes(order, compressed):
    colours = values(12, 3)
    np.testing.assert_array_equal(decoded(tiff(colours, order, compressed)), colours >> 4)


def test_transparency_has_the_range_of_the_file():
    pairs = values(12, 2)
    pairs[..., 1] = 65535
    pairs[1, 1] = (5, 0)
    expected = pairs[..., :1] >> 4
    expected[1, 1] = 255
    np.testing.assert_array_equal(decoded(png(pairs)), expected)


def test_a_transparent_grey_value_is_laid_over_white():
    content = io.BytesIO()
    grey = values(12)[..., 0]
    Image.fromarray(grey).save(content, "PNG")
    with Image.open(content) as image:
        image.info["transparency"] = int(grey[2, 3])
        array = pixels.to_array(image, 1)[..., 0]
    np.testing.assert_array_equal(array, np.where(grey == grey[2, 3], 255, grey >> 4))


def test_negative_integers_are_scaled_from_the_smallest_to_the_greatest():
    array = decoded(saved(np.array([[-1000, 0], [1000, 3000]], np.int32), "TIFF"))
    np.testing.assert_array_equal(array[..., 0], [[0, 64], [128, 255]])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-2.5, 7.5), (1e-6, 3e-6), (0, 255)])
def test_real_numbers_are_scaled_from_the_smallest_to_the_greatest(low, high):
    array = decoded(saved(np.linspace(low, high, 256, dtype=np.float32)[None], "TIFF"))
    np.testing.assert_allclose(array[0, :, 0], np.arange(256), atol=1)
    assert (array.min(), array.max()) == (0, 255)


def test_an_image_of_one_real_number_is_black():
    assert not decoded(saved(np.full((2, 2), 0.25, np.float32), "TIFF")).any()


def write(root, name, array, file_format="PNG"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(saved(array, file_format))


def test_one_scale_holds_for_all_images_of_a_data_set(tmp_path):
    dark, bright = values(9)[..., 0], values(12, seed=1)[..., 0]
    write(tmp_path, "train/a/dark.png", dark)
    write(tmp_path, "train/a/eight.png", (bright >> 4).astype(np.uint8))
    write(tmp_path, "test/a/bright.tif", bright, "TIFF")
    data = load_dataset(f"folder:{tmp_path}")
    images = data.splits["train"].images[..., 0]
    np.testing.assert_array_equal(images, [dark >> 4, bright >> 4])
    np.testing.assert_array_equal(data.splits["test"].images[0, ..., 0], bright >> 4)
    note = data.notes[-1]
    assert "2 of 3 images have more than 8 bits a channel: 0 to 4095 (12 bits) becomes" in note


def test_integers_and_real_numbers_have_scales_of_their_own(tmp_path):
    write(tmp_path, "train/a/0.png", values(12)[..., 0])
    write(tmp_path, "train/a/1.tif", np.linspace(0, 1, 32 * 33, dtype="f4").reshape(32, 33), "TIFF")
    data = load_dataset(f"folder:{tmp_path}", splits=["train"])
    assert [image.max() for image in data.splits["train"].images] == [255, 255]
    assert "0 to 4095 (12 bits) and 0 to 1 become 0 to 255" in data.notes[-1]


def test_real_numbers_among_integers_have_their_own_range():
    content = io.BytesIO()
    Image.fromarray(np.linspace(0, 1, 12, dtype="f4").reshape(3, 4)).save(content, "TIFF")
    scales = {False: depth.Scale(0, 4096)}
    found = decoded(content.getvalue(), scales)
    assert (found.min(), found.max()) == (0, 255)


def test_the_cache_is_not_used_where_another_image_changed_the_scale(tmp_path):
    write(tmp_path, "train/a/0.png", values(12)[..., 0])
    before = folders.open_folder(str(tmp_path)).sources["train"].key
    assert folders.open_folder(str(tmp_path)).sources["train"].key == before
    write(tmp_path, "test/a/0.png", values(13)[..., 0])
    assert folders.open_folder(str(tmp_path)).sources["train"].key != before


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_an_image_that_is_not_finite_is_named(tmp_path, number):
    write(tmp_path, "train/a/0.tif", np.array([[0, number]], np.float32), "TIFF")
    with pytest.raises(UserError, match=r"a/0\.tif \(it has values that are infinite or not a num"):
        load_dataset(f"folder:{tmp_path}", splits=["train"])
