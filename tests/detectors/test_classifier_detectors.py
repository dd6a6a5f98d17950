"""Loss, margin and cleanlab against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.specs import Detector
from ecgbench_detectors.cleanlab import Cleanlab
from ecgbench_detectors.loss import Loss
from ecgbench_detectors.margin import Margin
from ecgbench_detectors.random import Random


def make_task(labels: list[int], n_classes: int) -> DetectionTask:
    names = tuple(f"class {c}" for c in range(n_classes))
    texts = tuple(f"text {i}" for i in range(len(labels)))
    return DetectionTask(texts, np.array(labels), TaskDescription("kind of the text", names))


def score(detector: Detector, probs: FloatArray, labels: IntArray | list[int]) -> FloatArray:
    task = make_task(list(labels), probs.shape[1])
    return detector.score(task, {OutOfFoldProbs(): probs}, np.random.default_rng(0))  # type: ignore[arg-type]


def draw(n: int, n_classes: int) -> tuple[FloatArray, IntArray]:
    rng = np.random.default_rng(1)
    return rng.dirichlet(np.ones(n_classes), size=n), rng.integers(n_classes, size=n)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_loss_is_minus_the_log_of_the_given_labels_probability(n_classes: int) -> None:
    probs, labels = draw(50, n_classes)
    expected = [-math.log(probs[i, labels[i]]) for i in range(50)]
    np.testing.assert_allclose(score(Loss(), probs, labels), expected)


def test_loss_of_a_label_with_probability_zero_is_finite() -> None:
    assert score(Loss(), np.array([[1.0, 0.0]]), [1])[0] == pytest.approx(-math.log(1e-12))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_margin_is_the_best_other_class_minus_the_given_one(n_classes: int) -> None:
    probs, labels = draw(50, n_classes)
    expected = [max(p for c, p in enumerate(probs[i]) if c != labels[i]) - probs[i, labels[i]] for i in range(50)]
    np.testing.assert_allclose(score(Margin(), probs, labels), expected)


def test_margin_leaves_the_shared_probabilities_as_they_are() -> None:
    probs, labels = draw(20, 3)
    before = probs.copy()
    score(Margin(), probs, labels)
    np.testing.assert_array_equal(probs, before)


def test_cleanlab_without_adjustment_ranks_as_loss_does() -> None:
    probs, labels = draw(200, 3)
    assert spearmanr(score(Cleanlab(adjust=False), probs, labels), score(Loss(), probs, labels))[0] == pytest.approx(1)


def test_cleanlab_adjusts_for_classes_the_model_favours() -> None:
    probs, labels = draw(200, 3)
    favoured = probs * np.array([5.0, 1.0, 1.0])
    favoured /= favoured.sum(axis=1, keepdims=True)
    adjusted, plain = score(Cleanlab(), favoured, labels), score(Cleanlab(adjust=False), favoured, labels)
    assert spearmanr(adjusted, plain)[0] < 0.99


def test_random_follows_the_generator_it_is_given() -> None:
    task = make_task([0, 1, 0], 2)
    drawn = [Random().score(task, {}, np.random.default_rng(seed)) for seed in (1, 1, 2)]  # type: ignore[arg-type]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).all()
