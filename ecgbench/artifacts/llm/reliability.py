"""How stable the language model's explanations are over its samples."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Arrays, Artifact, Artifacts, TaskArtifact
from ecgbench.artifacts.llm.asking import settled
from ecgbench.artifacts.llm.explanations import Explanations, ExplanationSamples, RationaleEmbeddings, Samples
from ecgbench.data import BoolArray, DetectionTask, FloatArray
from ecgbench.engines.context import ComputeContext
from ecgbench.profiles import LlmSettings

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class Reliability:
    """Agreement among the explanations of each item: float64, shape (n,), 0 = none, 1 = complete.

    `rho` is the mean of label agreement, Jaccard similarity of the evidence's words and cosine of the rationales,
    each a mean over pairs of valid samples. Where fewer than two are valid all four are NaN.
    """

    rho: FloatArray
    label_agreement: FloatArray
    evidence_jaccard: FloatArray
    rationale_cosine: FloatArray

    @property
    def is_known(self) -> BoolArray:
        """Say which items have two valid samples or more."""
        return ~np.isnan(self.rho)

    @property
    def filled(self) -> FloatArray:
        """Return rho, the mean of the known where it is not known, and 1 where it is nowhere."""
        known = self.is_known
        return np.where(known, self.rho, self.rho[known].mean() if known.any() else 1.0)


@dataclass(frozen=True)
class ReliabilityScores(TaskArtifact[Reliability]):
    """The reliability of each item's explanation over all its samples, the one at temperature 0 among them."""

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return all samples and the embeddings of their rationales."""
        rationales = [RationaleEmbeddings(llm=self.llm, sample=s) for s in range(self.llm.samples if self.llm else 0)]
        return (Explanations(self.llm), ExplanationSamples(self.llm), *rationales)

    def models(self) -> tuple[Any, ...]:
        """Return none: comparing loads no model."""
        return ()

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Reliability:  # noqa: ARG002
        """Compare every pair of samples."""
        rationales = [inputs[RationaleEmbeddings(llm=self.llm, sample=s)] for s in range(settled(self.llm).samples)]
        drawn = inputs[ExplanationSamples(self.llm)]
        columns = [inputs[Explanations(self.llm)], *zip(*drawn, strict=True)] if len(task) else []
        return measure_reliability(columns, rationales)

    def unpack(self, arrays: Arrays) -> Reliability:
        """Rebuild the scores."""
        return Reliability(**arrays)


def measure_reliability(samples: Sequence[Samples], rationales: Sequence[NDArray[np.float32]]) -> Reliability:
    """Compare M samples of n items; `rationales`: M arrays of embeddings, shape (n, d), rows of length 1."""
    words = [[_words(e.evidence) if e else frozenset() for e in column] for column in samples]
    labels = [np.array([e.label if e else "" for e in column]) for column in samples]
    valid = [np.array([e is not None for e in column]) for column in samples]
    agreement, jaccard, cosine, both = [], [], [], []
    for a, b in itertools.combinations(range(len(samples)), 2):
        both.append(valid[a] & valid[b])
        agreement.append(labels[a] == labels[b])
        jaccard.append(np.array([_jaccard(x, y) for x, y in zip(words[a], words[b], strict=True)]))
        cosine.append(np.clip(np.einsum("nd,nd->n", rationales[a], rationales[b], dtype=np.float64), 0.0, 1.0))
    if not both:
        unknown = np.full(len(samples[0]) if samples else 0, np.nan)
        return Reliability(unknown, unknown, unknown, unknown)
    parts = [_mean_where(np.array(values, dtype=np.float64), np.array(both)) for values in (agreement, jaccard, cosine)]
    return Reliability(np.mean(parts, axis=0), *parts)


def _mean_where(values: FloatArray, counted: BoolArray) -> FloatArray:
    """Return the mean over the first axis of the values that count; NaN where none does."""
    n = counted.sum(axis=0)
    return np.asarray(np.divide((values * counted).sum(axis=0), n, out=np.full(values.shape[1], np.nan), where=n > 0))


def _words(spans: Sequence[str]) -> frozenset[str]:
    return frozenset(word.lower() for span in spans for word in _WORD.findall(span))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0
