"""Labels of the nearest texts."""

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

TEMPERATURE = 0.07


@dataclass(frozen=True)
class InputKnn(Detector):
    """Score 1 - the weight share of the k nearest texts (cosine) that carry the given label."""

    k: int = 15
    weights: Literal["uniform", "similarity", "exponential"] = "similarity"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"input_knn.k is {self.k}; give at least 1 neighbour")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the kNN graph of the texts."""
        return (Neighbours(TextEmbeddings(), k=self.k),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [0, 1], higher = fewer neighbours share the label."""
        graph = artifacts[Neighbours(TextEmbeddings(), k=self.k)]
        weights = self._weigh(graph)
        agrees = task.labels[graph.indices] == task.labels[:, None]
        total = weights.sum(axis=1)
        share = np.divide((weights * agrees).sum(axis=1), total, out=agrees.mean(axis=1), where=total > 0)
        return np.asarray(1.0 - share)

    def _weigh(self, graph: KnnGraph) -> FloatArray:
        similarities = graph.similarities.astype(np.float64)
        if self.weights == "uniform":
            return np.ones_like(similarities)
        if self.weights == "similarity":
            return np.maximum(similarities, 0.0)
        weights: FloatArray = np.exp((similarities - similarities.max(axis=1, keepdims=True)) / TEMPERATURE)
        return weights
