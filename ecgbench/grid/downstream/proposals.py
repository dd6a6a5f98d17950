"""What the language model proposes for a task's labels, read from the artifacts of a run's detectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from ecgbench.artifacts.base import Artifact
from ecgbench.artifacts.classifier import TrainingDynamics
from ecgbench.artifacts.graph import Neighbours, outlier_scores
from ecgbench.artifacts.llm import CalibratedLabels, ExplanationEmbeddings, ExplanationSamples
from ecgbench.artifacts.llm.explanations import Samples
from ecgbench.cleaning.guards import Evidence
from ecgbench.data import FloatArray, IntArray
from ecgbench.grid.downstream.variants import Proposals
from ecgbench.grid.values import TaskValues

A = TypeVar("A", bound=Artifact[Any])


def has_proposals(artifacts: Iterable[Artifact[Any]]) -> bool:
    """Say whether a run whose detectors need these artifacts has labels to propose, and samples that agree or not."""
    known = list(artifacts)
    return _find(known, CalibratedLabels) is not None and _find(known, ExplanationSamples) is not None


def read_proposals(values: TaskValues, artifacts: Iterable[Artifact[Any]]) -> Proposals:
    """Return labels and evidence of a task; outlier scores and dynamics where a detector needs their artifacts.

    Raises EcgbenchError where the cache lacks an artifact.
    """
    known = list(artifacts)
    calibrated, sampled = _find(known, CalibratedLabels), _find(known, ExplanationSamples)
    assert calibrated is not None
    assert sampled is not None
    probabilities = values.load(calibrated)
    labels = np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    samples = values.load(sampled)
    names = values.task.description.label_names
    stated = [names[label] for label in labels]
    unknown = np.full(len(labels), np.nan)
    graph = next((a for a in known if isinstance(a, Neighbours) and _is_of_explanations(a)), None)
    dynamics = _find(known, TrainingDynamics)
    evidence = Evidence(
        is_disputed=labels != values.task.labels,
        confidence=probabilities.max(axis=1),
        agreement=measure_agreement(stated, samples),
        outlier=unknown if graph is None else outlier_scores(values.load(graph)),
        aum=unknown if dynamics is None else measure_margins(values.load(dynamics).logits, values.task.labels),
    )
    return Proposals(labels, evidence)


def measure_agreement(labels: Sequence[str], samples: Sequence[Samples]) -> FloatArray:
    """Return the share of each item's valid samples that state its label: float64, shape (n,), NaN without any."""
    valid = [[sample.label == label for sample in own if sample] for label, own in zip(labels, samples, strict=True)]
    return np.array([np.mean(same) if same else np.nan for same in valid], dtype=np.float64)


def measure_margins(logits: Any, labels: IntArray) -> FloatArray:
    """Return each item's mean margin of its label over the epochs (AUM): float64, shape (n,), higher = learned easier.

    `logits`: shape (T, n, C). Pleiss et al. 2020.
    """
    given = np.zeros(logits.shape[1:], dtype=bool)
    given[np.arange(len(labels)), labels] = True
    own = np.where(given, logits, -np.inf).max(axis=2)
    other = np.where(given, -np.inf, logits).max(axis=2)
    return np.asarray((own - other).mean(axis=0), dtype=np.float64)


def _find(artifacts: Sequence[Artifact[Any]], kind: type[A]) -> A | None:
    return next((artifact for artifact in artifacts if isinstance(artifact, kind)), None)


def _is_of_explanations(graph: Neighbours) -> bool:
    return isinstance(graph.embeddings, ExplanationEmbeddings)
