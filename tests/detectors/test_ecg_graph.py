"""ECG's graph: weights, votes and surprise against the formulas written as loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from ecg_inputs import draw_graph, draw_inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.artifacts.graph import KnnGraph, outlier_scores
from ecgbench.artifacts.llm import ReliabilityScores
from ecgbench.data import FloatArray, IntArray
from ecgbench_detectors.ecg.graph import (
    ExplanationGraph,
    edge_weights,
    label_posterior,
    label_support,
    nearest_similarity,
    neighbourhood_surprise,
)


def posterior_by_loop(
    graph: KnnGraph, rho: FloatArray, labels: IntArray, n_classes: int, *, mutual: bool
) -> list[list[float]]:
    """Write the vote out: one item, one edge at a time."""
    votes = []
    for i in range(len(labels)):
        vote = [0.0] * n_classes
        for j, s in zip(graph.indices[i], graph.similarities[i], strict=True):
            if s >= 0.35 and (not mutual or i in graph.indices[j]):
                vote[labels[j]] += math.exp(float(s) / 0.07) * rho[j]
        votes.append([v / sum(vote) for v in vote] if sum(vote) else [1 / n_classes] * n_classes)
    return votes


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 5), k=st.integers(1, 11), mutual=st.booleans())
def test_posterior_and_surprise_equal_the_formulas_written_as_loops(
    seed: int, n_classes: int, k: int, mutual: bool
) -> None:
    rng = np.random.default_rng(seed)
    graph, labels, rho = draw_graph(rng, 12, k), rng.integers(n_classes, size=12), rng.random(12)
    rho[0] = 0.0
    expected = posterior_by_loop(graph, rho, labels, n_classes, mutual=mutual)
    found = label_posterior(graph, edge_weights(graph, rho, mutual=mutual), labels, n_classes=n_classes)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    surprise = [-math.log((p[y] + 1e-3) / (1 + n_classes * 1e-3)) for p, y in zip(expected, labels, strict=True)]
    np.testing.assert_allclose(neighbourhood_surprise(found, labels), surprise, rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_all_neighbours_below_the_threshold_leave_the_uniform_posterior(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    graph, labels = draw_graph(rng, 10, 4, highest=0.349), rng.integers(n_classes, size=10)
    weights = edge_weights(graph, np.ones(10))
    assert not weights.any()
    posterior = label_posterior(graph, weights, labels, n_classes=n_classes)
    np.testing.assert_array_equal(posterior, np.full((10, n_classes), 1 / n_classes))
    np.testing.assert_allclose(label_support(posterior, labels), 1 / n_classes)


def test_unanimous_votes_tie_exactly() -> None:
    graph = draw_graph(np.random.default_rng(2), 200, 15, lowest=0.35)
    weights = edge_weights(graph, np.random.default_rng(3).random(200))
    posterior = label_posterior(graph, weights, np.ones(200, dtype=np.int64), n_classes=2)
    np.testing.assert_array_equal(posterior, np.tile([0.0, 1.0], (200, 1)))


def test_rows_of_weights_sum_to_one_or_zero_and_the_least_reliable_weigh_nothing() -> None:
    rng = np.random.default_rng(1)
    graph, rho = draw_graph(rng, 30, 5), (np.arange(30) % 2).astype(np.float64)
    weights = edge_weights(graph, rho)
    sums = weights.sum(axis=1)
    np.testing.assert_allclose(sums[sums > 0], 1.0)
    assert (weights[rho[graph.indices] == 0] == 0).all()


def test_an_edge_is_mutual_where_both_ends_list_each_other() -> None:
    graph = KnnGraph(np.array([[1], [0], [0]]), np.full((3, 1), 0.9, dtype=np.float32))
    np.testing.assert_array_equal(edge_weights(graph, np.ones(3), mutual=True), [[1.0], [1.0], [0.0]])
    np.testing.assert_array_equal(edge_weights(graph, np.ones(3)), [[1.0], [1.0], [1.0]])


def test_outlier_score_and_nearest_similarity_read_the_nearest() -> None:
    similarities = np.array([[1.1, 0.8, 0.6, 0.4, 0.2, -1.0], [-0.1] * 6], dtype=np.float32)
    graph = KnnGraph(np.zeros((2, 6), dtype=np.int64), similarities)
    np.testing.assert_allclose(outlier_scores(graph), [1 - 3.1 / 5, 1.1], rtol=1e-6)
    np.testing.assert_allclose(nearest_similarity(graph), [1.0, 0.0])


def test_an_item_alone_has_no_neighbour_and_the_uniform_posterior() -> None:
    graph = KnnGraph(np.zeros((1, 0), dtype=np.int64), np.zeros((1, 0), dtype=np.float32))
    posterior = label_posterior(graph, edge_weights(graph, np.ones(1)), np.array([1]), n_classes=2)
    np.testing.assert_array_equal(posterior, [[0.5, 0.5]])
    assert nearest_similarity(graph) == [0.0]
    assert outlier_scores(graph) == [1.0]


def test_second_view_is_the_mean_of_both_votes_and_asks_for_the_states() -> None:
    inputs = draw_inputs(3, n_classes=3)
    task, artifacts = inputs.task, inputs.artifacts
    graph = ExplanationGraph(second_view=True)
    one = posterior_by_loop(
        artifacts[graph.neighbours], artifacts[ReliabilityScores()].filled, task.labels, 3, mutual=False
    )
    two = posterior_by_loop(artifacts[graph.states], np.ones(len(task)), task.labels, 3, mutual=False)
    np.testing.assert_allclose(graph.posterior(task, artifacts), (np.array(one) + np.array(two)) / 2)
    assert graph.states in graph.needs()
    assert graph.states not in replace(graph, second_view=False).needs()
