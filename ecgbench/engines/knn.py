"""Nearest neighbours by cosine, through faiss: exact on a CPU or a GPU, or by an approximate index on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import IntArray
from ecgbench.errors import MissingPackageError, UsageError
from ecgbench.profiles import KnnSettings
from ecgbench.progress import Progress

Vectors = NDArray[np.float32]
Search = Callable[[Vectors], IntArray]
"""From b queries to the indices of their likely neighbours, int64, shape (b, m), -1 where too few were found."""

EXACT = KnnSettings()
QUERIES = 16_384
"""How many rows are searched at a time: what a search holds beside vectors and result is bounded by it."""
SAMPLED = 1_000
"""How many rows the recall is measured on; so few items are searched exactly whatever the index."""
TOLERANCE = 1e-6
"""Similarities this near are equal: faiss searches by sums in another order, and may take either."""
SEED = 1

# A GPU holds at most this many bytes of vectors and of queries, and faiss-gpu keeps at most so many neighbours.
GPU_BYTES = 2**30
GPU_NEIGHBOURS = 2_048

# ivf: 4 sqrt(n) lists, found by k-means on 64 rows a list.
LISTS = 4
ROWS_PER_LIST = 64
ROUNDS = 10
# hnsw: links a row has on the lowest level (twice this many) and how many candidates they are chosen from.
LINKS = 32
LINK_CANDIDATES = 100
# Both indexes hold rounded vectors: this many times more rows than asked for are compared by the real ones.
SPARE = 4


def nearest_neighbours(
    vectors: Vectors, k: int, knn: KnnSettings = EXACT, *, progress: Progress | None = None
) -> tuple[IntArray, Vectors]:
    """Return each row's k nearest other rows by inner product, nearest first, the lower index first on ties.

    `vectors`: float32, shape (n, d), rows of length 1 (or all zeros); an array mapped from a file is not copied.
    Returns indices, int64, and similarities, float32, both of shape (n, min(k, n - 1)); a row is never its own
    neighbour, its duplicates may be. Where the list ends among equally near rows, which of them are in it is
    faiss's choice, always the same. There is never an n x n matrix in memory.

    An approximate index may miss neighbours, and finds the same ones whenever it is asked on the same machine;
    similarities are exact. 1,000 items or fewer are searched exactly, and so is a row for which it finds too few.
    """
    if k < 1:
        raise UsageError(f"k is {k}; give at least 1 neighbour")
    n = len(vectors)
    k = max(min(k, n - 1), 0)
    indices, similarities = np.zeros((n, k), dtype=np.int64), np.zeros((n, k), dtype=np.float32)
    if k == 0:
        return indices, similarities
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    exact = _exact_search(vectors, k + 1)
    is_exact = knn.index == "exact" or n <= SAMPLED
    search = exact if is_exact else _approximate_search(vectors, k + 1, knn)
    for start in range(0, n, QUERIES):
        rows = np.arange(start, min(start + QUERIES, n))
        indices[rows], similarities[rows] = _search_others(search, vectors, rows, k)
        short = rows[np.isneginf(similarities[rows, -1])]
        if len(short):
            indices[short], similarities[short] = _search_others(exact, vectors, short, k)
        if progress is not None:
            progress.advance(len(rows))
    return indices, similarities


def measure_recall(vectors: Vectors, similarities: Vectors) -> float:
    """Return the share of found neighbours that an exact search finds as well, on the same 1,000 rows each time.

    `similarities`: of the found ones, shape (n, k). One as near as the furthest exact neighbour counts, whichever
    of several equally near rows it is. 1 where there are no neighbours to find.
    """
    n, k = similarities.shape
    if k == 0:
        return 1.0
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    rows = np.sort(np.random.default_rng(SEED).choice(n, size=min(SAMPLED, n), replace=False))
    _, exact = _search_others(_exact_search(vectors, k + 1), vectors, rows, k)
    return float((similarities[rows] >= exact[:, -1:] - TOLERANCE).mean())


def _search_others(search: Search, vectors: Vectors, rows: IntArray, k: int) -> tuple[IntArray, Vectors]:
    queries = vectors[rows]
    indices = search(queries)
    # All similarities are summed by one function: a matrix product has other last bits on other numbers of threads.
    similarities = _inner_products(vectors, queries, indices)
    # A row with more duplicates than neighbours may miss itself: then the last one goes.
    similarities[(indices < 0) | (indices == rows[:, None])] = -np.inf
    order = np.lexsort((indices, -similarities), axis=1)[:, :k]
    return np.take_along_axis(indices, order, 1), np.take_along_axis(similarities, order, 1)


def _inner_products(vectors: Vectors, queries: Vectors, indices: IntArray) -> Vectors:
    """Return the inner products of each query with the rows of its indices, some number for an index of -1."""
    faiss = _import_faiss()
    products = np.empty(indices.shape, dtype=np.float32)
    known = np.maximum(indices, 0)
    pointers = [faiss.swig_ptr(array) for array in (products, queries, vectors, known)]
    faiss.fvec_inner_products_by_idx(*pointers, vectors.shape[1], *indices.shape)
    return products


def _exact_search(vectors: Vectors, k: int) -> Search:
    faiss = _import_faiss()
    metric = faiss.METRIC_INNER_PRODUCT
    if faiss.get_num_gpus() == 0 or k > GPU_NEIGHBOURS:
        return lambda queries: faiss.knn(queries, vectors, k, metric=metric)[1]
    resources = faiss.StandardGpuResources()
    limits = {"vectorsMemoryLimit": GPU_BYTES, "queriesMemoryLimit": GPU_BYTES}
    return lambda queries: faiss.knn_gpu(resources, queries, vectors, k, metric=metric, **limits)[1]


def _approximate_search(vectors: Vectors, k: int, knn: KnnSettings) -> Search:
    if knn.effort < 1:
        raise UsageError(f"knn.effort is {knn.effort}; give at least 1")
    faiss = _import_faiss()
    candidates = min(SPARE * k, len(vectors))
    if knn.index == "ivf":
        index = _build_ivf(faiss, vectors)
        index.nprobe = min(knn.effort, index.nlist)
    else:
        index = _build_hnsw(faiss, vectors)
        index.hnsw.efSearch = max(knn.effort, candidates)
    return lambda queries: index.search(queries, candidates)[1]


def _build_ivf(faiss: Any, vectors: Vectors) -> Any:
    """Build lists of near rows (k-means), over vectors rounded to 4 bits a dimension.

    So they are compared by table look-ups in registers (André et al. 2015), ten times as fast as in float32.
    """
    n, d = vectors.shape
    lists = LISTS * round(n**0.5)
    kmeans = faiss.Kmeans(
        d,
        lists,
        niter=ROUNDS,
        spherical=True,
        seed=SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=ROWS_PER_LIST,
    )
    kmeans.train(vectors)
    coarse = faiss.IndexFlatIP(d)
    coarse.add(kmeans.centroids)
    index = faiss.IndexIVFPQFastScan(coarse, d, lists, d, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    with _one_thread(faiss):  # a tiny k-means for each dimension: threads would wait for each other
        index.train(vectors)
    index.add(vectors)
    return index


def _build_hnsw(faiss: Any, vectors: Vectors) -> Any:
    """Build a navigable graph (Malkov and Yashunin 2018) over vectors rounded to 8 bits a dimension."""
    index = faiss.IndexHNSWSQ(vectors.shape[1], faiss.ScalarQuantizer.QT_8bit, LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = LINK_CANDIDATES
    with _one_thread(faiss):  # several would link the rows in another order each time
        index.train(vectors)
        index.add(vectors)
    return index


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingPackageError(
            "faiss", needed_for="nearest neighbours", install="pip install faiss-cpu (or faiss-gpu)"
        ) from error
    return faiss
