"""Few-shot examples drawn from the data itself: typical items of each class under the given labels."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import IntArray, Shot, TaskDescription
from ecgbench.prompts import cut_words

NEIGHBORS = 15
CANDIDATES = 40
AGREEMENT = 0.8
EVIDENCE_WORDS = 3
PRIOR = 2.0
"""Documents added to each side of the odds, so that a word seen once does not win."""
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class ShotSets:
    """Two disjoint sets of examples, so that no item has to appear in its own prompt."""

    primary: tuple[Shot, ...]
    reserve: tuple[Shot, ...] = ()

    def for_text(self, text: str) -> tuple[Shot, ...]:
        """Return the examples to show before `text`: never the text itself."""
        own = _same(text)
        if all(_same(shot.text) != own for shot in self.primary):
            return self.primary
        return self.reserve or tuple(shot for shot in self.primary if _same(shot.text) != own)


def draw_shots(
    texts: Sequence[str],
    labels: IntArray,
    embeddings: NDArray[np.float32],
    description: TaskDescription,
    *,
    per_class: int,
    shot_words: int,
) -> ShotSets:
    """Draw `per_class` examples a class and set from items with given labels (n,), embeddings (n, d) of length 1.

    Deterministic. An item counts as typical when it is near its class's centroid and most of its nearest
    neighbours share its label, so that a wrong label seldom becomes an example.
    """
    usable = _unambiguous(texts, labels)
    odds = _log_odds([texts[i] for i in usable], labels[usable], description)
    ranked = [
        [texts[i] for i in _typical(usable, labels, embeddings, c)[: 2 * per_class]]
        for c in range(description.n_classes)
    ]
    sets = []
    for half in (0, 1):
        by_class = [
            [_as_shot(text, name, odds[c], shot_words) for text in ranked[c][half::2]]
            for c, name in enumerate(description.label_names)
        ]
        sets.append(tuple(shot for shot in chain.from_iterable(zip_longest(*by_class)) if shot is not None))
    return ShotSets(*sets)


def _same(text: str) -> str:
    return " ".join(text.split())


def _unambiguous(texts: Sequence[str], labels: IntArray) -> IntArray:
    """Return the first position of each distinct non-empty text that carries one label only."""
    first: dict[str, int] = {}
    given: dict[str, set[int]] = {}
    for i, text in enumerate(map(_same, texts)):
        first.setdefault(text, i)
        given.setdefault(text, set()).add(int(labels[i]))
    return np.array([i for text, i in first.items() if text and len(given[text]) == 1], dtype=np.int64)


def _typical(usable: IntArray, labels: IntArray, embeddings: NDArray[np.float32], label: int) -> list[int]:
    """Return positions of one class, most typical first: agreeing neighbourhoods, then nearness to the centroid."""
    members = usable[labels[usable] == label]
    if not len(members):
        return []
    nearness = embeddings[members] @ embeddings[members].mean(axis=0)
    candidates = members[np.argsort(-nearness, kind="stable")[:CANDIDATES]]
    similarity = embeddings[candidates] @ embeddings[usable].T
    similarity[candidates[:, None] == usable[None, :]] = -np.inf
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : min(NEIGHBORS, len(usable) - 1)]
    agreement = (labels[usable[nearest]] == label).mean(axis=1) if nearest.size else np.ones(len(candidates))
    return [int(i) for i in candidates[np.argsort(agreement < AGREEMENT, kind="stable")]]


def _log_odds(texts: Sequence[str], labels: IntArray, description: TaskDescription) -> list[dict[str, float]]:
    """Return, for each class, how much a word speaks for it: smoothed log-odds of documents that hold it."""
    names = {word for name in description.label_names for word in _words(name)}
    inside = [Counter[str]() for _ in description.label_names]
    for text, label in zip(texts, labels.tolist(), strict=True):
        inside[label].update(_words(text) - names)
    everywhere: Counter[str] = sum(inside, Counter())
    sizes = np.bincount(labels, minlength=len(inside)).tolist()
    return [
        {
            word: math.log((n + PRIOR) / (size + 2 * PRIOR))
            - math.log((everywhere[word] - n + PRIOR) / (len(texts) - size + 2 * PRIOR))
            for word, n in counts.items()
        }
        for counts, size in zip(inside, sizes, strict=True)
    ]


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _as_shot(text: str, name: str, odds: dict[str, float], shot_words: int) -> Shot:
    """Make an example whose evidence is the words most typical of its class, of those that a prompt will show."""
    shown = cut_words(text, shot_words)
    found: dict[str, Any] = {}
    for match in _WORD.finditer(shown):
        found.setdefault(match[0].lower(), match)
    best = sorted(found, key=lambda word: (-odds.get(word, -math.inf), word))[:EVIDENCE_WORDS]
    spans = tuple(found[word][0] for word in sorted(best, key=lambda word: found[word].start())) or (shown,)
    return Shot(text, name, spans, f"It speaks of {_listed(spans)}.")


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
