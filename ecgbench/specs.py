"""What plugins contribute: specs (names with import targets) and the interfaces behind them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.data import BoolArray, Corruption, DetectionTask, FloatArray, LabeledTexts


@dataclass(frozen=True)
class Spec:
    """A name, what it stands for, and "module:Class" to import when it is first used.

    The class is a frozen dataclass whose fields are the parameters, each with a default.
    `requires` lists importable modules without which it is reported as unavailable.
    """

    name: str
    target: str
    summary: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """Contribute a dataset; its class implements Dataset."""


@dataclass(frozen=True)
class NoiseModelSpec(Spec):
    """Contribute a noise model; its class implements NoiseModel."""


@dataclass(frozen=True)
class DetectorSpec(Spec):
    """Contribute a detector; its class implements Detector."""


@dataclass(frozen=True)
class MetricSpec(Spec):
    """Contribute a metric; its class implements Metric."""


class Dataset(ABC):
    """Load texts with labels and a description of what the labels mean."""

    argument: ClassVar[str | None] = None
    """The parameter that takes the part after ":" in `file:reviews.csv`."""
    default_n: ClassVar[int | None] = 500
    """How many items a run draws where nobody says; None for all."""
    from_hub: ClassVar[bool] = False
    """True: fetched from the hub, so by `ecgbench fetch` only where it is named."""
    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Checks of the conformance kit that cannot hold here, each with the reason."""

    @abstractmethod
    def load(self, context: DatasetContext) -> LabeledTexts:
        """Return the whole dataset in a fixed order; raise DataError where it cannot be read."""


@dataclass(frozen=True)
class DatasetContext:
    """Where a dataset keeps what it fetched; `offline` forbids fetching."""

    folder: Any
    offline: bool = False


class NoiseModel(ABC):
    """Corrupt labels (and texts); the harness computes which items became wrong, never the plugin."""

    uses_rate: ClassVar[bool] = True
    """False: the model takes no rate; it is handed 0 and recorded with rate 0."""
    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Checks of the conformance kit that cannot hold here, each with the reason."""

    @abstractmethod
    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:
        """Return n texts and n given labels; exactly round(rate * n) labels differ from `data.labels`."""


@dataclass(frozen=True)
class Panel:
    """A small table of an inspection; cells are text as it is shown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Detector(ABC):
    """Rank items by how likely their given label is wrong."""

    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Checks of the conformance kit that cannot hold here, each with the reason."""

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Return the artifacts `score` reads; anything else is refused."""
        return ()

    @abstractmethod
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        """Return the suspicion of each item: float64, shape (n,), finite, higher = more suspicious."""

    def findings(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[str]:  # noqa: ARG002
        """Say in words what was found on the way to the scores: lines that stand under the table."""
        return ()

    def item_findings(
        self,
        task: DetectionTask,  # noqa: ARG002
        artifacts: Artifacts,  # noqa: ARG002
        items: Sequence[int],
    ) -> Sequence[Sequence[str]]:
        """Say in words what was found of each of these items, for `ecgbench scan`: one list of lines an item."""
        return [()] * len(items)

    def inspection_needs(self) -> tuple[Artifact[Any], ...]:
        """Return the artifacts `inspect` reads; more than `needs` where more is to be shown."""
        return self.needs()

    def inspect(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[Panel]:  # noqa: ARG002
        """Show what lies between the texts and the scores, for `ecgbench inspect`."""
        return ()


class Metric(ABC):
    """Measure a ranking against the truth."""

    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Checks of the conformance kit that cannot hold here, each with the reason."""

    @abstractmethod
    def compute(self, is_noisy: BoolArray, scores: FloatArray) -> float | Mapping[str, float]:
        """Return a value, or values by cut-off; raise NotApplicableError where it is not defined."""
