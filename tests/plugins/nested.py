"""A plugin whose detector, noise model and dataset have parameters inside a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgbench.artifacts.base import Artifacts
from ecgbench.data import Corruption, DetectionTask, FloatArray, LabeledTexts, TaskDescription
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import (
    Dataset,
    DatasetContext,
    DatasetSpec,
    Detector,
    DetectorSpec,
    NoiseModel,
    NoiseModelSpec,
)


@dataclass(frozen=True)
class Weights:
    """How much each sign counts."""

    length: float = 1.0
    place: float = 0.5
    words: tuple[str, ...] = ("x",)


@dataclass(frozen=True)
class Signs(Detector):
    """Weigh signs; the default of a weight inside is the parameter's, not the class's."""

    weights: Weights = Weights(place=0.0)
    known_artifacts: tuple[str, ...] = ()

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return the weighted sum."""
        lengths = np.array([len(text) for text in task.texts], dtype=np.float64)
        return lengths * self.weights.length + np.arange(len(task)) * self.weights.place

    def findings(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[str]:  # noqa: ARG002
        """Say what was given."""
        return (f"length weighs {self.weights.length}", f"known: {', '.join(self.known_artifacts) or 'none'}")


@dataclass(frozen=True)
class Shift:
    """Where flips begin."""

    start: int = 0


@dataclass(frozen=True)
class FirstItems(NoiseModel):
    """Flip the first items from `shift.start` on; two classes."""

    shift: Shift = Shift()

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:  # noqa: ARG002
        """Flip round(rate * n) items."""
        labels = data.labels.copy()
        chosen = slice(self.shift.start, self.shift.start + round(rate * len(data)))
        labels[chosen] = 1 - labels[chosen]
        return Corruption(data.texts, labels)


@dataclass(frozen=True)
class Size:
    """How much there is."""

    items: int = 40


@dataclass(frozen=True)
class Numbers(Dataset):
    """Numbered texts of two classes in turn."""

    size: Size = Size()

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        """Return `size.items` items."""
        labels = np.arange(self.size.items) % 2
        texts = tuple(f"text {i * i}" for i in range(self.size.items))
        return LabeledTexts("numbers", texts, labels, TaskDescription("parity", ("even", "odd")))


@hookimpl
def ecgbench_detectors() -> list[DetectorSpec]:
    """Return the detector."""
    return [DetectorSpec("signs", f"{__name__}:Signs", "weighs signs")]


@hookimpl
def ecgbench_noise_models() -> list[NoiseModelSpec]:
    """Return the noise model."""
    return [NoiseModelSpec("first_items", f"{__name__}:FirstItems", "flips the first items")]


@hookimpl
def ecgbench_datasets() -> list[DatasetSpec]:
    """Return the dataset."""
    return [DatasetSpec("numbers", f"{__name__}:Numbers", "numbered texts")]
