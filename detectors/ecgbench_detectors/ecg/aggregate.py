"""Combine signals by their ranks, as published: with fixed weights or weighted by confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgbench.data import FloatArray
from ecgbench.errors import UsageError
from ecgbench_detectors.ecg.signals import Signal


@dataclass(frozen=True)
class SignalWeights:
    """The weight of each signal; only their ratios count, and a signal of weight 0 is not even computed."""

    neighborhood: float = 0.30
    nli: float = 0.30
    artifact: float = 0.15
    stability: float = 0.15
    dynamics: float = 0.10

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(f"ecg.weights.{name} is {weight}; give a finite number of at least 0")
        if not any(vars(self).values()):
            raise UsageError(f"ecg.weights are all 0; give one of {', '.join(vars(self))} a weight above 0")

    def __getitem__(self, name: str) -> float:
        weight: float = vars(self)[name]
        return weight


DEFAULT_WEIGHTS = SignalWeights()


def aggregate_fixed(signals: Sequence[Signal], weights: SignalWeights) -> FloatArray:
    """Return the mean rank under fixed weights, shape (n,), in [0, 1], higher = more suspicious."""
    return combine_ranks(signals, [weights[signal.name] for signal in signals])


def aggregate_adaptive(signals: Sequence[Signal]) -> FloatArray:
    """Return each item's mean rank weighted by its confidences, shape (n,), in [0, 1]; 0.5 where all are 0."""
    return combine_ranks(signals, [signal.confidence for signal in signals])


def combine_ranks(signals: Sequence[Signal], weights: Sequence[FloatArray | float]) -> FloatArray:
    """Return the weighted mean of the signals' ranks, shape (n,); 0.5 where nothing has a weight.

    A weight is one number or one an item. A signal that is equal everywhere says nothing, so its weight
    counts for nothing either.
    """
    n = len(signals[0].values)
    ranks, total = np.zeros(n), np.zeros(n)
    for signal, weight in zip(signals, weights, strict=True):
        if not is_constant(signal):
            ranks += weight * scaled_ranks(signal.values)
            total += weight
    return np.asarray(np.divide(ranks, total, out=np.full(n, 0.5), where=total > 0))


def is_constant(signal: Signal) -> bool:
    """Say whether a signal has the same value everywhere."""
    return bool((signal.values == signal.values[:1]).all())


def scaled_ranks(values: FloatArray) -> FloatArray:
    """Return tie-averaged ranks scaled to [0, 1], shape (n,); 0.5 where all values are equal."""
    from scipy.stats import rankdata

    n = len(values)
    return np.asarray((rankdata(values) - 1.0) / (n - 1)) if n > 1 else np.full(n, 0.5)


def describe_fixed(signals: Sequence[Signal], weights: SignalWeights) -> str:
    """Say each signal's share of the weight."""
    total = sum(weights[signal.name] for signal in signals if not is_constant(signal))
    return _describe("signals", signals, [weights[signal.name] / (total or 1.0) for signal in signals])


def describe_adaptive(signals: Sequence[Signal]) -> str:
    """Say each signal's mean confidence."""
    return _describe("signals by mean confidence", signals, [float(signal.confidence.mean()) for signal in signals])


def _describe(what: str, signals: Sequence[Signal], weights: Sequence[float]) -> str:
    numbers = [f"{weight:.2f}".removeprefix("0") for weight in weights]
    parts = [f"{s.name} {'constant' if is_constant(s) else x}" for s, x in zip(signals, numbers, strict=True)]
    return f"{what}: {', '.join(parts)}"
