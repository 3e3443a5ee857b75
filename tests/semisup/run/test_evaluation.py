"""Tests of the predictor: images of different shapes in turn."""

import keras
import numpy as np
import pytest

from semisup.models.associative import AssociativeModel
from semisup.run.evaluation import Predictor


@pytest.mark.backend
def test_a_predictor_takes_grey_coloured_and_smaller_images_in_turn():
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    )
    model = AssociativeModel(network, 3)
    model.build((None, 8, 8, 3))
    generator = np.random.default_rng(0)
    shapes = [(6, 8, 8, 1), (6, 8, 8, 3), (6, 5, 7, 1), (6, 8, 8, 1), (6, 8, 8, 3)]
    predictor = Predictor(model, batch_size=4)
    for shape in shapes:
        images = generator.integers(0, 256, shape, dtype=np.uint8)
        expected = keras.ops.convert_to_numpy(model.embed(images))
        np.testing.assert_allclose(predictor.embeddings(images), expected, rtol=1e-3, atol=1e-3)
