"""ECG: explain each text without its label, then distrust labels the explanations speak against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.graph import Neighbours
from ecgbench.artifacts.llm import CalibratedLabels, ExplanationEmbeddings
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.errors import UsageError
from ecgbench.specs import Detector
from ecgbench_detectors.ecg.shortcuts import Shortcuts, log_odds
from ecgbench_detectors.ecg.surprise import label_support, neighbourhood_surprise

MOST_FINDINGS = 10


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

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"ecg.k is {self.k}; give at least 1 neighbour")
        if not 0 < self.fdr < 1:
            raise UsageError(f"ecg.fdr is {self.fdr}; give a false discovery rate between 0 and 1, such as 0.05")
        if self.graph_weight < 0:
            raise UsageError(f"ecg.graph_weight is {self.graph_weight}; give 0 or more")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the graph of the explanations and, for discovery, the model's calibrated labels."""
        if self.aggregation == "neighborhood":
            return (self._graph(),)
        return (self._graph(), CalibratedLabels(), Shortcuts(self.fdr))

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), higher = more suspicious."""
        graph = artifacts[self._graph()]
        if self.aggregation == "neighborhood":
            return neighbourhood_surprise(graph, task.labels, n_classes=task.n_classes)
        support = label_support(graph, task.labels, n_classes=task.n_classes)
        wrong = 1.0 - artifacts[CalibratedLabels()][np.arange(len(task)), task.labels]
        return log_odds(wrong) - self.graph_weight * log_odds(support) + artifacts[Shortcuts(self.fdr)].signal

    def findings(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[str]:
        """Describe the shortcuts, the most significant first."""
        if self.aggregation == "neighborhood":
            return ()
        names = task.description.label_names
        return [shortcut.describe(names) for shortcut in artifacts[Shortcuts(self.fdr)].essential[:MOST_FINDINGS]]

    def _graph(self) -> Neighbours:
        return Neighbours(ExplanationEmbeddings(), k=self.k)
