"""How long work is reported: the harness opens jobs, the command line draws them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """One running job; `advance` counts finished items."""

    def advance(self, n: int) -> None:
        """Count `n` more items as done."""


class Reporter(Protocol):
    """Open jobs; `total` is None where the length is unknown."""

    def job(self, title: str, total: int | None) -> AbstractContextManager[Progress]:
        """Return a context in which one job runs."""


class SilentProgress:
    """Report nothing."""

    def advance(self, n: int) -> None:
        """Ignore the count."""


class SilentReporter:
    """Open jobs that report nothing."""

    def job(self, title: str, total: int | None) -> AbstractContextManager[Progress]:  # noqa: ARG002
        """Return a context that reports nothing."""
        return nullcontext(SilentProgress())
