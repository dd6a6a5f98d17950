"""The values that flow through the harness: texts with labels, corruptions, detection tasks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.store.keys import digest

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def freeze(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view of an array that shares no memory with writable callers."""
    frozen = array.copy() if array.flags.writeable else array
    frozen.flags.writeable = False
    return frozen


@dataclass(frozen=True, slots=True)
class Shot:
    """One worked example for a prompt: a text, its label's name, evidence spans and a reason."""

    text: str
    label: str
    evidence: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class TaskDescription:
    """Say what is being labelled, in words a prompt can use.

    `noun` completes "The ... is <label>."; `text_heading` and `label_heading` title the lines of
    the prompt; `label_lines` holds one explaining line a class. No shots: they are drawn from the data.
    """

    noun: str
    label_names: tuple[str, ...]
    label_lines: tuple[str, ...] = ()
    text_heading: str = "Text"
    label_heading: str = "Label"
    shots: tuple[Shot, ...] = ()

    @property
    def n_classes(self) -> int:
        """Count the classes."""
        return len(self.label_names)


@dataclass(frozen=True, eq=False)
class LabeledTexts:
    """A dataset as loaded: texts, true labels, and the labels given where the data has its own noise.

    `labels` and `given_labels`: int64, shape (n,), values 0..C-1 indexing `description.label_names`.
    `annotations`: the label each rater gave, as a number of a class: float64, shape (n, raters), NaN where
    one is missing; None without raters.
    """

    name: str
    texts: tuple[str, ...]
    labels: IntArray
    description: TaskDescription
    given_labels: IntArray = None  # type: ignore[assignment]  # filled with labels below
    annotations: FloatArray | None = None

    def __post_init__(self) -> None:
        given = self.labels if self.given_labels is None else self.given_labels
        object.__setattr__(self, "labels", freeze(np.asarray(self.labels, dtype=np.int64)))
        object.__setattr__(self, "given_labels", freeze(np.asarray(given, dtype=np.int64)))
        if self.annotations is not None:
            object.__setattr__(self, "annotations", freeze(np.asarray(self.annotations, dtype=np.float64)))

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: IntArray) -> LabeledTexts:
        """Return the items at `indices`, in that order."""
        return LabeledTexts(
            name=self.name,
            texts=tuple(self.texts[i] for i in indices),
            labels=self.labels[indices],
            description=self.description,
            given_labels=self.given_labels[indices],
            annotations=None if self.annotations is None else self.annotations[indices],
        )


@dataclass(frozen=True, eq=False)
class Corruption:
    """What a noise model returns: texts and given labels, shape (n,), and what it may have put into texts.

    `markers` tell wrong labels, more or less; `decoys` stand in the texts of right and wrong ones alike.
    """

    texts: tuple[str, ...]
    labels: IntArray
    markers: tuple[str, ...] = ()
    decoys: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class DetectionTask:
    """All that a detector may see: texts, given labels and what the labels mean.

    `labels`: int64, shape (n,), read-only. True labels, noise name and rate are not here on purpose.
    """

    texts: tuple[str, ...]
    labels: IntArray
    description: TaskDescription

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", freeze(np.asarray(self.labels, dtype=np.int64)))

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def n_classes(self) -> int:
        """Count the classes."""
        return self.description.n_classes

    @cached_property
    def texts_key(self) -> str:
        """Return the digest of texts and description."""
        return digest("texts/1", [list(self.texts), self.description])

    @cached_property
    def key(self) -> str:
        """Return the digest of everything a detector may see."""
        return digest("task/1", [self.texts_key, self.labels.tolist()])
