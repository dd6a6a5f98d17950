"""What a model's replies say: only what is usable becomes an explanation or a stated label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from ecgbench.prompts.texts import longest_first

MAX_SPANS = 3
MAX_RATIONALE_WORDS = 25
REASON, BETWEEN = "Reason:", " | "
LEAST_PROBABILITY = 0.01
"""A stated confidence of 0 or 100 is not taken for certainty."""
_SPAN_LIMIT_WORDS = 20

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text has a label: 1-3 spans that stand in the text as they are, and a rationale without label words.

    `counterfactual` (empty) and `confidence` (0 to 100; None) are given where the model was asked for them.
    """

    label: str
    evidence: tuple[str, ...]
    rationale: str
    counterfactual: str = ""
    confidence: int | None = None

    def __str__(self) -> str:
        return f"Evidence: {'; '.join(self.evidence)} | Rationale: {self.rationale}"

    def as_fields(self) -> dict[str, Any]:
        """Return plain values by name, without those the model was not asked for."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


class _JsonExplanation(BaseModel):
    label: str
    evidence: list[str]
    rationale: str
    counterfactual: str = ""
    confidence: int | None = Field(default=None, ge=0, le=100)


class _StatedLabel(BaseModel):
    label: str
    confidence: int = Field(ge=0, le=100)


def parse_reply(reply: str, text: str, *, label: str, label_names: Sequence[str]) -> Explanation | None:
    """Read `"span" | "span"`, a line end and `Reason: ...`; None where no span or no reason is usable.

    Spans that differ from the text in case or white space become the text's own; others are left out.
    Label words are taken out of the rationale.
    """
    spans, found, reason = reply.partition(REASON)
    evidence, rationale = _locate_all(_split_spans(spans), text), _clean_sentence(reason, label_names)
    usable = found and evidence and rationale and _is_unicode(reply)
    return Explanation(label, evidence, rationale) if usable else None


def parse_json_reply(reply: str, text: str, *, label: str, label_names: Sequence[str]) -> Explanation | None:
    """Read a reply that was asked for by `explanation_schema`; None where it is not valid.

    Spans and rationale are held to what `parse_reply` holds them to, the counterfactual to what the rationale is.
    """
    said = _read_json(_JsonExplanation, reply)
    if said is None:
        return None
    evidence, rationale = _locate_all(said.evidence, text), _clean_sentence(said.rationale, label_names)
    if said.label != label or not (evidence and rationale):
        return None
    return Explanation(label, evidence, rationale, _clean_sentence(said.counterfactual, label_names), said.confidence)


def parse_stated(reply: str, labels: Sequence[str]) -> list[float] | None:
    """Return the probabilities (C,) in a reply asked for by `stated_schema`; None where it is not valid.

    The stated label has the stated confidence, the others share the rest alike; none is surer than LEAST_PROBABILITY
    allows.
    """
    said = _read_json(_StatedLabel, reply)
    if said is None or said.label not in labels:
        return None
    confidence = min(max(said.confidence / 100, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    other = (1 - confidence) / max(len(labels) - 1, 1)
    return [confidence if label == said.label else other for label in labels]


def _read_json(kind: type[M], reply: str) -> M | None:
    """Return a reply that is JSON of this kind, else None; grammars let control characters stand in strings."""
    try:
        said = json.loads(reply, strict=False)
        return kind.model_validate(said) if _is_unicode(json.dumps(said, ensure_ascii=False)) else None
    except (ValueError, RecursionError):
        return None


def _is_unicode(text: str) -> bool:
    """Tell whether a text can be written: half a character, as in a cut escape, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _locate_all(spans: Iterable[str], text: str) -> tuple[str, ...]:
    """Return the first MAX_SPANS different stretches of `text` that the spans name."""
    found = dict.fromkeys(filter(None, (_locate(span, text) for span in spans)))
    return tuple(found)[:MAX_SPANS]


def _split_spans(line: str) -> list[str]:
    return [part.strip().strip('"').strip() for part in re.split(r'"\s*[|,;]\s*"|\s\|\s', line.strip())]


def _locate(span: str, text: str) -> str | None:
    """Return the stretch of `text` that a span names, case and white space aside.

    A small model paraphrases: the longest run of at least half of the span's words, and two, will do.
    """
    words = span.split()
    if not words or len(words) > _SPAN_LIMIT_WORDS or not re.search(r"\w", span):
        return None
    for size in range(len(words), max((len(words) + 1) // 2, min(len(words), 2)) - 1, -1):
        for start in range(len(words) - size + 1):
            run = r"\s+".join(map(re.escape, words[start : start + size]))
            if match := re.search(run, text, re.IGNORECASE):
                return match[0]
    return None


def _clean_sentence(sentence: str, label_names: Sequence[str]) -> str:
    """Return the first line without label words, at most MAX_RATIONALE_WORDS words."""
    line = sentence.strip().partition("\n")[0]
    names = "|".join(map(re.escape, longest_first(label_names)))
    words = re.sub(rf"(?<!\w)(?:{names})(?:ly|s)?(?!\w)", " ", line, flags=re.IGNORECASE).split()
    cleaned = " ".join(words[:MAX_RATIONALE_WORDS])
    return cleaned if re.search(r"\w", cleaned) else ""
