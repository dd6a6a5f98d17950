"""KNN-Shapley against the definition of the Shapley value and against the published recursion."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.data import DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.errors import UsageError
from ecgbench.metrics.curves import Auroc
from ecgbench_detectors import knn_shapley
from ecgbench_detectors.knn_shapley import KnnShapley

Vectors = NDArray[np.float32]


def draw(n: int, n_classes: int = 3, *, spread: float = 1.0) -> tuple[Vectors, IntArray]:
    rng = np.random.default_rng([n, n_classes])
    labels = rng.integers(n_classes, size=n)
    vectors = spread * rng.normal(size=(n, 6)) + 1.5 * np.eye(n_classes, 6)[labels]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), labels


def score(vectors: Vectors, labels: Any, k: int = 10) -> FloatArray:
    names = tuple(f"class {c}" for c in range(int(max(labels)) + 2))
    task = DetectionTask(("text",) * len(labels), np.asarray(labels), TaskDescription("kind of the text", names))
    artifacts: Any = {TextEmbeddings(): vectors}
    return KnnShapley(k=k).score(task, artifacts, np.random.default_rng(0))


def sort_others(vectors: Vectors, query: int) -> list[int]:
    cosines = vectors.astype(np.float64) @ vectors[query].astype(np.float64)
    return [i for i in np.argsort(-cosines, kind="stable") if i != query]


def by_definition(vectors: Vectors, labels: Sequence[int], k: int) -> FloatArray:
    """Return minus each item's mean gain over all coalitions of the others, weighted as Shapley's value does."""
    n = len(labels)
    values = np.zeros(n)
    for query in range(n):
        others = sort_others(vectors, query)

        def wins(coalition: Sequence[int], query: int = query, others: list[int] = others) -> float:
            nearest = [i for i in others if i in coalition][:k]
            return sum(labels[i] == labels[query] for i in nearest) / k

        for item in others:
            rest = [i for i in others if i != item]
            for size in range(len(rest) + 1):
                weight = 1 / (len(others) * math.comb(len(rest), size))
                for coalition in itertools.combinations(rest, size):
                    values[item] += weight * (wins((*coalition, item)) - wins(coalition))
    return -values


def by_recursion(vectors: Vectors, labels: Sequence[int], k: int) -> FloatArray:
    values = np.zeros(len(labels))
    for query in range(len(labels)):
        others = sort_others(vectors, query)
        agrees = [float(labels[i] == labels[query]) for i in others]
        n = len(others)
        share = min(k, n) / (k * n) * agrees[-1]
        values[others[-1]] += share
        for j in range(n - 1, 0, -1):  # places count from 1
            share += (agrees[j - 1] - agrees[j]) / k * min(k, j) / j
            values[others[j - 1]] += share
    return -values


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_score_is_minus_the_shapley_value_by_its_definition(k: int) -> None:
    vectors, labels = draw(7)
    np.testing.assert_allclose(score(vectors, labels, k), by_definition(vectors, labels.tolist(), k), atol=1e-6)


@pytest.mark.parametrize(("n", "n_classes", "k"), [(60, 2, 10), (60, 4, 3), (10, 2, 10), (10, 2, 20), (2, 2, 1)])
def test_score_is_the_published_recursion(n: int, n_classes: int, k: int) -> None:
    vectors, labels = draw(n, n_classes)
    np.testing.assert_allclose(score(vectors, labels, k), by_recursion(vectors, labels.tolist(), k), atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_equally_near_items_share_the_mean_over_all_their_orders(k: int) -> None:
    vectors, labels = draw(3)[0][[0, 0, 1, 1, 1, 2]], np.array([0, 1, 0, 1, 1, 0])
    mean = np.zeros(6)
    for order in map(list, itertools.permutations(range(6))):
        mean[order] += by_recursion(vectors[order], labels[order].tolist(), k) / math.factorial(6)
    np.testing.assert_allclose(score(vectors, labels, k), mean, atol=1e-6)


def test_all_values_together_are_what_all_items_win() -> None:
    vectors, labels = draw(50)
    shares = [np.mean(labels[sort_others(vectors, i)[:7]] == labels[i]) for i in range(50)]
    assert -score(vectors, labels, 7).sum() == pytest.approx(sum(shares), abs=1e-4)


def test_wrong_labels_of_separated_classes_are_found() -> None:
    vectors, truth = draw(300, spread=0.3)
    is_wrong = np.arange(300) < 30
    found = score(vectors, np.where(is_wrong, (truth + 1) % 3, truth))
    assert Auroc().compute(is_wrong, found) > 0.95


@pytest.mark.parametrize("labels", [[0] * 12, [0, 1] * 6])
def test_items_all_alike_have_equal_scores(labels: list[int]) -> None:
    assert len(set(score(np.full((12, 4), 0.5, dtype=np.float32), labels).tolist())) == 1


def test_of_duplicates_the_label_in_the_minority_is_most_suspicious() -> None:
    vectors = np.repeat(draw(4)[0], 5, axis=0)
    labels = np.repeat([0, 1, 0, 1], 5)
    labels[7] = 0
    found = score(vectors, labels, 3)
    assert found.argmax() == 7
    assert np.unique(found).size == 5  # the other four of that text alike, and the five of each other text


def test_failed_embeddings_which_are_like_nothing_have_scores_too() -> None:
    vectors, labels = draw(20)
    vectors[:3] = 0.0
    assert np.isfinite(score(vectors, labels)).all()


def test_order_of_the_items_does_not_matter() -> None:
    vectors, labels = draw(100)
    order = np.random.default_rng(5).permutation(100)
    np.testing.assert_array_equal(score(vectors[order], labels[order]), score(vectors, labels)[order])


@pytest.mark.parametrize("cells", [1, 700, 10_000])
def test_blocks_of_any_size_give_the_same(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = draw(100)
    expected = score(vectors, labels)
    monkeypatch.setattr(knn_shapley, "CELLS", cells)
    np.testing.assert_array_equal(score(vectors, labels), expected)


def test_no_matrix_of_all_pairs_is_ever_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn_shapley, "CELLS", 2**14)
    vectors, labels = draw(2_000)
    tracemalloc.start()
    score(vectors, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000 * 2_000 * 4 / 5


def test_without_a_neighbour_to_ask_for_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"knn_shapley\.k is 0; give"):
        KnnShapley(k=0)


def test_values_are_those_of_cleanlab_where_it_looks_at_all_neighbours_but_for_the_furthest() -> None:
    from cleanlab.data_valuation import data_shapley_knn

    vectors, labels = draw(120)
    n = len(labels)
    values = n * (2 * data_shapley_knn(labels, features=vectors, k=n - 1) - 1)
    # To cleanlab each query's k-th neighbour is worth nothing, and all others are worth as much less.
    furthest = [sort_others(vectors, query)[-1] for query in range(n)]
    agrees = labels[furthest] == labels
    left_out = (agrees.sum() - agrees) / (n - 1)
    np.testing.assert_allclose(-score(vectors, labels, k=n - 1), values + left_out, atol=1e-5)
