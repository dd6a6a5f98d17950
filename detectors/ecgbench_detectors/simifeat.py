"""SimiFeat: the soft label that the nearest texts give an item, without training a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.errors import UsageError
from ecgbench.specs import Detector

DIGITS = 12
"""Scores hold no more: the last bits of a sum tell the order of equally near neighbours."""


@dataclass(frozen=True)
class SimiFeat(Detector):
    """Score how far the soft label of an item's neighbourhood is from its given one (Zhu et al., ICML 2022).

    The soft label sums the one-hot labels of the `k` nearest texts, weighted by cosine, none below 0. The item is the
    first of the k, as in the authors' code: its own weight is what its two nearest others lead up to, 2 s_1 - s_2.

    `ranking` (SimiFeat-R) scores 1 - the cosine of the soft label with the given one. The paper then flags in each
    class as many of the lowest as an estimate of its noise says; a ranking needs no such count, so none is made.
    `voting` (SimiFeat-V) scores 1 where another class has more weight than the given one, else 0.
    """

    k: int = 10
    scoring: Literal["ranking", "voting"] = "ranking"

    def __post_init__(self) -> None:
        if self.k < 3:
            raise UsageError(f"simifeat.k is {self.k}; give at least 3: the item itself and two others")

    @property
    def _neighbours(self) -> Neighbours:
        return Neighbours(TextEmbeddings(), k=self.k - 1)

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the kNN graph of the texts."""
        return (self._neighbours,)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [0, 1], higher = the neighbourhood speaks for other labels.

        Where nothing has a weight, the soft label speaks for all classes alike.
        """
        soft = _sum_labels(artifacts[self._neighbours], task)
        given = soft[np.arange(len(task)), task.labels]
        if self.scoring == "voting":
            return np.asarray(given < soft.max(axis=1), dtype=np.float64)
        return np.asarray(np.round(1.0 - given / np.linalg.norm(soft, axis=1), DIGITS) + 0.0)  # no -0.0


def _sum_labels(graph: KnnGraph, task: DetectionTask) -> FloatArray:
    """Return each item's soft label: shape (n, C), at least 0, ones where nothing has a weight."""
    similarities = graph.similarities.astype(np.float64)
    nearest = similarities[:, :1] if similarities.shape[1] else np.ones((len(task), 1))
    second = similarities[:, 1:2] if similarities.shape[1] > 1 else nearest
    weights = np.maximum(np.hstack([2.0 * nearest - second, similarities]), 0.0)
    labels = np.hstack([task.labels[:, None], task.labels[graph.indices]])
    soft = np.stack([(weights * (labels == c)).sum(axis=1) for c in range(task.n_classes)], axis=1)
    soft[soft.sum(axis=1) == 0] = 1.0
    return soft
