"""What is wrong in one point, and the check that says so."""

from __future__ import annotations

from typing import Any

from kit_faults import Flipping, Loading, Measuring
from kit_subjects import (
    Bare,
    Complete,
    Crowded,
    Doubling,
    Drifting,
    Fickle,
    Moded,
    Needy,
    Peeking,
    Placed,
    Placeful,
    Relabelling,
    Seeding,
    Talking,
    Thawed,
    TwoSided,
    Undecided,
    Unique,
    Untyped,
    Upside,
    Wordy,
    Writing,
    make_local,
)

from ecgbench.testing.base import Ending, find_subject
from ecgbench.testing.suites import iter_results


def failures(instance: Any) -> dict[str, str]:
    """Return the reason of each check that fails, by its name."""
    return {r.check.name: r.reason for r in iter_results(find_subject(instance)) if r.ending is Ending.FAILED}


BROKEN: list[tuple[Any, str, str]] = [
    (Thawed(), "parameters_round_trip", "Thawed is no frozen dataclass"),
    (Bare(3), "parameters_round_trip", "k has no default"),
    (Doubling(), "parameters_round_trip", "Doubling(k=2) became"),
    (Moded(), "parameters_round_trip", "it raised TypeError: a cache key cannot hold Mode"),
    (Placeful(), "parameters_round_trip", "it raised TypeError: Object of type"),
    (Untyped(), "parameters_round_trip", "Untyped(k=(1, 2)) became"),
    (make_local(), "picklable", "Can't pickle local object"),
    (Fickle(), "needs_stable", "needs() gave"),
    (Needy(), "needs_stable", "it raised TypeError: a cache key cannot hold frozenset"),
    (Peeking(), "undeclared_artifact_refused", "was read but not declared (declared: OutOfFoldProbs)"),
    (Talking(), "undeclared_artifact_refused", "was read but not declared (declared: OutOfFoldProbs)"),
    (Undecided(), "scores_valid", "1 of 40 scores are not finite"),
    (Upside(), "higher_is_more_suspicious", "the mean AUROC of 3 tasks is 0.0"),
    (Writing(), "inputs_untouched", "the value of OutOfFoldProbs was changed"),
    (Relabelling(), "inputs_untouched", "the task was changed"),
    (Drifting(), "deterministic", "the scores differ between two calls"),
    (Seeding(), "global_random_state_untouched", "the global state of numpy moved"),
    (Placed(), "permutation_equivariant", "scores differ in another order"),
    (Unique(), "duplicates", "the scores have shape (15,), expected (40,)"),
    (Wordy(), "empty_and_unicode_texts", "it raised IndexError: list index out of range"),
    (TwoSided(), "single_class", "it raised ValueError: not enough values to unpack"),
    (Complete(), "more_than_two_classes", "it raised IndexError"),
    (Crowded(), "ten_rows", "it raised ValueError: kth(=15) out of bounds (10)"),
    (Flipping("range"), "labels_valid", "of 3 classes: the noise model returned labels from 1 to 3"),
    (Flipping("one more"), "exact_rate", "2 of 10 labels are wrong at rate 0.05, 0 are asked"),
    (Flipping("unseeded"), "deterministic", "labels differ between two calls"),
    (Flipping("one seed"), "another_seed_differs", "three seeds gave the same labels"),
    (Flipping("texts"), "text_changes_declared", "the text of item 0 became"),
    (Flipping("marked"), "text_changes_declared", "WRONG"),
    (Flipping("writing"), "inputs_untouched", "the data was changed"),
    (Flipping("global"), "global_random_state_untouched", "the global state of random moved"),
    (Measuring("nan"), "finite", "a constant ranking has nan"),
    (Measuring("first"), "ties", "in another order"),
    (Measuring("middle"), "perfect_is_best", "a perfect one -0.3"),
    (Measuring("constant"), "perfect_is_best", "a perfect and a reversed ranking have the same value"),
    (Measuring("far"), "reversed_is_worst", "the reversed 0.3"),
    (Measuring("clean"), "all_clean", "it gave nan"),
    (Measuring("noisy"), "all_noisy", "it raised ZeroDivisionError"),
    (Measuring("drifting"), "deterministic", "and then"),
    (Measuring("writing"), "inputs_untouched", "what it was given was changed"),
    (Measuring("global"), "global_random_state_untouched", "the global state of numpy moved"),
    (Loading("shuffled"), "loads_twice_alike", "texts differ between two loads"),
    (Loading("range"), "labels_in_range", "labels goes from 1 to 2, 2 classes are named"),
    (Loading("type"), "texts_are_strings", "text 5 is of type NoneType"),
    (Loading("noun"), "description_complete", "noun is empty"),
    (Loading("raters"), "raters_fit", "annotations has shape (4, 2) for 6 texts"),
    (Loading("ratings"), "raters_fit", "annotations holds -3.5, 2 classes are named"),
    (Loading("global"), "global_random_state_untouched", "the global state of random moved"),
]
"""Each subject, the one check it fails, and what the line says was seen."""
