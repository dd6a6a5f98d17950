"""Does each explanation contradict the item's given label? Natural language inference by cross-encoders or the LLM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts, Cost, TaskArtifact, TextArtifact
from ecgbench.artifacts.llm.asking import iter_prompt_batches, seed_of, settled
from ecgbench.artifacts.llm.explanations import Explanations, Samples
from ecgbench.artifacts.llm.labels import (
    FewShots,
    LabelRequest,
    calibrate,
    label_key,
    label_rows,
    pack_row,
    stack_rows,
)
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray
from ecgbench.engines.batching import iter_batches, run_halving
from ecgbench.engines.context import ComputeContext, batch_size
from ecgbench.engines.cross_encoder import NLI_CLASSES, load_cross_encoder
from ecgbench.engines.llm import Prompt, load_llm
from ecgbench.profiles import CrossEncoderSettings, LlmSettings
from ecgbench.prompts import nli_answers, nli_prompt, render_hypothesis
from ecgbench.store.keys import digest

PAIR_BATCH = 64
_ENTAILMENT, _CONTRADICTION = NLI_CLASSES.index("entailment"), NLI_CLASSES.index("contradiction")
_NEUTRAL = np.full(len(NLI_CLASSES), 1 / len(NLI_CLASSES))
_NO_PROMPT = Prompt("", "")


@dataclass(frozen=True, slots=True)
class Pair:
    """A premise (empty: there is no explanation, and nothing is asked) and a hypothesis."""

    premise: str
    hypothesis: str


@dataclass(frozen=True)
class CrossEncoderNli(TextArtifact[FloatArray]):
    """One cross-encoder's judgement of each explanation against the given label.

    Probabilities of NLI_CLASSES, float64, shape (n, 3); 1/3 each where there is no explanation.
    """

    cost: ClassVar[Cost] = Cost(seconds=0.25, memory=3000)

    model: CrossEncoderSettings
    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the explanations."""
        return (Explanations(self.llm),)

    def models(self) -> tuple[Any, ...]:
        """Return the cross-encoder alone."""
        return (self.model,)

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Pair]:
        """Return one pair an item, of its explanation (without its label) and its given label."""
        names = task.description.label_names
        found: Samples = inputs[Explanations(self.llm)]
        return [
            Pair("" if e is None else str(e), render_hypothesis(task.description, names[given]))
            for e, given in zip(found, task.labels, strict=True)
        ]

    def row_key(self, request: Pair) -> str:
        """Return the key of cross-encoder and pair, whatever wrote the explanation."""
        return digest("row/1", ["CrossEncoderNli", self.version, self.model, request])

    def batches(self, requests: Sequence[Pair]) -> Iterable[Sequence[int]]:
        """Put pairs of near length together, those without a premise apart."""
        yield from _some([p for p, pair in enumerate(requests) if not pair.premise])
        asked = [p for p, pair in enumerate(requests) if pair.premise]
        lengths = [len(requests[p].premise) + len(requests[p].hypothesis) for p in asked]
        for batch in iter_batches(lengths, batch_size(PAIR_BATCH)):
            yield [asked[i] for i in batch]

    def compute(self, requests: Sequence[Pair], context: ComputeContext) -> Sequence[bytes | None]:
        """Return little-endian float64 rows; without premises no model is loaded."""
        if not requests[0].premise:
            return [pack_row(_NEUTRAL)] * len(requests)
        judge = context.load(load_cross_encoder, self.model)
        return [pack_row(row) for row in run_halving(judge.classify, [(r.premise, r.hypothesis) for r in requests])]

    def assemble(self, rows: Sequence[bytes | None]) -> FloatArray:
        """Stack the rows: float64, shape (n, 3)."""
        return stack_rows(rows)


@dataclass(frozen=True)
class LlmNli(TextArtifact[FloatArray]):
    """How the language model ends the hypothesis on each explanation: it never sees the given label.

    Log-probabilities of the label names and last of "unclear", float64, shape (n, C + 1), not calibrated;
    all alike where there is no explanation.
    """

    cost: ClassVar[Cost] = Cost(seconds=0.1, llm_calls=1, memory=2500)

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the examples the prompts show and the explanations."""
        return (FewShots(self.llm), Explanations(self.llm))

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[LabelRequest]:
        """Render one prompt an item, of its explanation without its label; an empty one where there is none."""
        shots, description = inputs[FewShots(self.llm)], task.description
        found: Samples = inputs[Explanations(self.llm)]
        prompts = [
            nli_prompt(description, shots.for_text(text), str(e), settled(self.llm)) if e else _NO_PROMPT
            for text, e in zip(task.texts, found, strict=True)
        ]
        return [LabelRequest(prompt, nli_answers(description)) for prompt in prompts]

    def row_key(self, request: LabelRequest) -> str:
        """Return the key of model, rendered prompt, answers and a stated answer's length."""
        return label_key("LlmNli", self.version, settled(self.llm), request)

    def batches(self, requests: Sequence[LabelRequest]) -> Iterable[Sequence[int]]:
        """Put prompts that share prefix and answers together, those without an explanation apart."""
        yield from _some([p for p, request in enumerate(requests) if request.prompt == _NO_PROMPT])
        # Tasks that name their classes otherwise may share a prefix, but no batch.
        for answers in sorted({request.labels for request in requests}):
            asked = [p for p, r in enumerate(requests) if r.labels == answers and r.prompt != _NO_PROMPT]
            for batch in iter_prompt_batches([requests[p].prompt for p in asked]):
                yield [asked[i] for i in batch]

    def compute(self, requests: Sequence[LabelRequest], context: ComputeContext) -> Sequence[bytes | None]:
        """Return little-endian float64 rows; without prompts no model is loaded."""
        if requests[0].prompt == _NO_PROMPT:
            return [pack_row(np.full(len(r.labels), -np.log(len(r.labels)))) for r in requests]
        llm = context.load(load_llm, settled(self.llm))
        return label_rows(llm, requests, [seed_of(self.row_key(r)) for r in requests], settled(self.llm))

    def assemble(self, rows: Sequence[bytes | None]) -> FloatArray:
        """Stack the rows: float64, shape (n, C + 1)."""
        return stack_rows(rows)


@dataclass(frozen=True)
class NliScores(TaskArtifact[FloatArray]):
    """How much each explanation contradicts the given label: float64, shape (n,), in [-1, 1], higher = more.

    P(contradiction) - P(entailment), the mean over the models; exactly 0 where there is no explanation.
    `nli`: the cross-encoders; an empty tuple: the language model is asked, and its preference for some
    labels is taken out. `ensemble` False: the first model only.
    """

    stored: ClassVar[bool] = False

    llm: LlmSettings | None = None
    nli: tuple[CrossEncoderSettings, ...] | None = None
    ensemble: bool = True

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the explanations and what the models say of them."""
        judges = tuple(CrossEncoderNli(model, self.llm) for model in self._models())
        return (Explanations(self.llm), *(judges or (LlmNli(self.llm),)))

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> FloatArray:  # noqa: ARG002
        """Average the models."""
        explained = np.array([e is not None for e in inputs[Explanations(self.llm)]], dtype=bool)
        if models := self._models():
            judged = np.mean([inputs[CrossEncoderNli(model, self.llm)] for model in models], axis=0)
        else:
            judged = judge_endings(inputs[LlmNli(self.llm)], task.labels, explained)
        return np.where(explained, judged[:, _CONTRADICTION] - judged[:, _ENTAILMENT], 0.0)

    def _models(self) -> tuple[CrossEncoderSettings, ...]:
        models = self.nli or ()
        return models if self.ensemble else models[:1]


def judge_endings(log_probabilities: FloatArray, labels: IntArray, explained: BoolArray) -> FloatArray:
    """Turn a hypothesis's endings, (n, C + 1), into probabilities of NLI_CLASSES for the given labels, (n, 3).

    The likeliest other label contradicts: by their sum an explanation that tells nothing would contradict the more,
    the more labels there are. The model's preference for some ending is taken out as it is of its labels: each
    ending's mean over the explained items is subtracted. Items without explanation are neutral.
    """
    judged = np.tile(_NEUTRAL, (len(labels), 1))
    if explained.any():
        endings = calibrate(log_probabilities[explained])
        rows, given = np.arange(len(endings)), labels[explained]
        others = endings[:, :-1].copy()
        others[rows, given] = 0.0
        judged[explained] = np.stack([endings[rows, given], endings[:, -1], others.max(axis=1)], axis=1)
        judged /= judged.sum(axis=1, keepdims=True)
    return judged


def _some(positions: list[int]) -> list[list[int]]:
    """Return one batch, or none where it would be empty."""
    return [positions] if positions else []
