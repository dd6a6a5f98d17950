"""ReTag: whether a classifier that never saw the item gives it another label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class Retag(Detector):
    """Score 1 where another class is likelier than the given one out of fold, else 0 (van Halteren, LINC 2000).

    There are two values and no order within them: what is tied stays tied. A label that shares the highest
    probability is not disputed.
    """

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the out-of-fold probabilities."""
        return (OutOfFoldProbs(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), 1 = the prediction is another label, 0 = it is the given one."""
        probs = artifacts[OutOfFoldProbs()]
        return np.asarray(probs[np.arange(len(task)), task.labels] < probs.max(axis=1), dtype=np.float64)
