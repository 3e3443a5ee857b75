"""Tests of labelled subsets and of batches: exact counts, coverage, uniformity, resumption."""

import itertools

import numpy as np
import pytest

from semisup.data import labelled_subset, sampling
from semisup.errors import UserError


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def images_of(n):
    """Images that tell their index: one pixel, in base 256."""
    return np.stack([np.arange(n) // 256, np.arange(n) % 256], -1).astype("uint8")[:, None, None]


def indices_of(images):
    return images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]


@pytest.mark.parametrize(("size", "draws"), [(10, 4), (10, 10), (7, 20), (1, 3), (1000, 100)])
def test_every_member_is_drawn_once_an_epoch(size, draws):
    pool = 5 * np.arange(size) + 3
    drawn = np.concatenate(take(sampling.draw_indices(pool, draws, 0, 0), 3 * size // draws + 3))
    for epoch in range(3):
        np.testing.assert_array_equal(np.sort(drawn[epoch * size : (epoch + 1) * size]), pool)


@pytest.mark.parametrize("first_step", [1, 2, 3, 7, 50])
def test_batches_from_a_later_step_are_those_of_the_uninterrupted_sequence(first_step):
    pool = np.arange(11)
    whole = take(sampling.draw_indices(pool, 4, 5, 2), first_step + 5)
    rest = take(sampling.draw_indices(pool, 4, 5, 2, first_step), 5)
    np.testing.assert_array_equal(whole[first_step:], rest)


def test_order_differs_between_epochs_seeds_and_streams():
    pool = np.arange(200)

    def epoch(number, seed, stream):
        return tuple(take(sampling.draw_indices(pool, 200, seed, stream, number), 1)[0])

    orders = {epoch(n, seed, stream) for n in range(3) for seed in range(3) for stream in range(3)}
    assert len(orders) == 27


def chi_square(counts):
    expected = counts.sum() / counts.size
    return ((counts - expected) ** 2 / expected).sum()


@pytest.mark.parametrize(("size", "epochs"), [(10, 3000), (100, 500)])
def test_members_are_uniform_over_positions_and_over_neighbours(size, epochs):
    orders = np.array(take(sampling.draw_indices(np.arange(size), size, 1, 0), epochs))
    positions = np.zeros((size, size))
    np.add.at(positions, (np.tile(np.arange(size), epochs), orders.ravel()), 1)
    pairs = np.zeros((size, size))
    np.add.at(pairs, (orders[:, :-1].ravel(), orders[:, 1:].ravel()), 1)
    pairs = pairs[~np.eye(size, dtype=bool)]
    # Six standard deviations above the mean of a chi-square distribution: a bias, not a chance.
    for counts, freedom in ((positions, (size - 1) ** 2), (pairs, size * (size - 1) - 1)):
        assert chi_square(counts) < freedom + 6 * np.sqrt(2 * freedom)


def test_first_members_of_consecutive_epochs_are_independent():
    size, epochs = 8, 6000
    orders = np.array(take(sampling.draw_indices(np.arange(size), size, 3, 0), epochs))
    table = np.zeros((size, size))
    np.add.at(table, (orders[:-1, 0], orders[1:, 0]), 1)
    freedom = size**2 - 1
    assert chi_square(table) < freedom + 6 * np.sqrt(2 * freedom)


def test_labelled_batch_holds_the_set_number_of_each_class_with_its_labels():
    images = images_of(600)
    pools = [np.arange(0, 100, 2), np.arange(101, 103), np.arange(300, 600)]
    for batch, labels in take(sampling.labelled_batches(images, pools, 5, seed=0), 4):
        np.testing.assert_array_equal(labels, np.repeat([0, 1, 2], 5))
        for label, pool in enumerate(pools):
            members = indices_of(batch)[labels == label]
            assert set(members) <= set(pool)
            assert len(set(members)) == min(5, len(pool))


def test_training_batches_pair_labelled_with_unlabelled_images():
    images = images_of(50)
    labelled = sampling.labelled_batches(images, [np.arange(5), np.arange(5, 10)], 2, seed=0)
    unlabelled = sampling.unlabelled_batches(images, np.arange(10, 50), 7, seed=0)
    (a, b), labels = take(sampling.training_batches(labelled, unlabelled), 1)[0]
    assert a.dtype == b.dtype == np.uint8
    assert a.shape == (4, 1, 1, 2)
    assert b.shape == (7, 1, 1, 2)
    assert set(indices_of(a)) <= set(range(10))
    assert set(indices_of(b)) <= set(range(10, 50))
    np.testing.assert_array_equal(labels, [0, 0, 1, 1])


def test_a_memory_mapped_array_gives_the_same_batches_as_one_in_memory(tmp_path):
    images = images_of(300)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    pair = [
        take(sampling.unlabelled_batches(source, np.arange(300), 40, seed=4), 10)
        for source in (images, mapped)
    ]
    np.testing.assert_array_equal(*pair)


def test_labelled_subset_is_balanced_sorted_and_depends_on_the_seed():
    labels = np.tile(np.arange(3), 50)
    chosen = labelled_subset.choose_labelled(labels, 7, "abc", seed=0)
    for label, members in enumerate(chosen):
        assert len(set(members)) == 7
        assert np.all(labels[members] == label)
        assert np.all(np.diff(members) > 0)
    again = labelled_subset.choose_labelled(labels, 7, "abc", seed=0)
    other = labelled_subset.choose_labelled(labels, 7, "abc", seed=1)
    np.testing.assert_array_equal(chosen, again)
    assert not np.array_equal(chosen, other)


def test_all_labels_are_used_when_minus_one_is_asked_for():
    labels = np.array([0, 1, 1, 0, 1])
    chosen = labelled_subset.choose_labelled(labels, -1, "ab", seed=0)
    assert [list(members) for members in chosen] == [[0, 3], [1, 2, 4]]


def test_too_few_labelled_images_are_refused_with_the_class_and_its_count():
    with pytest.raises(UserError, match=r"class b has 2 .* at most 2"):
        labelled_subset.choose_labelled(np.array([0, 0, 0, 1, 1]), 3, "ab", seed=0)
    with pytest.raises(UserError, match="class c has no"):
        labelled_subset.choose_labelled(np.array([0, 1]), -1, "abc", seed=0)


def test_pool_of_a_sample_has_that_many_members_and_all_by_default():
    assert len(set(labelled_subset.choose_pool(100, 30, seed=0))) == 30
    np.testing.assert_array_equal(labelled_subset.choose_pool(5, -1, seed=0), np.arange(5))
    with pytest.raises(UserError, match="--unsup_samples=6"):
        labelled_subset.choose_pool(5, 6, seed=0)


def test_held_out_images_and_the_rest_are_disjoint_and_complete():
    rest, held_out = labelled_subset.hold_out(50, 20, seed=0)
    assert len(held_out) == 20
    np.testing.assert_array_equal(np.sort(np.concatenate([rest, held_out])), np.arange(50))
    with pytest.raises(UserError, match="--validation_samples=50"):
        labelled_subset.hold_out(50, 50, seed=0)
