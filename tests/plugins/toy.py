"""A small third-party plugin, good and hostile parts together; `--plugin tests/plugins/toy.py` loads it.

ECGBENCH_TOY_CALLS names a file that gets a line for every batch the artifacts compute;
ECGBENCH_TOY_SLEEP is how many seconds each batch and each `toy_slow` cell take.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts, Cost, TaskArtifact, TextArtifact
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import BoolArray, Corruption, DetectionTask, FloatArray, LabeledTexts, TaskDescription
from ecgbench.engines.context import ComputeContext
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import (
    Dataset,
    DatasetContext,
    DatasetSpec,
    Detector,
    DetectorSpec,
    Metric,
    MetricSpec,
    NoiseModel,
    NoiseModelSpec,
    Panel,
)

BATCH = 8
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


def count_call(what: str, n: int) -> None:
    """Note that `n` items of an artifact were computed, and take the time that was asked for."""
    path = os.environ.get("ECGBENCH_TOY_CALLS")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{what} {n}\n")
    time.sleep(float(os.environ.get("ECGBENCH_TOY_SLEEP", "0")))


@dataclass(frozen=True)
class Toy(Dataset):
    """Short texts whose first word tells the class; `copies` of them are repeated, `blank` of them empty."""

    default_n: ClassVar[int | None] = None

    classes: int = 2
    size: int = 60
    copies: int = 0
    blank: int = 0

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        """Return `size` items, the classes in turn."""
        labels = np.arange(self.size) % self.classes
        texts = [f"{WORDS[label]} {'x' * (i % 7)} {i}" for i, label in enumerate(labels)]
        texts = texts[: self.size - self.copies] + texts[: self.copies]
        texts[: self.blank] = [""] * self.blank
        names = tuple(WORDS[: self.classes])
        return LabeledTexts("toy", tuple(texts), labels, TaskDescription("first word", names))


@dataclass(frozen=True)
class Careless(NoiseModel):
    """Return a corruption that breaks the contract in the way `fault` says."""

    fault: str = "rate"

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:  # noqa: ARG002
        """Return something wrong, or leave."""
        if self.fault == "exit":
            sys.exit(3)
        labels: dict[str, Any] = {
            "rate": data.labels,
            "range": data.labels + 5,
            "type": data.labels * 0.5,
            "length": data.labels[1:],
        }
        return Corruption(data.texts, labels[self.fault])


@dataclass(frozen=True)
class TextLengths(TextArtifact[FloatArray]):
    """The length of each text: float64, shape (n,)."""

    uses_labels: ClassVar[bool] = False
    cost: ClassVar[Cost] = Cost(seconds=0.001, llm_calls=1, memory=5)

    scale: int = 1

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Any]:  # noqa: ARG002
        """Ask about the text alone."""
        return task.texts

    def batches(self, requests: Sequence[Any]) -> Iterable[Sequence[int]]:
        """Cut the requests as they come."""
        return [range(start, min(start + BATCH, len(requests))) for start in range(0, len(requests), BATCH)]

    def compute(self, requests: Sequence[Any], context: ComputeContext) -> Sequence[bytes | None]:  # noqa: ARG002
        """Return lengths in ASCII."""
        count_call("TextLengths", len(requests))
        return [str(len(request) * self.scale).encode() for request in requests]

    def assemble(self, rows: Sequence[bytes | None]) -> FloatArray:
        """Return the numbers."""
        return np.array([0.0 if row is None else float(row) for row in rows])


@dataclass(frozen=True)
class Echoes(TextLengths):
    """A text artifact whose requests follow from another artifact."""

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Read the lengths."""
        return (TextLengths(),)

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Any]:
        """Ask about the text and its length."""
        lengths: FloatArray = inputs[TextLengths()]
        return [f"{text}{length}" for text, length in zip(task.texts, lengths, strict=True)]


@dataclass(frozen=True)
class WordVotes(TaskArtifact[FloatArray]):
    """How many items with the same first word carry another label, with seeded jitter: float64, shape (n,)."""

    uses_seed: ClassVar[bool] = True

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Read the lengths."""
        return (TextLengths(),)

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> FloatArray:
        """Count votes."""
        count_call("WordVotes", 1)
        words = np.array([text.split(" ")[0] for text in task.texts])
        same = words[:, None] == words[None, :]
        votes = (same & (task.labels[:, None] != task.labels[None, :])).mean(axis=1)
        jitter: FloatArray = context.rng("votes").random(len(task)) * 1e-3 + inputs[TextLengths()] * 1e-6
        result: FloatArray = votes + jitter
        return result


@dataclass(frozen=True)
class Broken(TaskArtifact[Any]):
    """A task artifact that fails in the way `fault` says."""

    fault: str = "raise"
    field: Any = None

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:  # noqa: ARG002
        """Raise, leave, or return what cannot be kept."""
        if self.fault == "exit":
            sys.exit(3)
        if self.fault == "raise":
            raise RuntimeError("the artifact broke")
        return np.array([{}]) if self.fault == "objects" else {"no": "array"}


@dataclass(frozen=True)
class Lengths(Detector):
    """Rank by length to a power."""

    power: float = 1.0
    sign: int = 1

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the lengths."""
        return (TextLengths(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return the lengths."""
        return artifacts[TextLengths()] ** self.power * self.sign


@dataclass(frozen=True)
class Votes(Detector):
    """Rank by votes."""

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the votes."""
        return (WordVotes(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return the votes."""
        return artifacts[WordVotes()]


@dataclass(frozen=True)
class Echo(Detector):
    """Rank by the echoes."""

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the echoes."""
        return (Echoes(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return the echoes."""
        return artifacts[Echoes()]


@dataclass(frozen=True)
class Slow(Detector):
    """Sleep, then draw; `name` makes more columns of it."""

    name: str = "a"

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return uniform numbers."""
        count_call(f"Slow-{self.name}", 1)
        return rng.random(len(task))


@dataclass(frozen=True)
class Bad(Detector):
    """Answer in the wrong way that `fault` names."""

    fault: str = "raise"

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> Any:  # noqa: ARG002
        """Return or raise something wrong."""
        n = len(task)
        if self.fault == "raise":
            raise RuntimeError("the detector\nbroke")
        if self.fault == "exit":
            sys.exit(0)
        if self.fault == "undeclared":
            return artifacts[TextLengths()]
        if self.fault == "write":
            task.labels[0] = 1
        answers: dict[str, Any] = {
            "a_nan": np.where(np.arange(n) == 3, np.nan, 1.0),
            "an_inf": np.where(np.arange(n) == 3, np.inf, 1.0),
            "short": np.ones(n - 1),
            "column": np.ones((n, 1)),
            "strings": np.array(["high"] * n),
            "bools": np.ones(n, dtype=bool),
            "ragged": [[1.0], [2.0, 3.0]],
            "none": None,
        }
        return answers[self.fault]


@dataclass(frozen=True)
class OnBroken(Detector):
    """Read an artifact that fails."""

    fault: str = "raise"

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the broken artifact; a set cannot be part of a cache key."""
        return (Broken(self.fault, frozenset("x") if self.fault == "key" else None),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Never get here."""
        raise AssertionError("score was called without its artifact")


@dataclass(frozen=True)
class Wishful(Detector):
    """Raise where it is built."""

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Break."""
        raise RuntimeError("needs broke")

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Never get here."""
        raise AssertionError


@dataclass(frozen=True)
class Shown(Detector):
    """Rank by length and show lengths and votes, or fail in the way `fault` names."""

    fault: str = "none"

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the lengths."""
        return (TextLengths(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return the lengths, or too few of them."""
        lengths: FloatArray = artifacts[TextLengths()]
        return lengths[1:] if self.fault == "score" else lengths

    def inspection_needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the votes beside the lengths, or what the fault is about."""
        if self.fault == "needs":
            raise RuntimeError("inspection_needs broke")
        further: dict[str, Artifact[Any]] = {"artifact": Broken(), "classifier": OutOfFoldProbs()}
        return (TextLengths(), WordVotes(), *([further[self.fault]] if self.fault in further else []))

    def inspect(self, task: DetectionTask, artifacts: Artifacts) -> Any:
        """Return one panel, or something wrong."""
        if self.fault == "raise":
            raise RuntimeError("the inspection\nbroke")
        if self.fault == "exit":
            sys.exit(3)
        if self.fault == "undeclared":
            return artifacts[Echoes()]
        cells: dict[str, Any] = {"numbers": 1.5, "control": "red \x1b[31m text\nnext"}
        rows = (
            ("items", cells.get(self.fault, str(len(task)))),
            ("mean length", f"{artifacts[TextLengths()].mean():.1f}"),
            ("disputed", str(int((artifacts[WordVotes()] > 0.05).sum()))),
        )
        wrong: dict[str, Any] = {"strings": ["panel"], "short": [Panel("lengths", ("what",), rows)], "nothing": None}
        return [Panel("lengths", ("what", "value"), rows)] if self.fault not in wrong else wrong[self.fault]


@dataclass(frozen=True)
class MeanScore(Metric):
    """A further metric: the mean suspicion; with ECGBENCH_TOY_METRIC it breaks in the way that says."""

    def compute(self, is_noisy: BoolArray, scores: FloatArray) -> float:  # noqa: ARG002
        """Return the mean."""
        fault = os.environ.get("ECGBENCH_TOY_METRIC")
        if fault == "exit":
            sys.exit(3)
        if fault == "raise":
            raise RuntimeError("the metric broke")
        return float("nan") if fault == "nan" else float(scores.mean())


@hookimpl
def ecgbench_datasets() -> list[DatasetSpec]:
    """Return the toy data."""
    return [DatasetSpec("toy", f"{__name__}:Toy", "short made-up texts")]


@hookimpl
def ecgbench_noise_models() -> list[NoiseModelSpec]:
    """Return the careless noise."""
    return [NoiseModelSpec("toy_careless", f"{__name__}:Careless", "breaks the contract")]


@hookimpl
def ecgbench_metrics() -> list[MetricSpec]:
    """Return the further metric where it is asked for."""
    wanted = "ECGBENCH_TOY_METRIC" in os.environ
    return [MetricSpec("toy_mean", f"{__name__}:MeanScore", "mean suspicion")] if wanted else []


@hookimpl
def ecgbench_detectors() -> list[DetectorSpec]:
    """Return the toy detectors."""
    kinds = {"lengths": Lengths, "votes": Votes, "echo": Echo, "slow": Slow, "bad": Bad, "on_broken": OnBroken}
    specs = [DetectorSpec(f"toy_{name}", f"{__name__}:{kind.__name__}", "a toy") for name, kind in kinds.items()]
    return [
        *specs,
        DetectorSpec("toy_shown", f"{__name__}:Shown", "has an inspection"),
        DetectorSpec("toy_wishful", f"{__name__}:Wishful", "cannot say what it needs"),
        DetectorSpec("toy_missing", f"{__name__}:Lengths", "needs what is not there", requires=("no_such_module",)),
        DetectorSpec("toy_absent", f"{__name__}:NoSuchClass", "points nowhere"),
    ]
