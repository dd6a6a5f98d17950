"""Aggregation on ranks: fixed and adaptive weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.data import FloatArray
from ecgbench.errors import UsageError
from ecgbench_detectors.ecg.aggregate import (
    DEFAULT_WEIGHTS,
    SignalWeights,
    aggregate_adaptive,
    aggregate_fixed,
    combine_ranks,
    describe_adaptive,
    describe_fixed,
    scaled_ranks,
)
from ecgbench_detectors.ecg.signals import Signal

NAMES = ("neighborhood", "nli", "artifact", "stability", "dynamics")
SEEDS = st.integers(0, 10_000)


def draw_signals(seed: int, n: int = 25) -> list[Signal]:
    """Return five signals with ties, some of no confidence."""
    rng = np.random.default_rng(seed)
    return [Signal(name, rng.integers(8, size=n).astype(float), rng.integers(3, size=n) / 2) for name in NAMES]


def constant(name: str, n: int = 25) -> Signal:
    return Signal(name, np.full(n, 0.1), np.ones(n))


def ranks_by_loop(values: FloatArray) -> list[float]:
    below = [sum(other < value for other in values) for value in values]
    equal = [sum(other == value for other in values) - 1 for value in values]
    return [(b + e / 2) / (len(values) - 1) for b, e in zip(below, equal, strict=True)]


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_ranks_average_ties_and_run_from_zero_to_one(seed: int) -> None:
    values = draw_signals(seed)[0].values
    np.testing.assert_allclose(scaled_ranks(values), ranks_by_loop(values))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_equal_values_all_rank_in_the_middle(n: int) -> None:
    np.testing.assert_array_equal(scaled_ranks(np.full(n, 3.0)), np.full(n, 0.5))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_aggregates_equal_their_formulas_written_as_loops(seed: int) -> None:
    signals = draw_signals(seed)
    ranks = [ranks_by_loop(signal.values) for signal in signals]
    weights = (0.30, 0.30, 0.15, 0.15, 0.10)
    fixed = [sum(w * r[i] for w, r in zip(weights, ranks, strict=True)) for i in range(25)]
    np.testing.assert_allclose(aggregate_fixed(signals, DEFAULT_WEIGHTS), fixed)
    for i, score in enumerate(aggregate_adaptive(signals)):
        confidences = [float(signal.confidence[i]) for signal in signals]
        weighed = sum(c * r[i] for c, r in zip(confidences, ranks, strict=True))
        assert score == pytest.approx(weighed / sum(confidences) if sum(confidences) else 0.5)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, power=st.sampled_from([1, 3]), scale=st.floats(0.01, 100))
def test_a_strictly_increasing_transform_of_a_signal_changes_nothing(seed: int, power: int, scale: float) -> None:
    signals = draw_signals(seed)
    bent = [replace(signals[0], values=np.exp(scale * signals[0].values ** power / 400)), *signals[1:]]
    np.testing.assert_array_equal(aggregate_fixed(bent, DEFAULT_WEIGHTS), aggregate_fixed(signals, DEFAULT_WEIGHTS))
    np.testing.assert_array_equal(aggregate_adaptive(bent), aggregate_adaptive(signals))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_a_signal_given_twice_with_half_the_weight_changes_nothing(seed: int) -> None:
    signals = draw_signals(seed)
    twice = combine_ranks([*signals, signals[0]], [0.15, 0.30, 0.15, 0.15, 0.10, 0.15])
    np.testing.assert_allclose(twice, aggregate_fixed(signals, DEFAULT_WEIGHTS), rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, position=st.integers(0, 4))
def test_a_constant_signal_moves_nothing(seed: int, position: int) -> None:
    signals = draw_signals(seed)
    name = NAMES[position]
    others = [signal for signal in signals if signal.name != name]
    flat = [constant(name) if signal.name == name else signal for signal in signals]
    np.testing.assert_array_equal(aggregate_adaptive(flat), aggregate_adaptive(others))
    np.testing.assert_array_equal(aggregate_fixed(flat, DEFAULT_WEIGHTS), aggregate_fixed(others, DEFAULT_WEIGHTS))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_aggregates_follow_a_permutation_of_the_items(seed: int) -> None:
    signals, order = draw_signals(seed), np.random.default_rng(seed).permutation(25)
    moved = [Signal(s.name, s.values[order], s.confidence[order]) for s in signals]
    np.testing.assert_array_equal(aggregate_adaptive(moved), aggregate_adaptive(signals)[order])
    np.testing.assert_array_equal(
        aggregate_fixed(moved, DEFAULT_WEIGHTS), aggregate_fixed(signals, DEFAULT_WEIGHTS)[order]
    )


def test_where_nothing_is_known_everything_is_in_the_middle() -> None:
    signals = [constant(name) for name in NAMES]
    np.testing.assert_array_equal(aggregate_fixed(signals, DEFAULT_WEIGHTS), np.full(25, 0.5))
    np.testing.assert_array_equal(aggregate_adaptive(signals), np.full(25, 0.5))
    doubtful = [replace(signal, confidence=np.zeros(25)) for signal in draw_signals(0)]
    np.testing.assert_array_equal(aggregate_adaptive(doubtful), np.full(25, 0.5))


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_no_weight_is_refused_by_name(weight: float) -> None:
    with pytest.raises(UsageError, match=r"ecg.weights.nli is (-0.1|nan|inf); give a finite number") as caught:
        SignalWeights(nli=weight)
    assert "\n" not in str(caught.value)


def test_weights_that_are_all_zero_are_refused() -> None:
    zero: dict[str, Any] = dict.fromkeys(NAMES, 0.0)
    with pytest.raises(UsageError, match=r"ecg\.weights are all 0; give one of neighborhood, nli"):
        SignalWeights(**zero)


def test_what_the_signals_weigh_is_said_in_one_line() -> None:
    signals = draw_signals(0)
    assert describe_fixed(signals, DEFAULT_WEIGHTS) == (
        "signals: neighborhood .30, nli .30, artifact .15, stability .15, dynamics .10"
    )
    flat = [constant("neighborhood"), replace(signals[1], confidence=np.full(25, 0.25))]
    assert describe_fixed(flat, DEFAULT_WEIGHTS) == "signals: neighborhood constant, nli 1.00"
    assert describe_adaptive(flat) == "signals by mean confidence: neighborhood constant, nli .25"
