"""Tests of the model of a step's time: its figures are those of the code, its table is fresh."""

import keras
import numpy as np
import pytest

from scripts import contestants, step_time
from semisup import architectures, association
from semisup.embeddings import blocked_association


def test_the_table_of_the_page_is_what_the_script_computes():
    text = step_time.PAGE.read_text(encoding="utf-8")
    assert step_time.BEGIN + step_time.table() + step_time.END in text


@pytest.mark.parametrize(
    ("name", "shape"), [("mnist_model", (28, 28, 1)), ("stl10_model", (96, 96, 3))]
)
def test_operations_and_weights_are_those_of_the_network(name, shape):
    network = architectures.build(name, shape, embedding_size=step_time.WIDTH)
    weights = sum(np.prod(variable.shape) for variable in network.trainable_variables)
    counted = step_time.Network(contestants.network_flops(network), weights)
    assert counted == step_time.NETWORKS[name]


def test_sizes_of_the_association_are_those_of_the_losses():
    assert step_time.BLOCKED_PAIRS == association.BLOCKED_PAIRS
    assert step_time.ROWS == blocked_association.ROWS


def test_latency_is_that_of_a_tree_over_machines_and_none_on_one_gpu():
    assert step_time.latency(1) == 0
    assert step_time.latency(8) == pytest.approx(4.4e-6 + 2 * 7 * 0.52e-6)
    assert step_time.latency(64) == pytest.approx(4.4e-6 + 2 * (7 * 0.52e-6 * 1.8 + 3 * 5e-6))


def test_an_all_reduce_sends_everything_nearly_twice_at_the_slower_speed():
    size = 4e9
    inside, between = (step_time.all_reduce_seconds(size, gpus) for gpus in (8, 512))
    assert inside == pytest.approx(2 * 7 / 8 * size / 450e9, rel=0.01)
    assert between == pytest.approx(2 * size / 400e9, rel=0.01)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX divides it among devices")
@pytest.mark.backend
def test_xla_reduces_as_often_in_a_block_as_the_model_says():
    import jax

    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
    a, b = (jax.ShapeDtypeStruct((count, 24), "float32", sharding=rows) for count in (2048, 3072))
    labels = jax.ShapeDtypeStruct((2048,), "int32", sharding=rows)

    def loss(a, b, labels):
        losses, _ = association.Association()(a, b, labels)
        return sum(losses.values())

    compiled = jax.jit(jax.grad(loss, (0, 1))).lower(a, b, labels).compile().as_text()
    lines = [line for line in compiled.splitlines() if " all-reduce(" in line]
    of_blocks = [line for line in lines if f"f32[{step_time.ROWS}" in line.split("all-reduce(")[0]]
    assert len(of_blocks) == step_time.COLLECTIVES_OF_A_BLOCK
