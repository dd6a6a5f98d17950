"""ECG: explain each text without its label, then distrust labels the explanations speak against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.graph import Neighbours
from ecgbench.artifacts.llm import CalibratedLabels, ExplanationEmbeddings
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector
from ecgbench_detectors.ecg.shortcuts import discover_shortcuts, log_odds
from ecgbench_detectors.ecg.surprise import label_support, neighbourhood_surprise


@dataclass(frozen=True)
class Ecg(Detector):
    """Combine the language model's doubt, the explanation graph and discovered shortcuts.

    `aggregation=discovery` adds log-odds: of the calibrated doubt, of the explanation neighbours (times
    `graph_weight`) and of the strongest shortcut in the text. `aggregation=neighborhood` is the published
    neighbourhood surprise alone.
    """

    aggregation: Literal["discovery", "neighborhood"] = "discovery"
    k: int = 15
    graph_weight: float = 0.1
    fdr: float = 0.05

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the graph of the explanations and, for discovery, the model's calibrated labels."""
        return (self._graph(),) if self.aggregation == "neighborhood" else (self._graph(), CalibratedLabels())

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), higher = more suspicious."""
        graph = artifacts[self._graph()]
        if self.aggregation == "neighborhood":
            return neighbourhood_surprise(graph, task.labels, n_classes=task.n_classes)
        support = label_support(graph, task.labels, n_classes=task.n_classes)
        wrong = 1.0 - artifacts[CalibratedLabels()][np.arange(len(task)), task.labels]
        cut = discover_shortcuts(task.texts, task.labels, wrong, n_classes=task.n_classes, fdr=self.fdr)
        return log_odds(wrong) - self.graph_weight * log_odds(support) + cut.signal

    def _graph(self) -> Neighbours:
        return Neighbours(ExplanationEmbeddings(), k=self.k)
