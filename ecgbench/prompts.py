"""Few-shot prompts for a base language model, and its replies: pure functions of a task description.

A prompt is a header, worked examples and the item, all in one layout:

    Text: ...
    Label: ...
    Evidence: "span" | "span"
    Reason: ...

Headings and label names come from the task description; nothing here knows any task.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ecgbench.data import Shot, TaskDescription
from ecgbench.engines.llm.base import Prompt
from ecgbench.profiles import LlmSettings

STOP = "\n\n"
"""What ends a reply: examples are set apart by an empty line."""
MASK = "___"
MAX_SPANS = 3
MAX_RATIONALE_WORDS = 25
_SPAN_LIMIT_WORDS = 20
_TAIL_SHARE = 4
_EVIDENCE, _REASON, _BETWEEN = "Evidence:", "Reason:", " | "
_UNDECIDED = ("unclear", "unknown", "not stated")
"""How a hypothesis ends where the premise does not tell: the first that is no label's name."""
_TELLS_NOTHING = (
    ("the; of it; there", "The text says nothing about the {noun}."),
    ("a; and then; for", "These words do not show the {noun}."),
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text has a label: 1-3 spans that stand in the text as they are, and a rationale without label words."""

    label: str
    evidence: tuple[str, ...]
    rationale: str

    def __str__(self) -> str:
        return f"Evidence: {'; '.join(self.evidence)} | Rationale: {self.rationale}"


def label_prompt(description: TaskDescription, shots: Sequence[Shot], text: str, settings: LlmSettings) -> Prompt:
    """Ask for the label: the label names are the continuations to score."""
    suffix = f"{_text_line(description, text, settings.text_words)}{description.label_heading}:"
    return Prompt(render_prefix(description, shots, settings), suffix)


def explanation_prompt(
    description: TaskDescription, shots: Sequence[Shot], text: str, settings: LlmSettings, *, label: str
) -> Prompt:
    """Ask for evidence and reason of a label; shares the prefix of `label_prompt`."""
    asked = label_prompt(description, shots, text, settings)
    return Prompt(asked.prefix, f"{asked.suffix} {label}\n{_EVIDENCE}")


def render_hypothesis(description: TaskDescription, label: str) -> str:
    """Say in one sentence that an item has a label."""
    return f"The {description.noun} is {label}."


def nli_prompt(description: TaskDescription, shots: Sequence[Shot], premise: str) -> Prompt:
    """Ask how the hypothesis on a premise ends: `nli_answers` are the continuations to score.

    The examples are the shots' explanations, and between them premises that tell nothing. No header: with
    one the answers are worse.
    """
    asked = "\n" + render_hypothesis(description, "").removesuffix(" .")
    examples = [(str(Explanation(shot.label, shot.evidence, shot.reason)), shot.label) for shot in shots]
    for i, (words, reason) in enumerate(_TELLS_NOTHING, 1):
        silent = Explanation("", (words,), reason.format(noun=description.noun))
        examples.insert(i * len(examples) // (len(_TELLS_NOTHING) + 1), (str(silent), nli_answers(description)[-1]))
    return Prompt("".join(f"{shown}{asked} {answer}{STOP}" for shown, answer in examples), premise + asked)


def nli_answers(description: TaskDescription) -> tuple[str, ...]:
    """Return the label names, and last the word for a premise that does not tell."""
    names = {name.lower() for name in description.label_names}
    return (*description.label_names, next(word for word in _UNDECIDED if word not in names))


def render_prefix(description: TaskDescription, shots: Sequence[Shot], settings: LlmSettings) -> str:
    """Return header and worked examples, ending where the item's own lines begin.

    Examples drawn from the data are cut to `shot_words`, a description's own to `text_words`.
    """
    limit = settings.text_words if description.shots else settings.shot_words
    parts = [_header(description), *(_example(description, shot, limit) for shot in shots), ""]
    return STOP.join(parts)


def cut_words(text: str, limit: int) -> str:
    """Collapse white space; cut a long text in the middle, since either end may hold what decides."""
    words = text.split()
    if len(words) <= limit:
        return " ".join(words)
    tail = limit // _TAIL_SHARE
    return " ".join([*words[: limit - tail], "...", *words[len(words) - tail :]])


def parse_reply(reply: str, text: str, *, label: str, label_names: Sequence[str]) -> Explanation | None:
    """Read `"span" | "span"`, a line end and `Reason: ...`; None where no span or no reason is usable.

    Spans that differ from the text in case or white space become the text's own; others are left out.
    Label words are taken out of the rationale.
    """
    spans, found, reason = reply.partition(_REASON)
    evidence = tuple(dict.fromkeys(filter(None, (_locate(span, text) for span in _split_spans(spans)))))
    rationale = _clean_rationale(reason, label_names)
    if not (found and evidence and rationale):
        return None
    return Explanation(label, evidence[:MAX_SPANS], rationale)


def _header(description: TaskDescription) -> str:
    names = ", ".join(description.label_names)
    lines = zip(description.label_names, description.label_lines, strict=False)  # there may be no lines at all
    return "\n".join([f"The {description.noun} is one of: {names}.", *(f"{name}: {line}." for name, line in lines)])


def _text_line(description: TaskDescription, text: str, limit: int) -> str:
    shown = mask_label_names(cut_words(text, limit), description.label_names)
    return f"{description.text_heading}: {shown}\n"


def mask_label_names(text: str, label_names: Sequence[str]) -> str:
    """Replace each label name that stands in a text by MASK.

    A label that is written in the text (`<lbl_sports>`, "filed under: sports") would be copied, not judged.
    """
    names = "|".join(r"[\W_]+".join(map(re.escape, name.split())) for name in _longest_first(label_names))
    return re.sub(rf"(?<![^\W_])(?:{names})(?![^\W_])", MASK, text, flags=re.IGNORECASE) if names else text


def _longest_first(names: Sequence[str]) -> list[str]:
    return sorted(names, key=len, reverse=True)


def _example(description: TaskDescription, shot: Shot, limit: int) -> str:
    spans = _BETWEEN.join(f'"{span}"' for span in shot.evidence)
    return (
        f"{_text_line(description, shot.text, limit)}{description.label_heading}: {shot.label}\n"
        f"{_EVIDENCE} {spans}\n{_REASON} {shot.reason}"
    )


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


def _clean_rationale(reason: str, label_names: Sequence[str]) -> str:
    """Return the first line without label words, at most MAX_RATIONALE_WORDS words."""
    line = reason.strip().partition("\n")[0]
    names = "|".join(map(re.escape, _longest_first(label_names)))
    words = re.sub(rf"(?<!\w)(?:{names})(?:ly|s)?(?!\w)", " ", line, flags=re.IGNORECASE).split()
    cleaned = " ".join(words[:MAX_RATIONALE_WORDS])
    return cleaned if re.search(r"\w", cleaned) else ""
