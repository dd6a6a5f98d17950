"""Duplicate conflict: near-duplicates that carry other labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import Neighbours
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.errors import UsageError
from ecgbench.specs import Detector

NEUTRAL = 0.5
"""The score without any near-duplicate: as if as many agreed as not."""
DIGITS = 12
"""Scores hold no more: the last bits of a sum tell the order of equally near neighbours."""


@dataclass(frozen=True)
class DuplicateConflict(Detector):
    """Score the share of an item's near-duplicates that carry another label, weighted by cosine.

    Near-duplicates are all items of the same text but for case, spacing and the form of characters (Unicode NFKC),
    with weight 1, and those of the `k` nearest texts with a cosine of at least `threshold`. An item without any has
    0.5: one with a score below is confirmed by its near-duplicates, one above it is disputed. Of two near-duplicates
    that disagree nothing here tells which is wrong: both score 1.
    """

    expected_failures: ClassVar[Mapping[str, str]] = {
        "higher_is_more_suspicious": "the kit's texts have no near-duplicates, so that all items score alike",
    }

    threshold: float = 0.9
    k: int = 15

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise UsageError(f"duplicate_conflict.threshold is {self.threshold}; give a cosine above 0 and up to 1")
        if self.k < 1:
            raise UsageError(f"duplicate_conflict.k is {self.k}; give at least 1 neighbour")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the kNN graph of the texts."""
        return (Neighbours(TextEmbeddings(), k=self.k),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [0, 1], higher = more of its near-duplicates carry other labels."""
        graph = artifacts[Neighbours(TextEmbeddings(), k=self.k)]
        same_text = _number_texts(task.texts)
        n_same, n_agreeing = _count_same(same_text), _count_same(same_text * task.n_classes + task.labels)
        similarities = graph.similarities.astype(np.float64)
        is_near = (similarities >= self.threshold) & (same_text[graph.indices] != same_text[:, None])
        weights = np.where(is_near, similarities, 0.0)
        differs = task.labels[graph.indices] != task.labels[:, None]
        total = n_same + weights.sum(axis=1)
        conflict = n_same - n_agreeing + (weights * differs).sum(axis=1)
        shares = np.divide(conflict, total, out=np.full(len(task), NEUTRAL), where=total > 0)
        return np.asarray(np.round(shares, DIGITS))


def _number_texts(texts: Sequence[str]) -> IntArray:
    """Return a number for each text, the same for texts that are equal when normalised: int64, shape (n,)."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(_normalise(text), len(numbers)) for text in texts], dtype=np.int64)


def _normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _count_same(numbers: IntArray) -> IntArray:
    """Return how many other items have the same number: int64, shape (n,)."""
    return np.bincount(numbers)[numbers] - 1
