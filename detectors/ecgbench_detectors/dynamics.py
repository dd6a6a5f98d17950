"""What the logits of each epoch of a training say of the labels it was given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.classifier import softmax
from ecgbench.data import FloatArray, IntArray

Logits = NDArray[np.float32]


def label_probabilities(logits: Logits, labels: IntArray) -> FloatArray:
    """Return the probability of each item's given label at each epoch: float64, shape (T, n)."""
    return np.asarray(softmax(logits.astype(np.float64))[:, np.arange(len(labels)), labels])


def label_losses(logits: Logits, labels: IntArray) -> FloatArray:
    """Return the cross-entropy of each item's given label at each epoch: float64, shape (T, n), at least 0."""
    from scipy.special import log_softmax

    losses = -log_softmax(logits.astype(np.float64), axis=2)[:, np.arange(len(labels)), labels]
    return np.asarray(np.maximum(losses, 0.0))
