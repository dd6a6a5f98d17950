"""Artifacts: shared intermediate results that detectors declare and the harness computes once.

An artifact *is* its cache identity: a frozen dataclass whose fields, class and `version` make the
key. A field left at None takes the profile's setting of the same name and then enters the key.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import DetectionTask
from ecgbench.engines.context import ComputeContext
from ecgbench.profiles import Profile
from ecgbench.store.keys import digest

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Arrays = Mapping[str, NDArray[Any]]
BATCH = 64
"""How many requests are answered in one call where an artifact does not say."""


class Artifacts(Protocol):
    """The declared artifacts of one task; reading an undeclared one raises UndeclaredArtifactError."""

    def __getitem__(self, artifact: Artifact[T]) -> T: ...


@dataclasses.dataclass(frozen=True)
class Cost:
    """A rough price on two CPU cores: seconds an item, LLM calls an item, memory in MiB while it runs.

    For text artifacts `seconds` is replaced by what earlier runs in the same cache took.
    """

    seconds: float = 0.0
    llm_calls: int = 0
    memory: int = 0


@dataclasses.dataclass(frozen=True)
class Artifact(ABC, Generic[T]):
    """Base of all artifacts: subclass TaskArtifact or TextArtifact, not this."""

    version: ClassVar[int] = 1
    """Raise it when the same fields give another value: old cache entries are then never read."""
    requires: ClassVar[tuple[str, ...]] = ()
    """Importable modules without which the artifact, and what needs it, is skipped."""
    uses_labels: ClassVar[bool] = True
    """False: the value follows from the texts alone, so tasks that differ in labels share it."""
    uses_seed: ClassVar[bool] = False
    """True: the value depends on the run's seed; `context.rng(role)` may be used."""
    cost: ClassVar[Cost] = Cost()
    """What a run of it takes, for `ecgbench plan`."""

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the artifacts this one is computed from."""
        return ()

    def models(self) -> tuple[Any, ...]:
        """Return the settings of the models that `compute` loads; by default all settings among the fields."""
        values = (getattr(self, f.name) for f in dataclasses.fields(self))
        return tuple(v for v in values if dataclasses.is_dataclass(v) and not isinstance(v, (type, Artifact)))

    def facts(self, value: T) -> Mapping[str, float]:  # noqa: ARG002
        """Return what a record of a cell should say of the value; nothing by default."""
        return {}

    def fake(self, task: DetectionTask, inputs: Artifacts) -> T | None:  # noqa: ARG002
        """Return a made-up value for the conformance kit; by default None: it is computed on stand-ins for our engines.

        An artifact that loads an engine of its own overrides it. The value should follow from each text alone.
        """
        return None

    def resolve(self, profile: Profile) -> Self:
        """Fill fields left at None with the profile's settings of the same name."""
        open_fields = [f.name for f in dataclasses.fields(self) if getattr(self, f.name) is None]
        found = {name: getattr(profile, name) for name in open_fields if hasattr(profile, name)}
        return dataclasses.replace(self, **found) if found else self


@dataclasses.dataclass(frozen=True)
class TaskArtifact(Artifact[T]):
    """An artifact computed for a whole task and kept as arrays with a checksum."""

    stored: ClassVar[bool] = True
    """False: so cheap that it is derived again where it is read; it may load no engine."""

    @abstractmethod
    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> T:
        """Compute the value for one task."""

    def pack(self, value: T) -> Arrays:
        """Turn the value into named arrays; the default takes one array or a dataclass of arrays."""
        if isinstance(value, np.ndarray):
            return {"value": value}
        return {f.name: np.asarray(getattr(value, f.name)) for f in dataclasses.fields(value)}  # type: ignore[arg-type]

    def unpack(self, arrays: Arrays) -> T:
        """Rebuild the value from the arrays of `pack`; dataclass values must override this."""
        value: Any = arrays["value"]
        return value  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True)
class TextArtifact(Artifact[T]):
    """An artifact computed text by text and kept by what was asked, whatever task asked it.

    `requests` renders one hashable, JSON-able request an item; equal requests are computed once.
    """

    @abstractmethod
    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Any]:
        """Return n requests, one an item, in the order of the task's texts."""

    def batches(self, requests: Sequence[Any]) -> Iterable[Sequence[int]]:
        """Split requests into batches of positions, each position once.

        They must follow from the requests alone and come in a fixed order: a killed run then resumes with the
        very batches an undisturbed one would have had, and so do several workers, and all get the same bits.
        """
        for start in range(0, len(requests), BATCH):
            yield range(start, min(start + BATCH, len(requests)))

    @abstractmethod
    def compute(self, requests: Sequence[Any], context: ComputeContext) -> Sequence[bytes | None]:
        """Answer one batch, in its order; None is a failed attempt."""

    @abstractmethod
    def assemble(self, rows: Sequence[bytes | None]) -> T:
        """Build the task's value from n answers; None where the attempt failed."""

    def count_failed(self, rows: Sequence[bytes | None]) -> int:
        """Return how many attempts among the answers failed."""
        return sum(row is None for row in rows)

    def row_key(self, request: Any) -> str:
        """Return the key of one request's answer."""
        return digest("row/1", [self, request])


def artifact_title(artifact: Artifact[Any]) -> str:
    """Name an artifact for people: its class, and in brackets what tells it from others of its class."""
    parts = []
    for field in dataclasses.fields(artifact):
        value = getattr(artifact, field.name)
        if isinstance(value, Artifact):
            parts.append(artifact_title(value))
        elif isinstance(value, (bool, int, float, str)) and value != field.default:
            parts.append(f"{field.name}={value}")
        elif field.name == "model":  # settings of the one model it is of
            parts.append(str(getattr(value, "model", value)))
    return f"{type(artifact).__name__}({', '.join(parts)})" if parts else type(artifact).__name__
