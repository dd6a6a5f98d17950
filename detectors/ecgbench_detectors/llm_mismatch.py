"""Disagreement of a language model, which never saw the label, with the given label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.llm import CalibratedLabels, LabelLogits
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class LlmMismatch(Detector):
    """Score 1 - p_LLM(given label); `calibrated` first takes away the model's preference for a label.

    `scoring=binary` is the published form: 1 where the model's label differs, weighted by its confidence. A label
    that shares the highest probability does not differ: where it is calibrated, a failed attempt favours none.
    """

    scoring: Literal["probability", "binary"] = "probability"
    calibrated: bool = False

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the model's label probabilities."""
        return (CalibratedLabels(),) if self.calibrated else (LabelLogits(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [0, 1], higher = the model disagrees more."""
        from scipy.special import softmax

        probs = artifacts[CalibratedLabels()] if self.calibrated else softmax(artifacts[LabelLogits()], axis=1)
        given, highest = probs[np.arange(len(task)), task.labels], probs.max(axis=1)
        return np.asarray((given < highest) * highest if self.scoring == "binary" else 1.0 - given)
