"""Random ranking: the floor of every board."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.artifacts.base import Artifacts
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class Random(Detector):
    """Draw every suspicion uniformly from [0, 1)."""

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,)."""
        return rng.random(len(task))
