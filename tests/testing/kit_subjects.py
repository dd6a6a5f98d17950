"""Subjects that are wrong in one point each, and the check that says so."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import itertools
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts, TaskArtifact
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import Neighbours
from ecgbench.data import BoolArray, Corruption, DetectionTask, FloatArray, LabeledTexts, TaskDescription
from ecgbench.engines.context import ComputeContext
from ecgbench.errors import NotApplicableError, UndeclaredArtifactError
from ecgbench.metrics.curves import Auroc
from ecgbench.specs import Dataset, DatasetContext, Detector
from ecgbench_noise_models.uniform import UniformNoise

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
class Flipping(UniformNoise):
    """What is wrong with a noise model, by name."""

    fault: str = "none"

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:
        if self.fault == "two" and data.description.n_classes > 2:
            raise NotApplicableError("it is made for two classes")
        if self.fault == "three" and data.description.n_classes < 3:
            raise NotApplicableError("it is made for three classes and more")
        if self.fault == "raters" and data.annotations is None:
            raise NotApplicableError("no rater is known")
        if self.fault == "never":
            raise NotApplicableError("it fits nothing")
        if self.fault == "one more" and rate:
            rate += 1 / len(data)
        if self.fault == "unseeded":
            rng = np.random.default_rng()
        if self.fault == "one seed":
            rng = np.random.default_rng(0)
        if self.fault == "global":
            random.random()
        found = super().corrupt(data, rate, rng)
        if self.fault == "range" and data.description.n_classes == 3:
            return dataclasses.replace(found, labels=found.labels + 1)
        if self.fault == "texts":
            return dataclasses.replace(found, texts=tuple(text.upper() for text in data.texts))
        if self.fault == "marked":
            is_wrong = found.labels != data.labels
            texts = tuple(f"{text} WRONG" if wrong else text for text, wrong in zip(data.texts, is_wrong, strict=True))
            return dataclasses.replace(found, texts=texts)
        if self.fault == "writing":
            data.given_labels.flags.writeable = True
            data.given_labels[:] = 0
        return found


@dataclass(frozen=True)
class Measuring(Auroc):
    """What is wrong with a metric, by name."""

    fault: str = "none"

    def compute(self, is_noisy: BoolArray, scores: FloatArray) -> float:
        values = {
            "nan": lambda value: float("nan") if value == 0.5 else value,
            "middle": lambda value: -abs(value - 0.7),
            "far": lambda value: abs(value - 0.3),
            "constant": lambda _: 1.0,
            "drifting": lambda value: value + 1e-14 * next(CALLS),
        }
        if self.fault == "clean" and not is_noisy.any():
            return float("nan")
        if self.fault == "noisy" and is_noisy.all():
            return float(1 // np.count_nonzero(~is_noisy).item())
        if self.fault == "spread" and np.ptp(scores) == 0:
            raise NotApplicableError("the scores are constant")
        if self.fault == "never":
            raise NotApplicableError("it fits nothing")
        if self.fault == "first":
            return float(is_noisy[np.argsort(-scores, kind="stable")[:12]].mean()) if is_noisy.any() else self._refuse()
        if self.fault == "global":
            np.random.rand()
        value = values.get(self.fault, float)(super().compute(is_noisy, scores))
        if self.fault == "writing":
            is_noisy.flags.writeable = True
            is_noisy[:] = False
        return value

    def _refuse(self) -> float:
        raise NotApplicableError("no item has a wrong label")


@dataclass(frozen=True)
class Loading(Dataset):
    """What is wrong with a dataset, by name."""

    fault: str = "none"

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        texts: tuple[Any, ...] = tuple(f"text {i}" for i in range(6))
        labels = np.arange(6) % 2
        if self.fault == "shuffled":
            texts = (*texts[:5], os.urandom(8).hex())
        if self.fault == "range":
            labels = labels + 1
        if self.fault == "type":
            texts = (*texts[:5], None)
        if self.fault == "global":
            random.seed(1)
        raters = np.zeros((4, 2)) if self.fault == "raters" else None
        described = TaskDescription("" if self.fault == "noun" else "parity", ("even", "odd"))
        return LabeledTexts("loading", texts, labels, described, annotations=raters)


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


BROKEN: list[tuple[Any, str, str]] = [
    (Thawed(), "parameters_round_trip", "Thawed is no frozen dataclass"),
    (Bare(3), "parameters_round_trip", "k has no default"),
    (Doubling(), "parameters_round_trip", "Doubling(k=2) became"),
    (Moded(), "parameters_round_trip", "it raised TypeError: a cache key cannot hold Mode"),
    (Placeful(), "parameters_round_trip", "it raised TypeError: Object of type"),
    (Untyped(), "parameters_round_trip", "Untyped(k=(1, 2)) became"),
    (make_local(), "picklable", "Can't pickle local object"),
    (Fickle(), "needs_stable", "needs() gave"),
    (Needy(), "needs_stable", "it raised TypeError: a cache key cannot hold frozenset"),
    (Peeking(), "undeclared_artifact_refused", "was read but not declared (declared: OutOfFoldProbs)"),
    (Talking(), "undeclared_artifact_refused", "was read but not declared (declared: OutOfFoldProbs)"),
    (Undecided(), "scores_valid", "1 of 40 scores are not finite"),
    (Upside(), "higher_is_more_suspicious", "the mean AUROC of 3 tasks is 0.0"),
    (Writing(), "inputs_untouched", "the value of OutOfFoldProbs was changed"),
    (Relabelling(), "inputs_untouched", "the task was changed"),
    (Drifting(), "deterministic", "the scores differ between two calls"),
    (Seeding(), "global_random_state_untouched", "the global state of numpy moved"),
    (Placed(), "permutation_equivariant", "scores differ in another order"),
    (Unique(), "duplicates", "the scores have shape (15,), expected (40,)"),
    (Wordy(), "empty_and_unicode_texts", "it raised IndexError: list index out of range"),
    (TwoSided(), "single_class", "it raised ValueError: not enough values to unpack"),
    (Complete(), "more_than_two_classes", "it raised IndexError"),
    (Crowded(), "ten_rows", "it raised ValueError: kth(=15) out of bounds (10)"),
    (Flipping("range"), "labels_valid", "of 3 classes: the noise model returned labels from 1 to 3"),
    (Flipping("one more"), "exact_rate", "2 of 10 labels are wrong at rate 0.05, 0 are asked"),
    (Flipping("unseeded"), "deterministic", "labels differ between two calls"),
    (Flipping("one seed"), "another_seed_differs", "three seeds gave the same labels"),
    (Flipping("texts"), "text_changes_declared", "the text of item 0 became"),
    (Flipping("marked"), "text_changes_declared", "WRONG"),
    (Flipping("writing"), "inputs_untouched", "the data was changed"),
    (Flipping("global"), "global_random_state_untouched", "the global state of random moved"),
    (Measuring("nan"), "finite", "a constant ranking has nan"),
    (Measuring("first"), "ties", "in another order"),
    (Measuring("middle"), "perfect_is_best", "a perfect one -0.3"),
    (Measuring("constant"), "perfect_is_best", "a perfect and a reversed ranking have the same value"),
    (Measuring("far"), "reversed_is_worst", "the reversed 0.3"),
    (Measuring("clean"), "all_clean", "it gave nan"),
    (Measuring("noisy"), "all_noisy", "it raised ZeroDivisionError"),
    (Measuring("drifting"), "deterministic", "and then"),
    (Measuring("writing"), "inputs_untouched", "what it was given was changed"),
    (Measuring("global"), "global_random_state_untouched", "the global state of numpy moved"),
    (Loading("shuffled"), "loads_twice_alike", "texts differ between two loads"),
    (Loading("range"), "labels_in_range", "labels goes from 1 to 2, 2 classes are named"),
    (Loading("type"), "texts_are_strings", "text 5 is of type NoneType"),
    (Loading("noun"), "description_complete", "noun is empty"),
    (Loading("raters"), "raters_fit", "annotations has shape (4, 2) for 6 texts"),
    (Loading("global"), "global_random_state_untouched", "the global state of random moved"),
]
"""Each subject, the one check it fails, and what the line says was seen."""
