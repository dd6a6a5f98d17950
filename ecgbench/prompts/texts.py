"""How texts and labels are shown in a prompt of any form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ecgbench.data import TaskDescription

MASK = "___"
_TAIL_SHARE = 4
_CHARACTERS_A_WORD = 16
"""Far more than words have on average: it cuts scripts without spaces, and lines without them, alone."""
_UNDECIDED = ("unclear", "unknown", "not stated")
"""How a hypothesis ends where the premise does not tell: the first that is no label's name."""


def show_text(description: TaskDescription, text: str, limit: int) -> str:
    """Return a text as prompts show it: one line, cut to `limit` words, label names masked."""
    return mask_label_names(cut_words(text, limit), description.label_names)


def cut_words(text: str, limit: int) -> str:
    """Collapse white space; cut a long text in the middle, since either end may hold what decides.

    It keeps at most `limit` words, and _CHARACTERS_A_WORD times as many characters.
    """
    words = text.split()
    if len(words) > limit:
        tail = limit // _TAIL_SHARE
        words = [*words[: limit - tail], "...", *words[len(words) - tail :]]
    shown, most = " ".join(words), limit * _CHARACTERS_A_WORD
    if len(shown) <= most:
        return shown
    tail = most // _TAIL_SHARE
    return f"{shown[: most - tail]} ... {shown[len(shown) - tail :]}"


def mask_label_names(text: str, label_names: Sequence[str]) -> str:
    """Replace each label name that stands in a text by MASK.

    A label that is written in the text (`<lbl_sports>`, "filed under: sports") would be copied, not judged.
    """
    names = "|".join(r"[\W_]+".join(map(re.escape, name.split())) for name in longest_first(label_names))
    return re.sub(rf"(?<![^\W_])(?:{names})(?![^\W_])", MASK, text, flags=re.IGNORECASE) if names else text


def longest_first(names: Sequence[str]) -> list[str]:
    """Return the names so that none is tried before a longer one it begins."""
    return sorted(names, key=len, reverse=True)


def render_hypothesis(description: TaskDescription, label: str) -> str:
    """Say in one sentence that an item has a label."""
    return f"The {description.noun} is {label}."


def nli_answers(description: TaskDescription) -> tuple[str, ...]:
    """Return the label names, and last the word for a premise that does not tell."""
    names = {name.lower() for name in description.label_names}
    return (*description.label_names, next(word for word in _UNDECIDED if word not in names))


def label_lines(description: TaskDescription) -> list[str]:
    """Return one line a label that says what it means; a description may have none."""
    return [f"{name}: {line}." for name, line in zip(description.label_names, description.label_lines, strict=False)]
