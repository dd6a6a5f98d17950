"""Perform work in child processes, which a crash, a time limit or a memory limit ends in the run's place.

Every cell has a child of its own, so that nothing a detector does to the interpreter reaches another cell.
Artifacts share one child as long as it lives, since loading a model takes longer than most batches.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ecgbench.engines.context import EnginePool
from ecgbench.errors import INTERRUPTS, EcgbenchError
from ecgbench.grid.executors.wire import pack_work, perform_packed, unpack_outcome
from ecgbench.grid.statuses import Failure, describe_failure
from ecgbench.grid.work import CellWork, Outcome, Work, Worker
from ecgbench.plugins import load_plugins
from ecgbench.progress import Progress
from ecgbench.results import Status

LOOK_SECONDS = 0.05
"""How often the memory of a working child is looked at."""
LEAVE_SECONDS = 2.0
"""How long an idle child may take to leave."""
START_SECONDS = 120.0
"""How long a child may take until it has loaded all plugins."""


@dataclass(frozen=True)
class Limits:
    """What one unit of work may take: seconds and MiB of memory; None is no limit."""

    seconds: float | None = None
    memory: int | None = None


class ProcessExecutor:
    """One child at a time."""

    def __init__(self, plugin_files: tuple[Path, ...], models: Path, limits: Limits) -> None:
        self._setup = (plugin_files, models)
        self._limits = limits
        self._shared: _Child | None = None

    def run(self, works: Iterable[Work], progress: Progress) -> Generator[tuple[int, Outcome]]:
        """Perform each work as it is drawn."""
        for position, work in enumerate(works):
            outcome = self._perform_alone(work) if isinstance(work, CellWork) else self._perform_shared(work)
            progress.advance(work.size)
            yield position, outcome

    def release(self, *, keep: frozenset[Any]) -> None:
        """Let the child free engines."""
        if self._shared is not None and not self._shared.tell(keep):
            self.close()

    def close(self) -> None:
        """End the child."""
        if self._shared is not None:
            self._shared.end()
            self._shared = None

    def _perform_alone(self, work: Work) -> Outcome:
        child = _Child(self._setup)
        try:
            return child.perform(work, self._limits)
        finally:
            child.end()

    def _perform_shared(self, work: Work) -> Outcome:
        if self._shared is None:
            self._shared = _Child(self._setup)
        outcome = self._shared.perform(work, self._limits)
        if not self._shared.is_alive:
            self.close()
        return outcome


class _Child:
    """A spawned interpreter that performs one work after another."""

    def __init__(self, setup: tuple[tuple[Path, ...], Path]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *setup), daemon=True)
        with _without_interrupts():
            self._process.start()
        theirs.close()
        self._is_ready = False

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def tell(self, keep: frozenset[Any]) -> bool:
        """Hand over which engines to keep; False where the child is gone."""
        try:
            self._connection.send(keep)
        except (OSError, ValueError):
            return False
        return True

    def perform(self, work: Work, limits: Limits) -> Outcome:
        """Send work and wait for its outcome; a child that overstays or dies is the failure's reason."""
        try:
            packed = pack_work(work)
        except INTERRUPTS:
            raise
        except BaseException as error:  # an artifact whose value holds a lambda, say
            return Outcome(failure=describe_failure(error, what=f"{work.title}: sending it to a child process"))
        started = time.monotonic()
        try:
            self._await_start(work)
            started = time.monotonic()
            self._connection.send((work.title, packed))
            return unpack_outcome(self._await(work, limits))
        except _EndedError as ended:
            failure = ended.failure
        except (EOFError, OSError):
            failure = self._describe_death(work)
        return Outcome(failure=failure, seconds=time.monotonic() - started)

    def end(self) -> None:
        """Let the child leave by itself, so that it clears up; then kill what is still there of it."""
        self._connection.close()
        self._process.join(LEAVE_SECONDS)
        self._kill()

    def _await_start(self, work: Work) -> None:
        """Wait until the child has loaded its plugins; it says so once."""
        if self._is_ready:
            return
        if not self._connection.poll(START_SECONDS):
            raise _EndedError(Failure(Status.FAILED, f"{work.title}: no child started in {START_SECONDS:g} seconds"))
        self._connection.recv()
        self._is_ready = True

    def _await(self, work: Work, limits: Limits) -> bytes:
        """Return the child's answer; raises _EndedError where a limit is passed."""
        deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
        while not self._connection.poll(LOOK_SECONDS):
            if deadline is not None and time.monotonic() > deadline:
                self._kill()
                raise _EndedError(Failure(Status.TIMEOUT, f"{work.title}: not done in {limits.seconds:g} seconds"))
            if limits.memory is not None and (used := self._memory()) > limits.memory:
                self._kill()
                reason = f"{work.title}: took {used} MiB of memory, allowed are {limits.memory}"
                raise _EndedError(Failure(Status.FAILED, reason))
        answer: bytes = self._connection.recv()
        return answer

    def _memory(self) -> int:
        """Return the resident memory of the child and of what it started in MiB; 0 where it is gone."""
        import psutil

        used = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            for member in (process, *process.children(recursive=True)):
                used += member.memory_info().rss
        return used // 2**20

    def _kill(self) -> None:
        """Kill the child's whole group: what it started may have outlived it."""
        self._process.kill()  # it may not have made its group yet
        assert self._process.pid is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()

    def _describe_death(self, work: Work) -> Failure:
        self._process.join()
        code = self._process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return Failure(Status.FAILED, f"{work.title}: its process ended {how}")


class _EndedError(EcgbenchError):
    """Carry why a child was killed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let what is started here not see Ctrl-C, which reaches all processes of a terminal: the run ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, plugin_files: tuple[Path, ...], models: Path) -> None:
    """Perform what is sent until the other end closes: work is answered, a set of settings frees the others."""
    os.setsid()  # a group of its own, which ends as one
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    del sys.argv[1:]  # they name the noise
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a plugin prints must not end in the run's output
    worker = Worker(EnginePool(models), load_plugins(plugin_files))
    connection.send(None)
    with contextlib.suppress(EOFError):
        while True:
            message = connection.recv()
            if isinstance(message, frozenset):
                worker.engines.release(keep=message)
            else:
                title, packed = message
                connection.send(perform_packed(title, packed, worker))


def _leave_with_parent() -> None:
    """End this process and what it started when the run is gone, even in the middle of work."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.killpg(0, signal.SIGKILL)
