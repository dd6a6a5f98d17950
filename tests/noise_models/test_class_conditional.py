import dataclasses
import itertools
import math

import numpy as np
import pytest
from corrupting import build_data, changed, corrupt, harness_corrupt
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.errors import DataError, UsageError
from ecgbench_noise_models.class_conditional import ClassConditionalNoise, apportion

LOPSIDED = ((0.8, 0.2, 0.0), (0.0, 0.9, 0.1), (0.2, 0.2, 0.6))


def build_classes(*sizes):
    """Return data with so many items of each class."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return dataclasses.replace(build_data(len(labels), len(sizes)), labels=labels, given_labels=labels)


def count(data, corruption):
    """Return items by true class and given label."""
    counts = np.zeros((data.description.n_classes,) * 2, dtype=int)
    np.add.at(counts, (data.labels, corruption.labels), 1)
    return counts.tolist()


def test_at_the_matrix_s_own_rate_each_row_is_what_becomes_of_its_class():
    data = build_classes(100, 50, 50)
    corruption = corrupt(ClassConditionalNoise(LOPSIDED), data, (20 + 5 + 20) / 200)
    assert count(data, corruption) == [[80, 20, 0], [0, 45, 5], [10, 10, 30]]


def test_another_rate_scales_every_count_of_the_matrix_alike():
    data = build_classes(100, 50, 50)
    corruption = corrupt(ClassConditionalNoise(LOPSIDED), data, 9 / 200)
    assert count(data, corruption) == [[96, 4, 0], [0, 49, 1], [2, 2, 46]]


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), min_size=3, max_size=3).filter(sum), st.floats(0, 0.99), st.integers(0, 2**32))
def test_counts_are_exact_by_largest_remainder_whatever_the_seed(sizes, rate, seed):
    data, total = build_classes(*sizes), round(rate * sum(sizes))
    weights = np.array(sizes)[:, None] * np.array(LOPSIDED) * (1 - np.eye(3))
    try:
        corruption = corrupt(ClassConditionalNoise(LOPSIDED), data, rate, seed)
    except DataError:
        quotas = total * weights.sum(axis=1) / max(weights.sum(), 1e-9)
        assert not weights.any() or (np.ceil(quotas) > sizes).any()
        return
    flips = np.array(count(data, corruption)) * (1 - np.eye(3))
    assert flips.sum() == total
    if total:
        assert (np.abs(flips.sum(axis=1) - total * weights.sum(axis=1) / weights.sum()) < 1).all()
    for made, row in zip(flips, weights, strict=True):
        assert (np.abs(made - made.sum() * row / max(row.sum(), 1e-9)) < 1).all()


@given(st.integers(0, 1000), st.lists(st.floats(0.01, 10), min_size=1, max_size=8))
def test_largest_remainder_splits_a_whole_number_within_one_of_each_quota(total, weights):
    counts = apportion(total, np.array(weights))
    quotas = [total * weight / math.fsum(weights) for weight in weights]
    assert counts.sum() == total
    assert (np.abs(counts - quotas) < 1).all()
    left = sorted(quota - math.floor(quota + 1e-9) for quota in quotas)
    up = [q - math.floor(q + 1e-9) for q, c in zip(quotas, counts, strict=True) if c > math.floor(q + 1e-9)]
    assert sorted(up) == pytest.approx(left[len(left) - len(up) :])


def test_equal_remainders_go_to_the_first_and_a_weight_of_zero_gets_none():
    assert apportion(1, np.array([0.1, 0.1, 0.1])).tolist() == [1, 0, 0]
    assert apportion(3, np.array([0.0, 0.3, 0.3])).tolist() == [0, 2, 1]
    assert apportion(0, np.zeros(2)).tolist() == [0, 0]


def test_without_a_matrix_every_class_flips_equally_often_to_each_other_one():
    data = build_classes(60, 30, 30)
    assert count(data, corrupt(ClassConditionalNoise(), data, 0.2)) == [[48, 6, 6], [3, 24, 3], [3, 3, 24]]


def test_a_class_that_the_matrix_keeps_is_never_wrong():
    data = build_classes(50, 50)
    corruption = corrupt(ClassConditionalNoise(((1.0, 0.0), (0.3, 0.7))), data, 0.2)
    assert count(data, corruption) == [[50, 0], [20, 30]]


def test_seeds_draw_other_items_of_equal_counts_and_equal_seeds_the_same():
    data, model = build_data(90, 3), ClassConditionalNoise(LOPSIDED)
    first, again, other = (corrupt(model, data, 0.2, seed) for seed in (1, 1, 2))
    assert first.labels.tolist() == again.labels.tolist()
    assert changed(data, first) != changed(data, other)
    assert count(data, first) == count(data, other)


def test_of_two_classes_a_smaller_rate_is_nested_in_a_larger_one():
    data, model = build_data(90), ClassConditionalNoise(((0.9, 0.1), (0.3, 0.7)))
    flipped = [changed(data, corrupt(model, data, rate)) for rate in (0.0, 0.05, 0.1, 0.2, 0.3)]
    assert all(small < large for small, large in itertools.pairwise(flipped))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_items_keep_the_rate(n):
    for rate in (0.0, 0.4, 0.9):
        assert harness_corrupt(ClassConditionalNoise(), build_data(n), rate).is_noisy.sum() == round(rate * n)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (((0.9, 0.1), (1.0,)), "has 2 rows, and row 1 has 1 numbers"),
        (((0.9, 0.1),), "has 1 rows, and row 0 has 2 numbers"),
        (((0.9, 0.2), (0.1, 0.9)), r"row 0 is \[0.9, 0.2\]; give shares from 0 to 1 that sum to 1"),
        (((1.1, -0.1), (0.1, 0.9)), "row 0 is"),
        (((0.9, 0.1), (float("nan"), 1.0)), "row 1 is"),
        (((1.0, 0.0), (0.0, 1.0)), "keeps every label"),
    ],
)
def test_a_matrix_that_is_none_is_a_usage_error(matrix, message):
    with pytest.raises(UsageError, match=message):
        ClassConditionalNoise(matrix)


@pytest.mark.parametrize(
    ("matrix", "sizes", "rate", "message"),
    [
        (LOPSIDED, (5, 5), 0.1, "is 3 x 3; toy has 2 classes"),
        (((1.0, 0.0), (0.5, 0.5)), (10, 0), 0.1, "keeps every label of toy"),
        (((1.0, 0.0), (0.5, 0.5)), (10, 2), 0.3, "makes 4 labels of class 'positive' wrong, and toy has 2 of them"),
    ],
)
def test_a_matrix_that_does_not_fit_the_data_or_the_rate_is_refused(matrix, sizes, rate, message):
    with pytest.raises(DataError, match=message):
        corrupt(ClassConditionalNoise(matrix), build_classes(*sizes), rate)


def test_a_matrix_that_keeps_what_there_is_makes_nothing_wrong_at_rate_zero():
    data = build_classes(10, 0)
    assert changed(data, corrupt(ClassConditionalNoise(((1.0, 0.0), (0.5, 0.5))), data, 0.0)) == set()
