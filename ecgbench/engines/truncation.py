"""Cut long texts in the middle: either end may hold what decides, an appended marker too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TAIL_SHARE = 4
SLACK = 12
"""Tokens kept free: special ones, the gap's own, and a word that is split otherwise once it is cut."""
GAP = " ... "


def cut_middle(texts: Sequence[str], tokenizer: Any, *, max_tokens: int) -> list[str]:
    """Return the texts, those of more than `max_tokens` tokens as head and tail (a quarter) with a gap between.

    A text that fits is returned as it is. `tokenizer`: a fast tokenizer of transformers.
    """
    if not texts:
        return []
    spans = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    room = max(max_tokens - SLACK, 2)
    limit = max_tokens - tokenizer.num_special_tokens_to_add()
    return [
        text if len(offsets) <= limit else _cut(text, offsets, room)
        for text, offsets in zip(texts, spans["offset_mapping"], strict=True)
    ]


def _cut(text: str, offsets: Sequence[tuple[int, int]], room: int) -> str:
    tail = max(room // TAIL_SHARE, 1)
    return text[: offsets[room - tail - 1][1]] + GAP + text[offsets[-tail][0] :]
