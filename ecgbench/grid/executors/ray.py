"""Perform work on a Ray cluster, or on all cores of this machine.

Batches of texts go to actors, which keep their models loaded; what is computed for a whole task, and cells, are
Ray tasks. One pool of actors lives at a time, so that nothing waits for what idle actors hold. What is lost with
a process or a machine is sent again by the loop here, never by Ray: only the loop knows what it costs.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecgbench.errors import INTERRUPTS
from ecgbench.grid.executors.ray_cluster import LOOK_SECONDS, Cluster, Demand, connect, import_ray
from ecgbench.grid.executors.ray_pool import Pool, describe_loss, is_machine_lost, is_setup_at_fault, worker_error
from ecgbench.grid.executors.ray_worker import Actor, Setup, comparable_versions, perform_task
from ecgbench.grid.executors.wire import pack_part, pack_work, unpack_outcome
from ecgbench.grid.statuses import Failure, describe_failure
from ecgbench.grid.work import BatchWork, Outcome, Work
from ecgbench.plugins import Plugins
from ecgbench.progress import Progress
from ecgbench.results import Status

ATTEMPTS = 3
"""How often work is sent whose process dies: then that is called its own fault."""
MOST_ATTEMPTS = 10
"""How often it is sent at all, machines that went away included."""
PASSED_ON = ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM", "TQDM_DISABLE", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that workers take over, beside those of ecgbench itself."""
OWN_PREFIX = "ECGBENCH_"
NOT_PASSED_ON = "ECGBENCH_CACHE"
"""Each machine's own: it says where its models lie if the run's folder is not there."""
SECRETS = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
"""Variables that go with the work, not as settings of the workers: Ray writes those into its log files."""


@dataclass(eq=False)
class _Flight:
    """Work on its way: packed once, sent as often as it is lost; `settings`: its models, None without an actor.

    `sent`: the demand as it was when the work was sent, which the machines of that moment bounded.
    """

    position: int
    title: str
    size: int
    demand: Demand
    settings: frozenset[Any] | None
    sent: Demand = field(default_factory=Demand)
    packed: bytes = b""
    parts: Sequence[Any] = ()
    actor: Any = None
    attempts: int = 0
    crashes: int = 0


Ended = tuple[_Flight, Outcome]


class RayExecutor:
    """Perform work on a cluster; the driver, which is here, reads and writes cache and records."""

    def __init__(self, plugin_files: tuple[Path, ...], plugins: Plugins, models: Path, *, address: str | None) -> None:
        self._ray = import_ray()
        self._has_connected = not self._ray.is_initialized()
        if self._has_connected:
            connect(self._ray, address)
        self._cluster = Cluster(self._ray)
        self._setup = self._ray.put(_collect_setup(plugin_files, plugins, models))
        environment = {"env_vars": _passed_on()}
        self._task = self._ray.remote(max_retries=0, runtime_env=environment)(perform_task)
        self._actor = self._ray.remote(max_restarts=0, max_task_retries=0, runtime_env=environment)(Actor)
        self._pool: Pool | None = None
        self._parts = _Parts(self._ray)

    def run(self, works: Iterable[Work], progress: Progress) -> Generator[tuple[int, Outcome]]:
        """Keep as much work under way as the cluster holds."""
        with contextlib.closing(self._iter_ended(works)) as ended:
            for flight, outcome in ended:
                progress.advance(flight.size)
                yield flight.position, outcome

    def release(self, *, keep: frozenset[Any]) -> None:
        """End the actors unless all their models are in `keep`."""
        if self._pool is not None and not self._pool.settings <= keep:
            self._close_pool()

    def close(self) -> None:
        """End all actors, and the connection where it was made here."""
        if self._has_connected:
            self._pool = None  # its actors end with the connection
            self._ray.shutdown()
        else:
            self._close_pool()

    def _iter_ended(self, works: Iterable[Work]) -> Generator[Ended]:
        drawn = enumerate(works)
        waiting: deque[_Flight] = deque()
        flying: dict[Any, _Flight] = {}
        try:
            while True:
                yield from self._draw(drawn, waiting, len(flying))
                if not waiting and not flying:
                    return
                self._take_back_stranded(waiting, flying)
                yield from self._launch(waiting, flying)
                self._cluster.await_machines(flight.demand for flight in (*waiting, *flying.values()))
                for flight, outcome in self._collect_ended(flying):
                    if outcome is None:
                        waiting.appendleft(flight)
                    else:
                        yield flight, outcome
        finally:
            self._cancel(flying)
            self._parts.forget()

    def _draw(self, drawn: Iterator[tuple[int, Work]], waiting: deque[_Flight], n_flying: int) -> Iterator[Ended]:
        """Draw and pack work while there is room, one ahead at least; yield what cannot be packed."""
        while not waiting or len(waiting) + n_flying < self._cluster.room(self._cluster.fit(waiting[-1].demand)):
            position, work = next(drawn, (-1, None))
            if work is None:
                return
            settings = work.settings if isinstance(work, BatchWork) else None
            flight = _Flight(position, work.title, work.size, self._cluster.demand(work), settings)
            try:
                flight.packed = pack_work(work, work.shared)
                flight.parts = self._parts.put(work.shared)
            except INTERRUPTS:
                raise
            except BaseException as error:  # an artifact whose value holds a lambda, say
                yield flight, Outcome(failure=describe_failure(error, what=f"{work.title}: sending it to a worker"))
            else:
                waiting.append(flight)

    def _take_back_stranded(self, waiting: deque[_Flight], flying: dict[Any, _Flight]) -> None:
        """Have work sent again that Ray would keep for ever for a machine such as no longer lives."""
        for reference, flight in list(flying.items()):
            if flight.actor is None and not self._cluster.room(flight.sent):
                self._end(reference, flying.pop(reference))
                waiting.appendleft(flight)

    def _launch(self, waiting: deque[_Flight], flying: dict[Any, _Flight]) -> Iterator[Ended]:
        """Send what there is room for; yield what no machine ever took."""
        while waiting:
            flight = waiting[0]
            flight.sent = self._cluster.fit(flight.demand)
            room = self._cluster.room(flight.sent) - len(flying)
            if obstacle := self._cluster.find_obstacle(flight.demand):
                yield waiting.popleft(), _failed(f"{flight.title}: {obstacle}")
            elif room > 0 and (reference := self._send(flight)) is not None:
                flying[reference] = waiting.popleft()
            else:
                if self._pool is not None and flight.settings is not None:
                    self._pool.start(min(room, len(waiting)), flight.sent.options)
                return

    def _send(self, flight: _Flight) -> Any:
        """Send work and return the reference of what will come back; None where no actor is ready."""
        arguments = (flight.title, flight.packed, *flight.parts)
        if flight.settings is None:
            self._close_pool()
            flight.attempts += 1
            return self._task.options(**flight.sent.options).remote(self._setup, *arguments)
        pool = self._open_pool(flight.settings)
        if not pool.idle:
            return None
        flight.actor = pool.idle.pop()
        flight.attempts += 1
        return flight.actor.perform.remote(*arguments)

    def _collect_ended(self, flying: dict[Any, _Flight]) -> Iterator[tuple[_Flight, Outcome | None]]:
        """Wait a moment; yield what has ended, with None where it was lost and is to be sent again."""
        starting = [] if self._pool is None else list(self._pool.starting)
        references = [*flying, *starting]
        ended, _ = self._ray.wait(references, timeout=LOOK_SECONDS) if references else ([], [])
        for reference in ended:
            if reference in flying:
                flight = flying.pop(reference)
                yield flight, self._collect(reference, flight)
            elif self._pool is not None:
                self._pool.settle(reference)

    def _collect(self, reference: Any, flight: _Flight) -> Outcome | None:
        try:
            packed = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            if is_setup_at_fault(self._ray, error):
                raise worker_error(error) from error
            self._end(reference, flight)  # an actor that Ray cannot reach may live, and hold its GPU
            return self._count_loss(flight, error)
        if flight.actor is not None and self._pool is not None:
            self._pool.idle.append(flight.actor)
        return unpack_outcome(packed)

    def _count_loss(self, flight: _Flight, error: Exception) -> Outcome | None:
        if flight.settings is not None and self._pool is not None:
            self._pool.drop_silent()  # others may have gone with the same machine
        flight.crashes += not is_machine_lost(error)
        if flight.crashes < ATTEMPTS and flight.attempts < MOST_ATTEMPTS:
            return None
        return _failed(f"{flight.title}: lost {flight.attempts} times on the cluster: {describe_loss(error)}")

    def _cancel(self, flying: dict[Any, _Flight]) -> None:
        """End what is still under way."""
        for reference, flight in flying.items():
            self._end(reference, flight)
        if self._pool is not None:
            self._pool.stop_starting()

    def _end(self, reference: Any, flight: _Flight) -> None:
        """End work, and its actor where it has one, without waiting for it."""
        with contextlib.suppress(Exception):  # what is gone needs no end
            if flight.actor is None:
                self._ray.cancel(reference, force=True)
            else:
                self._ray.kill(flight.actor)
        flight.actor = None

    def _open_pool(self, settings: frozenset[Any]) -> Pool:
        """Return the actors of these models, ending any others."""
        if self._pool is not None and self._pool.settings != settings:
            self._close_pool()
        if self._pool is None:
            self._pool = Pool(self._ray, self._actor, self._setup, settings)
        return self._pool

    def _close_pool(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.close()


class _Parts:
    """The large parts of works in the cluster's store: each is put there once while works of one task are drawn."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._references: dict[int, tuple[Any, Any]] = {}

    def put(self, parts: Sequence[Any]) -> list[Any]:
        """Return a reference to each part; the store drops what no work under way and no next one refers to."""
        if not any(id(part) in self._references for part in parts):
            self.forget()
        for part in parts:
            if id(part) not in self._references:
                self._references[id(part)] = (part, self._ray.put(pack_part(part)))
        return [self._references[id(part)][1] for part in parts]

    def forget(self) -> None:
        """Drop all references that are held here."""
        self._references.clear()


def _failed(reason: str) -> Outcome:
    return Outcome(failure=Failure(Status.FAILED, reason))


def _collect_setup(plugin_files: Sequence[Path], plugins: Plugins, models: Path) -> Setup:
    contents = tuple((path.name, path.read_bytes()) for path in plugin_files)
    secrets = {name: os.environ[name] for name in SECRETS if name in os.environ}
    return Setup(uuid.uuid4().hex, contents, models.absolute(), comparable_versions(plugins), secrets)


def _passed_on() -> dict[str, str]:
    own = [name for name in os.environ if name.startswith(OWN_PREFIX) and name != NOT_PASSED_ON]
    return {name: os.environ[name] for name in (*PASSED_ON, *own) if name in os.environ}
