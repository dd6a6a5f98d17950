"""The curves of a ranking at fixed places, so that a record can hold them and a board can average them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ecgbench.data import BoolArray, FloatArray
from ecgbench.errors import NotApplicableError
from ecgbench.metrics._ranking import Ranking, rank_items

ROC, PRECISION_RECALL, PRECISION_AT_K = "roc", "precision_recall", "precision_at_k"
_FIRST_SHARES = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15)
PLACES: dict[str, tuple[float, ...]] = {
    ROC: (0.0, 0.002, *_FIRST_SHARES, *(twentieth / 20 for twentieth in range(4, 21))),
    PRECISION_RECALL: tuple(fortieth / 40 for fortieth in range(41)),
    PRECISION_AT_K: (*_FIRST_SHARES, 0.2, 0.25, *(tenth / 10 for tenth in range(3, 11))),
}
"""Where each curve is read: at these false positive rates, recalls and shares of all items."""
_DIGITS = 4
Curves = dict[str, list[float]]


def sample_curves(is_noisy: BoolArray, scores: FloatArray) -> Curves:
    """Return each curve's values at its places, rounded; none where only one kind of item is there.

    "roc": true positive rates; a tied group is a straight line, as for AUROC. "precision_recall": precision where the
    recall is first reached; a tied group adds its wrong labels evenly (Davis & Goadrich 2006). "precision_at_k":
    expected under random tie-breaking, at least one item. Higher is better. A constant gives the diagonal and twice
    the share of wrong labels.
    """
    try:
        ranking = rank_items(is_noisy, scores)
    except NotApplicableError:
        return {}
    values: dict[str, Iterable[float]] = {
        ROC: _find_true_positive_rates(ranking),
        PRECISION_RECALL: [_find_precision(ranking, recall) for recall in PLACES[PRECISION_RECALL]],
        PRECISION_AT_K: [_find_precision_at(ranking, share) for share in PLACES[PRECISION_AT_K]],
    }
    return {name: [round(float(value), _DIGITS) for value in found] for name, found in values.items()}


def _find_true_positive_rates(ranking: Ranking) -> FloatArray:
    """Read the ROC curve; where it rises straight up, at its upper end."""
    fpr = (ranking.flagged - ranking.hits) / (ranking.n - ranking.n_noisy)
    return np.interp(PLACES[ROC], fpr, ranking.hits / ranking.n_noisy)


def _find_precision(ranking: Ranking, recall: float) -> float:
    """Return the precision where this share of the wrong labels, and at least one, is first found."""
    hits = max(1, math.ceil(recall * ranking.n_noisy - 1e-9))  # .1 of 30 is 3, whatever floats make of it
    end = int(np.searchsorted(ranking.hits, hits))
    found, n_found = ranking.hits[end - 1], ranking.hits[end] - ranking.hits[end - 1]
    share = (hits - found) / n_found
    return hits / float(ranking.flagged[end - 1] + share * (ranking.flagged[end] - ranking.flagged[end - 1]))


def _find_precision_at(ranking: Ranking, share: float) -> float:
    k = max(1, round(share * ranking.n))
    return ranking.expected_hits(k) / k
