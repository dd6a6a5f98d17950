"""Which detectors rank a task almost alike: Spearman's correlation of a cell with those there were before it."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ecgbench.data import FloatArray
from ecgbench.grid.selection import Selection
from ecgbench.results import CellRecord, Status
from ecgbench.store.objects import ObjectStore

logger = logging.getLogger(__name__)

ALMOST_ALIKE = 0.99
"""Two rankings whose |Spearman| is above this are reported."""
DIGITS = 6


class Redundancy:
    """Compare a task's rankings by their stored scores; one task's ranks are in memory, each read once."""

    def __init__(self, objects: ObjectStore, known: Iterable[CellRecord]) -> None:
        self._objects = objects
        self._peers: dict[Any, dict[str, CellRecord]] = {}
        self._task: Any = None
        self._ranks: dict[str, FloatArray | None] = {}
        for record in known:
            self._remember(record)

    def mark(self, record: CellRecord) -> CellRecord:
        """Return the record with the detectors that it ranks almost like, of those known so far."""
        if _has_ranking(record):
            record = dataclasses.replace(record, redundant=self._compare(record))
        self._remember(record)
        return record

    def _remember(self, record: CellRecord) -> None:
        self._peers.setdefault(_task(record), {})[record.cell_key] = record

    def _compare(self, record: CellRecord) -> dict[str, float]:
        if _task(record) != self._task:
            self._task = _task(record)
            self._ranks.clear()
        found: dict[str, float] = {}
        for peer in self._peers.get(self._task, {}).values():
            if _has_ranking(peer) and peer.cell_key != record.cell_key:
                rho = _correlate(self._load(record), self._load(peer))
                if abs(rho) > ALMOST_ALIKE:
                    found[str(Selection(peer.detector, peer.detector_params))] = round(rho, DIGITS)
        return found

    def _load(self, record: CellRecord) -> FloatArray | None:
        """Return the centred ranks of a record's scores; None where all are tied or the scores left the cache."""
        key = str(record.scores)
        if key not in self._ranks:
            arrays = self._objects.get(key)
            if arrays is None:
                logger.info("the raw scores of %s left the cache: it is compared with no other", record.detector)
            self._ranks[key] = None if arrays is None else _centred_ranks(arrays["scores"])
        return self._ranks[key]


def _task(record: CellRecord) -> tuple[Any, ...]:
    return (*record.group, record.seed)


def _has_ranking(record: CellRecord) -> bool:
    return record.status is Status.OK and not record.sanity and record.scores is not None


def _centred_ranks(scores: FloatArray) -> FloatArray | None:
    """Return twice the tie-averaged ranks less their mean: float64, shape (n,); None where all are tied.

    They are whole numbers, so sums of their products are exact in whatever order they are added (to n = 300,000).
    """
    from scipy.stats import rankdata

    ranks: FloatArray = 2.0 * rankdata(scores, method="average") - (len(scores) + 1)
    return ranks if np.any(ranks) else None


def _correlate(a: FloatArray | None, b: FloatArray | None) -> float:
    """Return the correlation of centred ranks, which is Spearman's; 0 where one has none."""
    if a is None or b is None:
        return 0.0
    return _dot(a, b) / math.sqrt(_dot(a, a) * _dot(b, b))


def _dot(a: FloatArray, b: FloatArray) -> float:
    return float((a * b).sum())  # not a @ b: starting threads for it takes longer than the sum
