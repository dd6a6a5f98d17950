"""What a language model must do for the harness, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ecgbench.data import FloatArray


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in two parts: what many prompts share (computed once), and what is this item's own."""

    prefix: str
    suffix: str

    def __str__(self) -> str:
        return self.prefix + self.suffix


class LanguageModel(Protocol):
    """Score and continue prompts; one call is one batch."""

    def label_logits(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> FloatArray:
        """Return the log-probability of each label as the prompt's continuation: float64, shape (b, C)."""
        ...

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        stop: str,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> list[str]:
        """Continue each prompt up to `stop` (left out) or `max_new_tokens`.

        `temperature` 0 takes the likeliest token; above 0 each row draws from a generator of its own
        seed, so a row's reply does not depend on its batch.
        """
        ...
