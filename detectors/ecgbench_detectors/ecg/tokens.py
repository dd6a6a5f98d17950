"""Words, tags and punctuation of texts, counted without a loop over texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ecgbench.data import IntArray

TOKEN = r"<[^<>\s]+>|\[[^\[\]\s]+\]|\w+(?:['\u2019-]\w+)*|[^\w\s]"
"""A tag such as `<lbl_pos>` or `[RATING=5]` is one token."""
_END = "\0"
"""A token of its own, which ends a text."""


def split_tokens(texts: Sequence[str]) -> tuple[IntArray, IntArray, list[str]]:
    """Return the text and the name of each token in order, both as places, and the names, lower case and sorted."""
    joined = f"\n{_END}\n".join([*(text.replace(_END, " ") for text in texts), ""])
    found = re.findall(TOKEN, joined.lower())  # one search is faster than n
    names = sorted(set(found) - {_END})
    place = {_END: -1} | {name: position for position, name in enumerate(names)}
    places = np.fromiter(map(place.__getitem__, found), dtype=np.int64, count=len(found))
    is_end = places < 0
    return np.cumsum(is_end, dtype=np.int64)[~is_end], places[~is_end], names


def count_tokens(texts: Sequence[str]) -> tuple[Any, list[str]]:
    """Return how often each text holds each token: csr, shape (n, tokens), and the tokens."""
    items, places, names = split_tokens(texts)
    return count_pairs(items, places, shape=(len(texts), len(names))), names


def find_phrases(texts: Sequence[str], *, least: int) -> tuple[Any, list[str]]:
    """Return which text holds which token or pair of tokens: bool csc, shape (n, phrases), and the phrases.

    Only those that at least `least` texts hold.
    """
    items, places, names = split_tokens(texts)
    words, kept, columns = _frequent(items, places, least=least)
    follows = (items[:-1] == items[1:]) & np.isin(places[:-1], words) & np.isin(places[1:], words)
    codes = places[:-1][follows] * len(names) + places[1:][follows]
    pairs, kept_pairs, pair_columns = _frequent(items[:-1][follows], codes, least=least)
    phrases = [names[word] for word in words]
    phrases += [f"{names[pair // len(names)]} {names[pair % len(names)]}" for pair in pairs]
    rows = np.concatenate([kept, kept_pairs])
    held = count_pairs(rows, np.concatenate([columns, pair_columns + len(words)]), shape=(len(texts), len(phrases)))
    return held.astype(np.bool_).tocsc(), phrases


def count_pairs(rows: IntArray, columns: IntArray, *, shape: tuple[int, int]) -> Any:
    """Return how often each pair of row and column occurs: csr."""
    from scipy.sparse import csr_matrix

    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def _frequent(items: IntArray, codes: IntArray, *, least: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return the codes that `least` items hold, and item and place among those codes of each holding, once each."""
    found, places = np.unique(codes, return_inverse=True)
    held = np.sort(items * max(len(found), 1) + places)  # np.unique hashes, which is ten times slower here
    held = held[np.diff(held, prepend=-1) > 0]
    rows, columns = np.divmod(held, max(len(found), 1))
    kept = np.bincount(columns, minlength=len(found)) >= least
    new_place = np.cumsum(kept) - 1
    return found[kept], rows[kept[columns]], new_place[columns[kept[columns]]]
