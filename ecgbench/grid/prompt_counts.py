"""How many prompts the language model would be sent, and how long they are, also where they cannot be rendered yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, TextArtifact
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.llm import Explanations, LabelLogits
from ecgbench.data import DetectionTask
from ecgbench.errors import INTERRUPTS
from ecgbench.grid.measuring import count_characters, find_prompts
from ecgbench.grid.values import TaskValues, resolve_closure
from ecgbench.prompts import Explanation

SAMPLE = 200
"""On how many texts of a task prompts are tried out."""
_EVIDENCE_WORDS = 6
_RATIONALE = "These words say what the writer of the text finds in it and so speak for the answer."


@dataclass(frozen=True, slots=True)
class PromptCount:
    """How many prompts there are, and of how many characters."""

    n: float = 0
    characters: float = 0

    def plus(self, other: PromptCount, times: float = 1) -> PromptCount:
        """Return these prompts and the others, so many times."""
        return PromptCount(self.n + times * other.n, self.characters + times * other.characters)


NO_PROMPTS = PromptCount()


def count_prompts(requests: Sequence[Any]) -> PromptCount:
    """Count the prompts of requests."""
    return PromptCount(sum(len(find_prompts(request)) for request in requests), count_characters(requests))


def guess_prompts(artifact: TextArtifact[Any], task: TaskValues) -> PromptCount:
    """Return the mean prompts of a text of a task, rendered on stand-ins for the answers that they follow from.

    Where an artifact needs one that there is not: as many as it declares, as long as the text.
    """
    try:
        requests = _render(artifact, task)
    except INTERRUPTS:
        raise
    except BaseException:
        characters = sum(map(len, task.task.texts)) / len(task.task)
        return PromptCount(artifact.cost.llm_calls, artifact.cost.llm_calls * characters)
    return NO_PROMPTS.plus(count_prompts(requests), 1 / len(requests))


def _render(artifact: TextArtifact[Any], task: TaskValues) -> Sequence[Any]:
    whole = task.task
    sample = DetectionTask(whole.texts[:SAMPLE], whole.labels[:SAMPLE], whole.description)
    values = TaskValues(sample, task.seed, task.profile, task.cache)
    for source in resolve_closure(artifact.inputs(), task.profile):
        value = _stand_in(source, sample)
        if value is not None:
            values.preset(source, lambda value=value: value)  # type: ignore[misc]
    return values.requests(artifact)[1]


def _stand_in(artifact: Artifact[Any], task: DetectionTask) -> Any:
    """Return a value of the usual form and length; None where it is not known."""
    if isinstance(artifact, LabelLogits):
        return np.zeros((len(task), task.n_classes))
    if isinstance(artifact, TextEmbeddings):
        return np.ones((len(task), 1), dtype=np.float32)
    if isinstance(artifact, Explanations):
        name = task.description.label_names[0]
        return tuple(Explanation(name, (" ".join(t.split()[:_EVIDENCE_WORDS]),), _RATIONALE) for t in task.texts)
    return None
