"""Tests of what TensorBoard's projector shows."""

import numpy as np
import pytest
from PIL import Image

from semisup import projection


@pytest.mark.parametrize("channels", [1, 3])
def test_projector_files_hold_embeddings_classes_and_a_sprite_in_order(tmp_path, channels):
    images = np.stack([np.full((5, 7, channels), 20 * i, "uint8") for i in range(6)])
    embeddings = np.arange(12, dtype="float32").reshape(6, 2)
    classes = np.array([0, 1, 0, 1, 0, 1])
    projection.write(tmp_path, embeddings, classes, ("cat", "dog"), images)
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
