"""What an executor must do for the harness."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Protocol

from ecgbench.grid.work import Outcome, Work
from ecgbench.progress import Progress


class Executor(Protocol):
    """Perform units of work, in this process or elsewhere."""

    def run(self, works: Iterable[Work], progress: Progress) -> Generator[tuple[int, Outcome]]:
        """Yield the position and outcome of each work as it ends, in any order.

        `works` is drawn from only as there is room for another, so what it holds is in memory for a few at a
        time. Work whose process or machine is lost is performed again or has a failure for its outcome: one
        work never takes another down.
        """
        ...

    def release(self, *, keep: frozenset[Any]) -> None:
        """Free the models whose settings are not in `keep`."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...
