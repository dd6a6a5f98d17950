"""The artifacts of one task as detectors read them: keys, lookup in the cache, declared access only."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from ecgbench.artifacts.base import Artifact, TaskArtifact, TextArtifact
from ecgbench.data import DetectionTask
from ecgbench.engines.context import ComputeContext
from ecgbench.errors import EcgbenchError, UndeclaredArtifactError
from ecgbench.profiles import Profile
from ecgbench.store.cache import Cache
from ecgbench.store.keys import digest
from ecgbench.store.spending import Spending, sum_spendings

T = TypeVar("T")


class NotComputedError(EcgbenchError):
    """Report an artifact that is not in the cache (yet)."""

    def __init__(self, artifact: Artifact[Any]) -> None:
        super().__init__(f"artifact {type(artifact).__name__} has not been computed")
        self.artifact = artifact


def resolve_closure(
    needs: Iterable[Artifact[Any]], profile: Profile, *, known: Container[Artifact[Any]] = ()
) -> tuple[Artifact[Any], ...]:
    """Return the needs and all they are computed from, resolved, each once, inputs first.

    What is in `known` is left out, and with it what it alone is computed from.
    """
    ordered: dict[Artifact[Any], None] = {}

    def visit(artifact: Artifact[Any]) -> None:
        resolved = artifact.resolve(profile)
        if resolved not in ordered and resolved not in known:
            for source in resolved.inputs():
                visit(source)
            ordered[resolved] = None

    for need in needs:
        visit(need)
    return tuple(ordered)


@dataclass(frozen=True)
class Identity:
    """What an artifact's value depends on beside the texts."""

    lineage: Any
    uses_labels: bool
    uses_seed: bool


def identify(artifact: Artifact[Any], profile: Profile) -> Identity:
    """Collect an artifact and its inputs, and whether any of them reads labels or the seed."""
    sources = [identify(source.resolve(profile), profile) for source in artifact.inputs()]
    return Identity(
        lineage=[artifact, *(source.lineage for source in sources)],
        uses_labels=artifact.uses_labels or any(source.uses_labels for source in sources),
        uses_seed=artifact.uses_seed or any(source.uses_seed for source in sources),
    )


def task_key(
    artifact: TaskArtifact[Any], task: DetectionTask, seed: int, profile: Profile, *, contents: Sequence[str] = ()
) -> str:
    """Return the cache key of a task artifact; `contents`: digests of the answers it is computed from."""
    identity = identify(artifact, profile)
    scope = task.key if identity.uses_labels else task.texts_key
    return digest("artifact/2", [identity.lineage, scope, seed if identity.uses_seed else None, list(contents)])


def iter_text_sources(artifact: Artifact[Any], profile: Profile) -> Iterator[TextArtifact[Any]]:
    """Yield the nearest text artifacts that an artifact is computed from."""
    for source in artifact.inputs():
        resolved = source.resolve(profile)
        if isinstance(resolved, TextArtifact):
            yield resolved
        else:
            yield from iter_text_sources(resolved, profile)


@dataclass
class Usage:
    """What a value took when it was computed, how many of its texts have no valid answer, and its facts."""

    seconds: float = 0.0
    failed_attempts: int = 0
    facts: Mapping[str, float] = field(default_factory=dict)
    spending: Spending = field(default_factory=Spending)


@dataclass
class TaskValues:
    """Look up one task's artifacts in the cache, each at most once."""

    task: DetectionTask
    seed: int
    profile: Profile
    cache: Cache
    usage: dict[Artifact[Any], Usage] = field(default_factory=dict)
    _values: dict[Artifact[Any], Any] = field(default_factory=dict)
    _keys: dict[Artifact[Any], list[str]] = field(default_factory=dict)
    _contents: dict[Artifact[Any], str] = field(default_factory=dict)
    _presets: dict[Artifact[Any], Callable[[], Any]] = field(default_factory=dict)

    def preset(self, artifact: Artifact[T], read: Callable[[], T]) -> None:
        """Answer an artifact by `read`, called when it is first needed, instead of computing it from this task.

        Texts are still kept by what was asked of them. A stored task artifact that rests on the preset is
        derived where it is read and never stored: its key tells of this task alone.
        """
        self._presets[artifact.resolve(self.profile)] = read
        self.forget()

    def closure(self, needs: Iterable[Artifact[Any]]) -> tuple[Artifact[Any], ...]:
        """Return what the needs are computed from here, inputs first; at a preset it ends."""
        return resolve_closure(needs, self.profile, known=self._presets)

    def view(self, declared: Iterable[Artifact[Any]]) -> ArtifactView:
        """Return the mapping in which just the declared artifacts can be read."""
        return ArtifactView(_LoadedWhenRead(self, tuple(a.resolve(self.profile) for a in declared)), self.profile)

    def load(self, artifact: Artifact[T]) -> T:
        """Return a resolved artifact's value; raises NotComputedError where the cache lacks it."""
        if artifact not in self._values:
            self._values[artifact] = freeze_value(self._read(artifact))
        return cast(T, self._values[artifact])

    def load_all(self, closure: Iterable[Artifact[Any]]) -> None:
        """Load artifacts that come inputs first, noting what each derived one took."""
        for artifact in closure:
            started = time.perf_counter()
            self.load(artifact)
            if isinstance(artifact, TaskArtifact) and not artifact.stored and artifact not in self.usage:
                self.usage[artifact] = Usage(seconds=time.perf_counter() - started)

    def requests(self, artifact: TextArtifact[Any]) -> tuple[list[str], list[Any]]:
        """Return the row key and the request of each item."""
        requests = list(artifact.requests(self.task, self.view(artifact.inputs())))
        if artifact not in self._keys:
            self._keys[artifact] = [artifact.row_key(request) for request in requests]
        return self._keys[artifact], requests

    def key(self, artifact: TaskArtifact[Any]) -> str:
        """Return the cache key of a task artifact here.

        Answers may change under one question, as when a failed attempt is asked again: so the key holds a digest of
        the answers themselves. Raises NotComputedError without them, EcgbenchError where it rests on a preset.
        """
        if self._rests_on_preset(artifact):
            raise EcgbenchError(f"{type(artifact).__name__} rests on a preset value here: it cannot be stored")
        contents = [self._content(source) for source in iter_text_sources(artifact, self.profile)]
        return task_key(artifact, self.task, self.seed, self.profile, contents=contents)

    def _content(self, artifact: TextArtifact[Any]) -> str:
        if artifact not in self._contents:
            self.load(artifact)
        return self._contents[artifact]

    def forget(self) -> None:
        """Drop the loaded values, so that memory holds one task at a time."""
        self._values.clear()
        self._keys.clear()
        self._contents.clear()

    def _rests_on_preset(self, artifact: Artifact[Any]) -> bool:
        return bool(self._presets) and any(s in self._presets for s in resolve_closure([artifact], self.profile))

    def _read(self, artifact: Artifact[Any]) -> Any:
        if artifact in self._presets:
            return self._presets[artifact]()
        if isinstance(artifact, TextArtifact):
            return self._read_rows(artifact)
        assert isinstance(artifact, TaskArtifact)
        if not artifact.stored or self._rests_on_preset(artifact):
            context = ComputeContext(engines=None, seed=self.seed)
            return artifact.compute(self.task, self.view(artifact.inputs()), context)
        key = self.key(artifact)
        arrays = self.cache.objects.get(key)
        if arrays is None:
            raise NotComputedError(artifact)
        value = artifact.unpack(arrays)
        self.usage[artifact] = Usage(
            self.cache.objects.seconds(key) or 0.0,
            facts=artifact.facts(value),
            spending=self.cache.objects.spending(key),
        )
        return value

    def _read_rows(self, artifact: TextArtifact[Any]) -> Any:
        keys, _ = self.requests(artifact)
        rows = self.cache.rows.get_many(keys)
        if any(key not in rows for key in keys):
            raise NotComputedError(artifact)
        answers = [rows[key].value for key in keys]
        self._contents[artifact] = _digest_answers(answers)
        distinct = list(dict.fromkeys(keys))
        noted = self.cache.rows.spendings(distinct)
        self.usage[artifact] = Usage(
            sum(rows[key].seconds for key in distinct),
            artifact.count_failed(answers),
            spending=sum_spendings(noted.get(key, Spending()) for key in distinct),
        )
        return artifact.assemble(answers)


def _digest_answers(answers: Iterable[bytes | None]) -> str:
    hasher = hashlib.blake2b(digest_size=20, person=b"answers/1")
    for answer in answers:
        hasher.update(b"-" if answer is None else b"%d:" % len(answer) + answer)
    return hasher.hexdigest()


@dataclass(frozen=True)
class ArtifactView:
    """The artifacts a detector (or another artifact) declared; nothing else can be read."""

    values: Mapping[Artifact[Any], Any]
    profile: Profile

    def __getitem__(self, artifact: Artifact[T]) -> T:
        resolved = artifact.resolve(self.profile)
        if resolved not in self.values:
            names = ", ".join(sorted(type(a).__name__ for a in self.values)) or "none"
            raise UndeclaredArtifactError(
                f"{artifact!r} was read but not declared (declared: {names}): add it to needs()"
            )
        return cast(T, self.values[resolved])


@dataclass(frozen=True)
class _LoadedWhenRead(Mapping[Artifact[Any], Any]):
    """The values of some artifacts, each looked up when it is read."""

    source: TaskValues
    artifacts: tuple[Artifact[Any], ...]

    def __getitem__(self, artifact: Artifact[Any]) -> Any:
        if artifact not in self.artifacts:
            raise KeyError(artifact)
        return self.source.load(artifact)

    def __contains__(self, artifact: object) -> bool:
        return artifact in self.artifacts

    def __iter__(self) -> Iterator[Artifact[Any]]:
        return iter(self.artifacts)

    def __len__(self) -> int:
        return len(self.artifacts)


def freeze_value(value: Any) -> Any:
    """Make the arrays of a value read-only, so that one detector cannot change what another reads."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            freeze_value(getattr(value, item.name))
    return value
