"""AUM, cartography, CTRL and TracIn against loops from their formulas."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from ecgbench.artifacts.classifier import Dynamics, TrainingDynamics
from ecgbench.data import DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.metrics.curves import Auroc
from ecgbench.specs import Detector
from ecgbench_detectors.aum import Aum
from ecgbench_detectors.cartography import Cartography
from ecgbench_detectors.ctrl import Ctrl
from ecgbench_detectors.tracin_last_layer import TracinLastLayer

DETECTORS = (Aum(), Cartography(), Cartography(measure="correctness"), Ctrl(), TracinLastLayer())


def make_task(labels: IntArray, n_classes: int) -> DetectionTask:
    names = tuple(f"class {c}" for c in range(n_classes))
    return DetectionTask(("text",) * len(labels), labels, TaskDescription("kind of the text", names))


def score(detector: Detector, dynamics: Dynamics, labels: IntArray) -> FloatArray:
    task = make_task(labels, dynamics.logits.shape[2])
    return detector.score(task, {TrainingDynamics(): dynamics}, np.random.default_rng(0))  # type: ignore[arg-type]


def draw(n: int = 30, n_classes: int = 3, n_epochs: int = 4, seed: int = 0) -> tuple[Dynamics, IntArray]:
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n_epochs, n, n_classes)).astype(np.float32)
    return Dynamics(logits, rng.normal(size=(n, 5)).astype(np.float32)), rng.integers(n_classes, size=n)


def learn(n: int = 300, n_classes: int = 3, n_epochs: int = 4, share: float = 0.1) -> tuple[Dynamics, IntArray, Any]:
    """Return a training that comes to know the truth, its given labels, and which of them are wrong."""
    rng = np.random.default_rng(1)
    truth = rng.integers(n_classes, size=n)
    is_wrong = np.arange(n) < share * n
    labels = np.where(is_wrong, (truth + 1) % n_classes, truth)
    known = np.eye(n_classes)[truth] * np.linspace(0.5, 4, n_epochs)[:, None, None]
    logits = (known + 0.5 * rng.normal(size=(n_epochs, n, n_classes))).astype(np.float32)
    return Dynamics(logits, rng.normal(size=(n, 5)).astype(np.float32)), labels, is_wrong


def probability(logits: NDArray[np.float32], label: int) -> float:
    return math.exp(logits[label]) / sum(math.exp(z) for z in logits)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_aum_is_minus_the_mean_margin_over_the_epochs(n_classes: int) -> None:
    dynamics, labels = draw(n_classes=n_classes)
    expected = []
    for i, y in enumerate(labels):
        margins = [float(z[i, y]) - max(float(z[i, c]) for c in range(n_classes) if c != y) for z in dynamics.logits]
        expected.append(-sum(margins) / len(margins))
    np.testing.assert_allclose(score(Aum(), dynamics, labels), expected)


def test_aum_is_positive_where_another_class_leads_and_negative_where_the_given_one_does() -> None:
    logits = np.array([[[2, 0], [2, 0]], [[4, 0], [4, 0]]], dtype=np.float32)
    found = score(Aum(), Dynamics(logits, np.zeros((2, 1), np.float32)), np.array([0, 1]))
    np.testing.assert_array_equal(found, [-3, 3])


def test_cartography_is_one_minus_the_mean_probability_of_the_given_label() -> None:
    dynamics, labels = draw()
    expected = [1 - sum(probability(z[i], y) for z in dynamics.logits) / 4 for i, y in enumerate(labels)]
    np.testing.assert_allclose(score(Cartography(), dynamics, labels), expected, rtol=1e-6)


def test_correctness_counts_the_epochs_that_predict_the_given_label() -> None:
    dynamics, labels = draw()
    expected = [sum(z[i].argmax() != y for z in dynamics.logits) / 4 for i, y in enumerate(labels)]
    np.testing.assert_allclose(score(Cartography(measure="correctness"), dynamics, labels), expected)


def test_cartography_shows_confidence_variability_and_correctness() -> None:
    dynamics, labels = draw()
    coordinates, by_correctness = Cartography().inspect(make_task(labels, 3), {TrainingDynamics(): dynamics})  # type: ignore[arg-type]
    curves = [[probability(z[i], y) for z in dynamics.logits] for i, y in enumerate(labels)]
    means = [sum(curve) / 4 for curve in curves]
    deviations = [math.sqrt(sum((p - m) ** 2 for p in c) / 4) for c, m in zip(curves, means, strict=True)]
    n_correct = [sum(z[i].argmax() == y for z in dynamics.logits) for i, y in enumerate(labels)]
    assert [row[0] for row in coordinates.rows] == ["confidence", "variability", "correctness"]
    assert coordinates.rows[1][1:] == tuple(f"{v:.3f}" for v in (min(deviations), np.mean(deviations), max(deviations)))
    assert [row[1] for row in by_correctness.rows] == [str(n_correct.count(n)) for n in range(5)]
    there = [i for i in range(30) if n_correct[i] == 1]
    shown = (np.mean([means[i] for i in there]), np.mean([deviations[i] for i in there]))
    assert by_correctness.rows[1] == ("1 of 4", str(len(there)), *(f"{v:.3f}" for v in shown))
    assert all(len(row) == len(panel.columns) for panel in (coordinates, by_correctness) for row in panel.rows)


def cut_curves(dynamics: Dynamics, labels: IntArray) -> FloatArray:
    """Return each item's loss at each epoch, cut at twice the loss of guessing: shape (n, T)."""
    largest = 2 * math.log(dynamics.logits.shape[2])
    rows = [[min(-math.log(probability(z[i], y)), largest) for z in dynamics.logits] for i, y in enumerate(labels)]
    return np.array(rows)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_ctrl_flags_what_k_means_with_many_starts_puts_into_the_high_cluster_of_each_class(n_classes: int) -> None:
    dynamics, labels, _ = learn(n_classes=n_classes, share=0.2)
    curves = cut_curves(dynamics, labels)
    expected = np.zeros(len(labels))
    for label in range(n_classes):
        own = labels == label
        means = KMeans(n_clusters=2, n_init=10, random_state=0).fit(curves[own])
        low, high = sorted(means.cluster_centers_, key=sum)
        expected[own] = [np.dot(curve - low, high - low) / np.dot(high - low, high - low) for curve in curves[own]]
        is_high = means.labels_ == np.argmax(means.cluster_centers_.sum(axis=1))
        np.testing.assert_array_equal(expected[own] > 0.5, is_high)  # the paper's flags
    np.testing.assert_allclose(score(Ctrl(), dynamics, labels), expected, atol=1e-6)


def test_ctrl_ranks_a_higher_curve_of_a_class_higher() -> None:
    ladder = np.linspace(0, 3, 12, dtype=np.float32)
    logits = np.stack([np.stack([np.zeros(12), ladder], axis=1)] * 3).astype(np.float32)
    found = score(Ctrl(), Dynamics(logits, np.zeros((12, 1), np.float32)), np.zeros(12, dtype=np.int64))
    assert all(a <= b for a, b in pairwise(found))
    assert found[0] < 0.5 < found[-1]


@pytest.mark.parametrize("n", [1, 2, 10])
def test_ctrl_says_nothing_of_a_class_with_one_curve(n: int) -> None:
    dynamics = Dynamics(np.ones((3, n, 2), dtype=np.float32), np.zeros((n, 1), np.float32))
    np.testing.assert_array_equal(score(Ctrl(), dynamics, np.ones(n, dtype=np.int64)), 0.0)


def test_tracin_is_the_squared_gradient_of_the_loss_by_the_heads_weights() -> None:
    rng = np.random.default_rng(3)
    states, head = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(3, 4))
    labels = rng.integers(3, size=6)

    def loss(i: int, weights: FloatArray) -> float:
        return -math.log(probability(weights @ states[i], labels[i]))

    expected = []
    for i in range(6):
        slopes = []
        for c in range(3):
            for d in range(4):
                step = np.zeros((3, 4))
                step[c, d] = 1e-5
                slopes.append((loss(i, head + step) - loss(i, head - step)) / 2e-5)
        expected.append(sum(slope**2 for slope in slopes))
    logits = np.stack([np.zeros((6, 3)), states @ head.T]).astype(np.float32)  # of the first epoch nothing is read
    np.testing.assert_allclose(score(TracinLastLayer(), Dynamics(logits, states), labels), expected, rtol=1e-4)


def test_tracin_grows_with_the_length_of_the_state() -> None:
    dynamics, labels = draw()
    longer = Dynamics(dynamics.logits, 2 * dynamics.states)
    found = [score(TracinLastLayer(), d, labels) for d in (dynamics, longer)]
    np.testing.assert_allclose(found[1], 4 * found[0])


@pytest.mark.parametrize("detector", DETECTORS, ids=str)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_labels_against_what_was_learned_are_found(detector: Detector, n_classes: int) -> None:
    dynamics, labels, is_wrong = learn(n_classes=n_classes)
    assert Auroc().compute(is_wrong, score(detector, dynamics, labels)) > 0.9


@pytest.mark.parametrize("detector", DETECTORS, ids=str)
def test_equal_items_have_equal_scores_wherever_they_stand(detector: Detector) -> None:
    dynamics, labels = draw(n=40)
    places = np.random.default_rng(4).permutation(np.repeat(np.arange(40), 3))
    twins = Dynamics(dynamics.logits[:, places], dynamics.states[places])
    found = score(detector, twins, labels[places])
    for i in range(40):
        assert len(set(found[places == i])) == 1


@pytest.mark.parametrize("detector", DETECTORS, ids=str)
def test_order_of_the_items_shows_in_no_bit(detector: Detector) -> None:
    dynamics, labels = draw(n=500)
    order = np.random.default_rng(5).permutation(500)
    moved = score(detector, Dynamics(dynamics.logits[:, order], dynamics.states[order]), labels[order])
    np.testing.assert_array_equal(moved, score(detector, dynamics, labels)[order])


@pytest.mark.parametrize("detector", DETECTORS, ids=str)
def test_one_class_given_and_sure_logits_give_finite_scores(detector: Detector) -> None:
    logits = np.full((3, 10, 3), -1e4, dtype=np.float32)
    logits[:, :, 0] = 1e4
    for label in range(3):
        found = score(detector, Dynamics(logits, np.ones((10, 2), np.float32)), np.full(10, label))
        assert np.isfinite(found).all()
        assert len(set(found.tolist())) == 1
