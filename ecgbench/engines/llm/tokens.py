"""Prompts and labels as token ids, the same for every engine that feeds a model itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ecgbench.engines.llm.base import Prompt
from ecgbench.errors import UsageError

_MESSAGE, _REPLY = "\ue0f0", "\ue0f1"
"""Stand for message and reply while a chat template is rendered: private characters that no template trims."""
_ANCHOR = "\ue0f2"
"""Stands before text that continues other text: no token joins it with what follows."""


@dataclass(frozen=True, slots=True)
class EncodedPrompts:
    """A batch of prompts as token ids: what all begin with, and what each goes on with."""

    head: list[int]
    rows: list[list[int]]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a chat template puts before a user's message, behind it, between that and the reply, and behind that."""

    before: str
    behind: str
    lead: str
    end: str


def _find_cut(prefix: str) -> int:
    """Return where a prompt's prefix may be cut: before the last space between two letters, 0 where there is none.

    Elsewhere tokens reach across: some tokenizers join an empty line with the point before it, others with the
    word behind it.
    """
    return max((between.start() for between in re.finditer(r"(?<=[^\W\d_]) (?=[^\W\d_])", prefix)), default=0)


@dataclass
class PromptTokens:
    """Turn prompts and labels into the token ids of one model's tokenizer; `model` names it in errors."""

    tokenizer: Any
    model: str

    def encode(self, prompts: Sequence[Prompt]) -> EncodedPrompts:
        """Encode prompts that share prefix and form; raises UsageError where a chat model has no chat template.

        Head and row together are the tokens of the whole prompt, so the head ends where every tokenizer parts words.

        What a text says is text, also where it spells a special token: those come from tokenizer and template alone.
        """
        ((prefix, chat),) = {(prompt.prefix, prompt.chat) for prompt in prompts}
        tail = self._encode_frame(self._frame.behind) if chat else []
        cut = _find_cut(prefix)
        head = self._encode_chat_head(prefix[:cut]) if chat else self._encode_start(prefix[:cut])
        return EncodedPrompts(head, [self._encode(prefix[cut:] + prompt.suffix) + tail for prompt in prompts])

    def encode_labels(self, labels: Sequence[str], *, chat: bool) -> list[list[int]]:
        """Return the ids that are scored of each label: one each where the first tokens differ, for they decide.

        Else all of the label and what ends it, a line or the model's turn, so that no label is the start of another.
        """
        lead = self._frame.lead if chat else " "
        names = [self._encode(f"{lead}{label}") for label in labels]
        if len({ids[0] for ids in names}) == len(names):
            return [ids[:1] for ids in names]
        if chat:
            return [[*ids, *self.ends(chat=True)[:1]] for ids in names]
        return [self._encode(f"{lead}{label}\n") for label in labels]

    def ends(self, *, chat: bool) -> list[int]:
        """Return the tokens that end a reply: of a chat first the template's end of turn, then the tokenizer's end."""
        turn = self._encode_frame(self._frame.end)[:1] if chat else []
        end = self.tokenizer.eos_token_id
        return list(dict.fromkeys([*turn, *([] if end is None else [end])]))

    def _encode_start(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, split_special_tokens=True).input_ids
        return ids

    def _encode_chat_head(self, prefix: str) -> list[int]:
        before = self._frame.before
        frame = before.rstrip(" ")  # tokens begin with a space, none ends with one: it belongs to the message
        return self._encode_frame(frame) + self._encode(before[len(frame) :] + prefix)

    def _encode_frame(self, text: str) -> list[int]:
        """Encode a part of the template, whose special tokens count."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _encode(self, text: str) -> list[int]:
        """Encode text that continues other text; some tokenizers would put a space before it."""
        anchor = self._anchor
        ids: list[int] = self.tokenizer(
            (_ANCHOR if anchor else "") + text, add_special_tokens=False, split_special_tokens=True
        ).input_ids
        return ids[anchor:]

    @cached_property
    def _anchor(self) -> int:
        """Return how many tokens an anchor takes that keeps a space from being put first; 0: none is needed."""
        first, *_ = self.tokenizer.convert_ids_to_tokens(self._encode_frame("a"))
        return len(self._encode_frame(_ANCHOR)) if first.startswith("▁") else 0

    @cached_property
    def _frame(self) -> _Frame:
        if not self.tokenizer.chat_template:
            raise UsageError(
                f"model {self.model!r} has no chat template; give an instruct model, "
                "or --set profile.llm.style=few_shot"
            )
        asked = [{"role": "user", "content": _MESSAGE}]
        question = self._render(asked, add_generation_prompt=True)
        before, _, behind = question.partition(_MESSAGE)
        whole = self._render([*asked, {"role": "assistant", "content": _REPLY}], add_generation_prompt=False)
        answered, _, end = whole.partition(_REPLY)
        # Mistral's puts a space there; what is no white space is not of the reply, such as thoughts left out.
        lead = answered.removeprefix(question)
        return _Frame(before, behind, lead if lead.isspace() else "", end)

    def _render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        # Templates read what they know of: Qwen3 would think aloud first, Llama would put in today's date.
        text: str = self.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=False,
            date_string="26 Jul 2024",
        )
        return text
