"""Curriculum spotter: items that stay hard to learn, by the losses recorded while a classifier trained on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import TrainingDynamics
from ecgbench.data import BoolArray, DetectionTask, FloatArray
from ecgbench.specs import Detector
from ecgbench_detectors.dynamics import label_losses


@dataclass(frozen=True)
class CurriculumSpotter(Detector):
    """Score the losses of the epochs in which an item was hard (Amiri et al., NAACL 2018), by recorded losses.

    In each epoch an item is hard if its loss is above the mean loss of those that are classified as they are
    labelled. A hard item gains its loss + 1 / the number of hard items; one that never was hard has its last loss.

    The paper trains by a curriculum: each epoch on the easy items and a growing share of the hard ones, easiest
    first, and only hard items in that share gain. Here training is the ordinary one, all items in random order in
    every epoch, so all hard items gain. Losses are those an item was trained from, with dropout, not of a pass over
    all items after the epoch; and there are as many epochs as the profile's classifier trains, not dozens.
    """

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the training dynamics."""
        return (TrainingDynamics(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), at least 0, higher = harder in more epochs."""
        logits = artifacts[TrainingDynamics()].logits
        losses = label_losses(logits, task.labels)
        is_learned = logits[:, np.arange(len(task)), task.labels] == logits.max(axis=2)
        gained = np.zeros(len(task))
        for of_epoch, learned in zip(losses, is_learned, strict=True):
            is_hard = _find_hard(of_epoch, learned)
            gained[is_hard] += of_epoch[is_hard] + 1.0 / max(is_hard.sum(), 1)
        return np.where(gained > 0, gained, losses[-1])


def _find_hard(losses: FloatArray, is_learned: BoolArray) -> BoolArray:
    """Return which losses are above the mean of the learned items; all are where none is learned."""
    # fsum: the last bits of a plain sum would tell the order of the items.
    bound = math.fsum(losses[is_learned]) / is_learned.sum() if is_learned.any() else -math.inf
    return np.asarray(losses > bound)
