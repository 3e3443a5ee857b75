"""Tests of what is refused before it uses up the memory of the machine."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from semisup.errors import UserError
from semisup.machine import memory


def network():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(inputs)))


def batches(count):
    images = tf.data.Dataset.from_tensors(np.zeros((8, 8, 1), "uint8")).repeat()
    return tf.data.Dataset.zip(images.batch(count, True), images.batch(2, True))


def test_the_values_of_a_network_are_counted():
    assert memory.bytes_of(network()) == 4 * (8 * 8 + 6 * 6 * 4 + 6 * 6 * 4)
    assert memory.bytes_of(keras.Sequential([keras.layers.Flatten()])) == 0
    assert memory.bytes_of(object()) == 0


def test_a_batch_that_no_memory_holds_is_refused_with_its_size():
    model = types.SimpleNamespace(network=network())
    memory.check_batch(model, batches(100))
    with pytest.raises(UserError, match=r"a batch of 1,000,000,002 images need .* GiB of memory"):
        memory.check_batch(model, batches(10**9))
