"""What a language model must do for the harness, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ecgbench.data import FloatArray


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in two parts: what many prompts share (computed once), and what is this item's own.

    `chat`: both together are one user message, which the model's chat template frames; else they are
    text that the model continues.
    """

    prefix: str
    suffix: str
    chat: bool = False

    def __str__(self) -> str:
        return self.prefix + self.suffix

    def without_text(self) -> Prompt:
        """Return what many prompts share: an engine that refuses this refuses them all."""
        return replace(self, suffix="")


@dataclass
class TokenUsage:
    """How many tokens a loaded model has read and written so far; a shared prefix counts with each of its prompts.

    `calls`: how many requests these tokens are of, second attempts among them.
    """

    prompt: int = 0
    reply: int = 0
    calls: int = 0

    def plus(self, other: TokenUsage, times: int = 1) -> TokenUsage:
        """Return these tokens and the others, so many times."""
        return TokenUsage(
            self.prompt + times * other.prompt, self.reply + times * other.reply, self.calls + times * other.calls
        )


class LanguageModel(Protocol):
    """Score and continue prompts; one call is one batch.

    A prompt that cannot be answered (too long, filtered) is refused alone, and the others are answered. What keeps
    all from an answer (a wrong key, an option unknown) is an error.
    """

    usage: TokenUsage

    def label_logits(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> FloatArray:
        """Return the log-probability of each label as the prompt's continuation: float64, shape (b, C).

        The row of a refused prompt is NaN.
        """
        ...

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        stop: str | None = None,
        schemas: Sequence[str] | None = None,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> Sequence[str | None]:
        """Continue each prompt up to `stop` (left out), the model's own end or `max_new_tokens`; None: refused.

        `schemas`: a JSON schema a row; the reply is decoded under it, its properties in the schema's order, so it is
        valid JSON unless it is cut at `max_new_tokens`. `temperature` 0 takes the likeliest token; above 0 each row
        draws from a generator of its own seed. A prompt that is given several times is read once and continued as
        often.
        """
        ...
