"""Neighbourhood surprise: how little the neighbours of an item's explanation share its given label."""

from __future__ import annotations

import numpy as np

from ecgbench.artifacts.graph import KnnGraph
from ecgbench.data import FloatArray, IntArray

TEMPERATURE = 0.07
LEAST_SIMILARITY = 0.35
SMOOTHING = 1e-3


def edge_weights(graph: KnnGraph) -> FloatArray:
    """Return edge weights, shape (n, k): exp(similarity / .07), weak edges dropped, rows summing to 1 or 0."""
    similarities = graph.similarities.astype(np.float64)
    kept = similarities >= LEAST_SIMILARITY
    weights = np.where(kept, np.exp((similarities - 1.0) / TEMPERATURE), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))


def label_support(graph: KnnGraph, labels: IntArray, *, n_classes: int) -> FloatArray:
    """Return the smoothed share of neighbour weight on the given label, shape (n,), in (0, 1).

    Where no edge is left the posterior is uniform: 1 / C.
    """
    weights = edge_weights(graph)
    share = (weights * (labels[graph.indices] == labels[:, None])).sum(axis=1)
    share = np.where(weights.any(axis=1), share, 1.0 / n_classes)
    return np.asarray((share + SMOOTHING) / (1.0 + n_classes * SMOOTHING))


def neighbourhood_surprise(graph: KnnGraph, labels: IntArray, *, n_classes: int) -> FloatArray:
    """Return -log of the neighbours' support for the given label, shape (n,), higher = more suspicious."""
    return -np.log(label_support(graph, labels, n_classes=n_classes))
