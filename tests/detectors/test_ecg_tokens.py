"""Tokens: markers are one, texts stay apart, and phrases are counted as a plain loop counts them."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench_detectors.ecg.tokens import TOKEN, count_tokens, find_phrases


def test_a_marker_is_one_token_and_texts_stay_apart() -> None:
    counts, names = count_tokens(["Good <lbl_pos>\ndon't \0 [RATING=5]", "", "x x"])
    assert names == ["<lbl_pos>", "[rating=5]", "don't", "good", "x"]
    np.testing.assert_array_equal(counts.toarray(), [[1, 1, 1, 1, 0], [0] * 5, [0, 0, 0, 0, 2]])


@given(
    texts=st.lists(st.lists(st.sampled_from(["A", "b", "<c>", ".", "d\u00e9"]), max_size=6).map(" ".join), max_size=12),
    least=st.integers(1, 3),
)
def test_phrases_are_those_of_a_loop(texts: list[str], least: int) -> None:
    held: Counter[str] = Counter()
    own: list[set[str]] = []
    for text in texts:
        words = re.findall(TOKEN, text.lower())
        own.append({*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))})
        held.update(own[-1])
    found, phrases = find_phrases(texts, least=least)
    assert sorted(phrases) == sorted(phrase for phrase, n in held.items() if n >= least)
    expected = [[phrase in mine for phrase in phrases] for mine in own]
    np.testing.assert_array_equal(found.toarray(), np.array(expected, dtype=bool).reshape(len(texts), len(phrases)))


@pytest.mark.parametrize("texts", [[], ["", ""], ["once", "twice"]])
def test_texts_without_a_frequent_token_have_no_phrases(texts: list[str]) -> None:
    found, phrases = find_phrases(texts, least=2)
    assert (found.shape, phrases) == ((len(texts), 0), [])
