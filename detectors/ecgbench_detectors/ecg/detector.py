"""ECG: explain each text without its label, then distrust labels the explanations speak against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.errors import UsageError
from ecgbench.specs import Detector, Panel
from ecgbench_detectors.ecg.aggregate import (
    DEFAULT_WEIGHTS,
    SignalWeights,
    aggregate_adaptive,
    aggregate_fixed,
    describe_adaptive,
    describe_fixed,
)
from ecgbench_detectors.ecg.discovery import Discovering
from ecgbench_detectors.ecg.graph import ExplanationGraph
from ecgbench_detectors.ecg.inspection import inspection_needs, render_panels
from ecgbench_detectors.ecg.shortcuts import FDR
from ecgbench_detectors.ecg.signals import (
    ArtifactFocus,
    Contradiction,
    Dynamics,
    Instability,
    Neighborhood,
    Signal,
    SignalSource,
)


@dataclass(frozen=True)
class Ecg(Detector):
    """Combine what the language model's explanations, their graph and the trained classifier say of each label.

    `aggregation=discovery` pools probabilities in log-odds: the language model's, the explanation graph's (times
    `graph_weight`) and the classifier's (times `classifier_weight`; 0 where it is not to be trusted), weights of
    None being learned; and it adds the enrichment of shortcuts found at the false discovery rate `fdr`.
    The others are the published ones, on ranks: `fixed` by `weights`, `adaptive` by each item's confidences
    (of `weights` only 0 counts: it leaves a signal out), `neighborhood` by the neighbourhood surprise alone.

    The graph: `k` neighbours, `mutual` edges only, `second_view` of the classifier's states, `label_words` in
    the embedded explanations. `known_artifacts` are tokens to look for, and
    `nli` says which of the profile's inference models are asked (`embedded` has one); both serve the published
    aggregations and the inspection.
    """

    aggregation: Literal["discovery", "adaptive", "fixed", "neighborhood"] = "discovery"
    k: int = 15
    mutual: bool = False
    second_view: bool = False
    label_words: bool = False
    nli: Literal["off", "single", "ensemble"] = "ensemble"
    known_artifacts: tuple[str, ...] = ()
    weights: SignalWeights = DEFAULT_WEIGHTS
    graph_weight: float | None = None
    classifier_weight: float | None = None
    fdr: float = FDR

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"ecg.k is {self.k}; give at least 1 neighbour")
        if not 0 < self.fdr < 1:
            raise UsageError(f"ecg.fdr is {self.fdr}; give a false discovery rate between 0 and 1, such as {FDR}")
        for name in ("graph_weight", "classifier_weight"):
            weight = getattr(self, name)
            if weight is not None and not 0 <= weight < float("inf"):
                raise UsageError(f"ecg.{name} is {weight}; give a finite number of at least 0, or nothing to learn it")
        if not self._used_sources():
            raise UsageError("ecg.weights are all 0 but that of nli, which is off; give another signal a weight")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare what the aggregation reads; a signal of weight 0 asks for nothing."""
        if self.aggregation == "discovery":
            return self._discovering.needs()
        return tuple(dict.fromkeys(need for source in self._used_sources() for need in source.needs()))

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), higher = more suspicious."""
        return self._combine(task, artifacts)

    def findings(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[str]:
        """Describe the shortcuts, the most significant first, or say what the signals weighed."""
        if self.aggregation == "discovery":
            return self._discovering.findings(task, artifacts)
        signals = self._measure(task, artifacts)
        if self.aggregation == "adaptive":
            return [describe_adaptive(signals)]
        return [describe_fixed(signals, self.weights if self.aggregation == "fixed" else DEFAULT_WEIGHTS)]

    def item_findings(self, task: DetectionTask, artifacts: Artifacts, items: Sequence[int]) -> Sequence[Sequence[str]]:
        """Describe the shortcuts that each item carries with its given label; only the discovery looks for any."""
        if self.aggregation != "discovery":
            return [()] * len(items)
        return self._discovering.item_findings(task, artifacts, items)

    def inspection_needs(self) -> tuple[Artifact[Any], ...]:
        """Declare what the scores and all signals are computed from."""
        return tuple(dict.fromkeys((*self.needs(), *inspection_needs(self._graph, self._sources()))))

    def inspect(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[Panel]:
        """Show classifier, explanations, graph, every signal and how the signals correlate."""
        return render_panels(
            task,
            artifacts,
            graph=self._graph,
            sources=self._sources(),
            scores=self._combine(task, artifacts),
            findings=self.findings(task, artifacts),
        )

    def _combine(self, task: DetectionTask, artifacts: Artifacts) -> FloatArray:
        if self.aggregation == "discovery":
            return self._discovering.scores(task, artifacts)
        signals = self._measure(task, artifacts)
        if self.aggregation == "neighborhood":
            return signals[0].values
        return aggregate_adaptive(signals) if self.aggregation == "adaptive" else aggregate_fixed(signals, self.weights)

    def _measure(self, task: DetectionTask, artifacts: Artifacts) -> list[Signal]:
        return [source.measure(task, artifacts) for source in self._used_sources()]

    def _used_sources(self) -> tuple[SignalSource, ...]:
        if self.aggregation == "neighborhood":
            return (Neighborhood(self._graph),)
        return tuple(source for source in self._sources() if self.weights[source.name] > 0)

    def _sources(self) -> tuple[SignalSource, ...]:
        contradiction = () if self.nli == "off" else (Contradiction(ensemble=self.nli == "ensemble"),)
        focus = ArtifactFocus(self.known_artifacts)
        return (Neighborhood(self._graph), *contradiction, focus, Instability(), Dynamics())

    @property
    def _discovering(self) -> Discovering:
        return Discovering(self._graph, self.graph_weight, self.classifier_weight, self.fdr)

    @property
    def _graph(self) -> ExplanationGraph:
        return ExplanationGraph(self.k, self.mutual, self.second_view, self.label_words)
