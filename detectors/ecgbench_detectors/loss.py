"""Cross-entropy of the given label under a classifier that never saw the item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector

SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Loss(Detector):
    """Score -log P(given label), from out-of-fold probabilities."""

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the out-of-fold probabilities."""
        return (OutOfFoldProbs(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), higher = the given label is less likely."""
        probs = artifacts[OutOfFoldProbs()]
        given = probs[np.arange(len(task)), task.labels]
        return -np.log(np.maximum(given, SMALLEST_PROBABILITY))
