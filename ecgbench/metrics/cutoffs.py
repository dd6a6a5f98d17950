"""Metrics of the top k items: expected values under random tie-breaking, never index order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from ecgbench.data import BoolArray, FloatArray
from ecgbench.metrics._ranking import Ranking, rank_items
from ecgbench.specs import Metric

TRUE_COUNT = "true"
"""The key of k = the number of wrong labels."""


@dataclass(frozen=True)
class CutoffMetric(Metric):
    """Measure the top k for k in `shares` of n (at least one item) and k = the true count."""

    shares: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05, 0.10)

    def compute(self, is_noisy: BoolArray, scores: FloatArray) -> Mapping[str, float]:
        """Return values by cut-off: "0.5%", ..., "true"; NotApplicableError without both kinds of item."""
        ranking = rank_items(is_noisy, scores)
        sizes = {f"{100 * share:g}%": max(1, round(share * ranking.n)) for share in self.shares}
        sizes[TRUE_COUNT] = ranking.n_noisy
        return {key: self.measure(ranking.expected_hits(k), k, ranking) for key, k in sizes.items()}

    @abstractmethod
    def measure(self, hits: float, k: int, ranking: Ranking) -> float:
        """Return the value for `hits` wrong labels among the top k; it must be linear in `hits`."""


@dataclass(frozen=True)
class PrecisionAtK(CutoffMetric):
    """Compute the share of the top k that is wrong."""

    def measure(self, hits: float, k: int, ranking: Ranking) -> float:  # noqa: ARG002
        """Return hits / k."""
        return hits / k


@dataclass(frozen=True)
class RecallAtK(CutoffMetric):
    """Compute the share of the wrong labels that is in the top k."""

    def measure(self, hits: float, k: int, ranking: Ranking) -> float:  # noqa: ARG002
        """Return hits / all wrong labels."""
        return hits / ranking.n_noisy


@dataclass(frozen=True)
class F1AtK(CutoffMetric):
    """Compute the harmonic mean of precision and recall at k."""

    def measure(self, hits: float, k: int, ranking: Ranking) -> float:
        """Return 2 hits / (k + all wrong labels)."""
        return 2 * hits / (k + ranking.n_noisy)


@dataclass(frozen=True)
class LiftAtK(CutoffMetric):
    """Compute precision at k over the share of wrong labels: 1 is chance."""

    def measure(self, hits: float, k: int, ranking: Ranking) -> float:
        """Return (hits / k) / (all wrong labels / n)."""
        return (hits / k) / (ranking.n_noisy / ranking.n)
