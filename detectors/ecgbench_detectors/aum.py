"""Area under the margin: how far the given label led while the classifier trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import TrainingDynamics, area_under_margin
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class Aum(Detector):
    """Score -(mean over epochs of given minus best other logit), recorded in train mode (Pleiss et al., NeurIPS 2020).

    This is the paper's ranking. Its cut-off, a percentile of the margins of threshold samples, is not here: those are
    items of a made-up extra class, which change the classifier and would need a training of their own.
    """

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the training dynamics."""
        return (TrainingDynamics(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in logits, higher = another label led for longer."""
        return -area_under_margin(artifacts[TrainingDynamics()].logits, task.labels)
