"""Exact nearest neighbours by cosine, through faiss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import IntArray
from ecgbench.errors import MissingPackageError, UsageError


def nearest_neighbours(vectors: NDArray[np.float32], k: int) -> tuple[IntArray, NDArray[np.float32]]:
    """Return each row's k nearest other rows by inner product, nearest first, the lower index first on ties.

    `vectors`: float32, shape (n, d), rows of length 1 (or all zeros). Returns indices, int64, and
    similarities, float32, both of shape (n, min(k, n - 1)); a row is never its own neighbour, its duplicates
    may be. Where the list ends among equally near rows, which of them are in it is faiss's choice, always the same.
    faiss goes through the rows in blocks: there is never an n x n matrix in memory.
    """
    if k < 1:
        raise UsageError(f"k is {k}; give at least 1 neighbour")
    n = len(vectors)
    k = min(k, n - 1)
    if k < 1:
        return np.zeros((n, 0), dtype=np.int64), np.zeros((n, 0), dtype=np.float32)
    similarities, indices = _search(np.ascontiguousarray(vectors, dtype=np.float32), k + 1)
    order = np.lexsort((indices, -similarities), axis=1)
    indices, similarities = np.take_along_axis(indices, order, 1), np.take_along_axis(similarities, order, 1)
    drop = indices == np.arange(n)[:, None]
    drop[~drop.any(axis=1), -1] = True  # a row with k + 1 duplicates may miss itself: the last one goes instead
    return indices[~drop].reshape(n, k), similarities[~drop].reshape(n, k)


def _search(vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], IntArray]:
    try:
        import faiss
    except ImportError as error:
        raise MissingPackageError(
            "faiss", needed_for="nearest neighbours", install="pip install faiss-cpu (or faiss-gpu)"
        ) from error
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    similarities, indices = index.search(vectors, k)
    return similarities, indices.astype(np.int64)
