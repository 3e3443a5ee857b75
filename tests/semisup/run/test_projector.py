"""Tests of what TensorBoard's projector shows."""

import numpy as np
import pytest
from PIL import Image

from semisup.run import projector


@pytest.mark.parametrize("channels", [1, 3])
def test_projector_files_hold_embeddings_classes_and_a_sprite_in_order(tmp_path, channels):
    images = np.stack([np.full((5, 7, channels), 20 * i, "uint8") for i in range(6)])
    embeddings = np.arange(12, dtype="float32").reshape(6, 2)
    classes = np.array([0, 1, 0, 1, 0, 1])
    projector.write(tmp_path, embeddings, classes, ("cat", "dog"), images)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "embeddings.tsv"), embeddings)
    assert (tmp_path / "classes.tsv").read_text().split() == ["cat", "dog"] * 3
    sprite = np.asarray(Image.open(tmp_path / "sprite.png"))
    assert sprite.shape[:2] == (3 * 5, 3 * 7)
    for index in range(6):
        row, column = divmod(index, 3)
        tile = sprite[5 * row : 5 * row + 5, 7 * column : 7 * column + 7]
        assert np.all(tile == 20 * index)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert "embeddings.tsv" in config
    assert "single_image_dim: 7" in config


def test_a_class_is_one_row_whatever_its_name(tmp_path):
    names = ["new\nline", "tab\tcarriage\r", "\u2028separator", "caf\udce9", "猫 $x_1$"]
    images = np.zeros((5, 4, 4, 1), "uint8")
    projector.write(tmp_path, np.eye(5, dtype="float32"), np.arange(5), names, images)
    rows = (tmp_path / "classes.tsv").read_text(encoding="utf-8").splitlines()
    assert rows == [r"new\nline", r"tab\tcarriage\r", r"\u2028separator", r"caf\xe9", "猫 $x_1$"]


@pytest.mark.parametrize(
    ("count", "shape"), [(1000, (257, 257)), (5, (40, 9000)), (2, (8193, 400))]
)
def test_thumbnails_shrink_until_tensorboard_draws_the_sprite(monkeypatch, count, shape):
    # A sixteenth of everything is drawn sixteen times faster along each axis.
    monkeypatch.setattr(projector, "SPRITE_SIDE", projector.SPRITE_SIDE // 16)
    height, width = (max(1, -(-side // 16)) for side in shape)
    colours = np.arange(count) % 200
    images = np.broadcast_to(
        colours.astype("uint8")[:, None, None, None], (count, height, width, 3)
    )
    picture, size = projector.sprite(images)
    side = int(np.ceil(np.sqrt(count)))
    assert picture.size == (side * size[0], side * size[1])
    assert max(picture.size) <= projector.SPRITE_SIDE
    assert size[0] / size[1] == pytest.approx(width / height, rel=0.1)
    row, column = divmod(count - 1, side)
    shown = picture.getpixel((column * size[0] + size[0] // 2, row * size[1] + size[1] // 2))
    assert shown == (colours[-1],) * 3
