"""Neural Relation Graph: what all other items, weighted by likeness, say of a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import ClassifierStates, OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.errors import UsageError
from ecgbench.specs import Detector

Matrix = NDArray[np.float32]

BLOCK = 2_048
"""Items are compared in blocks of BLOCK x BLOCK, which bound the memory whatever n is."""
DIGITS = 6
"""Scores hold no more: they are sums of float32 products, and their last bits are no order of the items."""


@dataclass(frozen=True)
class Nrg(Detector):
    """Score the relations to items of other labels minus those to items of the same (Kim et al., NeurIPS 2023).

    Items i and j relate by r_ij = max(0, f_i . f_j) * (P_i . P_j), negative where their labels differ, and 0 where
    |r_ij| <= `cutoff`. The support of a label is S_i = sum over j of sign(r_ij) |r_ij|^`power`, the item itself
    included as in the authors' code. In each further round, up to `rounds`, the items whose S is under -`suspect`
    times the largest |S| are taken to be wrong, and their relations change sign: S_i - 2 * sum over them. The score is
    -S, in units of the largest |S|.

    f is an item's state in the classifier trained on it, of length 1. The paper takes P from that classifier as well;
    here P is out of fold, as for all detectors: a classifier that has fitted the wrong labels confirms them.
    """

    power: int = 4
    cutoff: float = 0.03
    suspect: float = 0.05
    rounds: int = 2

    def __post_init__(self) -> None:
        for name in ("power", "rounds"):
            if getattr(self, name) < 1:
                raise UsageError(f"nrg.{name} is {getattr(self, name)}; give a whole number of at least 1")
        for name in ("cutoff", "suspect"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"nrg.{name} is {getattr(self, name)}; give a number from 0 to below 1")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the classifier's states and the out-of-fold probabilities."""
        return (ClassifierStates(), OutOfFoldProbs())

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [-1, 1], higher = the items most like it carry other labels."""
        states, probs = artifacts[ClassifierStates()], artifacts[OutOfFoldProbs()].astype(np.float32)
        first = support = self._support(states, probs, task.labels, np.arange(len(task)))
        for _ in range(1, self.rounds):
            wrong = np.flatnonzero(support < -self.suspect * np.abs(support).max(initial=0.0))
            support = first - 2.0 * self._support(states, probs, task.labels, wrong)
        largest = np.abs(support).max(initial=0.0)
        return np.asarray(np.round(-support / (largest or 1.0), DIGITS) + 0.0)  # no -0.0

    def _support(self, states: Matrix, probs: Matrix, labels: IntArray, others: IntArray) -> FloatArray:
        """Return each item's signed sum of relations to `others`, positions of items: shape (n,)."""
        support = np.zeros(len(labels))
        same_label = np.eye(probs.shape[1], dtype=np.float32) * 2.0 - 1.0  # of two classes: 1 if equal, else -1
        for columns in _blocks(others):
            to_states, to_probs = states[columns].T, probs[columns].T
            signs = same_label[labels[columns]]
            for rows in _blocks(np.arange(len(labels))):
                relations = np.maximum(states[rows] @ to_states, 0.0)
                relations *= probs[rows] @ to_probs
                relations[relations <= self.cutoff] = 0.0
                by_class = np.power(relations, self.power, out=relations) @ signs
                support[rows] += by_class[np.arange(len(rows)), labels[rows]]
        return support


def _blocks(positions: IntArray) -> list[IntArray]:
    return [positions[start : start + BLOCK] for start in range(0, len(positions), BLOCK)]
