"""The five published signals of ECG: each a suspicion of every item, and how far it is to be trusted there."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import TrainingDynamics, area_under_margin
from ecgbench.artifacts.llm import Explanations, ReliabilityScores
from ecgbench.artifacts.nli import NliScores
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray
from ecgbench.errors import UsageError
from ecgbench_detectors.ecg.graph import ExplanationGraph, nearest_similarity, neighbourhood_surprise
from ecgbench_detectors.ecg.tokens import TOKEN, count_pairs, count_tokens

TOP_TOKENS = 200
LEAST_ITEMS = 5
"""A token seen once has the highest PMI there can be: rarer ones than this say nothing."""


@dataclass(frozen=True, eq=False)
class Signal:
    """One signal of n items, both float64, shape (n,).

    `values`: finite, higher = more suspicious, on any scale; `confidence`: in [0, 1].
    """

    name: str
    values: FloatArray
    confidence: FloatArray


class SignalSource(ABC):
    """Where a signal comes from."""

    name: ClassVar[str]

    @abstractmethod
    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the artifacts `measure` reads."""

    @abstractmethod
    def measure(self, task: DetectionTask, artifacts: Artifacts) -> Signal:
        """Return the signal of every item."""


@dataclass(frozen=True)
class Neighborhood(SignalSource):
    """How little the neighbours of the explanation share the given label; trusted where one of them is near."""

    name: ClassVar[str] = "neighborhood"

    graph: ExplanationGraph = ExplanationGraph()  # noqa: RUF009  # it is frozen

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the graph and the explanations."""
        return (*self.graph.needs(), Explanations())

    def measure(self, task: DetectionTask, artifacts: Artifacts) -> Signal:
        """Measure -log of the neighbours' support for the given label."""
        values = neighbourhood_surprise(self.graph.posterior(task, artifacts), task.labels)
        confidence = nearest_similarity(artifacts[self.graph.neighbours])
        return make_neutral(self.name, values, confidence, is_valid=has_explanation(artifacts))


@dataclass(frozen=True)
class Contradiction(SignalSource):
    """How far the explanation contradicts the given label, by natural language inference; trusted where it is clear."""

    name: ClassVar[str] = "nli"

    ensemble: bool = True

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the entailment scores and the explanations."""
        return (self._scores, Explanations())

    def measure(self, task: DetectionTask, artifacts: Artifacts) -> Signal:  # noqa: ARG002
        """Measure P(contradiction) - P(entailment)."""
        values = artifacts[self._scores]
        return make_neutral(self.name, values, np.abs(values), is_valid=has_explanation(artifacts))

    @property
    def _scores(self) -> NliScores:
        return NliScores(ensemble=self.ensemble)


@dataclass(frozen=True)
class ArtifactFocus(SignalSource):
    """How far the evidence rests on artifacts of the data set: known ones, or else tokens tied to the given label.

    With `known` tokens: their share of the evidence's tokens. Without: the mean over the evidence's tokens of
    the positive pointwise mutual information with the given label, counted for the TOP_TOKENS of each class.
    """

    name: ClassVar[str] = "artifact"

    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for token in self.known:
            if not re.fullmatch(TOKEN, token):
                raise UsageError(f"ecg.known_artifacts holds {token!r}; give single tokens, such as <lbl_pos> or word")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the explanations."""
        return (Explanations(),)

    def measure(self, task: DetectionTask, artifacts: Artifacts) -> Signal:
        """Measure the share of known tokens, or the mean PMI, of each item's evidence."""
        evidence = ["" if e is None else "\n".join(e.evidence) for e in artifacts[Explanations()]]
        counts, names = count_tokens(evidence)
        if self.known:
            sums = counts @ np.isin(names, [token.lower() for token in self.known]).astype(np.float64)
        else:
            pmi = positive_pmi(counts, task.labels, n_classes=task.n_classes)
            sums = (counts @ pmi.T)[np.arange(len(task)), task.labels]
        total = np.asarray(counts.sum(axis=1)).ravel()
        values = np.divide(sums, total, out=np.zeros(len(task)), where=total > 0)
        return make_neutral(self.name, values, np.ones(len(task)), is_valid=total > 0)


@dataclass(frozen=True)
class Instability(SignalSource):
    """How unlike each other the samples of the explanation are; trusted where they are alike."""

    name: ClassVar[str] = "stability"

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the reliability and the explanations."""
        return (ReliabilityScores(), Explanations())

    def measure(self, task: DetectionTask, artifacts: Artifacts) -> Signal:  # noqa: ARG002
        """Measure 1 - rho."""
        reliability = artifacts[ReliabilityScores()]
        is_valid = reliability.is_known & has_explanation(artifacts)
        return make_neutral(self.name, 1.0 - reliability.rho, reliability.rho, is_valid=is_valid)


@dataclass(frozen=True)
class Dynamics(SignalSource):
    """How small the margin of the given label was in training (AUM); trusted where it was far from zero."""

    name: ClassVar[str] = "dynamics"

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the training dynamics."""
        return (TrainingDynamics(),)

    def measure(self, task: DetectionTask, artifacts: Artifacts) -> Signal:
        """Measure -AUM."""
        margin = area_under_margin(artifacts[TrainingDynamics()].logits, task.labels)
        size = np.abs(margin)
        return Signal(self.name, -margin, size / (size.max(initial=0.0) or 1.0))


def has_explanation(artifacts: Artifacts) -> BoolArray:
    """Say which items have a valid explanation, shape (n,)."""
    return np.array([explanation is not None for explanation in artifacts[Explanations()]], dtype=np.bool_)


def make_neutral(name: str, values: FloatArray, confidence: FloatArray, *, is_valid: BoolArray) -> Signal:
    """Return the signal with the median of the valid items, and no confidence, where an item is not valid."""
    neutral = float(np.median(values[is_valid])) if is_valid.any() else 0.0
    return Signal(name, np.where(is_valid, values, neutral), np.where(is_valid, confidence, 0.0))


def positive_pmi(counts: Any, labels: IntArray, *, n_classes: int) -> FloatArray:
    """Return max(0, log p(token, label) / (p(token) p(label))), shape (C, tokens), over the items with evidence.

    Only a class's TOP_TOKENS count, of those that LEAST_ITEMS of its items hold; all others are 0.
    """
    kept = np.flatnonzero(np.diff(counts.indptr))
    one_hot = count_pairs(labels[kept], kept, shape=(n_classes, counts.shape[0]))
    both = (one_hot @ counts.sign()).toarray()
    with_label = np.asarray(one_hot.sum(axis=1))
    # Two logarithms, so that tokens of one label alone have equal PMI to the last bit.
    share = np.divide(both, both.sum(axis=0), out=np.ones_like(both), where=both >= LEAST_ITEMS)
    lift = np.divide(len(kept), with_label, out=np.ones_like(with_label), where=with_label > 0)
    pmi = np.where(both >= LEAST_ITEMS, np.maximum(np.log(share) + np.log(lift), 0.0), 0.0)
    top = np.lexsort((-both, -pmi), axis=1)[:, :TOP_TOKENS]
    result = np.zeros_like(pmi)
    np.put_along_axis(result, top, np.take_along_axis(pmi, top, axis=1), axis=1)
    return result
