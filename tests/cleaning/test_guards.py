"""Guards of a cleaning, one by one: what each holds back, and that it leaves the rest alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ecgbench.cleaning.guards import (
    Action,
    Evidence,
    Guard,
    count_top,
    find_held_back,
    find_unjudged,
    parse_share,
    share_below,
)
from ecgbench.errors import UsageError

N = 100
UNKNOWN = np.full(N, np.nan)
SPARING = {"outlier": Guard.OUTLIER, "ease": Guard.DYNAMICS}
SURE = Evidence(np.ones(N, dtype=bool), np.full(N, 0.9), np.ones(N), UNKNOWN, UNKNOWN)


def held(action: Action, **changed: object) -> dict[Guard, list[int]]:
    """Return the items that each guard holds back, guards without any left out."""
    masks = find_held_back(dataclasses.replace(SURE, **changed), action)  # type: ignore[arg-type]
    return {guard: np.flatnonzero(mask).tolist() for guard, mask in masks.items() if mask.any()}


def but_one(values: np.ndarray, at: int, value: float) -> np.ndarray:
    changed = values.copy()
    changed[at] = value
    return changed


def test_an_item_of_which_all_is_sure_is_held_back_by_none() -> None:
    assert held(Action.RELABEL) == held(Action.REMOVE) == {}


@pytest.mark.parametrize(
    ("signal", "value", "guard"),
    [
        ("is_disputed", False, Guard.SAME_LABEL),
        ("confidence", 0.69, Guard.CONFIDENCE),
        ("confidence", np.nan, Guard.CONFIDENCE),
        ("agreement", 0.79, Guard.AGREEMENT),
        ("agreement", np.nan, Guard.AGREEMENT),
    ],
)
def test_a_guard_of_new_labels_holds_back_a_relabelling_and_no_removal(signal: str, value: float, guard: Guard) -> None:
    changed = {signal: but_one(getattr(SURE, signal), 7, value)}
    assert held(Action.RELABEL, **changed) == {guard: [7]}
    assert held(Action.REMOVE, **changed) == {}


@pytest.mark.parametrize(("signal", "value"), [("confidence", 0.7), ("agreement", 0.8)])
def test_a_threshold_itself_passes(signal: str, value: float) -> None:
    assert held(Action.RELABEL, **{signal: np.full(N, value)}) == {}


@pytest.mark.parametrize(("signal", "guard", "n_spared"), [("outlier", Guard.OUTLIER, 5), ("ease", Guard.DYNAMICS, 25)])
@pytest.mark.parametrize("action", list(Action))
def test_what_lies_above_a_percentile_is_spared_by_both_actions(
    signal: str, guard: Guard, n_spared: int, action: Action
) -> None:
    values = np.random.default_rng(0).permutation(N).astype(float)
    found = held(action, **{signal: share_below(values)})
    assert list(found) == [guard]
    assert sorted(values[found[guard]]) == list(range(N - n_spared, N))


@pytest.mark.parametrize("signal", ["outlier", "ease"])
def test_equal_scores_and_unknown_ones_hold_nothing_back(signal: str) -> None:
    assert held(Action.REMOVE, **{signal: share_below(np.full(N, 0.3))}) == {}
    half_known = np.where(np.arange(N) < 50, np.nan, 0.99)
    assert held(Action.REMOVE, **{signal: half_known}) == {SPARING[signal]: [*range(50, N)]}


def test_a_share_counts_the_others_below_and_lies_above_a_percentile_as_the_value_does() -> None:
    assert share_below(np.array([3.0, 1.0, 1.0, 7.0, 5.0])).tolist() == [0.5, 0.0, 0.0, 1.0, 0.75]
    assert share_below(np.array([2.0])).tolist() == [0.0]
    values = np.random.default_rng(1).normal(size=997)
    np.testing.assert_array_equal(share_below(values) > 0.95, values > np.percentile(values, 95))


def test_guards_that_know_nothing_are_told() -> None:
    assert find_unjudged(SURE) == (Guard.OUTLIER, Guard.DYNAMICS)
    assert find_unjudged(dataclasses.replace(SURE, ease=but_one(UNKNOWN, 3, 0.1))) == (Guard.OUTLIER,)


def test_a_share_is_read_and_counts_at_least_one_item() -> None:
    assert [parse_share("5%"), parse_share(" 0.5 %"), parse_share("100%")] == [0.05, 0.005, 1.0]
    assert [count_top(0.05, 200), count_top(0.005, 10)] == [10, 1]


@pytest.mark.parametrize("text", ["5", "0%", "101%", "%", "five%", "-1%", "nan%", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give a percentage above 0 and up to 100"):
        parse_share(text)
