"""Confident learning's label quality scores, computed by cleanlab (Northcutt et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class Cleanlab(Detector):
    """Score 1 - cleanlab's label quality; without `adjust` self_confidence ranks exactly as `loss` does."""

    method: Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"] = "self_confidence"
    adjust: bool = True

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the out-of-fold probabilities."""
        return (OutOfFoldProbs(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), higher = lower label quality."""
        from cleanlab.rank import get_label_quality_scores

        quality = get_label_quality_scores(
            task.labels.copy(), artifacts[OutOfFoldProbs()].copy(), method=self.method, adjust_pred_probs=self.adjust
        )
        return 1.0 - np.asarray(quality, dtype=np.float64)
