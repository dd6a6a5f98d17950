"""What neighbours in the trained classifier and the middle of a class say, against loops from their formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.classifier import ClassifierStates
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.data import DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.errors import UsageError
from ecgbench.metrics.curves import Auroc
from ecgbench.specs import Detector
from ecgbench_detectors.classifier_knn import ClassifierKnn
from ecgbench_detectors.input_knn import InputKnn
from ecgbench_detectors.mean_distance import MeanDistance


def score(detector: Detector, artifacts: dict[Any, Any], labels: IntArray) -> FloatArray:
    names = tuple(f"class {c}" for c in range(4))
    task = DetectionTask(("text",) * len(labels), labels, TaskDescription("kind", names))
    return detector.score(task, artifacts, np.random.default_rng(0))  # type: ignore[arg-type]


def draw_graph(n: int, k: int, *, ties: bool = False) -> tuple[KnnGraph, IntArray]:
    rng = np.random.default_rng(0)
    indices = np.array([rng.choice([j for j in range(n) if j != i], size=k, replace=False) for i in range(n)])
    similarities = -np.sort(-rng.uniform(-0.2, 1.0, size=(n, k)), axis=1)
    similarities = np.round(similarities, 1) if ties else similarities
    return KnnGraph(indices, similarities.astype(np.float32)), rng.integers(4, size=n)


@pytest.mark.parametrize(
    ("weights", "weigh"),
    [("uniform", lambda _: 1.0), ("similarity", lambda s: max(s, 0.0)), ("exponential", lambda s: math.exp(s / 0.07))],
)
def test_classifier_knn_is_the_weight_share_of_other_labels_in_the_trained_classifier(weights: Any, weigh: Any) -> None:
    graph, labels = draw_graph(30, 5)
    expected = []
    for i, label in enumerate(labels):
        w = [weigh(float(s)) for s in graph.similarities[i]]
        other = sum(wj for wj, j in zip(w, graph.indices[i], strict=True) if labels[j] != label)
        expected.append(other / sum(w))
    found = score(ClassifierKnn(k=5, weights=weights), {Neighbours(ClassifierStates(), k=5): graph}, labels)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_both_neighbour_detectors_weigh_alike_and_read_their_own_graph() -> None:
    graph, labels = draw_graph(30, 15)
    by_text = score(InputKnn(), {Neighbours(TextEmbeddings()): graph}, labels)
    by_state = score(ClassifierKnn(), {Neighbours(ClassifierStates()): graph}, labels)
    np.testing.assert_array_equal(by_state, np.round(by_text, 9))
    assert InputKnn().needs() == (Neighbours(TextEmbeddings(), k=15),)
    assert ClassifierKnn(k=3).needs() == (Neighbours(ClassifierStates(), k=3),)


def test_neighbours_without_a_likeness_count_equally() -> None:
    graph = KnnGraph(np.array([[1, 2, 3]] + [[0, 0, 0]] * 3), np.full((4, 3), -0.5, dtype=np.float32))
    found = score(ClassifierKnn(k=3), {Neighbours(ClassifierStates(), k=3): graph}, np.array([0, 0, 1, 1]))
    assert found[0] == pytest.approx(2 / 3)


def test_equally_near_neighbours_may_come_in_any_order() -> None:
    graph, labels = draw_graph(60, 15, ties=True)
    rng = np.random.default_rng(2)
    swapped = [np.lexsort((rng.random(15), -row)) for row in graph.similarities]
    moved = KnnGraph(np.take_along_axis(graph.indices, np.array(swapped), axis=1), graph.similarities)
    found = [score(ClassifierKnn(), {Neighbours(ClassifierStates()): g}, labels) for g in (graph, moved)]
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("detector", [InputKnn, ClassifierKnn])
def test_an_error_calls_the_detector_by_its_name(detector: Any) -> None:
    with pytest.raises(UsageError, match=f"{detector.name}.k is 0; give at least 1 neighbour"):
        detector(k=0)


def draw_embeddings(n: int, n_classes: int = 4) -> tuple[Any, IntArray, Any]:
    """Return embeddings round a middle of each class, the given labels, and which of them are wrong."""
    rng = np.random.default_rng(1)
    truth = rng.integers(n_classes, size=n)
    is_wrong = np.arange(n) < 0.1 * n
    vectors = 2 * np.eye(n_classes, 8)[truth] + 0.5 * rng.normal(size=(n, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.where(is_wrong, (truth + 1) % n_classes, truth), is_wrong


def test_mean_distance_is_euclidean_from_the_mean_of_the_items_with_the_given_label() -> None:
    vectors, labels, _ = draw_embeddings(40)
    expected = []
    for vector, label in zip(vectors, labels, strict=True):
        own = [v for v, y in zip(vectors, labels, strict=True) if y == label]
        middle = [sum(float(v[d]) for v in own) / len(own) for d in range(8)]
        expected.append(math.dist(vector.tolist(), middle))
    np.testing.assert_allclose(score(MeanDistance(), {TextEmbeddings(): vectors}, labels), expected, atol=1e-8)


def test_mean_distance_finds_items_among_those_of_another_class() -> None:
    vectors, labels, is_wrong = draw_embeddings(400)
    assert Auroc().compute(is_wrong, score(MeanDistance(), {TextEmbeddings(): vectors}, labels)) > 0.95


def test_an_item_alone_in_its_class_has_no_distance() -> None:
    vectors, _, _ = draw_embeddings(10)
    found = score(MeanDistance(), {TextEmbeddings(): vectors}, np.array([3] + [0] * 9))
    assert found[0] == 0
    assert (found[1:] > 0).all()


def test_equal_texts_are_equally_far_and_their_order_shows_in_no_bit() -> None:
    vectors, labels, _ = draw_embeddings(300)
    places = np.random.default_rng(3).permutation(np.repeat(np.arange(300), 2))
    found = score(MeanDistance(), {TextEmbeddings(): vectors[places]}, labels[places])
    once = score(MeanDistance(), {TextEmbeddings(): np.repeat(vectors, 2, axis=0)}, np.repeat(labels, 2))
    np.testing.assert_array_equal(found, once[::2][places])
    np.testing.assert_array_equal(once[::2], once[1::2])
