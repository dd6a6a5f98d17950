"""Why the top rows of a ranking are there: what the language model says of them, and rows like them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import TextArtifact
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.llm import CalibratedLabels, Explanations, ExplanationSamples, FewShots
from ecgbench.artifacts.llm.explanations import share_stating
from ecgbench.data import DetectionTask, IntArray
from ecgbench.grid.jobs import Job
from ecgbench.grid.values import TaskValues
from ecgbench.prompts import Explanation

NEEDS = (CalibratedLabels(), FewShots(), TextEmbeddings())
"""What is read of every text, so that the top ones can be explained and compared with all others."""
NEIGHBOURS = 3
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one item; `neighbours`: positions with other labels, nearest first, and their similarities."""

    proposed: int
    confidence: float
    agreement: float | None
    explanation: Explanation | None
    neighbours: tuple[tuple[int, float], ...]


def take_items(values: TaskValues, items: IntArray) -> TaskValues:
    """Return the values of some items, asked as what they are in the whole task: same examples, same calibration.

    So what was asked of them for the whole task is not asked again.
    """
    whole = values.task
    part = DetectionTask(tuple(whole.texts[i] for i in items), whole.labels[items], whole.description)
    taken = TaskValues(part, values.seed, values.profile, values.cache)
    taken.preset(FewShots(), lambda: values.view(NEEDS)[FewShots()])
    taken.preset(CalibratedLabels(), lambda: values.view(NEEDS)[CalibratedLabels()][items])
    return taken


def explanation_jobs(taken: TaskValues) -> list[Job]:
    """Return the jobs of the explanations and their samples."""
    closure = taken.closure([Explanations(), ExplanationSamples()])
    return [Job(artifact, (taken,)) for artifact in closure if isinstance(artifact, TextArtifact)]


def explaining_models(values: TaskValues) -> frozenset[Any]:
    """Return the settings of the models that explain."""
    return frozenset(Explanations().resolve(values.profile).models())


def read_evidence(values: TaskValues, taken: TaskValues, items: IntArray) -> list[Evidence]:
    """Return what is known of the items that were taken, once all is computed."""
    view = taken.view([CalibratedLabels(), Explanations(), ExplanationSamples()])
    probabilities, names = view[CalibratedLabels()], values.task.description.label_names
    explanations, samples = view[Explanations()], view[ExplanationSamples()]
    proposed = probabilities.argmax(axis=1)
    nearest = find_other_labels(values.view(NEEDS)[TextEmbeddings()], values.task.labels, items)
    return [
        Evidence(
            int(label),
            float(probabilities[i, label]),
            share_stating(names[label], samples[i]),
            explanations[i],
            nearest[i],
        )
        for i, label in enumerate(proposed)
    ]


def find_other_labels(
    embeddings: NDArray[np.float32], labels: IntArray, items: IntArray, *, k: int = NEIGHBOURS
) -> list[tuple[tuple[int, float], ...]]:
    """Return, for each item, the k most similar positions whose given label differs, nearest first.

    `embeddings`: shape (n, d), rows of length 1. A block of items is compared with all at a time, so that memory
    grows with n, not with its square. Equal similarities stand in the order of the items.
    """
    found: list[tuple[tuple[int, float], ...]] = []
    for start in range(0, len(items), _BLOCK):
        block = items[start : start + _BLOCK]
        similarities = embeddings[block] @ embeddings.T
        similarities[labels[block][:, None] == labels[None, :]] = -np.inf
        found += [_nearest(row, k) for row in similarities]
    return found


def _nearest(similarities: NDArray[Any], k: int) -> tuple[tuple[int, float], ...]:
    among = np.arange(len(similarities))
    if k < len(similarities):
        # Whatever is as near as the k-th, so that the choice among equals does not depend on the partition.
        among = np.flatnonzero(similarities >= np.partition(similarities, -k)[-k])
    order = among[np.argsort(-similarities[among], kind="stable")][:k]
    return tuple((int(i), float(similarities[i])) for i in order if np.isfinite(similarities[i]))
