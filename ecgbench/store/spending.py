"""What computing a value took beside its time, as the cache keeps it with the value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Spending:
    """What language models were asked for a value, and the memory it took; None where nobody counted.

    `llm_calls`: requests they answered, second attempts among them; `prompt_tokens`, `reply_tokens`: what they read
    and wrote. `peak_memory`: by how many MiB the memory of the computing process rose.
    """

    llm_calls: float | None = None
    prompt_tokens: float | None = None
    reply_tokens: float | None = None
    peak_memory: float | None = None

    def share(self, n: int) -> Spending:
        """Return what one of n values computed together took: of the counts its part, of the memory all."""
        return Spending(
            _divide(self.llm_calls, n), _divide(self.prompt_tokens, n), _divide(self.reply_tokens, n), self.peak_memory
        )


def sum_spendings(parts: Iterable[Spending]) -> Spending:
    """Return the sums of the counts and the greatest memory; of what one part does not know, None."""
    known = list(parts)
    return Spending(
        _sum(part.llm_calls for part in known),
        _sum(part.prompt_tokens for part in known),
        _sum(part.reply_tokens for part in known),
        max((part.peak_memory for part in known if part.peak_memory is not None), default=None),
    )


def _divide(count: float | None, n: int) -> float | None:
    return None if count is None else count / n


def _sum(counts: Iterable[float | None]) -> float | None:
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None
