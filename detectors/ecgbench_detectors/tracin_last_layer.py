"""Self-influence: how strongly an item pulls the classifier's head towards its own label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import TrainingDynamics, softmax
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class TracinLastLayer(Detector):
    """Score ||f||^2 ||onehot(label) - P||^2, the squared length of the loss's gradient by the head's weights.

    It is the self-influence of TracIn (Pruthi et al., NeurIPS 2020) in the last layer at the last checkpoint; the paper
    sums over checkpoints. f is the state that the head reads after the last epoch, not normalised. P is of the last
    epoch of the same training, as recorded in train mode: influence is on the model that the item trained.
    """

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the training dynamics."""
        return (TrainingDynamics(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), at least 0, higher = a stronger pull."""
        dynamics = artifacts[TrainingDynamics()]
        error = softmax(dynamics.logits[-1].astype(np.float64))
        error[np.arange(len(task)), task.labels] -= 1.0
        return np.asarray(_squared_lengths(dynamics.states.astype(np.float64)) * _squared_lengths(error))


def _squared_lengths(rows: FloatArray) -> FloatArray:
    return np.asarray((rows**2).sum(axis=1))
