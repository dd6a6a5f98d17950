"""The graph of the explanations: how much an item's neighbours support its given label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import ClassifierStates
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.artifacts.llm import ExplanationEmbeddings, ReliabilityScores
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray

TEMPERATURE = 0.07
LEAST_SIMILARITY = 0.35
SMOOTHING = 1e-3


@dataclass(frozen=True)
class ExplanationGraph:
    """Which graph an item's neighbours are read off.

    `mutual` keeps an edge only where both ends list each other; `second_view` adds the graph of the trained
    classifier's states; `label_words` embeds the model's label as well (the leakage check).
    """

    k: int = 15
    mutual: bool = False
    second_view: bool = False
    label_words: bool = False

    @property
    def neighbours(self) -> Neighbours:
        """Return the graph of the explanations."""
        return Neighbours(ExplanationEmbeddings(label_words=self.label_words), k=self.k)

    @property
    def states(self) -> Neighbours:
        """Return the graph of the second view."""
        return Neighbours(ClassifierStates(), k=self.k)

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the artifacts that weights and posterior are computed from."""
        return (self.neighbours, ReliabilityScores(), *((self.states,) if self.second_view else ()))

    def weights(self, artifacts: Artifacts) -> FloatArray:
        """Return the weights of the explanations' edges, shape (n, k), see `edge_weights`."""
        return edge_weights(artifacts[self.neighbours], artifacts[ReliabilityScores()].filled, mutual=self.mutual)

    def posterior(self, task: DetectionTask, artifacts: Artifacts) -> FloatArray:
        """Return the neighbours' vote on the label, shape (n, C); with a second view the mean of both votes."""
        weights = self.weights(artifacts)
        vote = label_posterior(artifacts[self.neighbours], weights, task.labels, n_classes=task.n_classes)
        if not self.second_view:
            return vote
        graph = artifacts[self.states]
        # The reliability is that of explanations: it says nothing about the classifier's states.
        weights = edge_weights(graph, np.ones(len(task)), mutual=self.mutual)
        return (vote + label_posterior(graph, weights, task.labels, n_classes=task.n_classes)) / 2


def edge_weights(graph: KnnGraph, reliability: FloatArray, *, mutual: bool = False) -> FloatArray:
    """Return edge weights, shape (n, k): exp(similarity / .07) * rho of the neighbour, rows summing to 1 or 0.

    Edges of similarity under .35 are dropped; `reliability`: rho, shape (n,), in [0, 1].
    """
    similarities = graph.similarities.astype(np.float64)
    kept = similarities >= LEAST_SIMILARITY
    if mutual:
        kept &= is_mutual(graph.indices)
    weights = np.where(kept, np.exp((similarities - 1.0) / TEMPERATURE), 0.0) * reliability[graph.indices]
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))


def is_mutual(indices: IntArray) -> BoolArray:
    """Say of each edge i -> j whether i is among j's neighbours too: shape (n, k)."""
    n = len(indices)
    own = np.arange(n)[:, None]
    return np.isin(own * n + indices, indices * n + own)


def label_posterior(graph: KnnGraph, weights: FloatArray, labels: IntArray, *, n_classes: int) -> FloatArray:
    """Return the weight of the neighbours of each given label, shape (n, C); 1 / C where no edge is left."""
    n = len(labels)
    places = np.arange(n)[:, None] * n_classes + labels[graph.indices]
    vote = np.bincount(places.ravel(), weights.ravel(), minlength=n * n_classes).reshape(n, n_classes)
    total = vote.sum(axis=1, keepdims=True)  # of the very terms above: a unanimous vote is exactly 1, whoever votes
    return np.asarray(np.divide(vote, total, out=np.full(vote.shape, 1.0 / n_classes), where=total > 0))


def label_support(posterior: FloatArray, labels: IntArray) -> FloatArray:
    """Return the smoothed share of the vote for the given label, shape (n,), in (0, 1)."""
    return smooth(posterior)[np.arange(len(labels)), labels]


def smooth(posterior: FloatArray) -> FloatArray:
    """Return the votes, shape (n, C), kept off 0 and 1."""
    return np.asarray((posterior + SMOOTHING) / (1.0 + posterior.shape[1] * SMOOTHING))


def neighbourhood_surprise(posterior: FloatArray, labels: IntArray) -> FloatArray:
    """Return -log of the neighbours' support for the given label, shape (n,), higher = more suspicious."""
    return np.asarray(-np.log(label_support(posterior, labels)))


def nearest_similarity(graph: KnnGraph) -> FloatArray:
    """Return the similarity of each item's nearest neighbour, shape (n,), clipped to [0, 1]; 0 without any."""
    return np.asarray(np.minimum(graph.similarities.max(axis=1, initial=0.0).astype(np.float64), 1.0))
