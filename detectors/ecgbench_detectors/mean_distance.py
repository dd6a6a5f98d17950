"""Distance of a text from the middle of its given class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector

DIGITS = 9
"""Scores hold no more: the last bits of a mean depend on the order of the items."""


@dataclass(frozen=True)
class MeanDistance(Detector):
    """Score the Euclidean distance of the text's embedding from the mean of those with the same given label.

    From Larson et al., "Outlier detection for improved data quality and diversity in dialog systems" (NAACL 2019),
    class by class as in nessie's MeanDistance; the item itself is part of the mean.
    """

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the embeddings of the texts."""
        return (TextEmbeddings(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [0, 2], higher = farther from its class."""
        embeddings = artifacts[TextEmbeddings()]
        distances = np.zeros(len(task))
        for label in np.unique(task.labels):
            places = np.flatnonzero(task.labels == label)
            vectors = embeddings[places].astype(np.float64)
            distances[places] = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
        return np.asarray(np.round(distances, DIGITS))
