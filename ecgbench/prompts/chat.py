"""Questions to an instruct model, each one user message: the instruction first, the item's text last.

No worked examples: answers then follow from the text alone, whatever labels are given. What the model's chat
template puts around the message is the engine's business.
"""

from __future__ import annotations

from ecgbench.data import TaskDescription
from ecgbench.engines.llm.base import Prompt
from ecgbench.profiles import LlmSettings
from ecgbench.prompts.replies import MAX_RATIONALE_WORDS, MAX_SPANS
from ecgbench.prompts.texts import label_lines, nli_answers, render_hypothesis, show_text

_STATED = 'Reply in JSON with the fields "label" and "confidence" (how sure you are of it, from 0 to 100).'


def label_prompt(description: TaskDescription, text: str, settings: LlmSettings) -> Prompt:
    """Ask which label a text has."""
    names = ", ".join(description.label_names)
    question = f"Decide the {description.noun} below. It is one of: {names}."
    reply = _STATED if settings.label_answers == "stated" else "Reply with that label only."
    return _ask(description, f"{question} {reply}", text, settings)


def explanation_prompt(description: TaskDescription, text: str, settings: LlmSettings) -> Prompt:
    """Ask in JSON for a label, what in the text shows it and why."""
    fields = [
        f'"label": one of {", ".join(description.label_names)}',
        f'"evidence": 1 to {MAX_SPANS} short quotes, copied from the text word for word, that show the label',
        f'"rationale": why they show it, in at most {MAX_RATIONALE_WORDS} words that name no label',
        *(
            ['"counterfactual": what the text would have to say to get another label']
            if settings.counterfactual
            else []
        ),
        '"confidence": how sure the label is, from 0 to 100',
    ]
    question = "\n".join([f"Explain the {description.noun} below. Reply in JSON with these fields:", *fields])
    return _ask(description, question, text, settings)


def nli_prompt(description: TaskDescription, premise: str, settings: LlmSettings) -> Prompt:
    """Ask how the hypothesis on a premise ends: `nli_answers` are the answers."""
    *names, undecided = nli_answers(description)
    reply = _STATED if settings.label_answers == "stated" else "Reply with what fills the gap only."
    question = (
        f'Read the explanation below and fill the gap: "{render_hypothesis(description, "___")}" '
        f"It is one of: {', '.join(names)}; or {undecided} where the explanation does not tell. {reply}"
    )
    return Prompt(f"{question}\n\nExplanation:", f" {premise}", chat=True)


def _ask(description: TaskDescription, question: str, text: str, settings: LlmSettings) -> Prompt:
    """Put label lines behind a question; the text goes on behind its heading, where words and so tokens part."""
    prefix = "\n".join([question, *label_lines(description), "", f"{description.text_heading}:"])
    return Prompt(prefix, f" {show_text(description, text, settings.text_words)}", chat=True)
