"""The graph of nearest neighbours over any embeddings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Arrays, Artifact, Artifacts, TaskArtifact
from ecgbench.data import DetectionTask, IntArray
from ecgbench.engines.context import ComputeContext
from ecgbench.engines.knn import nearest_neighbours
from ecgbench.profiles import Profile


@dataclass(frozen=True, eq=False)
class KnnGraph:
    """The k nearest neighbours of each item, nearest first, the item itself left out.

    `indices`: int64, `similarities` (cosine): float32, both of shape (n, min(k, n - 1)).
    """

    indices: IntArray
    similarities: NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours(TaskArtifact[KnnGraph]):
    """The exact cosine kNN graph of an embedding artifact (float32, shape (n, d), rows of length 1)."""

    requires: ClassVar[tuple[str, ...]] = ("faiss",)
    uses_labels: ClassVar[bool] = False
    """The graph itself reads none; the key holds the labels wherever its embeddings do."""

    embeddings: Artifact[NDArray[np.float32]]
    k: int = 15

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the embeddings."""
        return (self.embeddings,)

    def resolve(self, profile: Profile) -> Self:
        """Resolve the embeddings, whose settings are part of this artifact's key."""
        return dataclasses.replace(self, embeddings=self.embeddings.resolve(profile))

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> KnnGraph:  # noqa: ARG002
        """Search the neighbours of every item."""
        return KnnGraph(*nearest_neighbours(inputs[self.embeddings], self.k))

    def unpack(self, arrays: Arrays) -> KnnGraph:
        """Rebuild the graph."""
        return KnnGraph(**arrays)
