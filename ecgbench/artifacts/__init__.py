"""Artifacts: the bases to subclass, and the shared ones that detectors declare and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from ecgbench.artifacts.base import Arrays, Artifact, Artifacts, Cost, TaskArtifact, TextArtifact
    from ecgbench.artifacts.classifier import ClassifierStates, Dynamics, OutOfFoldProbs, TrainingDynamics
    from ecgbench.artifacts.embeddings import StringEmbeddings, TextEmbeddings
    from ecgbench.artifacts.graph import KnnGraph, Neighbours
    from ecgbench.artifacts.llm import (
        CalibratedLabels,
        ExplanationEmbeddings,
        Explanations,
        ExplanationSamples,
        FewShots,
        LabelLogits,
        RationaleEmbeddings,
        Reliability,
        ReliabilityScores,
    )
    from ecgbench.artifacts.nli import CrossEncoderNli, LlmNli, NliScores
    from ecgbench.engines.context import ComputeContext

__all__ = [
    "Arrays",
    "Artifact",
    "Artifacts",
    "CalibratedLabels",
    "ClassifierStates",
    "ComputeContext",
    "Cost",
    "CrossEncoderNli",
    "Dynamics",
    "ExplanationEmbeddings",
    "ExplanationSamples",
    "Explanations",
    "FewShots",
    "KnnGraph",
    "LabelLogits",
    "LlmNli",
    "Neighbours",
    "NliScores",
    "OutOfFoldProbs",
    "RationaleEmbeddings",
    "Reliability",
    "ReliabilityScores",
    "StringEmbeddings",
    "TaskArtifact",
    "TextArtifact",
    "TextEmbeddings",
    "TrainingDynamics",
]

_SOURCES = {
    "ecgbench.artifacts.base": "Arrays Artifact Artifacts Cost TaskArtifact TextArtifact",
    "ecgbench.artifacts.classifier": "ClassifierStates Dynamics OutOfFoldProbs TrainingDynamics",
    "ecgbench.artifacts.embeddings": "StringEmbeddings TextEmbeddings",
    "ecgbench.artifacts.graph": "KnnGraph Neighbours",
    "ecgbench.artifacts.llm": (
        "CalibratedLabels ExplanationEmbeddings ExplanationSamples Explanations FewShots LabelLogits "
        "RationaleEmbeddings Reliability ReliabilityScores"
    ),
    "ecgbench.artifacts.nli": "CrossEncoderNli LlmNli NliScores",
    "ecgbench.engines.context": "ComputeContext",
}

if not TYPE_CHECKING:  # type checkers would take any name for one of these
    __getattr__ = lazy_attributes(__name__, _SOURCES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
