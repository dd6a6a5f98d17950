"""Uncertainty of a classifier that never saw the item: a control that reads no label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class Entropy(Detector):
    """Score the entropy of the out-of-fold probabilities, the control without labels (Settles 2012, section 2.3).

    The item's own label changes nothing in it, so it shows how far difficulty alone explains a ranking.
    """

    expected_failures: ClassVar[Mapping[str, str]] = {
        "higher_is_more_suspicious": "it is the control without labels: a wrong label changes no score of its own item",
    }

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the out-of-fold probabilities."""
        return (OutOfFoldProbs(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in nats, from 0 to log C, higher = less certain."""
        from scipy.special import entr

        return np.asarray(entr(artifacts[OutOfFoldProbs()]).sum(axis=1))
