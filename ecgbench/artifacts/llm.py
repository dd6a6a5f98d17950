"""What the language model says about each text: label, evidence, reason. It never sees a given label of the item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Artifact, Artifacts, Cost, TaskArtifact, TextArtifact
from ecgbench.artifacts.embeddings import StringEmbeddings, TextEmbeddings
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.engines.batching import iter_batches, run_halving
from ecgbench.engines.context import ComputeContext, batch_size
from ecgbench.engines.llm import LanguageModel, Prompt, load_llm
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import STOP, Explanation, explanation_prompt, label_prompt, parse_reply
from ecgbench.shots import ShotSets, draw_shots
from ecgbench.store.keys import canonical_json, digest

LLM_BATCH = 64
RETRY_TEMPERATURE = 0.7
_ROW = np.dtype("<f8")


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """Ask which of these labels continues a prompt."""

    prompt: Prompt
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExplanationRequest:
    """Ask why a text has a label; `text` is uncut, evidence is looked up in it."""

    prompt: Prompt
    text: str
    label: str
    label_names: tuple[str, ...]


@dataclass(frozen=True)
class FewShots(TaskArtifact[ShotSets]):
    """The worked examples of a task's prompts.

    A description's own examples are taken as they are: prompts then follow from the text alone, and all
    noises share their answers. Without any, typical items are drawn by embedding and given label.
    """

    stored: ClassVar[bool] = False

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the embeddings that examples are drawn by; a description's own examples leave them unread."""
        return (TextEmbeddings(),)

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> ShotSets:  # noqa: ARG002
        """Return the description's examples, or draw them from the task's items and given labels."""
        if task.description.shots:
            return ShotSets(task.description.shots)
        settings = _settled(self.llm)
        return draw_shots(
            task.texts,
            task.labels,
            inputs[TextEmbeddings()],
            task.description,
            per_class=settings.shots_per_class,
            shot_words=settings.shot_words,
        )


@dataclass(frozen=True)
class LabelLogits(TextArtifact[FloatArray]):
    """Log-probability of each label name as the model's answer: float64, shape (n, C), not calibrated."""

    cost: ClassVar[Cost] = Cost(seconds=0.15, llm_calls=1, memory=2500)

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the examples the prompts show."""
        return (FewShots(self.llm),)

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[LabelRequest]:
        """Render one prompt a text."""
        shots = inputs[FewShots(self.llm)]
        settings, names = _settled(self.llm), task.description.label_names
        return [LabelRequest(label_prompt(task.description, shots.for_text(t), t, settings), names) for t in task.texts]

    def row_key(self, request: LabelRequest) -> str:
        """Return the key of model, rendered prompt and label names: all that an answer depends on."""
        head = _head_key("LabelLogits", self.version, _settled(self.llm).model_key, request.prompt.prefix)
        return digest("row/1", [head, request.prompt.suffix, request.labels])

    def compute(
        self, requests: Sequence[LabelRequest], context: ComputeContext
    ) -> Iterator[Mapping[int, bytes | None]]:
        """Yield little-endian float64 rows, one batch at a time."""
        llm = context.load(load_llm, _settled(self.llm))
        for positions in _iter_prompt_batches([request.prompt for request in requests]):
            rows = run_halving(lambda batch: _label_rows(llm, batch), [requests[p] for p in positions])
            yield dict(zip(positions, rows, strict=True))
            context.progress.advance(len(positions))

    def assemble(self, rows: Sequence[bytes | None]) -> FloatArray:
        """Stack the rows: float64, shape (n, C)."""
        return np.stack([np.frombuffer(row or b"", dtype=_ROW).astype(np.float64) for row in rows])


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


@dataclass(frozen=True)
class Explanations(TextArtifact[tuple[Explanation | None, ...]]):
    """Evidence and rationale of each text for its calibrated label; None where two replies were not valid."""

    cost: ClassVar[Cost] = Cost(seconds=0.35, llm_calls=1, memory=2500)

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the examples and the calibrated labels, both part of the prompt."""
        return (FewShots(self.llm), CalibratedLabels(self.llm))

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[ExplanationRequest]:
        """Render one prompt a text, with its calibrated label."""
        shots, names, settings = inputs[FewShots(self.llm)], task.description.label_names, _settled(self.llm)
        labels = [names[c] for c in inputs[CalibratedLabels(self.llm)].argmax(axis=1)]
        return [
            ExplanationRequest(
                explanation_prompt(task.description, shots.for_text(text), text, settings, label=label),
                text,
                label,
                names,
            )
            for text, label in zip(task.texts, labels, strict=True)
        ]

    def row_key(self, request: ExplanationRequest) -> str:
        """Return the key of model, reply length, rendered prompt and the text that evidence must stand in."""
        settings = _settled(self.llm)
        head = _head_key("Explanations", self.version, settings.model_key, request.prompt.prefix)
        own = [request.prompt.suffix, settings.reply_tokens, request.text, request.label, request.label_names]
        return digest("row/1", [head, *own])

    def compute(
        self, requests: Sequence[ExplanationRequest], context: ComputeContext
    ) -> Iterator[Mapping[int, bytes | None]]:
        """Yield canonical JSON rows; an invalid reply is asked for once more, drawn at RETRY_TEMPERATURE."""
        settings = _settled(self.llm)
        llm = context.load(load_llm, settings)
        for positions in _iter_prompt_batches([request.prompt for request in requests]):
            found = dict(zip(positions, self._ask(llm, [requests[p] for p in positions]), strict=True))
            again = [p for p in positions if found[p] is None]
            found |= zip(again, self._ask(llm, [requests[p] for p in again], RETRY_TEMPERATURE), strict=True)
            yield {p: None if e is None else canonical_json(asdict(e)).encode() for p, e in found.items()}
            context.progress.advance(len(positions))

    def assemble(self, rows: Sequence[bytes | None]) -> tuple[Explanation | None, ...]:
        """Read the rows; None where the attempt failed."""
        return tuple(None if row is None else _explanation(json.loads(row)) for row in rows)

    def _ask(
        self, llm: LanguageModel, requests: Sequence[ExplanationRequest], temperature: float = 0.0
    ) -> list[Explanation | None]:
        tokens = _settled(self.llm).reply_tokens

        def reply(batch: Sequence[ExplanationRequest]) -> list[str]:
            return llm.generate(
                [request.prompt for request in batch],
                max_new_tokens=tokens,
                stop=STOP,
                temperature=temperature,
                seeds=[int(self.row_key(request)[:15], 16) for request in batch],
            )

        return [
            parse_reply(answer, request.text, label=request.label, label_names=request.label_names)
            for answer, request in zip(run_halving(reply, requests) if requests else [], requests, strict=True)
        ]


@dataclass(frozen=True)
class ExplanationEmbeddings(StringEmbeddings):
    """Embeddings of `Evidence: ... | Rationale: ...`: float32, shape (n, d); zeros where there is no explanation."""

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the explanations."""
        return (Explanations(self.llm),)

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[str]:  # noqa: ARG002
        """Return the explanations as strings without their label, empty where there is none."""
        return ["" if e is None else str(e) for e in inputs[Explanations(self.llm)]]

    def compute(self, requests: Sequence[str], context: ComputeContext) -> Iterator[Mapping[int, bytes | None]]:
        """Yield float32 rows; an empty string is a zero row: similar to nothing, its own explanation or another's."""
        for batch in super().compute(requests, context):
            yield {p: row if requests[p] or row is None else bytes(len(row)) for p, row in batch.items()}


def calibrate(logits: FloatArray) -> FloatArray:
    """Subtract each class's mean and normalise: log-probabilities (n, C) in, probabilities (n, C) out."""
    shifted = logits - logits.mean(axis=0)
    weights = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return probabilities


def _settled(llm: LlmSettings | None) -> LlmSettings:
    """Return the settings, which the harness has filled in before anything is computed."""
    assert llm is not None, "resolve the artifact with a profile first"
    return llm


def _iter_prompt_batches(prompts: Sequence[Prompt]) -> Iterator[list[int]]:
    """Yield batches that share one prefix, prefixes in alphabetical order, short suffixes first."""
    for prefix in sorted({prompt.prefix for prompt in prompts}):
        members = [i for i, prompt in enumerate(prompts) if prompt.prefix == prefix]
        for batch in iter_batches([len(prompts[i].suffix) for i in members], batch_size(LLM_BATCH)):
            yield [members[i] for i in batch]


def _label_rows(llm: LanguageModel, requests: Sequence[LabelRequest]) -> list[bytes]:
    logits = llm.label_logits([request.prompt for request in requests], requests[0].labels)
    return [row.astype(_ROW).tobytes() for row in logits]


@lru_cache(maxsize=64)
def _head_key(kind: str, version: int, model_key: tuple[str, str], prefix: str) -> str:
    """Return the digest of what thousands of requests share, so that it is hashed once."""
    return digest("llm-head/1", [kind, version, model_key, prefix])


def _explanation(fields: Mapping[str, Any]) -> Explanation:
    explanation = Explanation(**fields)
    return replace(explanation, evidence=tuple(explanation.evidence))
