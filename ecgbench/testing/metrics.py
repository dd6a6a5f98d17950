"""Checks of metrics, on made-up rankings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from ecgbench.data import BoolArray, FloatArray, freeze
from ecgbench.errors import NotApplicableError
from ecgbench.testing.base import Seen, Subject, check
from ecgbench.testing.looking import snapshot, untouched_random_state

N = 60
TOLERANCE = 1e-9


def _draw_truth() -> BoolArray:
    """Return which of N items are wrong: one in five."""
    return np.asarray(np.random.default_rng(0).permutation(N) < N // 5)


def _iter_rankings() -> Iterator[tuple[str, FloatArray]]:
    """Yield rankings by name: the best, the worst and others between them."""
    rng, truth = np.random.default_rng(1), _draw_truth().astype(np.float64)
    yield "perfect", _perfect()
    yield "reversed", -_perfect()
    yield "constant", np.zeros(N)
    for i in range(4):
        yield f"random {i}", rng.normal(size=N)
        yield f"good {i}", truth + rng.normal(size=N)
        yield f"bad {i}", -truth + rng.normal(size=N)
        yield f"tied {i}", rng.integers(3, size=N).astype(np.float64)


def _measure(subject: Subject, is_noisy: BoolArray, scores: FloatArray) -> Mapping[str, float]:
    """Return the metric's values, a single one under an empty name."""
    value = subject.instance.compute(freeze(is_noisy), freeze(scores))
    return {str(k): float(v) for k, v in value.items()} if isinstance(value, Mapping) else {"": float(value)}


def _measure_rankings(subject: Subject) -> list[tuple[str, FloatArray, Mapping[str, float]]]:
    """Return the rankings that the metric is defined for, with its values; raises NotApplicableError for none."""
    measured, refused = [], []
    for name, scores in _iter_rankings():
        try:
            measured.append((name, scores, _measure(subject, _draw_truth(), scores)))
        except NotApplicableError as error:
            refused.append(error)
    if not measured:
        raise refused[0]
    return measured


def _perfect() -> FloatArray:
    return _draw_truth() + np.random.default_rng(2).uniform(0.0, 0.5, size=N)


@check()
def finite(subject: Subject) -> Seen:
    """It gives a finite number, or finite numbers by cut-off, for every ranking for which it is defined."""
    for name, _, found in _measure_rankings(subject):
        if wrong := [f"{key} {value}".strip() for key, value in found.items() if not math.isfinite(value)]:
            return f"a {name} ranking has {', '.join(wrong)}"
        if not found:
            return f"a {name} ranking has no value"
    return None


@check()
def ties(subject: Subject) -> Seen:
    """Its value does not depend on the order of the items, tied ones too."""
    order = np.random.default_rng(3).permutation(N)
    for name, scores, found in _measure_rankings(subject):
        moved = _measure(subject, _draw_truth()[order], scores[order])
        for key in found:
            if abs(found[key] - moved[key]) > TOLERANCE:
                return f"a {name} ranking has {found[key]:.6g}, in another order {moved[key]:.6g} {key}".rstrip()
    return None


@check()
def perfect_is_best(subject: Subject) -> Seen:
    """No ranking has a higher value than a perfect one, and the reversed has a lower: higher = better."""
    best = _measure(subject, _draw_truth(), _perfect())
    worst = _measure(subject, _draw_truth(), -_perfect())
    for name, _, found in _measure_rankings(subject):
        for key, value in found.items():
            if value > best[key] + TOLERANCE:
                return f"a {name} ranking has {value:.6g}, a perfect one {best[key]:.6g} {key}".rstrip()
    return None if any(worst[k] < best[k] for k in best) else "a perfect and a reversed ranking have the same value"


@check()
def reversed_is_worst(subject: Subject) -> Seen:
    """No ranking has a lower value than the reversed one."""
    worst = _measure(subject, _draw_truth(), -_perfect())
    for name, _, found in _measure_rankings(subject):
        for key, value in found.items():
            if value < worst[key] - TOLERANCE:
                return f"a {name} ranking has {value:.6g}, the reversed {worst[key]:.6g} {key}".rstrip()
    return None


@check()
def all_clean(subject: Subject) -> Seen:
    """Where no label is wrong it gives a finite value or raises NotApplicableError."""
    return _see_one_kind(subject, np.zeros(N, dtype=np.bool_))


@check()
def all_noisy(subject: Subject) -> Seen:
    """Where every label is wrong it gives a finite value or raises NotApplicableError."""
    return _see_one_kind(subject, np.ones(N, dtype=np.bool_))


def _see_one_kind(subject: Subject, is_noisy: BoolArray) -> Seen:
    try:
        found = _measure(subject, is_noisy, _perfect())
    except NotApplicableError:
        return None
    wrong = [value for value in found.values() if not math.isfinite(value)]
    return f"it gave {wrong[0]}" if wrong else None


@check()
def deterministic(subject: Subject) -> Seen:
    """The same ranking has the same value to the last bit."""
    first, second = (_measure(subject, _draw_truth(), _perfect()) for _ in range(2))
    return f"it gave {first} and then {second}" if first != second else None


@check()
def inputs_untouched(subject: Subject) -> Seen:
    """compute() changes neither truth nor scores; the arrays are read-only, copy them."""
    truth, scores = freeze(_draw_truth()), freeze(_perfect())
    before = snapshot((truth, scores))
    _measure(subject, truth, scores)
    return "what it was given was changed" if snapshot((truth, scores)) != before else None


global_random_state_untouched = untouched_random_state(
    lambda subject: lambda: _measure(subject, _draw_truth(), _perfect()),
    "compute() moves no global state of random, numpy or torch",
)


CHECKS = (
    finite,
    ties,
    perfect_is_best,
    reversed_is_worst,
    all_clean,
    all_noisy,
    deterministic,
    inputs_untouched,
    global_random_state_untouched,
)
