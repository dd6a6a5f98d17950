"""KNN-Shapley: what each item is worth to a nearest-neighbour classifier that judges all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray
from ecgbench.errors import UsageError
from ecgbench.specs import Detector

CELLS = 2**20
"""Queries are compared with all items in blocks of at most so many pairs (or one query), which bound the memory."""
EQUAL = 10**9
"""Similarities are whole numbers of 1 / EQUAL: those of equal texts may differ in their last bits."""
DIGITS = 6
"""Scores hold no more: the last bits of a sum tell the order of the items."""


@dataclass(frozen=True)
class KnnShapley(Detector):
    """Score minus the Shapley value of an item for a `k`-nearest-neighbour classifier (Jia et al., VLDB 2019).

    The game: all other items together judge one item, the query, and win the share of its k nearest (cosine) that
    carry its label. The value of the j-th nearest of N is exact, by their theorem 1: s_N = min(k, N) / (k N) * m_N and
    s_j = s_(j+1) + (m_j - m_(j+1)) / k * min(k, j) / j, with m_j = 1 if its label is the query's, else 0. Items
    equally near share the mean over all their orders. There is no clean set to judge by, so every item is a query to
    the others in turn, wrong labels too. The value is the sum over queries.

    It sorts all items by each: time grows with n squared, memory does not.
    """

    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"knn_shapley.k is {self.k}; give at least 1 neighbour")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the embeddings of the texts."""
        return (TextEmbeddings(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), higher = it misleads the items near it more than it helps them."""
        vectors = artifacts[TextEmbeddings()].astype(np.float64)
        n = len(task)
        values = np.zeros(n)
        rows = max(1, CELLS // n)
        for start in range(0, n, rows):
            queries = np.arange(start, min(start + rows, n))
            order, nearness = _sort_others(vectors, queries)
            agrees = task.labels[order] == task.labels[queries][:, None]
            values += np.bincount(order.ravel(), _share_out(agrees, nearness, self.k).ravel(), minlength=n)
        return np.asarray(np.round(-values, DIGITS) + 0.0)  # no -0.0


def _sort_others(vectors: FloatArray, queries: IntArray) -> tuple[IntArray, IntArray]:
    """Return the other items of each query, nearest first, and how near, as whole numbers: both of shape (b, n - 1)."""
    nearness = np.rint(vectors[queries] @ vectors.T * EQUAL).astype(np.int64)
    nearness[np.arange(len(queries)), queries] = -2 * EQUAL  # the query itself: under any cosine, and left out
    order = np.argsort(-nearness, axis=1)[:, :-1]
    return order, np.take_along_axis(nearness, order, axis=1)


def _share_out(agrees: BoolArray, nearness: IntArray, k: int) -> FloatArray:
    """Return the value of each item, nearest first, to each query: shape (b, N).

    The recursion written out is s_j = c_j m_j + sum over i > j of (c_i - c_(i-1)) m_i, with c_j = min(k, j) / (j k):
    what the j-th nearest earns by agreeing, less what those behind it take from all before them.
    """
    n_others = agrees.shape[1]
    earned = np.minimum(k, np.arange(1, n_others + 1)) / (np.arange(1, n_others + 1) * k)
    taken = np.diff(earned, prepend=0.0)
    ties = _find_ties(nearness)
    n_agree = np.asarray(np.bincount(ties.group, agrees.ravel()[ties.cells]), dtype=np.float64)
    expected = agrees.astype(np.float64)
    expected.ravel()[ties.cells] = (n_agree / ties.size)[ties.group]
    taken_by = expected * taken
    behind = taken_by.sum(axis=1, keepdims=True) - np.cumsum(taken_by, axis=1)
    values = earned * agrees + behind
    values.ravel()[ties.cells] = _share_ties(ties, agrees, earned, n_agree) + behind.ravel()[ties.last][ties.group]
    return np.asarray(values)


@dataclass(frozen=True, eq=False)
class _Ties:
    """Groups of equally near items: `cells`, flat places, and the `group` of each; of a group `size`, `last` cell."""

    cells: IntArray
    group: IntArray
    size: IntArray
    last: IntArray


def _find_ties(nearness: IntArray) -> _Ties:
    equal = np.pad(nearness[:, 1:] == nearness[:, :-1], ((0, 0), (1, 1)))
    before, after = equal[:, :-1], equal[:, 1:]
    cells = np.flatnonzero(before | after)
    group = np.cumsum(~before.ravel()[cells]) - 1
    return _Ties(cells, group, np.bincount(group), cells[~after.ravel()[cells]])


def _share_ties(ties: _Ties, agrees: BoolArray, earned: FloatArray, n_agree: FloatArray) -> FloatArray:
    """Return what tied items earn and take from each other, each place equally often: one number a cell."""
    end = ties.last % agrees.shape[1] + 1
    first = end - ties.size
    sums = np.concatenate([[0.0], np.cumsum(earned)])
    mean = (sums[end] - sums[first]) / ties.size
    # What one takes from another by agreeing where it is behind it, over all orders: sum over j in the group of
    # (j - first) (c_j - c_(j-1)), of size (size - 1) pairs of places; summed by parts.
    taken = (earned[end - 1] - mean) / (ties.size - 1)
    own = agrees.ravel()[ties.cells]
    return np.asarray(own * mean[ties.group] + (n_agree[ties.group] - own) * taken[ties.group])
