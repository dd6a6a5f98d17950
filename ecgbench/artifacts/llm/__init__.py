"""What the language model says about each text: label, evidence, rationale. It never sees a given label of the item."""

from __future__ import annotations

from ecgbench.artifacts.llm.explanations import (
    ExplanationEmbeddings,
    Explanations,
    ExplanationSamples,
    RationaleEmbeddings,
)
from ecgbench.artifacts.llm.labels import CalibratedLabels, FewShots, LabelLogits, calibrate
from ecgbench.artifacts.llm.reliability import Reliability, ReliabilityScores

__all__ = [
    "CalibratedLabels",
    "ExplanationEmbeddings",
    "ExplanationSamples",
    "Explanations",
    "FewShots",
    "LabelLogits",
    "RationaleEmbeddings",
    "Reliability",
    "ReliabilityScores",
    "calibrate",
]
