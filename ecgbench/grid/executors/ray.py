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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgbench.grid.executors.ray_cluster import LOOK_SECONDS, Cluster, Demand, connect, import_ray
from ecgbench.grid.executors.ray_worker import Actor, Setup, comparable_versions, perform_task
from ecgbench.grid.executors.wire import pack_part, pack_work, unpack_outcome
from ecgbench.grid.statuses import PLUGIN_ERRORS, Failure, StoppedEarlyError, describe_failure
from ecgbench.grid.work import BatchWork, Outcome, Work
from ecgbench.plugins import Plugins
from ecgbench.progress import Progress
from ecgbench.results import Status

ATTEMPTS = 3
"""How often work is sent before what takes its process down is called its own fault."""
CLOSE_SECONDS = 20.0
"""How long actors may take to free their models."""
PASSED_ON = ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM", "TQDM_DISABLE", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that workers take over, beside those of ecgbench itself."""
OWN_PREFIX = "ECGBENCH_"
NOT_PASSED_ON = "ECGBENCH_CACHE"
"""Each machine's own: it says where its models lie if the run's folder is not there."""
SECRETS = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
"""Variables that go with the work, not as settings of the workers: Ray writes those into its log files."""


@dataclass(eq=False)
class _Flight:
    """Work on its way: packed once, sent as often as it is lost; `settings`: its models, None without an actor."""

    position: int
    title: str
    size: int
    demand: Demand
    settings: frozenset[Any] | None
    packed: bytes = b""
    parts: Sequence[Any] = ()
    attempts: int = 0
    actor: Any = None


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
        self._pool: _Pool | None = None
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
                self._cluster.await_machines()
                yield from self._launch(drawn, waiting, flying)
                if not flying and not waiting:
                    return
                landed, _ = self._ray.wait(list(flying), timeout=LOOK_SECONDS) if flying else ([], [])
                for reference in landed:
                    flight = flying.pop(reference)
                    outcome = self._collect(reference, flight)
                    if outcome is None:
                        waiting.appendleft(flight)
                    else:
                        yield flight, outcome
        finally:
            self._cancel(flying)
            self._parts.forget()

    def _launch(
        self, drawn: Iterator[tuple[int, Work]], waiting: deque[_Flight], flying: dict[Any, _Flight]
    ) -> Iterator[Ended]:
        """Send work while there is room, drawing one ahead; yield what cannot be sent."""
        while True:
            if not waiting:
                flight = yield from self._draw(drawn)
                if flight is None:
                    return
                waiting.append(flight)
            flight = waiting[0]
            if obstacle := self._cluster.find_obstacle(flight.demand):
                yield waiting.popleft(), _failed(f"{flight.title}: {obstacle}")
            elif len(flying) < self._cluster.room(flight.demand):
                flying[self._send(waiting.popleft())] = flight
            else:
                return

    def _draw(self, drawn: Iterator[tuple[int, Work]]) -> Generator[Ended, None, _Flight | None]:
        """Return the next work, packed; yield those that cannot be."""
        for position, work in drawn:
            settings = work.settings if isinstance(work, BatchWork) else None
            flight = _Flight(position, work.title, work.size, self._cluster.demand(work), settings)
            try:
                flight.packed = pack_work(work, work.shared)
                flight.parts = self._parts.put(work.shared)
                return flight
            except PLUGIN_ERRORS as error:  # an artifact whose value holds a lambda, say
                what = f"{work.title}: sending it to a worker"
                yield flight, Outcome(failure=describe_failure(error, what=what))
        return None

    def _send(self, flight: _Flight) -> Any:
        """Send work and return the reference of what will come back."""
        flight.attempts += 1
        arguments = (self._setup, flight.title, flight.packed, *flight.parts)
        if flight.settings is None:
            self._close_pool()
            return self._task.options(**flight.demand.options).remote(*arguments)
        if self._pool is not None and (self._pool.settings, self._pool.demand) != (flight.settings, flight.demand):
            self._close_pool()
        if self._pool is None:
            self._pool = _Pool(self._actor.options(**flight.demand.options), flight.settings, flight.demand)
        flight.actor = self._pool.take()
        return flight.actor.perform.remote(*arguments)

    def _collect(self, reference: Any, flight: _Flight) -> Outcome | None:
        """Return what came of work, or None where it was lost and is to be sent again."""
        errors = self._ray.exceptions
        try:
            packed = self._ray.get(reference)
        except errors.RayTaskError as error:  # what plugins raise comes back as an outcome: this is the worker itself
            raise StoppedEarlyError(f"a worker of the cluster cannot work: {describe_cause(error.cause)}") from error
        except errors.RuntimeEnvSetupError as error:
            raise StoppedEarlyError(f"a worker of the cluster cannot start: {describe_cause(error)}") from error
        except errors.RayError as error:
            return self._count_loss(flight, error)
        if flight.actor is not None and self._pool is not None:
            self._pool.give_back(flight.actor)
        return unpack_outcome(packed)

    def _count_loss(self, flight: _Flight, error: Exception) -> Outcome | None:
        if getattr(error, "actor_init_failed", False):
            raise StoppedEarlyError(f"a worker of the cluster cannot start: {describe_cause(error)}") from error
        if flight.actor is not None and self._pool is not None:
            self._pool.clear()  # others may have gone with the same machine; finding that out one by one costs attempts
        if flight.attempts < ATTEMPTS:
            return None
        return _failed(f"{flight.title}: lost {flight.attempts} times on the cluster: {describe_loss(error)}")

    def _cancel(self, flying: dict[Any, _Flight]) -> None:
        """End what is still under way, without waiting for it."""
        for reference, flight in flying.items():
            with contextlib.suppress(Exception):  # what is gone needs no end
                if flight.actor is None:
                    self._ray.cancel(reference, force=True)
                else:
                    self._ray.kill(flight.actor)

    def _close_pool(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.close(self._ray)


class _Pool:
    """Idle actors of one choice of models; those at work are with their flights."""

    def __init__(self, maker: Any, settings: frozenset[Any], demand: Demand) -> None:
        self.settings, self.demand = settings, demand
        self._maker = maker
        self._idle: list[Any] = []

    def take(self) -> Any:
        return self._idle.pop() if self._idle else self._maker.remote()

    def give_back(self, actor: Any) -> None:
        self._idle.append(actor)

    def clear(self) -> None:
        """Let go of the idle actors: Ray ends what nobody refers to."""
        self._idle.clear()

    def close(self, ray: Any) -> None:
        """Free the models, then end the actors: an engine may have processes of its own."""
        freed = [actor.release.remote() for actor in self._idle]
        if freed:
            ray.wait(freed, num_returns=len(freed), timeout=CLOSE_SECONDS)
        for actor in self._idle:
            ray.kill(actor)
        self.clear()


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


def describe_loss(error: Exception) -> str:
    """Say in a few words what became of work that Ray lost."""
    text = str(error).lower()
    if type(error).__name__ == "OutOfMemoryError" or "low on memory" in text:
        return "killed for memory, which ran out on its machine"
    if type(error).__name__ == "NodeDiedError" or "node died" in text or "node is dead" in text:
        return "its machine went away"
    if type(error).__name__ in ("WorkerCrashedError", "ActorDiedError"):
        return "its process ended (it crashed, or the system killed it, as it does where memory runs out)"
    return describe_cause(error)


def describe_cause(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _failed(reason: str) -> Outcome:
    return Outcome(failure=Failure(Status.FAILED, reason))


def _collect_setup(plugin_files: Sequence[Path], plugins: Plugins, models: Path) -> Setup:
    contents = tuple((path.name, path.read_bytes()) for path in plugin_files)
    secrets = {name: os.environ[name] for name in SECRETS if name in os.environ}
    return Setup(uuid.uuid4().hex, contents, models.absolute(), comparable_versions(plugins), secrets)


def _passed_on() -> dict[str, str]:
    own = [name for name in os.environ if name.startswith(OWN_PREFIX) and name != NOT_PASSED_ON]
    return {name: os.environ[name] for name in (*PASSED_ON, *own) if name in os.environ}
