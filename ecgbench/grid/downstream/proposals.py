"""What the language model proposes for a task's labels, read from the artifacts of a run's detectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from ecgbench.artifacts.base import Artifact
from ecgbench.artifacts.llm import CalibratedLabels, ExplanationSamples
from ecgbench.artifacts.llm.explanations import Samples, share_stating
from ecgbench.cleaning.guards import Evidence
from ecgbench.data import FloatArray
from ecgbench.grid.downstream.variants import Proposals
from ecgbench.grid.standing import read_ease, read_outlier
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
    outlier, ease = read_outlier(values, known), read_ease(values, known)
    evidence = Evidence(
        is_disputed=labels != values.task.labels,
        confidence=probabilities.max(axis=1),
        agreement=measure_agreement(stated, samples),
        outlier=unknown if outlier is None else outlier,
        ease=unknown if ease is None else ease,
    )
    return Proposals(labels, evidence)


def measure_agreement(labels: Sequence[str], samples: Sequence[Samples]) -> FloatArray:
    """Return the share of each item's valid samples that state its label: float64, shape (n,), NaN without any."""
    shares = [share_stating(label, own) for label, own in zip(labels, samples, strict=True)]
    return np.array([np.nan if share is None else share for share in shares], dtype=np.float64)


def _find(artifacts: Sequence[Artifact[Any]], kind: type[A]) -> A | None:
    return next((artifact for artifact in artifacts if isinstance(artifact, kind)), None)
