"""What a language model is asked, and what its replies say: pure functions of a task description.

Two forms, by `LlmSettings.style`: worked examples that a base model continues, and questions that an
instruct model answers without examples, explanations in JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

from ecgbench.data import Shot, TaskDescription
from ecgbench.engines.llm.base import Prompt
from ecgbench.errors import UsageError
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import chat, few_shot
from ecgbench.prompts.few_shot import STOP
from ecgbench.prompts.replies import Explanation, parse_json_reply, parse_reply, parse_stated
from ecgbench.prompts.schemas import explanation_schema, stated_schema
from ecgbench.prompts.texts import cut_words, mask_label_names, nli_answers, render_hypothesis

__all__ = [
    "STOP",
    "Explanation",
    "Prompt",
    "cut_words",
    "explanation_prompt",
    "explanation_schema",
    "label_prompt",
    "mask_label_names",
    "nli_answers",
    "nli_prompt",
    "parse_json_reply",
    "parse_reply",
    "parse_stated",
    "render_hypothesis",
    "stated_schema",
]


def label_prompt(description: TaskDescription, shots: Sequence[Shot], text: str, settings: LlmSettings) -> Prompt:
    """Ask for the label: the label names are the continuations to score, or one is stated in JSON."""
    if _is_chat(settings):
        return chat.label_prompt(description, text, settings)
    return few_shot.label_prompt(description, shots, text, settings)


def explanation_prompt(
    description: TaskDescription, shots: Sequence[Shot], text: str, settings: LlmSettings, *, label: str
) -> Prompt:
    """Ask for evidence and reason of a label; a chat prompt does not hold it, for `explanation_schema` does."""
    if _is_chat(settings):
        return chat.explanation_prompt(description, text, settings)
    return few_shot.explanation_prompt(description, shots, text, settings, label=label)


def nli_prompt(description: TaskDescription, shots: Sequence[Shot], premise: str, settings: LlmSettings) -> Prompt:
    """Ask how the hypothesis on a premise ends: `nli_answers` are the continuations to score."""
    if _is_chat(settings):
        return chat.nli_prompt(description, premise, settings)
    return few_shot.nli_prompt(description, shots, premise)


def _is_chat(settings: LlmSettings) -> bool:
    if settings.style != "chat" and settings.label_answers == "stated":
        raise UsageError(
            "profile.llm.label_answers=stated asks an instruct model: add --set profile.llm.style=chat, "
            "or --set profile.llm.label_answers=logprobs"
        )
    return settings.style == "chat"
