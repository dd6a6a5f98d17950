"""What an artifact may use while it computes: loaded engines, seeded streams, folders, progress."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ecgbench.engines.batching import free_device_memory
from ecgbench.engines.llm.base import TokenUsage
from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.progress import Progress, Reporter, SilentProgress, SilentReporter
from ecgbench.seeds import derive_rng

E = TypeVar("E")
S = TypeVar("S", bound=Hashable)


@dataclass
class EnginePool:
    """Hold each engine once, keyed by its loader and settings, until it is released."""

    model_dir: Path
    reporter: Reporter = field(default_factory=SilentReporter)
    loading_seconds: float = 0.0
    _engines: dict[tuple[Any, Any], Any] = field(default_factory=dict)

    def load(self, loader: Callable[[S, Path], E], settings: S) -> E:
        """Return the engine of these settings, loading it on first use."""
        key = (loader, settings)
        if key not in self._engines:
            started = time.perf_counter()
            with self.reporter.job(self._title(settings), None):
                self._engines[key] = loader(settings, self.model_dir)
            self.loading_seconds += time.perf_counter() - started
        engine: E = self._engines[key]
        return engine

    @property
    def usage(self) -> TokenUsage:
        """Return how many tokens the loaded language models have read and written so far, all together."""
        found = [u for engine in self._engines.values() if isinstance(u := getattr(engine, "usage", None), TokenUsage)]
        return functools.reduce(TokenUsage.plus, found, TokenUsage())

    def _title(self, settings: Any) -> str:
        from ecgbench.engines.models import loading_title  # it imports what imports this

        return loading_title(str(getattr(settings, "model", settings)), self.model_dir)

    def release(self, *, keep: frozenset[Any] = frozenset()) -> None:
        """Free every engine whose settings are not in `keep`, and the memory of a GPU that they held."""
        for key in [k for k in self._engines if k[1] not in keep]:
            engine = self._engines.pop(key)
            if callable(close := getattr(engine, "close", None)):
                close()  # what holds a device, a process or a connection gives it back now
            del engine, close
        free_device_memory()  # also of what was trained and is kept by nobody


@dataclass(frozen=True)
class ComputeContext:
    """Passed to `Artifact.compute`: everything it may use beside its inputs."""

    engines: EnginePool | None
    seed: int = 0
    progress: Progress = field(default_factory=SilentProgress)
    checkpoints: Path | None = None

    def load(self, loader: Callable[[S, Path], E], settings: S) -> E:
        """Return the engine `loader(settings, model_dir)`, loaded once and shared."""
        if self.engines is None:
            raise EcgbenchError(f"a derived artifact (stored = False) may load no engine, asked for {settings}")
        return self.engines.load(loader, settings)

    def rng(self, role: str) -> np.random.Generator:
        """Return the stream of one role under the run's seed."""
        return derive_rng(self.seed, role)


def batch_size(default: int) -> int:
    """Return the compute batch size: ECGBENCH_BATCH_SIZE where set, else `default`."""
    raw = os.environ.get("ECGBENCH_BATCH_SIZE")
    if raw is None:
        return default
    if not raw.isdecimal() or int(raw) < 1:
        raise UsageError(f"ECGBENCH_BATCH_SIZE is {raw!r}; give a whole number of at least 1, or unset it")
    return int(raw)
