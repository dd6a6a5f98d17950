"""Detectors that are right, or wrong in one point each."""

from __future__ import annotations

import contextlib
import enum
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts, TaskArtifact
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import Neighbours
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.engines.context import ComputeContext
from ecgbench.errors import NotApplicableError, UndeclaredArtifactError
from ecgbench.specs import Detector

CALLS = itertools.count()


@dataclass(frozen=True)
class Honest(Detector):
    """Score 1 - P(given label); each class below breaks one thing."""

    def needs(self) -> tuple[Artifact[Any], ...]:
        return (OutOfFoldProbs(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        return np.asarray(1.0 - artifacts[OutOfFoldProbs()][np.arange(len(task)), task.labels])


@dataclass
class Thawed(Detector):
    """Parameters may change under way."""

    k: int = 1

    def needs(self) -> tuple[Artifact[Any], ...]:
        return Honest().needs()

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        return Honest().score(task, artifacts, rng)


@dataclass(frozen=True)
class Bare(Honest):
    """A parameter has no default."""

    k: int


@dataclass(frozen=True)
class Doubling(Honest):
    """Built again it is another."""

    k: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", 2 * self.k)


class Mode(enum.Enum):
    """Values that no record can hold."""

    FAST = "fast"


@dataclass(frozen=True)
class Moded(Honest):
    """A parameter is a value that no record can hold."""

    mode: Mode = Mode.FAST


@dataclass(frozen=True)
class Placeful(Honest):
    """A parameter is a path, which no selection can hold."""

    place: Path = Path("here")


@dataclass(frozen=True)
class Untyped(Honest):
    """A parameter comes back from a record as another."""

    k: Any = (1, 2)


def make_local() -> Honest:
    """Return an instance of a class that no worker finds."""

    @dataclass(frozen=True)
    class Local(Honest):
        pass

    return Local()


@dataclass(frozen=True)
class Fickle(Honest):
    def needs(self) -> tuple[Artifact[Any], ...]:
        return (OutOfFoldProbs(), Neighbours(TextEmbeddings(), k=next(CALLS) + 1))


@dataclass(frozen=True)
class Peeking(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        with contextlib.suppress(UndeclaredArtifactError):
            artifacts[TextEmbeddings()]
        return super().score(task, artifacts, rng)


@dataclass(frozen=True)
class Talking(Honest):
    def findings(self, task: DetectionTask, artifacts: Artifacts) -> Sequence[str]:  # noqa: ARG002
        return [str(artifacts[TextEmbeddings()].shape)]


def is_plain(task: DetectionTask) -> bool:
    """Say whether a task is the usual one of the kit: two classes, all texts different and none odd."""
    return task.n_classes == 2 and len(set(task.texts)) == 40 and "" not in task.texts and len(set(task.labels)) == 2


@dataclass(frozen=True)
class Undecided(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        scores = super().score(task, artifacts, rng)
        return np.where(scores == scores.max(), np.nan, scores) if is_plain(task) else scores


@dataclass(frozen=True)
class Upside(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        return -super().score(task, artifacts, rng)


@dataclass(frozen=True)
class Writing(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        scores, values = super().score(task, artifacts, rng), artifacts[OutOfFoldProbs()]
        values.flags.writeable = True
        values[:] = 0.5
        return scores


@dataclass(frozen=True)
class Relabelling(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        scores = super().score(task, artifacts, rng)
        task.labels.flags.writeable = True
        task.labels[:] = 0
        task.labels.flags.writeable = False
        return scores


@dataclass(frozen=True)
class Drifting(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        return super().score(task, artifacts, rng) + 1e-12 * next(CALLS)


@dataclass(frozen=True)
class Seeding(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        np.random.seed(0)
        return super().score(task, artifacts, rng)


@dataclass(frozen=True)
class Placed(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        return super().score(task, artifacts, rng) + 1e-3 * np.arange(len(task))


@dataclass(frozen=True)
class Unique(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        return super().score(task, artifacts, rng)[[task.texts.index(text) for text in dict.fromkeys(task.texts)]]


@dataclass(frozen=True)
class Wordy(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        return super().score(task, artifacts, rng) + [0.0 * len(text.split()[0]) for text in task.texts]


@dataclass(frozen=True)
class TwoSided(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        first, _ = np.unique(task.labels)[:2]
        return super().score(task, artifacts, rng) + first


@dataclass(frozen=True)
class Complete(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        sizes = np.bincount(task.labels)
        last = 0 * sizes[task.n_classes - 1] if task.n_classes > 2 else 0
        return super().score(task, artifacts, rng) + last


@dataclass(frozen=True)
class Crowded(Honest):
    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        scores = super().score(task, artifacts, rng)
        return scores + 0 * np.partition(scores, 15)[15]


@dataclass(frozen=True)
class OfClasses(Honest):
    """It is made for so many classes alone."""

    counts: tuple[int, ...] = ()

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        if task.n_classes not in self.counts:
            raise NotApplicableError(f"it is made for {self.counts} classes")
        return super().score(task, artifacts, rng)


@dataclass(frozen=True)
class OwnEngine(TaskArtifact[FloatArray]):
    """An artifact on an engine that the kit does not know."""

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> FloatArray:  # noqa: ARG002
        values: FloatArray = context.load(load_own, "a model")
        return values


def load_own(settings: str, model_dir: Any) -> Any:
    raise AssertionError(f"{settings} of {model_dir} was loaded in a check")


@dataclass(frozen=True)
class WithFake(OwnEngine):
    def fake(self, task: DetectionTask, inputs: Artifacts) -> FloatArray:  # noqa: ARG002
        return np.array([len(set(text)) for text in task.texts], dtype=np.float64)


@dataclass(frozen=True)
class WithSet(WithFake):
    """An artifact that no cache key can be made of."""

    words: frozenset[str] = frozenset({"otter"})


@dataclass(frozen=True)
class Needy(Honest):
    def inspection_needs(self) -> tuple[Artifact[Any], ...]:
        return (WithSet(),)


@dataclass(frozen=True)
class OnOwnEngine(Honest):
    faked: bool = False

    def needs(self) -> tuple[Artifact[Any], ...]:
        return (OutOfFoldProbs(), WithFake() if self.faked else OwnEngine())


@dataclass(frozen=True)
class Declared(Upside):
    """It fails a check, and says so."""

    expected_failures: ClassVar[Mapping[str, str]] = {"higher_is_more_suspicious": "it is upside down on purpose"}


@dataclass(frozen=True)
class Overdeclared(Honest):
    expected_failures: ClassVar[Mapping[str, str]] = {"ten_rows": "it once needed more"}


@dataclass(frozen=True)
class Misspelt(Honest):
    expected_failures: ClassVar[Mapping[str, str]] = {"ten_row": "it needs more"}


@dataclass(frozen=True)
class Silent(Honest):
    expected_failures: ClassVar[Mapping[str, str]] = {"ten_rows": " "}


@dataclass(frozen=True)
class Listed(Honest):
    expected_failures: ClassVar[Any] = ["ten_rows"]
