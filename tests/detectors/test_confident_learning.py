"""Confident learning's flags against the counts written out, and against cleanlab's own order; entropy."""

from __future__ import annotations

import math
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from scipy.stats import spearmanr

from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.metrics.curves import Auroc
from ecgbench.specs import Detector
from ecgbench_detectors.confident_learning import ConfidentLearning
from ecgbench_detectors.entropy import Entropy

FILTERS = get_args(get_type_hints(ConfidentLearning)["filter_by"])


def score(detector: Detector, probs: FloatArray, labels: IntArray) -> FloatArray:
    names = tuple(f"class {c}" for c in range(probs.shape[1]))
    task = DetectionTask(("text",) * len(labels), labels, TaskDescription("kind", names))
    return detector.score(task, {OutOfFoldProbs(): probs}, np.random.default_rng(0))  # type: ignore[arg-type]


def draw(n: int = 200, n_classes: int = 3, share: float = 0.15) -> tuple[FloatArray, IntArray, BoolArray]:
    """Return probabilities that tell the truth more often than not, given labels, and which of them are wrong."""
    rng = np.random.default_rng(2)
    truth = rng.integers(n_classes, size=n)
    is_wrong = np.arange(n) < share * n
    logits = 2.0 * np.eye(n_classes)[truth] + rng.normal(size=(n, n_classes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probs, np.where(is_wrong, (truth + 1) % n_classes, truth), is_wrong


def flag_by_counts(probs: FloatArray, labels: IntArray) -> list[bool]:
    """Flag what is confidently of another class than the given one, by the definition."""
    n, n_classes = probs.shape
    of_class = [[probs[i, c] for i in range(n) if labels[i] == c] for c in range(n_classes)]
    thresholds = [sum(own) / len(own) for own in of_class]
    flags = []
    for i in range(n):
        sure = [c for c in range(n_classes) if probs[i, c] >= thresholds[c]]
        likeliest = max(sure, key=lambda c: probs[i, c], default=labels[i])
        flags.append(likeliest != labels[i] and probs[i, labels[i]] < max(probs[i]))
    return flags


@pytest.mark.parametrize("n_classes", [2, 4])
def test_flags_are_those_of_the_confident_joint(n_classes: int) -> None:
    probs, labels, _ = draw(n_classes=n_classes)
    found = score(ConfidentLearning(filter_by="confident_learning"), probs, labels)
    flags = flag_by_counts(probs, labels)
    assert 10 < sum(flags) < 100
    np.testing.assert_array_equal(found > 1, flags)
    np.testing.assert_allclose(found, [1 - probs[i, y] + flags[i] for i, y in enumerate(labels)])


@pytest.mark.parametrize("filter_by", FILTERS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_head_of_the_ranking_is_cleanlabs_own(filter_by: Any, n_classes: int) -> None:
    probs, labels, _ = draw(n_classes=n_classes)
    found = score(ConfidentLearning(filter_by=filter_by), probs, labels)
    ranked = find_label_issues(labels, probs, filter_by=filter_by, return_indices_ranked_by="self_confidence", n_jobs=1)
    assert 0 < len(ranked) < len(labels)
    np.testing.assert_array_equal(np.argsort(-found)[: len(ranked)], ranked)


def test_the_flagged_block_can_beat_the_confidence_alone() -> None:
    """Class 1 is always less sure: its right items have lower confidence than the wrong ones of class 0."""
    right = np.repeat([[0.95, 0.05], [0.45, 0.55]], 20, axis=0)
    probs = np.vstack([right, [[0.4, 0.6]] * 4])
    labels = np.repeat([0, 1, 0], [20, 20, 4])
    found = score(ConfidentLearning(filter_by="confident_learning"), probs, labels)
    np.testing.assert_array_equal(found > 1, np.repeat([False, True], [40, 4]))
    assert spearmanr(found, 1 - probs[np.arange(44), labels])[0] > 0  # within the blocks it is the confidence


@pytest.mark.parametrize("filter_by", FILTERS)
def test_wrong_labels_are_found(filter_by: Any) -> None:
    probs, labels, is_wrong = draw()
    assert Auroc().compute(is_wrong, score(ConfidentLearning(filter_by=filter_by), probs, labels)) > 0.8


@pytest.mark.parametrize("filter_by", FILTERS)
def test_equal_items_are_flagged_together_in_any_order(filter_by: Any) -> None:
    probs, labels, _ = draw(60)
    places = np.random.default_rng(3).permutation(np.repeat(np.arange(60), 3))
    detector = ConfidentLearning(filter_by=filter_by)
    found = score(detector, probs[places], labels[places])
    once = score(detector, np.repeat(probs, 3, axis=0), np.repeat(labels, 3))
    np.testing.assert_array_equal(found, once[::3][places])


@pytest.mark.parametrize("filter_by", FILTERS)
@pytest.mark.parametrize("label", [0, 2])
def test_one_class_given_flags_nothing(filter_by: Any, label: int) -> None:
    probs, _, _ = draw(10)
    found = score(ConfidentLearning(filter_by=filter_by), probs, np.full(10, label))
    np.testing.assert_allclose(found, 1 - probs[:, label])


@pytest.mark.parametrize("filter_by", FILTERS)
def test_a_class_that_no_item_carries_is_no_obstacle(filter_by: Any) -> None:
    probs, labels, _ = draw(100, n_classes=4)
    found = score(ConfidentLearning(filter_by=filter_by), probs, np.where(labels == 1, 3, labels))
    assert np.isfinite(found).all()


def test_confident_learning_leaves_the_shared_probabilities_as_they_are() -> None:
    probs, labels, _ = draw()
    before = probs.copy()
    score(ConfidentLearning(), probs, labels)
    np.testing.assert_array_equal(probs, before)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_entropy_is_that_of_the_probabilities_in_nats(n_classes: int) -> None:
    probs, labels, _ = draw(n_classes=n_classes)
    expected = [-sum(p * math.log(p) for p in row) for row in probs]
    np.testing.assert_allclose(score(Entropy(), probs, labels), expected)


def test_entropy_is_0_for_the_sure_and_largest_for_the_undecided_whatever_the_label() -> None:
    probs = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.0, 0.5, 0.5]])
    for label in range(3):
        found = score(Entropy(), probs, np.full(3, label))
        np.testing.assert_allclose(found, [0, math.log(3), math.log(2)])
