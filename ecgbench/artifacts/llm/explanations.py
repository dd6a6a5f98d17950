"""Why the language model finds its label: evidence and rationale of each text, once at temperature 0 and in samples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts, Cost, TextArtifact
from ecgbench.artifacts.embeddings import StringEmbeddings
from ecgbench.artifacts.llm.asking import ask_twice, head_key, iter_prompt_batches, seed_of, settled
from ecgbench.artifacts.llm.labels import CalibratedLabels, FewShots
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.engines.context import ComputeContext
from ecgbench.engines.llm import Prompt, load_llm
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import Explanation, explanation_prompt, explanation_schema, parse_json_reply, parse_reply
from ecgbench.store.keys import canonical_json, digest

Samples = tuple[Explanation | None, ...]


def share_stating(label: str, samples: Samples) -> float | None:
    """Return the share of the valid samples that state a label; None where none is valid."""
    stated = [sample.label == label for sample in samples if sample is not None]
    return sum(stated) / len(stated) if stated else None


@dataclass(frozen=True, slots=True)
class ExplanationRequest:
    """Ask why a text has a label; `text` is uncut, evidence is looked up in it. With a `schema` the reply is JSON."""

    prompt: Prompt
    text: str
    label: str
    label_names: tuple[str, ...]
    schema: str | None = None

    def read(self, reply: str) -> Explanation | None:
        """Return the explanation in a reply; None where it is not valid."""
        parse = parse_json_reply if self.schema else parse_reply
        return parse(reply, self.text, label=self.label, label_names=self.label_names)

    @property
    def own_key(self) -> list[Any]:
        """Return what its answer depends on beside the prompt's prefix and the model."""
        return [self.prompt.suffix, self.schema, self.text, self.label, self.label_names]


@dataclass(frozen=True)
class Explanations(TextArtifact[Samples]):
    """Evidence and rationale of each text for its calibrated label; None where two replies were not valid."""

    version: ClassVar[int] = 2
    cost: ClassVar[Cost] = Cost(seconds=0.35, llm_calls=1, memory=2500)

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the examples and the calibrated labels, both part of the prompt."""
        return (FewShots(self.llm), CalibratedLabels(self.llm))

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[ExplanationRequest]:
        """Render one prompt a text, with its calibrated label."""
        labels = inputs[CalibratedLabels(self.llm)].argmax(axis=1)
        return _render_requests(task, inputs, labels, llm=self.llm)

    def row_key(self, request: ExplanationRequest) -> str:
        """Return the key of model, reply length, rendered prompt and the text that evidence must stand in."""
        settings = settled(self.llm)
        head = head_key("Explanations", self.version, settings, request.prompt)
        return digest("row/1", [head, settings.reply_tokens, *request.own_key])

    def batches(self, requests: Sequence[ExplanationRequest]) -> Iterable[Sequence[int]]:
        """Put prompts that share a prefix together."""
        return iter_prompt_batches([request.prompt for request in requests])

    def compute(self, requests: Sequence[ExplanationRequest], context: ComputeContext) -> Sequence[bytes | None]:
        """Return canonical JSON rows; an invalid reply is asked for once more, drawn at RETRY_TEMPERATURE."""
        settings = settled(self.llm)
        llm = context.load(load_llm, settings)
        replies = ask_twice(llm, requests, [seed_of(self.row_key(r)) for r in requests], settings=settings)
        return [
            None if e is None else _row({"text": request.text, **e.as_fields()})
            for request, e in zip(requests, replies, strict=True)
        ]

    def assemble(self, rows: Sequence[bytes | None]) -> Samples:
        """Read the rows; None where the attempt failed."""
        return tuple(None if row is None else _explanation(json.loads(row)) for row in rows)


@dataclass(frozen=True)
class ExplanationSamples(TextArtifact[tuple[Samples, ...]]):
    """Further explanations of each text, drawn at `sample_temperature`: n tuples of `samples` - 1.

    A sample is a whole answer: its label is drawn first, from the calibrated probabilities at the same
    temperature, then evidence and rationale for that label. All draws are seeded by the text, so a second
    run gives the same samples. None stands for a sample that two replies did not make valid.
    """

    cost: ClassVar[Cost] = Cost(seconds=0.5, llm_calls=2, memory=3000)

    llm: LlmSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the examples and the calibrated labels, both part of the prompt."""
        return (FewShots(self.llm), CalibratedLabels(self.llm))

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[tuple[ExplanationRequest, ...]]:
        """Render the prompts of each text, one a sample, with the drawn labels."""
        settings = settled(self.llm)
        probabilities = inputs[CalibratedLabels(self.llm)]
        columns = [
            _render_requests(
                task,
                inputs,
                draw_labels(task.texts, probabilities, sample=sample, temperature=settings.sample_temperature),
                llm=self.llm,
            )
            for sample in range(1, settings.samples)
        ]
        return list(zip(*columns, strict=True)) if columns else [()] * len(task)

    def row_key(self, request: tuple[ExplanationRequest, ...]) -> str:
        """Return the key of model, temperature, reply length, rendered prompts and text."""
        settings = settled(self.llm)
        own: list[Any] = [settings.reply_tokens, settings.sample_temperature]
        for sample in request:
            own += [head_key("ExplanationSamples", self.version, settings, sample.prompt), *sample.own_key]
        return digest("row/1", own)

    def batches(self, requests: Sequence[tuple[ExplanationRequest, ...]]) -> Iterable[Sequence[int]]:
        """Put texts whose prompts share a prefix together; without samples there is nothing to share."""
        if settled(self.llm).samples < 2:
            return super().batches(requests)
        return iter_prompt_batches([request[0].prompt for request in requests])

    def compute(
        self, requests: Sequence[tuple[ExplanationRequest, ...]], context: ComputeContext
    ) -> Sequence[bytes | None]:
        """Return canonical JSON rows; the samples of a batch of texts are drawn together, in one pass."""
        settings = settled(self.llm)
        if settings.samples < 2:
            return [_row({"samples": []})] * len(requests)
        llm = context.load(load_llm, settings)
        warm = settings.sample_temperature
        asked = [sample for request in requests for sample in request]
        seeds = [
            seed_of(digest("sample/1", [self.row_key(request), sample]))
            for request in requests
            for sample in range(len(request))
        ]
        replies = iter(ask_twice(llm, asked, seeds, settings=settings, temperatures=(warm, warm)))
        found = [[next(replies) for _ in request] for request in requests]
        return [
            _row({"text": request[0].text, "samples": [e and e.as_fields() for e in samples]}) if any(samples) else None
            for request, samples in zip(requests, found, strict=True)
        ]

    def assemble(self, rows: Sequence[bytes | None]) -> tuple[Samples, ...]:
        """Read the rows; a row none of whose samples became valid holds only None."""
        failed = (None,) * (settled(self.llm).samples - 1)
        return tuple(
            failed if row is None else tuple(e and _explanation(e) for e in json.loads(row)["samples"]) for row in rows
        )

    def count_failed(self, rows: Sequence[bytes | None]) -> int:
        """Count the samples that never became valid."""
        return sum(e is None for samples in self.assemble(rows) for e in samples)


@dataclass(frozen=True)
class ExplanationStrings(StringEmbeddings):
    """Base of what is embedded of explanations: an empty string is a zero row, similar to nothing."""

    llm: LlmSettings | None = None

    def models(self) -> tuple[Any, ...]:
        """Return the encoder alone: the language model has spoken."""
        return (self.encoder,)

    def compute(self, requests: Sequence[str], context: ComputeContext) -> Sequence[bytes | None]:
        """Return float32 rows, zeros for empty strings."""
        rows = super().compute(requests, context)
        return [row if text or row is None else bytes(len(row)) for text, row in zip(requests, rows, strict=True)]


@dataclass(frozen=True)
class ExplanationEmbeddings(ExplanationStrings):
    """Embeddings of `Evidence: ... | Rationale: ...`: float32, shape (n, d); zeros where there is no explanation.

    `label_words` puts the model's label before them: for the leakage check, never the default. `counterfactual`
    puts behind them what the text would have to say to get another label, where the model was asked.
    """

    label_words: bool = False
    counterfactual: bool = False

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the explanations."""
        return (Explanations(self.llm),)

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[str]:  # noqa: ARG002
        """Return the explanations as strings, empty where there is none."""
        found: Samples = inputs[Explanations(self.llm)]
        return ["" if e is None else self._show(e) for e in found]

    def _show(self, explanation: Explanation) -> str:
        parts = [str(explanation)]
        if self.label_words:
            parts.insert(0, f"Label: {explanation.label}")
        if self.counterfactual and explanation.counterfactual:
            parts.append(f"Counterfactual: {explanation.counterfactual}")
        return " | ".join(parts)


@dataclass(frozen=True)
class RationaleEmbeddings(ExplanationStrings):
    """Embeddings of the rationales of one sample (0: the one at temperature 0): float32, shape (n, d)."""

    sample: int = 0

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the explanations of that sample."""
        return (ExplanationSamples(self.llm) if self.sample else Explanations(self.llm),)

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[str]:  # noqa: ARG002
        """Return the rationales, empty where there is none."""
        chosen: Samples = (
            tuple(samples[self.sample - 1] for samples in inputs[ExplanationSamples(self.llm)])
            if self.sample
            else inputs[Explanations(self.llm)]
        )
        return ["" if e is None else e.rationale for e in chosen]


def draw_labels(texts: Sequence[str], probabilities: FloatArray, *, sample: int, temperature: float) -> IntArray:
    """Draw one label a text from its probabilities at a temperature: int64, shape (n,), seeded by text and sample."""
    warmed = np.maximum(probabilities, 1e-300) ** (1.0 / temperature)
    edges = np.cumsum(warmed, axis=1)
    where = np.array([_uniform(f"{sample}/{text}") for text in texts]) * edges[:, -1]
    return np.asarray(np.minimum((edges <= where[:, None]).sum(axis=1), probabilities.shape[1] - 1))


def _uniform(name: str) -> float:
    """Return a number in [0, 1) that follows from a name alone."""
    raw = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, person=b"ecgbench/draw/1").digest()
    return (int.from_bytes(raw, "little") >> 11) * 2.0**-53


def _render_requests(
    task: DetectionTask, inputs: Artifacts, labels: IntArray, *, llm: LlmSettings | None
) -> list[ExplanationRequest]:
    shots, names, settings = inputs[FewShots(llm)], task.description.label_names, settled(llm)
    requests = []
    for text, label in zip(task.texts, (names[i] for i in labels), strict=True):
        prompt = explanation_prompt(task.description, shots.for_text(text), text, settings, label=label)
        schema = explanation_schema(label, counterfactual=settings.counterfactual) if prompt.chat else None
        requests.append(ExplanationRequest(prompt, text, label, names, schema))
    return requests


def _row(value: Mapping[str, Any]) -> bytes:
    return canonical_json(value).encode("utf-8", "surrogatepass")


def _explanation(fields: Mapping[str, Any]) -> Explanation:
    return Explanation(
        fields["label"],
        tuple(fields["evidence"]),
        fields["rationale"],
        fields.get("counterfactual", ""),
        fields.get("confidence"),
    )
