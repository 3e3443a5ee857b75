"""Tests of which image files are opened, and how."""

import io
import os
import sys
import types

import numpy as np
import PIL
import pytest
from PIL import Image, PngImagePlugin

from semisup.data import image_files, pixels
from semisup.data.builders import originals
from semisup.data.datasets import load_dataset
from semisup.errors import UserError

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
0 0 8 8 rectfill
showpage
"""


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A program `gs` that leaves a trace when it is started."""
    trace = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {trace}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return trace


@pytest.mark.parametrize(
    "ending",
    [
        ".jpg",
        ".JPEG",
        ".jpe",
        ".jfif",
        ".tif",
        ".TIFF",
        ".png",
        ".bmp",
        ".dib",
        ".gif",
        ".webp",
        ".jp2",
        ".ppm",
        ".tga",
        ".ico",
        ".pcx",
        ".sgi",
        ".qoi",
    ],
)
def test_still_images_are_read_by_any_of_their_endings(tmp_path, ending):
    name = f"a{ending}"
    assert image_files.is_image(name)
    (tmp_path / "train" / "a").mkdir(parents=True)
    file = tmp_path / "train" / "a" / name.lower()
    Image.new("RGB", (16, 16), (200, 40, 90)).save(file)
    file.rename(file.with_name(name))
    images = load_dataset(f"folder:{tmp_path}", splits=["train"]).splits["train"].images
    assert np.abs(images.astype(int) - (200, 40, 90)).max() < 8


@pytest.mark.parametrize(
    "name", [".a.png", "a.eps", "a.ps", "a.pdf", "a.wmf", "a.mpg", "a.h5", "a.txt", "png", "a.heic"]
)
def test_other_files_are_no_images(name):
    assert not image_files.is_image(name)


def test_nothing_is_opened_that_starts_a_program(ghostscript, tmp_path):
    with Image.open(io.BytesIO(EPS)) as image, pytest.raises(Exception):  # noqa: B017
        image.load()
    assert ghostscript.exists(), "Pillow alone would start it, so that the rest tests something"
    ghostscript.unlink()

    with pytest.raises(OSError, match="cannot identify"), image_files.open_image(io.BytesIO(EPS)):
        pass
    with pytest.raises(ValueError, match=r"a\.jpg is no image"):
        originals.decode(EPS, "a.jpg")
    (tmp_path / "data" / "train" / "a").mkdir(parents=True)
    (tmp_path / "data" / "train" / "a" / "0.png").write_bytes(EPS)
    with pytest.raises(UserError, match=r"cannot be read: train/a/0\.png"):
        load_dataset(f"folder:{tmp_path / 'data'}", splits=["train"])
    assert not ghostscript.exists()


@pytest.fixture
def fresh_formats():
    """What was found of formats is looked for again, here and afterwards."""
    caches = (image_files._available, image_files.extensions)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_heic_is_read_where_a_plug_in_is_installed(tmp_path, monkeypatch, fresh_formats):
    def register():
        Image.register_open("HEIF", PngImagePlugin.PngImageFile, lambda start: start[1:4] == b"PNG")
        Image.register_extension("HEIF", ".heic")

    for registry in ("ID", "OPEN", "EXTENSION"):
        monkeypatch.setattr(Image, registry, getattr(Image, registry).copy())
    plug_in = types.SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, "pillow_heif", plug_in)
    (tmp_path / "train" / "a").mkdir(parents=True)
    Image.new("L", (4, 4)).save(tmp_path / "train" / "a" / "0.HEIC", "PNG")
    data = load_dataset(f"folder:{tmp_path}", splits=["train"])
    assert data.splits["train"].images.shape == (1, 4, 4, 1)
    assert "no file was skipped" in data.notes[1]


def test_only_the_formats_that_are_asked_for_are_opened(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.gif")
    with image_files.open_image(tmp_path / "a.gif") as image:
        assert image.size == (4, 4)
    with (
        pytest.raises(OSError, match="cannot identify"),
        image_files.open_image(tmp_path / "a.gif", ["PNG"]),
    ):
        pass


_needs_pillow_13 = pytest.mark.skipif(
    int(PIL.__version__.split(".")[0]) < 13, reason="earlier versions of Pillow cannot read it"
)


@pytest.mark.parametrize(
    ("mode", "file_format", "channels"),
    [
        ("1", "PNG", 1),
        ("1", "TIFF", 1),
        ("L", "TIFF", 1),
        ("LA", "PNG", 1),
        ("LA", "TIFF", 1),
        ("P", "PNG", 1),
        ("RGBA", "TIFF", 3),
        ("RGBX", "TIFF", 3),
        ("CMYK", "TIFF", 3),
        pytest.param("YCbCr", "TIFF", 3, marks=_needs_pillow_13),
        ("I", "TIFF", 1),
    ],
)
def test_black_and_white_stay_black_and_white_in_every_mode(mode, file_format, channels):
    pattern = np.zeros((4, 6), np.uint8)
    pattern[:, 3:] = 255
    content = io.BytesIO()
    Image.fromarray(pattern).convert("RGB" if channels == 3 else "L").convert(mode).save(
        content, file_format
    )
    with image_files.open_image(content) as image:
        size, found = pixels.describe(image)
        array = pixels.to_array(image, found)
    assert (size, found) == ((6, 4), channels)
    assert np.abs(array.astype(int) - pattern[..., None]).max() <= 1


def test_transparent_entries_of_a_palette_are_laid_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    content = io.BytesIO()
    image.save(content, "PNG", transparency=1)
    with image_files.open_image(content) as opened:
        array = pixels.to_array(opened, 3)
    np.testing.assert_array_equal(array, [[[10, 20, 30], [255, 255, 255]]])


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with (
        pytest.raises(OSError, match="no regular file"),
        image_files.open_image(tmp_path / "a.png"),
    ):
        pass
