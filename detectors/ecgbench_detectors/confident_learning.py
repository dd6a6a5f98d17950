"""The labels that confident learning flags, found by cleanlab (Northcutt et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray
from ecgbench.specs import Detector


@dataclass(frozen=True)
class ConfidentLearning(Detector):
    """Score what cleanlab's `find_label_issues` flags above all else, and by 1 - P(given label) within each block.

    Confident learning counts the items whose probability of another class is above that class's mean among the items
    labelled so, and flags as many as the counts say (Northcutt, Jiang & Chuang, JAIR 2021). `filter_by` is how they
    are picked, in cleanlab's words. A cut that falls between equal items flags them all, for cleanlab would go by their
    position. Where only one class is given there is nothing to count, and nothing is flagged.
    """

    filter_by: Literal["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"] = (
        "prune_by_noise_rate"
    )

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the out-of-fold probabilities."""
        return (OutOfFoldProbs(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [0, 2], higher = less confident; only the flagged lie above 1."""
        probs = artifacts[OutOfFoldProbs()]
        return 1.0 - probs[np.arange(len(task)), task.labels] + self._flag(task.labels, probs)

    def _flag(self, labels: IntArray, probs: FloatArray) -> BoolArray:
        from cleanlab.filter import find_label_issues

        if len(np.unique(labels)) < 2:
            return np.zeros(len(labels), dtype=np.bool_)
        flagged = find_label_issues(labels.copy(), probs.copy(), filter_by=self.filter_by, n_jobs=1)
        _, kind = np.unique(np.column_stack([labels, probs]), axis=0, return_inverse=True)
        return np.isin(kind, kind[flagged])
