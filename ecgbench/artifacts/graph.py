"""The graph of nearest neighbours over any embeddings."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Arrays, Artifact, Artifacts, TaskArtifact
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.engines.context import ComputeContext
from ecgbench.engines.knn import measure_recall, nearest_neighbours
from ecgbench.profiles import KnnSettings, Profile

logger = logging.getLogger(__name__)

LEAST_RECALL = 0.95
"""Below it a run warns."""
OUTLIER_NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class KnnGraph:
    """The k nearest neighbours of each item, nearest first, the item itself left out.

    `indices`: int64, `similarities` (cosine): float32, both of shape (n, min(k, n - 1)).
    `recall`: the share of the true neighbours that are in it, measured on a sample; 1 for an exact search.
    """

    indices: IntArray
    similarities: NDArray[np.float32]
    recall: float = 1.0


@dataclass(frozen=True)
class Neighbours(TaskArtifact[KnnGraph]):
    """The cosine kNN graph of an embedding artifact (float32, shape (n, d), rows of length 1).

    It is exact unless the profile's `knn` names an approximate index; then its recall is measured.
    """

    requires: ClassVar[tuple[str, ...]] = ("faiss",)
    uses_labels: ClassVar[bool] = False
    """The graph itself reads none; the key holds the labels wherever its embeddings do."""

    embeddings: Artifact[NDArray[np.float32]]
    k: int = 15
    knn: KnnSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the embeddings."""
        return (self.embeddings,)

    def models(self) -> tuple[Any, ...]:
        """Return none: a search loads no model."""
        return ()

    def resolve(self, profile: Profile) -> Self:
        """Resolve the embeddings as well, whose settings are part of this artifact's key."""
        return dataclasses.replace(super().resolve(profile), embeddings=self.embeddings.resolve(profile))

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> KnnGraph:  # noqa: ARG002
        """Search the neighbours of every item; an approximate search logs its recall."""
        assert self.knn is not None
        vectors = inputs[self.embeddings]
        indices, similarities = nearest_neighbours(vectors, self.k, self.knn, progress=context.progress)
        if self.knn.index == "exact":
            return KnnGraph(indices, similarities)
        recall = measure_recall(vectors, similarities)
        level = logging.INFO if recall >= LEAST_RECALL else logging.WARNING
        advice = "" if recall >= LEAST_RECALL else ": give a higher knn.effort, or index exact"
        name = f"{self.knn.index}, effort {self.knn.effort}"
        logger.log(level, "%d nearest neighbours (%s): recall %.3f%s", self.k, name, recall, advice)
        return KnnGraph(indices, similarities, recall)

    def facts(self, value: KnnGraph) -> Mapping[str, float]:
        """Return the recall of an approximate search."""
        assert self.knn is not None
        return {} if self.knn.index == "exact" else {"recall": value.recall}

    def unpack(self, arrays: Arrays) -> KnnGraph:
        """Rebuild the graph."""
        return KnnGraph(arrays["indices"], arrays["similarities"], float(arrays["recall"]))


def outlier_scores(graph: KnnGraph) -> FloatArray:
    """Return 1 - mean similarity to the 5 nearest neighbours, shape (n,), higher = further out; 1 without any."""
    nearest = graph.similarities[:, :OUTLIER_NEIGHBOURS].astype(np.float64)
    return np.asarray(1.0 - nearest.sum(axis=1) / max(nearest.shape[1], 1))
