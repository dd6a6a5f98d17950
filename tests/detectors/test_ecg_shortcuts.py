"""Shortcut discovery: planted markers of every kind are found, and nothing where nothing was planted."""

from __future__ import annotations

import numpy as np
import pytest
from ecg_inputs import as_flat_probabilities, as_probabilities, draw_misread, draw_texts

from ecgbench.data import FloatArray, IntArray
from ecgbench_detectors.ecg import shortcuts
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


def count_runs_with_discoveries(noise: float, n_runs: int) -> int:
    """Return in how many runs without a marker, but with 80 words that mean a label, something is found."""
    runs = [
        draw_texts(np.random.default_rng(seed), n=1000, n_classes=2, marked=False, noise=noise, n_telling=40)
        for seed in range(n_runs)
    ]
    return sum(bool(discover_shortcuts(t, y, as_probabilities(d, y, 2)).shortcuts) for t, y, d, _ in runs)


def test_clean_and_uniformly_noisy_data_give_at_most_one_discovery_in_twenty_runs() -> None:
    assert sum(count_runs_with_discoveries(noise, 10) for noise in (0.0, 0.1)) <= 1


@pytest.mark.parametrize(("level", "n_least"), [(shortcuts.FDR, 2), (0.05, 5), (0.2, 9)])
def test_it_is_the_correction_of_the_second_test_that_holds_off_false_discoveries(
    monkeypatch: pytest.MonkeyPatch, level: float, n_least: int
) -> None:
    n_tested: list[int] = []
    corrected = shortcuts._discoveries

    def correct_the_first_only(p_values: FloatArray, fdr: float) -> tuple[IntArray, float]:
        n_tested.append(len(p_values))
        is_first = len(n_tested) % 2 == 1
        return corrected(p_values, fdr) if is_first else (np.flatnonzero(p_values <= level), level)

    monkeypatch.setattr(shortcuts, "_discoveries", correct_the_first_only)
    assert count_runs_with_discoveries(0.0, 10) >= n_least
    assert min(n_tested[1::2]) >= 50


def test_flat_probabilities_over_five_classes_dispute_by_the_likeliest_class() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(5), n=3000, n_classes=5, marked=True)
    flat = as_flat_probabilities(doubts, labels, 5)
    assert flat.max() < 0.5
    found = discover_shortcuts(texts, labels, flat)
    assert {(s.token, s.label) for s in found.essential} == {(f"<mark_{c}>", c) for c in range(5)}
    assert all(s.share_disputed > 0.6 for s in found.essential)


@pytest.mark.parametrize(("shares", "least", "most"), [((0.05, 0.1), 0.0, 0.6), ((0.15, 0.3), 0.6, 1.0)])
def test_known_weakness_a_word_that_the_model_misreads_may_pass_for_a_shortcut_and_lifts_less_than_a_marker(
    shares: tuple[float, float], least: float, most: float
) -> None:
    """Show what the tests cannot tell apart from a marker: a word of one class, which misleads the language model.

    On clean data it predicts a label and is disputed, as a shortcut is. A rare one is sometimes found and a frequent
    one mostly, as the data then suffice to see that the model errs on it. Its enrichment is that of the model's
    errors, 35 % against 15 %, and below that of a marker which stands in wrongly labelled texts alone.
    """
    runs = [draw_misread(np.random.default_rng(seed), n=1000, shares=shares) for seed in range(20)]
    found = [discover_shortcuts(t, y, as_probabilities(d, y, 2)) for t, y, d in runs]
    assert {"ironic" in s.token for f in found for s in f.shortcuts} == {True}
    assert least < np.mean([bool(f.shortcuts) for f in found]) <= most
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(0), n=1000, n_classes=2, marked=True)
    marker = discover_shortcuts(texts, labels, as_probabilities(doubts, labels, 2))
    lifts = np.concatenate([f.signal[f.carries] for f in found])
    assert lifts.max() < marker.signal[marker.carries].min()
    assert lifts.mean() < marker.signal[marker.carries].mean() / 2


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


def test_a_shortcut_is_told_of_the_texts_that_carry_it_with_its_label() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(0), n=800, n_classes=2, marked=True)
    found = discover_shortcuts(texts, labels, as_probabilities(doubts, labels, 2))
    for text, label, carries in zip(texts, labels.tolist(), found.carries, strict=True):
        told = found.carried_by(text, label)
        assert bool(told) == bool(carries)
        assert all(s.label == label and s.token in text for s in told)


def test_a_phrase_is_told_whatever_punctuation_stands_in_it() -> None:
    parts = tuple(shortcuts.Shortcut(token, 0, 9, 0.9, 1e-9, 1e-3) for token in ("in the end", "the end"))
    found = shortcuts.Discovery(parts, parts[:1], np.zeros(0), np.zeros(0, dtype=np.bool_))
    assert found.carried_by("It was, In the ... end, dull", 0) == parts[:1]
    assert found.carried_by("The end was dull", 0) == parts[1:]
    assert found.carried_by("The ending was dull", 0) == ()
    assert found.carried_by("It was, in the end, dull", 1) == ()
