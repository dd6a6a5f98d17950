"""Labels of the nearest texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench_detectors.neighbours import NeighbourLabels


@dataclass(frozen=True)
class InputKnn(NeighbourLabels):
    """Score 1 - the weight share of the k nearest texts (cosine) that carry the given label."""

    name: ClassVar[str] = "input_knn"
    embeddings: ClassVar[TextEmbeddings] = TextEmbeddings()
