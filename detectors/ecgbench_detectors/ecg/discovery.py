"""ECG's own aggregation in log-odds: language model, explanation graph, trusted classifier, discovered shortcuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.artifacts.llm import CalibratedLabels
from ecgbench.data import DetectionTask, FloatArray
from ecgbench_detectors.ecg.graph import ExplanationGraph, smooth
from ecgbench_detectors.ecg.shortcuts import Shortcuts, is_disputed
from ecgbench_detectors.ecg.trust import Trust, judge_classifier, learn_weights, pooled_doubt

MOST_SHORTCUTS = 10


@dataclass(frozen=True)
class Discovering:
    """Pool what every source says of the labels and add the enrichment of discovered shortcuts.

    A weight is relative to the language model's; None: learned from how well the source predicts the given
    labels of the items without a shortcut; 0: the source is not even computed.
    """

    graph: ExplanationGraph
    graph_weight: float | None
    classifier_weight: float | None
    fdr: float

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the artifacts that are read."""
        graph = self.graph.needs() if self.graph_weight != 0 else ()
        classifier = (OutOfFoldProbs(),) if self.classifier_weight != 0 else ()
        return (CalibratedLabels(), Shortcuts(self.fdr), *graph, *classifier)

    def scores(self, task: DetectionTask, artifacts: Artifacts) -> FloatArray:
        """Return the pooled log-odds that each label is wrong plus its shortcut's enrichment, shape (n,)."""
        pool = self._fill_pool(task, artifacts)
        doubt = pooled_doubt(list(pool.sources.values()), np.array(list(pool.weights.values())), task.labels)
        return doubt + artifacts[Shortcuts(self.fdr)].signal

    def findings(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[str]:
        """Describe the shortcuts, the most significant first, the trust in the classifier, and the weights."""
        names, pool = task.description.label_names, self._fill_pool(task, artifacts)
        essential = artifacts[Shortcuts(self.fdr)].essential
        shortcuts = [shortcut.describe(names) for shortcut in essential[:MOST_SHORTCUTS]]
        if not essential:
            shortcuts = [f"no shortcut found at a false discovery rate of {self.fdr:g}"]
        elif len(essential) > MOST_SHORTCUTS:
            shortcuts.append(f"and {len(essential) - MOST_SHORTCUTS} more shortcuts")
        trust = [] if pool.trust is None else [f"classifier {pool.trust.verdict}: {pool.trust.reason}"]
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in pool.weights.items())
        return [*shortcuts, *trust, *([f"weights in log-odds: {weights}"] if len(pool.weights) > 1 else [])]

    def item_findings(self, task: DetectionTask, artifacts: Artifacts, items: Sequence[int]) -> list[tuple[str, ...]]:
        """Describe the shortcuts that each of these items carries with its given label."""
        found, names = artifacts[Shortcuts(self.fdr)], task.description.label_names
        return [tuple(s.describe(names) for s in found.carried_by(task.texts[i], int(task.labels[i]))) for i in items]

    def _fill_pool(self, task: DetectionTask, artifacts: Artifacts) -> _Pool:
        sources, fixed = {"language model": artifacts[CalibratedLabels()]}, {"language model": 1.0}
        if self.graph_weight != 0:
            sources["graph"] = smooth(self.graph.posterior(task, artifacts))
            fixed |= {} if self.graph_weight is None else {"graph": self.graph_weight}
        trust = None
        if self.classifier_weight != 0:
            sources["classifier"] = artifacts[OutOfFoldProbs()]
            trust = self._judge(task, artifacts)
            if not trust.is_trusted:
                fixed["classifier"] = 0.0
            elif self.classifier_weight is not None:
                fixed["classifier"] = self.classifier_weight
        return _Pool(sources, self._weigh(sources, fixed, task, artifacts), trust)

    def _judge(self, task: DetectionTask, artifacts: Artifacts) -> Trust:
        disputed = is_disputed(artifacts[CalibratedLabels()], task.labels)
        return judge_classifier(artifacts[OutOfFoldProbs()], disputed, task.labels, artifacts[Shortcuts(self.fdr)])

    def _weigh(
        self, sources: dict[str, FloatArray], fixed: dict[str, float], task: DetectionTask, artifacts: Artifacts
    ) -> dict[str, float]:
        """Return a weight for every source, learning those that are not fixed."""
        learned = [name for name in sources if name not in fixed]
        if learned:
            plain = ~artifacts[Shortcuts(self.fdr)].carries
            fitted = learn_weights([sources[name][plain] for name in ("language model", *learned)], task.labels[plain])
            fixed = fixed | dict(zip(learned, map(float, fitted[1:]), strict=True))
        return {name: fixed[name] for name in sources}


@dataclass(frozen=True, eq=False)
class _Pool:
    """Class probabilities (n, C) and weight of each source, and the judgement of the classifier where it was asked."""

    sources: dict[str, FloatArray]
    weights: dict[str, float]
    trust: Trust | None
