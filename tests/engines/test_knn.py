"""Nearest neighbours: exact, without self, in a fixed order."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ecgbench.artifacts.base import Artifacts
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.engines.knn import nearest_neighbours
from ecgbench.errors import MissingPackageError, UsageError
from ecgbench.profiles import EMBEDDED

needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="pip install faiss-cpu")


def unit_rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    rows: np.ndarray = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def brute_force(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    similarities = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, : min(k, len(vectors) - 1)]
    return order, np.take_along_axis(similarities, order, 1)


@needs_faiss
@pytest.mark.parametrize(("n", "k"), [(2, 1), (10, 3), (700, 15)])
def test_neighbours_equal_brute_force(n: int, k: int) -> None:
    vectors = unit_rows(n, 8)
    indices, similarities = nearest_neighbours(vectors, k)
    wanted_indices, wanted = brute_force(vectors, k)
    assert indices.dtype == np.int64
    assert similarities.dtype == np.float32
    np.testing.assert_array_equal(indices, wanted_indices)
    np.testing.assert_allclose(similarities, wanted, atol=1e-5)


@needs_faiss
@given(
    # whole numbers: inner products are exact, so that ties are ties; few values: many duplicates and zero rows
    vectors=st.integers(1, 30).flatmap(lambda n: arrays(np.float32, (n, 2), elements=st.integers(-1, 1).map(float))),
    k=st.integers(1, 12),
)
def test_no_row_is_its_own_neighbour_whatever_the_duplicates(vectors: np.ndarray, k: int) -> None:
    indices, similarities = nearest_neighbours(vectors, k)
    n = len(vectors)
    assert indices.shape == similarities.shape == (n, min(k, n - 1))
    assert not (indices == np.arange(n)[:, None]).any()
    assert all(len(set(row)) == len(row) for row in indices.tolist())
    np.testing.assert_array_equal(similarities, brute_force(vectors, k)[1])
    np.testing.assert_array_equal(similarities, np.einsum("id,ikd->ik", vectors, vectors[indices]))


@needs_faiss
def test_equally_near_neighbours_come_in_index_order() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    indices, _ = nearest_neighbours(vectors, 3)
    assert indices.tolist() == [[2, 3, 1], [0, 2, 3], [0, 3, 1], [0, 2, 1]]


def test_one_item_has_no_neighbours() -> None:
    indices, similarities = nearest_neighbours(unit_rows(1, 4), 5)
    assert indices.shape == similarities.shape == (1, 0)


def test_no_neighbour_asked_for_is_an_error() -> None:
    with pytest.raises(UsageError, match="k is 0"):
        nearest_neighbours(unit_rows(3, 4), 0)


def test_missing_faiss_is_reported_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingPackageError, match="pip install faiss-cpu"):
        nearest_neighbours(unit_rows(3, 4), 1)


@needs_faiss
def test_graph_is_rebuilt_from_its_arrays() -> None:
    artifact = Neighbours(TextEmbeddings(), k=4).resolve(EMBEDDED)
    task = DetectionTask(tuple("abcdef"), np.zeros(6, dtype=np.int64), TaskDescription("x", ("no", "yes")))
    inputs = cast(Artifacts, {artifact.embeddings: unit_rows(6, 3)})
    graph = artifact.compute(task, inputs, ComputeContext(EnginePool(Path())))
    again = artifact.unpack(artifact.pack(graph))
    assert isinstance(again, KnnGraph)
    np.testing.assert_array_equal(again.indices, graph.indices)
    np.testing.assert_array_equal(again.similarities, graph.similarities)
    assert graph.indices.shape == (6, 4)


def test_graph_resolves_and_declares_its_embeddings() -> None:
    artifact = Neighbours(TextEmbeddings()).resolve(EMBEDDED)
    assert artifact.inputs() == (TextEmbeddings(EMBEDDED.encoder),)
    assert not artifact.uses_labels
