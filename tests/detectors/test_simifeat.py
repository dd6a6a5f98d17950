"""SimiFeat against the authors' rule, written as loops over vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.data import DetectionTask, FloatArray, TaskDescription
from ecgbench.errors import UsageError
from ecgbench.metrics.curves import Auroc
from ecgbench_detectors.simifeat import SimiFeat

Vectors = NDArray[np.float64]


def draw(n: int, n_classes: int) -> tuple[Vectors, list[int]]:
    rng = np.random.default_rng([n, n_classes])
    labels = rng.integers(n_classes, size=n)
    vectors = rng.normal(size=(n, 6)) + np.eye(n_classes, 6)[labels]
    vectors[-1] = -vectors[0]  # of this one some of the nearest have a negative cosine
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels.tolist()


def build_graph(vectors: Vectors, k: int) -> KnnGraph:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : min(k, len(vectors) - 1)]
    return KnnGraph(nearest, np.take_along_axis(cosines, nearest, axis=1).astype(np.float32))


def score(vectors: Vectors, labels: Any, *, n_classes: int, **settings: Any) -> FloatArray:
    detector = SimiFeat(**settings)
    names = tuple(f"class {c}" for c in range(n_classes))
    task = DetectionTask(("text",) * len(labels), np.asarray(labels), TaskDescription("kind of the text", names))
    artifacts: Any = {Neighbours(TextEmbeddings(), k=detector.k - 1): build_graph(vectors, detector.k - 1)}
    return detector.score(task, artifacts, np.random.default_rng(0))


def soft_labels(vectors: Vectors, labels: list[int], *, n_classes: int, k: int) -> list[list[float]]:
    soft = []
    for i, vector in enumerate(vectors):
        others = sorted((-float(vector @ other), j) for j, other in enumerate(vectors) if j != i)[: k - 1]
        distances = [1 + minus for minus, _ in others]  # 1 - cosine
        own = 2 * distances[0] - distances[1]
        votes = [(1 - own, labels[i]), *((1 - d, labels[j]) for d, (_, j) in zip(distances, others, strict=True))]
        soft.append([sum(max(w, 0) for w, label in votes if label == c) for c in range(n_classes)])
    return soft


@pytest.mark.parametrize(("n", "n_classes", "k"), [(50, 2, 10), (50, 4, 10), (10, 3, 10), (40, 3, 3)])
def test_ranking_is_one_minus_the_cosine_of_soft_and_given_label(n: int, n_classes: int, k: int) -> None:
    vectors, labels = draw(n, n_classes)
    expected = []
    for label, soft in zip(labels, soft_labels(vectors, labels, n_classes=n_classes, k=k), strict=True):
        given = [float(c == label) for c in range(n_classes)]
        dot = sum(a * b for a, b in zip(soft, given, strict=True))
        expected.append(1 - dot / math.sqrt(sum(a * a for a in soft)))
    np.testing.assert_allclose(score(vectors, labels, n_classes=n_classes, k=k), expected, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_voting_is_whether_another_class_has_more_weight(n_classes: int) -> None:
    vectors, labels = draw(50, n_classes)
    soft = soft_labels(vectors, labels, n_classes=n_classes, k=10)
    expected = [float(max(of_item) > of_item[label]) for label, of_item in zip(labels, soft, strict=True)]
    assert score(vectors, labels, n_classes=n_classes, scoring="voting").tolist() == expected
    assert len(set(expected)) == 2


def test_wrong_labels_of_separated_classes_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=200)
    vectors = 3 * np.eye(3)[truth] + rng.normal(size=(200, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    is_wrong = np.arange(200) < 20
    labels = np.where(is_wrong, (truth + 1) % 3, truth)
    assert Auroc().compute(is_wrong, score(vectors, labels, n_classes=3)) > 0.9


def test_a_neighbourhood_of_one_label_scores_0_exactly() -> None:
    found = score(draw(30, 3)[0], [0] * 30, n_classes=3)
    assert found.tolist() == [0.0] * 30
    assert not np.signbit(found).any()


def test_where_nothing_has_a_weight_all_classes_are_spoken_for_alike() -> None:
    vectors = np.zeros((6, 4))  # failed attempts
    np.testing.assert_allclose(score(vectors, [0, 1] * 3, n_classes=2), 1 - 1 / math.sqrt(2))
    assert score(vectors, [0, 1] * 3, n_classes=2, scoring="voting").tolist() == [0.0] * 6


@pytest.mark.parametrize("n", [1, 2])
def test_with_one_neighbour_or_none_there_are_scores(n: int) -> None:
    assert np.isfinite(score(draw(5, 2)[0][:n], [0] * n, n_classes=2)).all()


def test_fewer_than_two_neighbours_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"simifeat\.k is 2; give at least 3"):
        SimiFeat(k=2)
