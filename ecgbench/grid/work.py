"""Units of work: what an executor performs in this process, in a child or on another machine.

A unit holds names, texts, labels and values, never an engine, a plugin or anything of the cache: whoever
performs it brings those along. The driver alone reads and writes the cache and the records.
"""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecgbench.artifacts.base import Arrays, Artifact, TaskArtifact, TextArtifact, artifact_title
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.engines.llm import TokenUsage
from ecgbench.errors import INTERRUPTS, EcgbenchError
from ecgbench.grid.evaluate import validate_scores
from ecgbench.grid.memory import measure_memory
from ecgbench.grid.random_states import guard_random_states
from ecgbench.grid.selection import Selection
from ecgbench.grid.statuses import Failure, describe_failure
from ecgbench.grid.values import ArtifactView
from ecgbench.plugins import Plugins
from ecgbench.profiles import Profile
from ecgbench.progress import Progress, SilentProgress
from ecgbench.registry import missing_modules, missing_package
from ecgbench.seeds import derive_rng

Values = Mapping[Artifact[Any], Any]


@dataclass
class Worker:
    """What work uses where it is performed."""

    engines: EnginePool
    plugins: Plugins
    progress: Progress = field(default_factory=SilentProgress)


@dataclass(frozen=True)
class Outcome:
    """What came of a unit of work: its value, or why there is none, and the seconds it took.

    `loading`: how many of the seconds went into loading models; `usage`: the tokens that language models read and
    wrote; `peak_memory`: by how many MiB the process's memory rose; `device`: what it was done on; `touched`: the
    libraries whose global random state it used.
    """

    value: Any = None
    failure: Failure | None = None
    seconds: float = 0.0
    loading: float = 0.0
    usage: TokenUsage = field(default_factory=TokenUsage)
    peak_memory: float | None = None
    device: str = ""
    touched: tuple[str, ...] = ()


class Work(ABC):
    """One unit of work."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Name the work for people."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Count its items, for the progress display."""

    @property
    def settings(self) -> frozenset[Any]:
        """Return the settings of the models it may load."""
        return frozenset()

    @property
    def memory(self) -> int:
        """Estimate the memory it takes, in MiB; 0 where nobody said."""
        return 0

    @property
    def shared(self) -> tuple[Any, ...]:
        """Return its large parts: other works of the same task hold the very same objects."""
        return ()

    @abstractmethod
    def perform(self, worker: Worker) -> Any:
        """Do the work and return its value."""


@dataclass(frozen=True, eq=False)
class BatchWork(Work):
    """Answer one batch of a text artifact's requests; the value: the answers, in order."""

    artifact: TextArtifact[Any]
    requests: Sequence[Any]

    @property
    def title(self) -> str:
        """Name the artifact."""
        return artifact_title(self.artifact)

    @property
    def size(self) -> int:
        """Count the requests."""
        return len(self.requests)

    @property
    def settings(self) -> frozenset[Any]:
        """Return the artifact's models."""
        return frozenset(self.artifact.models())

    @property
    def memory(self) -> int:
        """Return what the artifact says."""
        return self.artifact.cost.memory

    def perform(self, worker: Worker) -> list[bytes | None]:
        """Ask the artifact's engine."""
        _require(self.artifact)
        answers = list(self.artifact.compute(self.requests, ComputeContext(worker.engines, progress=worker.progress)))
        if len(answers) != len(self.requests):
            raise EcgbenchError(f"compute() gave {len(answers)} answers to {len(self.requests)} requests")
        if wrong := [answer for answer in answers if not isinstance(answer, (bytes, type(None)))]:
            raise EcgbenchError(f"compute() gave {type(wrong[0]).__name__}, not bytes (None: a failed attempt)")
        return answers


@dataclass(frozen=True, eq=False)
class ValueWork(Work):
    """Compute a task artifact's value for one task from the values of its inputs; the value: its arrays."""

    artifact: TaskArtifact[Any]
    task: DetectionTask
    seed: int
    profile: Profile
    inputs: Values
    checkpoints: Any = None

    @property
    def title(self) -> str:
        """Name the artifact."""
        return artifact_title(self.artifact)

    @property
    def size(self) -> int:
        """Count the task's items."""
        return len(self.task)

    @property
    def settings(self) -> frozenset[Any]:
        """Return the artifact's models."""
        return frozenset(self.artifact.models())

    @property
    def memory(self) -> int:
        """Return what the artifact says."""
        return self.artifact.cost.memory

    @property
    def shared(self) -> tuple[Any, ...]:
        """Return the task and the inputs."""
        return (self.task, *self.inputs.values())

    def perform(self, worker: Worker) -> Arrays:
        """Compute the value and turn it into arrays."""
        _require(self.artifact)
        # Another machine may not see the cache, and must not start one at the same place.
        checkpoints = self.checkpoints if self.checkpoints and self.checkpoints.parents[1].is_dir() else None
        context = ComputeContext(worker.engines, self.seed, worker.progress, checkpoints=checkpoints)
        value = self.artifact.compute(self.task, ArtifactView(self.inputs, self.profile), context)
        return self.artifact.pack(value)


@dataclass(frozen=True)
class Scored:
    """A detector's validated suspicions, its findings, and the seconds of `score` alone."""

    scores: FloatArray
    findings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class CellWork(Work):
    """Let a detector score one task from the values it declared; the value: Scored."""

    detector: Selection
    task: DetectionTask
    seed: int
    profile: Profile
    needs: Values

    @property
    def title(self) -> str:
        """Name the detector."""
        return self.detector.name

    @property
    def size(self) -> int:
        """Count the cell."""
        return 1

    @property
    def shared(self) -> tuple[Any, ...]:
        """Return the task and what the detector declared."""
        return (self.task, *self.needs.values())

    def perform(self, worker: Worker) -> Scored:
        """Build the detector by its name and let it score."""
        detector = worker.plugins.detectors[self.detector.name].build(self.detector.params)
        view = ArtifactView(self.needs, self.profile)
        started = time.perf_counter()
        scores = detector.score(self.task, view, derive_rng(self.seed, "detector"))
        seconds = time.perf_counter() - started
        findings = tuple(map(str, detector.findings(self.task, view)))
        return Scored(validate_scores(scores, len(self.task)), findings, seconds)


def perform(work: Work, worker: Worker) -> Outcome:
    """Do the work; whatever its code raises becomes the outcome's failure."""
    started = time.perf_counter()
    engines = worker.engines
    usage, loading = engines.usage, engines.loading_seconds
    try:
        with guard_random_states() as touched, measure_memory() as memory:
            value = work.perform(worker)
    except INTERRUPTS:
        raise
    except BaseException as error:  # a plugin may even call sys.exit
        return Outcome(
            failure=describe_failure(error, what=work.title),
            seconds=time.perf_counter() - started,
            usage=engines.usage.plus(usage, -1),  # a server's tokens cost the same
        )
    return Outcome(
        value,
        seconds=time.perf_counter() - started,
        loading=engines.loading_seconds - loading,
        usage=engines.usage.plus(usage, -1),
        peak_memory=memory.peak,
        device=_name_device(),
        touched=tuple(touched),
    )


def _name_device() -> str:
    """Name what models run on here, importing nothing for it: without torch none has run."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return f"cpu, {os.cpu_count()} cores"


def _require(artifact: Artifact[Any]) -> None:
    for module in missing_modules(artifact.requires):
        raise missing_package(module, needed_for=artifact_title(artifact))
