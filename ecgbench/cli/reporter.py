"""Progress on stderr: bars with time left on a terminal, one line a job elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecgbench.progress import Progress, Reporter, SilentReporter

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

SHOWN_AFTER = 2.0
"""Seconds after which a job is worth a line."""


@dataclass(frozen=True)
class _Bar:
    bars: Bars
    task: TaskID

    def advance(self, n: int) -> None:
        """Move the bar on by `n` items."""
        self.bars.advance(self.task, n)


@dataclass(frozen=True)
class BarReporter:
    """Draw each job as a bar with the time left."""

    bars: Bars

    @contextmanager
    def job(self, title: str, total: int | None) -> Iterator[Progress]:
        """Show a bar while the job runs."""
        task = self.bars.add_task(title, total=total)
        try:
            yield _Bar(self.bars, task)
        finally:
            self.bars.remove_task(task)


class _Lines:
    def __init__(self, title: str, total: int | None) -> None:
        self.title, self.total, self.done = title, total, 0
        self.started = self.said = time.monotonic()

    def advance(self, n: int) -> None:
        """Say every half minute how far the job is and how long the rest will take."""
        self.done += n
        now = time.monotonic()
        if self.total and now - self.said >= 30:
            self.said = now
            left = (now - self.started) / self.done * (self.total - self.done)
            self.say(f"{self.done}/{self.total}, about {left:.0f} s left")

    def say(self, text: str) -> None:
        """Write one line."""
        sys.stderr.write(f"{self.title}: {text}\n")
        sys.stderr.flush()


class LineReporter:
    """Write lines for jobs that take over two seconds: for logs and CI."""

    @contextmanager
    def job(self, title: str, total: int | None) -> Iterator[Progress]:
        """Say what was done and how long it took, once it took a while; of unknown length, also that it goes on."""
        lines = _Lines(title, total)
        waiting = threading.Timer(SHOWN_AFTER, lines.say, ["..."])
        waiting.daemon = True
        if total is None:  # it will never advance, so a line is due while it runs
            waiting.start()
        try:
            yield lines
        finally:
            waiting.cancel()
        seconds = time.monotonic() - lines.started
        if seconds >= SHOWN_AFTER:
            lines.say(f"{f'{total} in ' if total else ''}{seconds:.0f} s")


def make_reporter(*, quiet: bool) -> AbstractContextManager[Reporter]:
    """Return the reporter that suits stderr."""
    if quiet:
        return nullcontext(SilentReporter())
    return _bars() if sys.stderr.isatty() else nullcontext(LineReporter())


@contextmanager
def _bars() -> Iterator[Reporter]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield BarReporter(bars)
