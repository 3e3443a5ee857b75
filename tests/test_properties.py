"""Properties that hold for all values, tried on drawn ones.

`PROPERTY_EXAMPLES=2000` tries more, and others at each time.
"""

import contextlib
import csv
import io
import itertools
import json
import math
import os
import random

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis.extra import numpy as arrays

from clustering.config import TrainConfig as ClusteringConfig
from clustering.metrics import match_clusters
from domain_adaptation.config import TrainConfig as AdaptationConfig
from scripts import fuzz
from semisup import association
from semisup.cli import flags
from semisup.config import TrainConfig
from semisup.data.sampling import Sampler
from semisup.errors import UserError
from semisup.files import csv_files
from semisup.files.names import printable
from semisup.models.schedules import Envelope, StaircaseDecay

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "0"))
hypothesis.settings.register_profile(
    "tests",
    max_examples=EXAMPLES or 20,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("tests")

floats = strategies.floats(-100, 100, width=32)


@strategies.composite
def batches(draw):
    """Embeddings of two batches, and the labels of the first."""
    # Keras warns of a softmax over one.
    rows, others, width = (draw(strategies.integers(2, 6)) for _ in range(3))
    labels = draw(strategies.lists(strategies.integers(0, 2), min_size=rows, max_size=rows))
    a = draw(arrays.arrays("float32", (rows, width), elements=floats))
    b = draw(arrays.arrays("float32", (others, width), elements=floats))
    return a, b, np.array(labels, "int32")


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


@given(batches(), strategies.sampled_from(["dot", "cosine", "euclidean"]))
def test_walks_are_probabilities_and_their_losses_bounded_from_below(batch, measure):
    a, b, labels = batch
    p_ab, p_ba = association.transition_probabilities(a, b, measure, 0.5)
    walks = numbers(association.round_trip_probabilities(p_ab, p_ba))
    for rows in (numbers(p_ab), numbers(p_ba), walks):
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-4)
        assert (rows >= 0).all()
    walker = float(numbers(association.walker_loss(a, b, labels, measure, 0.5)))
    visit = float(numbers(association.visit_loss(a, b, measure, 0.5)))
    same = (labels[:, None] == labels).sum(axis=1)
    # No less than the entropies of the targets.
    assert np.isfinite([walker, visit]).all()
    assert walker >= np.log(same).mean() - 1e-3
    assert visit >= math.log(len(b)) - 1e-3


@given(batches(), strategies.randoms(use_true_random=False))
def test_losses_do_not_depend_on_the_order_of_a_batch(batch, draw):
    a, b, labels = batch
    ours, theirs = (draw.sample(range(len(part)), len(part)) for part in (a, b))
    for loss, changed in (
        (
            association.walker_loss(a, b, labels),
            association.walker_loss(a[ours], b[theirs], labels[ours]),
        ),
        (association.visit_loss(a, b), association.visit_loss(a[ours], b[theirs])),
    ):
        np.testing.assert_allclose(numbers(loss), numbers(changed), rtol=1e-3, atol=1e-4)


@given(
    strategies.lists(strategies.integers(1, 12), min_size=1, max_size=5),
    strategies.integers(1, 8),
    strategies.integers(0, 2**31 - 1),
    strategies.lists(strategies.integers(0, 40), min_size=1, max_size=8),
)
def test_batches_depend_on_their_step_alone_and_pass_over_pools_evenly(sizes, draws, seed, steps):
    ends = np.cumsum(sizes)
    pools = [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    steps_in_order = list(range(max(steps) + 1))
    drawn = Sampler(pools, draws, seed).indices(steps_in_order)
    np.testing.assert_array_equal(Sampler(pools, draws, seed).indices(steps), drawn[steps])
    for number, pool in enumerate(pools):
        mine = drawn[:, number * draws : (number + 1) * draws].ravel()
        counts = np.bincount(mine - pool[0], minlength=len(pool))
        assert counts.max() - counts.min() <= 1
        for start in range(0, len(mine) - len(pool) + 1, len(pool)):
            assert sorted(mine[start : start + len(pool)]) == list(pool)


@given(
    strategies.floats(0, 1000),
    strategies.sampled_from(["none", "linear", "sigmoid"]),
    strategies.integers(1, 10**6),
    strategies.integers(0, 10**6),
)
def test_envelopes_grow_to_their_weight_and_come_back_from_their_configuration(
    weight, kind, steps, delay
):
    schedule = Envelope(weight, kind, steps, delay)
    moments = [0, delay, delay + steps // 2, delay + steps, delay + 3 * steps]
    heights = [float(numbers(schedule(np.int32(step)))) for step in moments]
    assert heights == sorted(heights)
    assert all(0 <= height <= weight * (1 + 1e-6) for height in heights)
    assert heights[-1] == pytest.approx(weight, rel=1e-3)
    assert Envelope.from_config(json.loads(json.dumps(schedule.get_config()))).get_config() == (
        schedule.get_config()
    )


@given(
    strategies.floats(1e-5, 10),
    strategies.floats(0.01, 1),
    strategies.integers(1, 10**6),
    strategies.integers(0, 1000),
)
def test_a_decay_stays_between_its_floor_and_its_beginning(initial, factor, steps, warmup):
    schedule = StaircaseDecay(initial, factor, steps, 1e-6, warmup)
    rates = [float(numbers(schedule(np.int32(step)))) for step in (warmup, warmup + steps, 10**7)]
    assert rates == sorted(rates, reverse=True)
    assert all(1e-6 * (1 - 1e-5) <= rate <= initial * (1 + 1e-5) for rate in rates)


@given(arrays.arrays("int64", (4, 4), elements=strategies.integers(0, 50)))
def test_clusters_are_matched_as_well_as_any_permutation_does(matrix):
    matched = match_clusters(matrix)
    taken = [place for place in matched if place >= 0]
    assert len(set(taken)) == len(taken)
    total = sum(matrix[label, cluster] for cluster, label in enumerate(matched) if label >= 0)
    best = max(
        sum(matrix[label, cluster] for cluster, label in enumerate(order))
        for order in itertools.permutations(range(4))
    )
    assert total == best


@strategies.composite
def configurations(draw):
    """A configuration with some settings drawn from their ranges."""
    base = draw(strategies.sampled_from([TrainConfig, AdaptationConfig, ClusteringConfig]))
    values = {
        "seed": draw(strategies.integers(0, 2**31 - 1)),
        "learning_rate": draw(strategies.floats(1e-5, 10)),
        "max_steps": draw(strategies.integers(1000, 2**31 - 1)),
        "logdir": draw(
            strategies.text(strategies.characters(exclude_characters="\0"), max_size=20)
        ),
        "visit_weight": draw(strategies.floats(0, 1e6)),
        "progress": draw(strategies.booleans()),
        "precision": draw(strategies.sampled_from(["float32", "bfloat16"])),
    }
    chosen = draw(strategies.sets(strategies.sampled_from(sorted(values))))
    return base(**{name: values[name] for name in chosen})


@given(configurations())
def test_a_configuration_comes_back_from_its_file_and_from_its_flags(config):
    saved = json.loads(json.dumps(config.to_dict()))
    assert type(config).from_dict(saved) == config
    assert config.differences(saved) == []
    words = flags.flags_for(config.to_dict(), type(config)().to_dict())
    assert flags.parse(["train", *words], type(config)) == config


@given(
    strategies.dictionaries(
        strategies.sampled_from(sorted(TrainConfig().to_dict())),
        strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats()
        | strategies.text(max_size=5) | strategies.lists(strategies.integers(), max_size=2),
        max_size=3,
    )
)  # fmt: skip
def test_no_settings_but_those_of_a_type_and_range_are_taken(values):
    with contextlib.suppress(UserError):
        config = TrainConfig.from_dict(values)
        assert TrainConfig.from_dict(config.to_dict()) == config


@given(strategies.lists(strategies.from_regex(r"[^'].*", fullmatch=True), min_size=1, max_size=4))
def test_names_are_one_line_and_cells_are_no_formulas(names):
    for name in names:
        shown = printable(name)
        assert shown == printable(shown)
        assert shown.encode()
        assert shown == "" or len(shown.splitlines()) == 1
    file = io.StringIO(newline="")
    csv_files.write_rows(file, [names])
    (row,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert [csv_files.read_text(cell) for cell in row] == list(map(printable, names))
    assert not any(cell.startswith(tuple("=@")) for cell in row)


@pytest.mark.parametrize("names", [list(fuzz.READERS)[:-1], ["model"]], ids=["files", "models"])
def test_a_changed_file_is_read_or_refused(names):
    seconds = 1 + EXAMPLES / 100
    counts = fuzz.fuzz(names, seconds, random.Random(EXAMPLES))
    assert sum(counts.values()) >= len(names)
