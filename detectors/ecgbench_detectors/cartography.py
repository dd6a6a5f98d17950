"""Dataset cartography: how confident the classifier was of the given label while it trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import TrainingDynamics
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Detector, Panel
from ecgbench_detectors.dynamics import Logits, label_probabilities


@dataclass(frozen=True)
class Cartography(Detector):
    """Score 1 - the mean probability of the given label over the epochs (Swayamdipta et al., EMNLP 2020).

    `measure=correctness` scores 1 - the share of epochs that predict the given label, in as many levels. The third
    coordinate, the standard deviation of the probability, tells ambiguous items and not wrong ones: it is in
    `inspect`, and nothing scores by it.
    """

    measure: Literal["confidence", "correctness"] = "confidence"

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the training dynamics."""
        return (TrainingDynamics(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return float64, shape (n,), in [0, 1], higher = the given label was less likely, or predicted less often."""
        data_map = draw_map(artifacts[TrainingDynamics()].logits, task)
        return 1.0 - (data_map.confidence if self.measure == "confidence" else data_map.correctness)

    def inspect(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[Panel]:
        """Show the range of the three coordinates, and the map by correctness."""
        logits = artifacts[TrainingDynamics()].logits
        data_map = draw_map(logits, task)
        return (_coordinate_panel(data_map), _correctness_panel(data_map, n_epochs=len(logits)))


@dataclass(frozen=True, eq=False)
class DataMap:
    """Hold each item's place on the map, all float64, shape (n,).

    `confidence` and `variability`: mean and standard deviation over the epochs of the given label's probability, in
    [0, 1] and [0, 0.5]; `correctness`: the share of epochs that predict it.
    """

    confidence: FloatArray
    variability: FloatArray
    correctness: FloatArray


def draw_map(logits: Logits, task: DetectionTask) -> DataMap:
    """Return the data map of the items; `logits`: shape (T, n, C), recorded in train mode."""
    probabilities = label_probabilities(logits, task.labels)
    correctness = (logits.argmax(axis=2) == task.labels).mean(axis=0)
    return DataMap(probabilities.mean(axis=0), probabilities.std(axis=0), correctness)


def _coordinate_panel(data_map: DataMap) -> Panel:
    rows = [(name, *(f"{v:.3f}" for v in (c.min(), c.mean(), c.max()))) for name, c in vars(data_map).items()]
    return Panel("data map", ("coordinate", "lowest", "mean", "highest"), tuple(rows))


def _correctness_panel(data_map: DataMap, *, n_epochs: int) -> Panel:
    """Return a row for each number of epochs that predicted the given label; a dash where no item has it."""
    n_correct = np.rint(data_map.correctness * n_epochs).astype(np.int64)
    rows = []
    for n in range(n_epochs + 1):
        there = n_correct == n
        means = (c[there].mean() if there.any() else None for c in (data_map.confidence, data_map.variability))
        shown = ("-" if mean is None else f"{mean:.3f}" for mean in means)
        rows.append((f"{n} of {n_epochs}", str(there.sum()), *shown))
    columns = ("epochs that predict the given label", "items", "mean confidence", "mean variability")
    return Panel("by correctness", columns, tuple(rows))
