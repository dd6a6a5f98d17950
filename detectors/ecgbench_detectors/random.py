"""Random ranking: the floor of every board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifacts
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class Random(Detector):
    """Draw every suspicion uniformly from [0, 1)."""

    expected_failures: ClassVar[Mapping[str, str]] = {
        "higher_is_more_suspicious": "it is the floor: it knows nothing of texts and labels",
        "permutation_equivariant": "each place draws a number of its own, whichever item stands there",
    }

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,)."""
        return rng.random(len(task))
