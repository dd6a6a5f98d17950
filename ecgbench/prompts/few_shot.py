"""Prompts for a base language model: a header, worked examples and the item, all in one layout:

    Text: ...
    Label: ...
    Evidence: "span" | "span"
    Reason: ...

Headings and label names come from the task description; nothing here knows any task.
"""

from __future__ import annotations

from collections.abc import Sequence

from ecgbench.data import Shot, TaskDescription
from ecgbench.engines.llm.base import Prompt
from ecgbench.profiles import LlmSettings
from ecgbench.prompts.replies import BETWEEN, REASON, Explanation
from ecgbench.prompts.texts import label_lines, nli_answers, render_hypothesis, show_text

STOP = "\n\n"
"""What ends a reply: examples are set apart by an empty line."""
_EVIDENCE = "Evidence:"
_TELLS_NOTHING = (
    ("the; of it; there", "The text says nothing about the {noun}."),
    ("a; and then; for", "These words do not show the {noun}."),
)


def label_prompt(description: TaskDescription, shots: Sequence[Shot], text: str, settings: LlmSettings) -> Prompt:
    """Ask for the label: the label names are the continuations to score."""
    suffix = f"{_text_line(description, text, settings.text_words)}{description.label_heading}:"
    return Prompt(_render_prefix(description, shots, settings), suffix)


def explanation_prompt(
    description: TaskDescription, shots: Sequence[Shot], text: str, settings: LlmSettings, *, label: str
) -> Prompt:
    """Ask for evidence and reason of a label; shares the prefix of `label_prompt`."""
    asked = label_prompt(description, shots, text, settings)
    return Prompt(asked.prefix, f"{asked.suffix} {label}\n{_EVIDENCE}")


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


def _render_prefix(description: TaskDescription, shots: Sequence[Shot], settings: LlmSettings) -> str:
    """Return header and worked examples, ending where the item's own lines begin.

    Examples drawn from the data are cut to `shot_words`, a description's own to `text_words`.
    """
    limit = settings.text_words if description.shots else settings.shot_words
    parts = [_header(description), *(_example(description, shot, limit) for shot in shots), ""]
    return STOP.join(parts)


def _header(description: TaskDescription) -> str:
    names = ", ".join(description.label_names)
    return "\n".join([f"The {description.noun} is one of: {names}.", *label_lines(description)])


def _text_line(description: TaskDescription, text: str, limit: int) -> str:
    return f"{description.text_heading}: {show_text(description, text, limit)}\n"


def _example(description: TaskDescription, shot: Shot, limit: int) -> str:
    spans = BETWEEN.join(f'"{span}"' for span in shot.evidence)
    return (
        f"{_text_line(description, shot.text, limit)}{description.label_heading}: {shot.label}\n"
        f"{_EVIDENCE} {spans}\n{REASON} {shot.reason}"
    )
