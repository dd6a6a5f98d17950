"""Batches follow from lengths alone, and shrink where memory runs out."""

import pytest

from ecgbench.engines.batching import iter_batches, run_halving


def test_batches_go_from_short_to_long_with_ties_by_position():
    assert list(iter_batches([5, 1, 5, 2, 1], 2)) == [[1, 4], [3, 0], [2]]


def test_no_items_give_no_batches():
    assert list(iter_batches([], 4)) == []


def doubled_up_to(limit, error):
    """Return a function that doubles batches of at most `limit`, and the sizes it was called with."""
    sizes = []

    def double(items):
        sizes.append(len(items))
        if len(items) > limit:
            raise error
        return [2 * item for item in items]

    return double, sizes


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_batch_is_halved_until_it_fits(error):
    double, sizes = doubled_up_to(2, error)
    assert run_halving(double, [1, 2, 3, 4, 5]) == [2, 4, 6, 8, 10]
    assert sizes == [5, 2, 3, 1, 2]


def test_memory_error_of_a_single_item_is_raised():
    double, sizes = doubled_up_to(0, MemoryError())
    with pytest.raises(MemoryError):
        run_halving(double, [1, 2])
    assert sizes == [2, 1]


def test_other_errors_are_not_retried():
    double, sizes = doubled_up_to(0, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes"):
        run_halving(double, [1, 2])
    assert sizes == [2]
