"""Which label the language model reads off each text; it never sees the item's given label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Artifact, Artifacts, Cost, TaskArtifact, TextArtifact
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.llm.asking import ask_twice, head_key, iter_prompt_batches, seed_of, settled
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.engines.batching import run_halving
from ecgbench.engines.context import ComputeContext
from ecgbench.engines.llm import LanguageModel, Prompt, load_llm
from ecgbench.errors import EcgbenchError
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import label_prompt, parse_stated, stated_schema
from ecgbench.shots import ShotSets, draw_shots
from ecgbench.store.keys import digest

_ROW = np.dtype("<f8")


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """Ask which of these labels answers a prompt; `schema` and `read` are for an answer that states one."""

    prompt: Prompt
    labels: tuple[str, ...]

    @property
    def schema(self) -> str:
        """Return the schema of a stated label."""
        return stated_schema(self.labels)

    def read(self, reply: str) -> list[float] | None:
        """Return the probabilities (C,) that a reply states; None where it is not valid."""
        return parse_stated(reply, self.labels)


@dataclass(frozen=True)
class FewShots(TaskArtifact[ShotSets]):
    """The worked examples of a task's prompts.

    A description's own examples are taken as they are: prompts then follow from the text alone, and all
    noises share their answers. Without any, typical items are drawn by embedding and given label. An instruct model
    is shown none.
    """

    stored: ClassVar[bool] = False

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the embeddings that examples are drawn by; a description's own examples leave them unread."""
        return () if self._is_chat else (TextEmbeddings(),)

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> ShotSets:  # noqa: ARG002
        """Return the description's examples, or draw them from the task's items and given labels."""
        if self._is_chat or task.description.shots:
            return ShotSets(() if self._is_chat else task.description.shots)
        settings = settled(self.llm)
        return draw_shots(
            task.texts,
            task.labels,
            inputs[TextEmbeddings()],
            task.description,
            per_class=settings.shots_per_class,
            shot_words=settings.shot_words,
        )

    @property
    def _is_chat(self) -> bool:
        return self.llm is not None and self.llm.style == "chat"


@dataclass(frozen=True)
class LabelLogits(TextArtifact[FloatArray]):
    """Log-probability of each label name as the model's answer: float64, shape (n, C), not calibrated.

    Read off the tokens, or (`label_answers` stated) off the confidence the model states.
    """

    cost: ClassVar[Cost] = Cost(seconds=0.15, llm_calls=1, memory=2500)

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the examples the prompts show."""
        return (FewShots(self.llm),)

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[LabelRequest]:
        """Render one prompt a text."""
        shots = inputs[FewShots(self.llm)]
        settings, names = settled(self.llm), task.description.label_names
        return [LabelRequest(label_prompt(task.description, shots.for_text(t), t, settings), names) for t in task.texts]

    def row_key(self, request: LabelRequest) -> str:
        """Return the key of model, rendered prompt, label names and a stated answer's length."""
        return label_key("LabelLogits", self.version, settled(self.llm), request)

    def batches(self, requests: Sequence[LabelRequest]) -> Iterable[Sequence[int]]:
        """Put prompts that share a prefix together."""
        return iter_prompt_batches([request.prompt for request in requests])

    def compute(self, requests: Sequence[LabelRequest], context: ComputeContext) -> Sequence[bytes | None]:
        """Return little-endian float64 rows; None where the model refused or a stated label was not valid twice."""
        llm = context.load(load_llm, settled(self.llm))
        return label_rows(llm, requests, [seed_of(self.row_key(r)) for r in requests], settled(self.llm))

    def assemble(self, rows: Sequence[bytes | None]) -> FloatArray:
        """Stack the rows: float64, shape (n, C)."""
        return stack_rows(rows)


@dataclass(frozen=True)
class CalibratedLabels(TaskArtifact[FloatArray]):
    """The model's label probabilities, float64, shape (n, C), freed of its preference for some label.

    Batch calibration (Zhou et al. 2024): each class's mean log-probability over the task's texts is
    subtracted. No given label enters, except through examples that had to be drawn from the data.
    """

    stored: ClassVar[bool] = False

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the raw logits."""
        return (LabelLogits(self.llm),)

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> FloatArray:  # noqa: ARG002
        """Shift the logits by class and normalise them."""
        return calibrate(inputs[LabelLogits(self.llm)])


def calibrate(logits: FloatArray) -> FloatArray:
    """Subtract each class's mean and normalise: log-probabilities (n, C) in, probabilities (n, C) out."""
    shifted = logits - logits.mean(axis=0)
    weights = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return probabilities


def label_key(kind: str, version: int, llm: LlmSettings, request: LabelRequest) -> str:
    """Return the key of a label answer; a stated one may be cut, so its length is part of it."""
    own = [llm.reply_tokens] if llm.label_answers == "stated" else []
    return digest("row/1", [head_key(kind, version, llm, request.prompt), request.prompt.suffix, request.labels, *own])


def pack_row(row: FloatArray) -> bytes:
    """Return one item's numbers as they are stored: little-endian float64."""
    return row.astype(_ROW).tobytes()


def stack_rows(rows: Sequence[bytes | None]) -> FloatArray:
    """Return stored rows of one width: float64, shape (n, width).

    A failed row is the mean of the others, so that it is undecided once it is calibrated.
    """
    known = [np.frombuffer(row, dtype=_ROW).astype(np.float64) for row in rows if row is not None]
    if not known:
        raise EcgbenchError(
            f"none of the language model's {len(rows)} answers was valid (warnings say why); give another model, "
            "or --set profile.llm.label_answers=logprobs"
        )
    undecided, answers = np.mean(known, axis=0), iter(known)
    return np.stack([undecided if row is None else next(answers) for row in rows])


def label_rows(
    llm: LanguageModel, requests: Sequence[LabelRequest], seeds: Sequence[int], settings: LlmSettings
) -> list[bytes | None]:
    """Ask one batch of one set of labels; returns rows as they are stored.

    None where an answer was not valid twice or the model refused the prompt.
    """
    if settings.label_answers == "stated":
        stated = ask_twice(llm, requests, seeds, settings=settings)
        return [None if row is None else pack_row(np.log(row)) for row in stated]
    labels = requests[0].labels
    scored = run_halving(lambda batch: llm.label_logits([request.prompt for request in batch], labels), requests)
    return [None if np.isnan(row).any() else pack_row(row) for row in scored]
