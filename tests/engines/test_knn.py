"""Nearest neighbours: without self, in a fixed order; exact, or by an index whose recall is measured."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ecgbench.engines import knn
from ecgbench.engines.knn import measure_recall, nearest_neighbours
from ecgbench.errors import MissingPackageError, UsageError
from ecgbench.profiles import KnnSettings

needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="pip install faiss-cpu")
APPROXIMATE = [KnnSettings("ivf", effort=16), KnnSettings("hnsw", effort=32)]


class Counting:
    def __init__(self) -> None:
        self.steps: list[int] = []

    def advance(self, n: int) -> None:
        self.steps.append(n)


def unit_rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    rows: np.ndarray = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def clustered_rows(n: int, d: int) -> np.ndarray:
    rows = unit_rows(100, d)[np.arange(n) % 100] + unit_rows(n, d, seed=1)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


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
def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).integers(-3, 4, size=(50, 4)).astype(np.float32)
    whole = nearest_neighbours(vectors, 5)
    monkeypatch.setattr(knn, "QUERIES", 7)
    done = Counting()
    for one, other in zip(whole, nearest_neighbours(vectors, 5, progress=done), strict=True):
        np.testing.assert_array_equal(one, other)
    assert done.steps == [7] * 7 + [1]


@needs_faiss
@pytest.mark.parametrize("settings", APPROXIMATE)
def test_an_approximate_index_finds_nearly_all_with_exact_similarities(settings: KnnSettings) -> None:
    vectors = clustered_rows(3_000, 16)
    indices, similarities = nearest_neighbours(vectors, 10, settings)
    wanted, _ = nearest_neighbours(vectors, 10)
    shared = np.mean([len(set(a) & set(b)) for a, b in zip(indices.tolist(), wanted.tolist(), strict=True)]) / 10
    assert 0.9 < shared < 1.0  # 1.0 would say that the index was not used
    assert not (indices == np.arange(3_000)[:, None]).any()
    assert all(len(set(row)) == 10 for row in indices.tolist())
    np.testing.assert_allclose(similarities, np.einsum("id,ikd->ik", vectors, vectors[indices]), atol=1e-6)
    assert (np.diff(similarities, axis=1) <= 0).all()


@needs_faiss
@pytest.mark.parametrize("settings", APPROXIMATE)
def test_an_approximate_index_gives_the_same_bits_again_and_leaves_the_threads_alone(settings: KnnSettings) -> None:
    import faiss

    threads = faiss.omp_get_max_threads()
    vectors = clustered_rows(2_000, 16)
    first, second = (nearest_neighbours(vectors, 10, settings) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert faiss.omp_get_max_threads() == threads


@needs_faiss
@pytest.mark.parametrize("settings", APPROXIMATE)
def test_an_approximate_index_takes_zero_rows_duplicates_and_odd_dimensions(settings: KnnSettings) -> None:
    vectors = clustered_rows(1_500, 7)
    vectors[:100] = 0.0
    vectors[100:200] = vectors[100]
    indices, similarities = nearest_neighbours(vectors, 5, settings)
    assert (indices >= 0).all()
    assert (similarities[:100] == 0.0).all()
    np.testing.assert_allclose(similarities[100:200], 1.0, atol=1e-6)


@needs_faiss
def test_a_row_for_which_an_index_finds_too_few_is_searched_exactly() -> None:
    vectors = unit_rows(1_001, 6)
    vectors[:3] = -vectors[3:].mean(axis=0)
    vectors[:3] /= np.linalg.norm(vectors[:3], axis=1, keepdims=True)
    indices, similarities = nearest_neighbours(vectors, 100, KnnSettings("ivf", effort=1))  # a list holds 8 rows or so
    wanted_indices, wanted = nearest_neighbours(vectors, 100)
    np.testing.assert_array_equal(indices, wanted_indices)
    np.testing.assert_array_equal(similarities, wanted)


@needs_faiss
@pytest.mark.parametrize("settings", APPROXIMATE)
def test_a_thousand_items_are_searched_exactly_whatever_the_index(settings: KnnSettings) -> None:
    vectors = unit_rows(1_000, 16)
    np.testing.assert_array_equal(nearest_neighbours(vectors, 5, settings)[0], nearest_neighbours(vectors, 5)[0])


@needs_faiss
def test_more_effort_finds_more() -> None:
    vectors = unit_rows(4_000, 16)
    recalls = [
        measure_recall(vectors, nearest_neighbours(vectors, 10, KnnSettings("ivf", effort))[1]) for effort in (2, 16)
    ]
    assert recalls[0] < recalls[1] - 0.1


def test_no_effort_is_an_error() -> None:
    with pytest.raises(UsageError, match="effort is 0"):
        nearest_neighbours(unit_rows(1_001, 4), 1, KnnSettings("ivf", effort=0))


@needs_faiss
def test_recall_is_the_share_of_exact_neighbours_found() -> None:
    vectors = unit_rows(300, 8)
    _, similarities = nearest_neighbours(vectors, 4)
    assert measure_recall(vectors, similarities) == 1.0
    similarities[:, 3] -= 0.01  # one of four is further than the exact fourth
    assert measure_recall(vectors, similarities) == 0.75
    similarities[::2, 2] -= 1.0
    assert measure_recall(vectors, similarities) == 0.625


@needs_faiss
def test_recall_counts_any_of_several_equally_near_rows() -> None:
    vectors = np.ones((50, 1), dtype=np.float32)
    assert measure_recall(vectors, np.ones((50, 3), dtype=np.float32)) == 1.0


def test_recall_without_neighbours_is_one() -> None:
    assert measure_recall(unit_rows(1, 4), np.zeros((1, 0), dtype=np.float32)) == 1.0


@needs_faiss
def test_vectors_mapped_from_a_file_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import faiss

    np.save(tmp_path / "vectors.npy", unit_rows(100, 8))
    vectors = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    searched = []
    spied = faiss.knn

    def spy(queries: Any, base: Any, *args: Any, **more: Any) -> Any:
        searched.append(base)
        return spied(queries, base, *args, **more)

    monkeypatch.setattr(faiss, "knn", spy)
    nearest_neighbours(vectors, 3)
    assert [np.shares_memory(base, vectors) for base in searched] == [True]


class FakeGpu:
    """faiss with GPUs: the search is done on the CPU, what it was called with is kept."""

    def __init__(self, gpus: int) -> None:
        self.gpus = gpus
        self.calls: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        import faiss

        return getattr(faiss, name)

    def get_num_gpus(self) -> int:
        return self.gpus

    def StandardGpuResources(self) -> str:  # noqa: N802
        return "resources"

    def knn(self, queries: Any, vectors: Any, k: int, metric: int) -> Any:
        import faiss

        self.calls.append(("cpu", k))
        return faiss.knn(queries, vectors, k, metric)

    def knn_gpu(
        self,
        res: str,
        xq: Any,
        xb: Any,
        k: int,
        metric: int,
        vectorsMemoryLimit: int,  # noqa: N803
        queriesMemoryLimit: int,  # noqa: N803
    ) -> Any:
        import faiss

        assert res == "resources"
        assert 0 < vectorsMemoryLimit < 2**32
        assert 0 < queriesMemoryLimit < 2**32
        self.calls.append(("gpu", k))
        return faiss.knn(xq, xb, k, metric)


@needs_faiss
@pytest.mark.parametrize(("gpus", "k", "device"), [(0, 3, "cpu"), (1, 3, "gpu"), (2, 3, "gpu"), (1, 2_048, "cpu")])
def test_exact_search_runs_on_a_gpu_where_faiss_sees_one_that_holds_the_neighbours(
    gpus: int, k: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = unit_rows(2_100, 4)
    wanted = nearest_neighbours(vectors, k)
    fake = FakeGpu(gpus)
    monkeypatch.setattr(knn, "_import_faiss", lambda: fake)
    found = nearest_neighbours(vectors, k)
    assert fake.calls == [(device, k + 1)]
    np.testing.assert_array_equal(found[0], wanted[0])


@needs_faiss
@pytest.mark.parametrize("index", ["exact", "ivf", "hnsw"])
def test_number_of_threads_shows_in_no_bit(index: Literal["exact", "ivf", "hnsw"]) -> None:
    import faiss

    vectors = clustered_rows(3_000, 48)
    threads = faiss.omp_get_max_threads()
    try:
        found = []
        for number in (1, 2):
            faiss.omp_set_num_threads(number)
            found.append(nearest_neighbours(vectors, 10, KnnSettings(index)))
    finally:
        faiss.omp_set_num_threads(threads)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@needs_faiss
def test_faiss_takes_what_the_gpu_search_passes() -> None:
    import faiss

    parameters = inspect.signature(faiss.knn_gpu).parameters
    assert list(parameters)[:4] == ["res", "xq", "xb", "k"]
    assert {"metric", "vectorsMemoryLimit", "queriesMemoryLimit"} <= set(parameters)
