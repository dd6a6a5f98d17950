"""Metrics of a whole ranking; ties count as scikit-learn counts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.data import BoolArray, FloatArray
from ecgbench.metrics._ranking import rank_items
from ecgbench.specs import Metric


@dataclass(frozen=True)
class Auroc(Metric):
    """Compute the area under the ROC curve; a tied pair counts one half."""

    def compute(self, is_noisy: BoolArray, scores: FloatArray) -> float:
        """Return a value in [0, 1], .5 for a constant; NotApplicableError without both kinds of item."""
        ranking = rank_items(is_noisy, scores)
        tpr = ranking.hits / ranking.n_noisy
        fpr = (ranking.flagged - ranking.hits) / (ranking.n - ranking.n_noisy)
        return float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1])) / 2)


@dataclass(frozen=True)
class Auprc(Metric):
    """Compute average precision: precision at each threshold, weighted by the recall it adds."""

    def compute(self, is_noisy: BoolArray, scores: FloatArray) -> float:
        """Return a value in (0, 1]; NotApplicableError without both kinds of item."""
        ranking = rank_items(is_noisy, scores)
        precision = ranking.hits[1:] / ranking.flagged[1:]
        return float(np.sum(np.diff(ranking.hits) * precision) / ranking.n_noisy)


@dataclass(frozen=True)
class TnrAt95(Metric):
    """Compute the share of clean items left alone at the first threshold that finds 95 % of the wrong."""

    def compute(self, is_noisy: BoolArray, scores: FloatArray) -> float:
        """Return a value in [0, 1]; NotApplicableError without both kinds of item."""
        ranking = rank_items(is_noisy, scores)
        first = int(np.argmax(ranking.hits / ranking.n_noisy >= 0.95))
        false_alarms = int(ranking.flagged[first] - ranking.hits[first])
        return 1.0 - false_alarms / (ranking.n - ranking.n_noisy)
