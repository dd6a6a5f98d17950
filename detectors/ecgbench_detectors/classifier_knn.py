"""Labels of the items that the trained classifier finds most alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifacts
from ecgbench.artifacts.classifier import ClassifierStates
from ecgbench.data import DetectionTask, FloatArray
from ecgbench_detectors.neighbours import NeighbourLabels

DIGITS = 9
"""Scores hold no more: equally near neighbours come in the order of the items, and a sum's last bits with them."""


@dataclass(frozen=True)
class ClassifierKnn(NeighbourLabels):
    """Score 1 - the weight share of the k nearest items that carry the given label, near in the trained classifier.

    It is `input_knn` on the states of the classifier trained on all items (k-NN on learned features, by majority vote:
    Bahri, Jiang & Gupta, "Deep k-NN for noisy labels", ICML 2020).
    """

    name: ClassVar[str] = "classifier_knn"
    embeddings: ClassVar[ClassifierStates] = ClassifierStates()

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        """Return float64, shape (n,), in [0, 1], higher = fewer neighbours share the label."""
        return np.asarray(np.round(super().score(task, artifacts, rng), DIGITS))
