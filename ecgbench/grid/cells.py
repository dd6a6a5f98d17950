"""The units of a run: a task is dataset x noise x rate x seed, a cell is a task x a detector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ecgbench.data import BoolArray, Corruption, DetectionTask, LabeledTexts, TaskDescription, freeze
from ecgbench.errors import InvalidCorruptionError, InvalidDatasetError
from ecgbench.grid.random_states import watch_random_states
from ecgbench.grid.selection import Selection
from ecgbench.seeds import derive_rng
from ecgbench.specs import NoiseModel


@dataclass(frozen=True)
class Condition:
    """What a task is made from."""

    dataset: Selection
    n: int
    noise: Selection
    rate: float
    seed: int

    def __str__(self) -> str:
        return f"{self.dataset} n={self.n} {self.noise} rate={self.rate} seed={self.seed}"


MOST_CLASSES_IN_TRANSITION = 20
"""With more of them a record would be little else."""


@dataclass(frozen=True, eq=False)
class CorruptedTask:
    """A task with the truth beside it; detectors are handed `task` alone."""

    condition: Condition
    task: DetectionTask
    true_labels: Any
    markers: tuple[str, ...]

    @cached_property
    def is_noisy(self) -> BoolArray:
        """Return which items' given label is wrong: bool, shape (n,), read-only."""
        return freeze(np.asarray(self.task.labels != self.true_labels))

    @cached_property
    def transition(self) -> tuple[tuple[int, ...], ...] | None:
        """Return how many items of each true class (rows) have each given label (columns); None for many classes."""
        n = self.task.n_classes
        if n > MOST_CLASSES_IN_TRANSITION:
            return None
        counts = np.bincount(self.true_labels * n + self.task.labels, minlength=n * n).reshape(n, n)
        return tuple(tuple(row) for row in counts.tolist())


def corrupt(condition: Condition, data: LabeledTexts, noise: NoiseModel) -> CorruptedTask:
    """Apply a noise model and check what it returned; raises InvalidCorruptionError."""
    with watch_random_states(f"noise model {condition.noise.name}"):
        corruption = noise.corrupt(data, condition.rate, derive_rng(condition.seed, "noise"))
    labels = validate_corruption(corruption, data)
    task = DetectionTask(texts=tuple(corruption.texts), labels=labels, description=data.description)
    result = CorruptedTask(condition, task, data.labels, tuple(corruption.markers))
    wanted, found = round(condition.rate * len(data)), int(result.is_noisy.sum())
    if noise.uses_rate and found != wanted:
        raise InvalidCorruptionError(
            f"{condition.noise} made {found} labels wrong, rate {condition.rate} asks {wanted}"
        )
    return result


def validate_dataset(data: Any, name: str) -> LabeledTexts:
    """Return what a dataset loaded where it keeps to the contract; raises InvalidDatasetError."""
    if not isinstance(data, LabeledTexts) or not isinstance(data.description, TaskDescription):
        raise InvalidDatasetError(f"dataset {name} returned {type(data).__name__}, not LabeledTexts with a description")
    if not all(isinstance(text, str) for text in (data.name, *data.texts)):
        raise InvalidDatasetError(f"dataset {name} holds a name or texts that are not strings")
    top = data.description.n_classes - 1
    for labels in (data.labels, data.given_labels):
        if labels.shape != (len(data),):
            raise InvalidDatasetError(f"dataset {name} holds {len(data)} texts and labels of shape {labels.shape}")
        if len(labels) and (labels.min() < 0 or labels.max() > top):
            raise InvalidDatasetError(
                f"dataset {name} holds labels from {labels.min()} to {labels.max()}; they must lie in 0..{top}"
            )
    return data


def validate_corruption(corruption: Corruption, data: LabeledTexts) -> Any:
    """Return the labels of a corruption that fits its data; raises InvalidCorruptionError."""
    labels = np.asarray(corruption.labels)
    if len(corruption.texts) != len(data) or labels.shape != (len(data),):
        raise InvalidCorruptionError(
            f"the noise model returned {len(corruption.texts)} texts and labels of shape {labels.shape} "
            f"for {len(data)} items"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InvalidCorruptionError(f"the noise model returned labels of type {labels.dtype}, not integers")
    if labels.min() < 0 or labels.max() >= data.description.n_classes:
        raise InvalidCorruptionError(
            f"the noise model returned labels from {labels.min()} to {labels.max()}; "
            f"they must lie in 0..{data.description.n_classes - 1}"
        )
    if not all(isinstance(text, str) for text in corruption.texts):
        raise InvalidCorruptionError("the noise model returned texts that are not strings")
    return labels
