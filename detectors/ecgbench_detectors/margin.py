"""Margin between the likeliest other class and the given one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class Margin(Detector):
    """Score max over other classes of P - P(given label), from out-of-fold probabilities."""

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the out-of-fold probabilities."""
        return (OutOfFoldProbs(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [-1, 1], higher = another class is likelier."""
        others = artifacts[OutOfFoldProbs()].copy()
        rows = np.arange(len(task))
        given = others[rows, task.labels]
        others[rows, task.labels] = -np.inf
        best: FloatArray = others.max(axis=1) - given
        return best
