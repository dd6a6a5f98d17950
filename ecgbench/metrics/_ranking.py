"""What every metric is computed from: how many wrong labels each threshold finds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ecgbench.data import BoolArray, FloatArray, IntArray
from ecgbench.errors import NotApplicableError


@dataclass(frozen=True, eq=False)
class Ranking:
    """The thresholds of a ranking from the highest score down; tied items fall together.

    `flagged`, `hits`: int64, shape (distinct scores + 1,), items and wrong labels at or above each
    threshold, starting with 0. `n`, `n_noisy`: items and wrong labels in all.
    """

    flagged: IntArray
    hits: IntArray
    n: int
    n_noisy: int

    def expected_hits(self, k: int) -> float:
        """Return the wrong labels expected in the top k when ties are broken at random.

        A group of g tied items with p wrong ones adds p/g for each of its places: the hits between
        two thresholds lie on a straight line.
        """
        return float(np.interp(k, self.flagged, self.hits))


def rank_items(is_noisy: BoolArray, scores: FloatArray) -> Ranking:
    """Rank items by score; raise NotApplicableError where only one kind of item is there."""
    return _rank(np.asarray(is_noisy, dtype=np.bool_).tobytes(), np.asarray(scores, dtype=np.float64).tobytes())


# All metrics of a cell ask for the same ranking one after the other: one sort serves them all.
@lru_cache(maxsize=1)
def _rank(flags: bytes, values: bytes) -> Ranking:
    is_noisy, scores = np.frombuffer(flags, dtype=np.bool_), np.frombuffer(values, dtype=np.float64)
    n, n_noisy = len(is_noisy), int(np.count_nonzero(is_noisy))
    if n_noisy == 0:
        raise NotApplicableError("not defined: no item has a wrong label")
    if n_noisy == n:
        raise NotApplicableError("not defined: every item has a wrong label")
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), n - 1)
    hits = np.cumsum(is_noisy[order], dtype=np.int64)[ends]
    return Ranking(flagged=np.append(0, ends + 1), hits=np.append(0, hits), n=n, n_noisy=n_noisy)
