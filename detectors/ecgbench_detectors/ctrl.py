"""CTRL: two clusters of loss curves in each class, of which the high one is taken for the wrong labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import TrainingDynamics
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector
from ecgbench_detectors.dynamics import label_losses

LARGEST_LOSS = 2.0
"""Losses are cut at so many times that of guessing, log C: the authors' setting."""
ROUNDS = 100
"""Of k-means; curves of a few epochs settle in about ten."""
DIGITS = 9
"""Scores hold no more: the last bits of a centre depend on the order of the items."""


@dataclass(frozen=True)
class Ctrl(Detector):
    """Score where an item's loss curve lies between the two k-means centres of its given class: 0 the low, 1 the high.

    As published (Yue & Jha, IEEE Transactions on AI 2024, and their code): the loss of the given label at each epoch,
    cut at 2 log C; k-means in each given class by itself; the items of the cluster with the larger area under its
    centre are the errors. These have a score above 0.5.

    Ours: the degree. The paper flags; here the curve is projected on the line from the low centre to the high one.
    Left out: the moving average over 5 epochs, for there may be 3 in all, and the search by silhouette over more
    clusters and over windows of epochs that vote: k is 2, over the whole curve.
    """

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the training dynamics."""
        return (TrainingDynamics(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), about 0 to 1, higher = a higher loss; all 0 in a class with one curve only."""
        losses = label_losses(artifacts[TrainingDynamics()].logits, task.labels).T
        curves = np.minimum(losses, LARGEST_LOSS * math.log(task.n_classes))
        scores = np.zeros(len(task))
        for label in np.unique(task.labels):
            places = np.flatnonzero(task.labels == label)
            scores[places] = _place_between_centres(curves[places])
        return np.asarray(np.round(scores, DIGITS) + 0.0)  # no -0.0


def _place_between_centres(curves: FloatArray) -> FloatArray:
    """Return each curve's projection on the line from the low centre (0) to the high one (1), shape (n,)."""
    low, high = _find_centres(curves)
    way = high - low
    length = (way**2).sum()
    return ((curves - low) * way).sum(axis=1) / length if length > 0 else np.zeros(len(curves))


def _find_centres(curves: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the two k-means centres of curves, shape (n, T), the one with less area first.

    They start at the curves of least and most area, so that neither luck nor the order of the items decides.
    """
    from scipy.cluster.vq import kmeans2

    ends = curves[np.lexsort((*curves.T, curves.sum(axis=1)))[[0, -1]]]
    if (ends[0] == ends[1]).all():  # all curves are one
        return ends[0], ends[1]
    first, second = kmeans2(curves, ends, iter=ROUNDS, minit="matrix")[0]
    return (first, second) if first.sum() <= second.sum() else (second, first)
