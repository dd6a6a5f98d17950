"""Where each item stands among all of its task, as the guards of a cleaning ask: far out, learned with ease."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ecgbench.artifacts.base import Artifact
from ecgbench.artifacts.classifier import TrainingDynamics, area_under_margin
from ecgbench.artifacts.graph import Neighbours, outlier_scores
from ecgbench.artifacts.llm import ExplanationEmbeddings
from ecgbench.cleaning.guards import share_below
from ecgbench.data import FloatArray
from ecgbench.grid.values import TaskValues


def read_outlier(values: TaskValues, artifacts: Iterable[Artifact[Any]]) -> FloatArray | None:
    """Return the share of the others whose explanation lies less far out, where there is a graph of explanations."""
    for artifact in artifacts:
        if isinstance(artifact, Neighbours) and isinstance(artifact.embeddings, ExplanationEmbeddings):
            return share_below(outlier_scores(values.load(artifact)))
    return None


def read_ease(values: TaskValues, artifacts: Iterable[Artifact[Any]]) -> FloatArray | None:
    """Return the share of the others whose given label was learned with less ease, where a classifier was trained."""
    for artifact in artifacts:
        if isinstance(artifact, TrainingDynamics):
            return share_below(area_under_margin(values.load(artifact).logits, values.task.labels))
    return None
