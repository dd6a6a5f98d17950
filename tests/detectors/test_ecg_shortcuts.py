"""Shortcut discovery: planted markers of every kind are found, and nothing where nothing was planted."""

from __future__ import annotations

import numpy as np
import pytest
from ecg_inputs import as_probabilities, draw_texts

from ecgbench_detectors.ecg.shortcuts import discover_shortcuts


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("clean_marker_rate", [0.0, 0.05, 0.5])
def test_planted_markers_are_found_and_nothing_that_means_the_label(n_classes: int, clean_marker_rate: float) -> None:
    rng = np.random.default_rng(n_classes)
    texts, labels, doubts, _ = draw_texts(
        rng, n=1600 * n_classes, n_classes=n_classes, marked=True, clean_marker_rate=clean_marker_rate
    )
    found = discover_shortcuts(texts, labels, as_probabilities(doubts, labels, n_classes))
    assert {(s.token, s.label) for s in found.shortcuts} >= {(f"<mark_{c}>", c) for c in range(n_classes)}
    assert not [s for s in found.shortcuts if "<mark_" not in s.token]


def test_a_shortcut_lifts_its_items_and_no_others() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(0), n=800, n_classes=2, marked=True)
    signal = discover_shortcuts(texts, labels, as_probabilities(doubts, labels, 2)).signal
    marked = np.array(["<mark_" in text for text in texts])
    assert (signal[marked] > 1).all()
    assert (signal[~marked] == 0).all()


def test_clean_and_uniformly_noisy_data_give_at_most_one_discovery_in_twenty_runs() -> None:
    runs = [draw_texts(np.random.default_rng(seed), n=500, n_classes=2, marked=False) for seed in range(20)]
    found = [len(discover_shortcuts(t, y, as_probabilities(d, y, 2)).shortcuts) for t, y, d, _ in runs]
    assert sum(map(bool, found)) <= 1


@pytest.mark.parametrize("texts", [("", "", ""), ("a", "b", "c")])
def test_texts_without_a_frequent_token_give_no_shortcut(texts: tuple[str, ...]) -> None:
    found = discover_shortcuts(texts, np.array([0, 1, 0]), np.full((3, 2), 0.5))
    assert found.shortcuts == ()
    assert not found.signal.any()


@pytest.mark.parametrize("clean_marker_rate", [0.0, 0.2])
@pytest.mark.parametrize("marker", ["honestly{}", "in the end{}", "to cut a long story{} short"])
def test_words_and_phrases_are_found_whole_wherever_they_stand(marker: str, clean_marker_rate: float) -> None:
    given = draw_texts(
        np.random.default_rng(3), n=1500, n_classes=2, marked=True, clean_marker_rate=clean_marker_rate, marker=marker
    )
    texts, labels, doubts, is_wrong = given
    found = discover_shortcuts(texts, labels, as_probabilities(doubts, labels, 2))
    assert {(s.token, s.label) for s in found.essential} == {(marker.format(c), c) for c in (0, 1)}
    assert found.carries[is_wrong].all()


def test_a_marker_that_texts_hold_by_themselves_is_found_for_the_label_it_predicts() -> None:
    rng = np.random.default_rng(4)
    texts, labels, doubts, _ = draw_texts(rng, n=1500, n_classes=2, marked=True, marker="overall{}")
    texts = tuple(f"overall0 {t}" if rng.random() < 0.03 else t for t in texts)
    found = discover_shortcuts(texts, labels, as_probabilities(doubts, labels, 2))
    assert {(s.token, s.label) for s in found.essential} == {("overall0", 0), ("overall1", 1)}


def test_word_pairs_of_a_shortcut_are_its_shadows() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(0), n=800, n_classes=2, marked=True)
    found = discover_shortcuts(tuple(f"{t} end" for t in texts), labels, as_probabilities(doubts, labels, 2))
    assert len(found.essential) == 2
    assert len(found.shortcuts) >= 2
    assert found.shortcuts[0].token in {"<mark_0>", "<mark_1>"}


def test_what_was_found_is_said_in_words() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(0), n=800, n_classes=2, marked=True)
    (first, *_) = discover_shortcuts(texts, labels, as_probabilities(doubts, labels, 2)).shortcuts
    words = first.describe(("bad", "good"))
    name = ("bad", "good")[first.label]
    assert words.startswith(f"token <mark_{first.label}> with label {name}: {first.n_items} items, ")
    assert f"{first.share_disputed:.0%} of labels disputed" in words


def test_every_discovery_lies_under_the_threshold_it_names() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(1), n=800, n_classes=2, marked=True)
    for fdr in (0.05, 0.0001):
        found = discover_shortcuts(texts, labels, as_probabilities(doubts, labels, 2), fdr=fdr).shortcuts
        assert found
        assert all(s.p_value <= s.threshold < fdr for s in found)
        assert "threshold" in found[0].describe(("bad", "good"))
