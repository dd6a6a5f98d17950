"""What the labels of an item's nearest neighbours say of its own, whatever the neighbours are near in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.errors import UsageError
from ecgbench.specs import Detector

TEMPERATURE = 0.07

Weights = Literal["uniform", "similarity", "exponential"]


@dataclass(frozen=True)
class NeighbourLabels(Detector):
    """Base of detectors that score 1 - the weight share of the k nearest neighbours (cosine) with the given label."""

    name: ClassVar[str]
    """The name that errors call the detector by."""
    embeddings: ClassVar[Artifact[NDArray[np.float32]]]
    """What the neighbours are near in: float32, shape (n, d), rows of length 1."""

    k: int = 15
    weights: Weights = "similarity"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"{self.name}.k is {self.k}; give at least 1 neighbour")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the kNN graph."""
        return (Neighbours(self.embeddings, k=self.k),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [0, 1], higher = fewer neighbours share the label."""
        graph = artifacts[Neighbours(self.embeddings, k=self.k)]
        weights = weigh_neighbours(graph, self.weights)
        agrees = task.labels[graph.indices] == task.labels[:, None]
        total = weights.sum(axis=1)
        share = np.divide((weights * agrees).sum(axis=1), total, out=agrees.mean(axis=1), where=total > 0)
        return np.asarray(1.0 - share)


def weigh_neighbours(graph: KnnGraph, weights: Weights) -> FloatArray:
    """Return each neighbour's weight, at least 0, shape (n, k): 1, its similarity or exp(similarity / TEMPERATURE).

    Exponential ones are relative to the item's nearest neighbour.
    """
    similarities = graph.similarities.astype(np.float64)
    if weights == "uniform":
        return np.ones_like(similarities)
    if weights == "similarity":
        return np.maximum(similarities, 0.0)
    scaled: FloatArray = np.exp((similarities - similarities.max(axis=1, keepdims=True)) / TEMPERATURE)
    return scaled
