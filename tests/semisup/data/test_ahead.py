"""Tests of work on several threads: order, how far ahead, and what errors leave."""

import threading

import pytest

from semisup.data import ahead


def test_results_keep_the_order_of_the_items_though_later_ones_are_done_first():
    second = threading.Event()

    def slow(item):
        if item == 0:
            assert second.wait(60)
        if item == 1:
            second.set()
        return item

    assert list(ahead.in_threads(slow, range(5))) == [0, 1, 2, 3, 4]


def test_no_more_results_are_computed_ahead_than_are_wanted():
    begun = []
    results = ahead.in_threads(lambda item: begun.append(item) or item, range(1000), ahead=3)
    assert next(results) == 0
    # The one that was yielded, and those at hand.
    assert len(begun) <= 4
    assert list(results) == list(range(1, 1000))


def test_an_error_is_raised_in_the_place_of_its_item_and_nothing_is_begun_after_it():
    begun = []

    def fail(item):
        begun.append(item)
        if item == 2:
            raise OSError("damaged")
        return item

    results = ahead.in_threads(fail, range(1000), ahead=5)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="damaged"):
        next(results)
    assert len(begun) <= 8


def test_there_may_be_nothing_to_read():
    assert list(ahead.in_threads(str, [])) == []
