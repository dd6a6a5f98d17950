"""Perform all work in this process, one unit after another."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from ecgbench.engines.context import EnginePool
from ecgbench.grid.work import Outcome, Work, Worker, perform
from ecgbench.plugins import Plugins
from ecgbench.progress import Progress, Reporter


class LocalExecutor:
    """The executor out of the box; what crashes the interpreter ends the run."""

    def __init__(self, plugins: Plugins, models: Path, reporter: Reporter) -> None:
        self._worker = Worker(EnginePool(models, reporter), plugins)

    def run(self, works: Iterable[Work], progress: Progress) -> Generator[tuple[int, Outcome]]:
        """Perform each work as it is drawn."""
        for position, work in enumerate(works):
            self._worker.progress = counted = _Counted(progress)
            outcome = perform(work, self._worker)
            progress.advance(max(work.size - counted.done, 0))
            yield position, outcome

    def release(self, *, keep: frozenset[Any]) -> None:
        """Free engines."""
        self._worker.engines.release(keep=keep)

    def close(self) -> None:
        """Free all engines."""
        self.release(keep=frozenset())


class _Counted:
    """Pass on what long work reports on the way, so that its end is not counted twice."""

    def __init__(self, progress: Progress) -> None:
        self.done = 0
        self._progress = progress

    def advance(self, n: int) -> None:
        self.done += n
        self._progress.advance(n)
