"""What the ray executor makes of machines that go, come and do not answer; Ray itself is acted, the work is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from ecgbench.artifacts.base import Artifacts, Cost, TextArtifact
from ecgbench.data import DetectionTask
from ecgbench.engines.context import ComputeContext
from ecgbench.grid.executors import ray as ray_executor
from ecgbench.grid.executors import ray_cluster, ray_pool
from ecgbench.grid.executors.ray import RayExecutor
from ecgbench.grid.statuses import StoppedEarlyError
from ecgbench.grid.work import BatchWork, Outcome, Work, Worker
from ecgbench.plugins import load_plugins
from ecgbench.profiles import CrossEncoderSettings
from ecgbench.progress import SilentProgress

exceptions = pytest.importorskip("ray.exceptions")

GIB = 2**30
CPUS = {"CPU": 4.0, "memory": 8.0 * GIB}
ONE_GPU = {"CPU": 4.0, "GPU": 1.0, "memory": 8.0 * GIB}
LARGE = {"CPU": 4.0, "memory": 64.0 * GIB}
MOST_WAITS = 500
"""No run here needs as many: one that does goes round in circles."""


@dataclass(eq=False)
class Place:
    """What a task or an actor takes of a machine, None until it has one."""

    demand: dict[str, float]
    machine: dict[str, float] | None = None
    error: Exception | None = None
    is_over: bool = False


@dataclass(eq=False)
class Reference:
    """What will come back of a call."""

    place: Place
    call: Callable[[], Any]
    is_task: bool
    value: Any = None
    error: Exception | None = None
    is_done: bool = False


@dataclass
class FakeRay:
    """A cluster that places, performs and loses what it is given; `events` happen one a wait, once all is placed."""

    machines: list[dict[str, float]]
    events: list[Callable[[], None]] = field(default_factory=list)
    now: float = 0.0
    n_waits: int = 0
    places: list[Place] = field(default_factory=list)
    exceptions: ClassVar[Any] = exceptions

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": machine} for machine in self.machines]

    def put(self, value: Any) -> Any:
        return value

    def remote(self, **_: Any) -> Callable[[Any], Any]:
        return lambda target: SimpleNamespace(options=lambda **options: self._caller(target, options))

    def get(self, reference: Reference) -> Any:
        if reference.error is not None:
            raise reference.error
        return reference.value

    def wait(self, asked: Sequence[Reference], *, num_returns: int = 1, timeout: float) -> tuple[list[Reference], Any]:
        self.n_waits += 1
        assert self.n_waits < MOST_WAITS, "the run goes round in circles"
        self._place()
        if num_returns == 1 and self.events:  # the loop waits, not a pool for its actors
            self.events.pop(0)()
        for reference in asked:
            self._settle(reference)
        ended = [reference for reference in asked if reference.is_done]
        self.now += 0.0 if ended else timeout
        return ended, None

    def cancel(self, reference: Reference, *, force: bool) -> None:
        assert force
        reference.place.is_over = True

    def kill(self, actor: Any) -> None:
        actor.place.is_over = True

    def lose(self, machine: dict[str, float]) -> None:
        """Pull the plug of a machine."""
        self.machines = [other for other in self.machines if other is not machine]
        for place in self._on(machine):
            place.error = exceptions.NodeDiedError("its node has died")
            place.is_over = True

    def stop_answering(self, machine: dict[str, float]) -> None:
        """Have what is on a machine unreachable, though it goes on there."""
        for place in self._on(machine):
            place.error = exceptions.ActorUnavailableError("no answer", None)

    def nothing(self) -> None:
        """Let a wait pass."""

    def _caller(self, target: Any, options: dict[str, Any]) -> Any:
        names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}

        def start(*arguments: Any) -> Any:
            place = Place({names[name]: amount for name, amount in options.items() if amount})
            self.places.append(place)
            if not isinstance(target, type):
                return Reference(place, partial(target, *arguments), True)
            own = target()
            return SimpleNamespace(place=place, **{name: self._method(place, own, name) for name in METHODS})

        return SimpleNamespace(remote=start)

    def _method(self, place: Place, own: Any, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: Reference(place, partial(getattr(own, name), *given), False))

    def _on(self, machine: dict[str, float]) -> list[Place]:
        return [place for place in self.places if place.machine is machine and not place.is_over]

    def _place(self) -> None:
        for place in self.places:
            if place.machine is None and not place.is_over:
                place.machine = next((m for m in self.machines if self._has_room(m, place)), None)

    def _has_room(self, machine: dict[str, float], new: Place) -> bool:
        held = [place.demand for place in (*self._on(machine), new)]
        return all(sum(one.get(name, 0) for one in held) <= machine.get(name, 0) for name in ("CPU", "GPU", "memory"))

    def _settle(self, reference: Reference) -> None:
        place = reference.place
        if reference.is_done or (place.machine is None and not place.is_over):
            return
        reference.is_done = True
        reference.error = place.error or (exceptions.WorkerCrashedError() if place.is_over else None)
        if reference.error is None:
            reference.value = reference.call()
            place.is_over = reference.is_task


METHODS = ("prepare", "perform", "answer", "release")


@dataclass(frozen=True)
class Lengths(TextArtifact[Any]):
    """The lengths of texts, by a model that takes a GPU and memory."""

    cost: ClassVar[Cost] = Cost(memory=32 * 1024)
    gpus: float = 0.0

    def models(self) -> tuple[Any, ...]:
        return (CrossEncoderSettings("none", gpus=self.gpus),)

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Any]:  # noqa: ARG002
        return task.texts

    def compute(self, requests: Sequence[Any], context: ComputeContext) -> Sequence[bytes | None]:  # noqa: ARG002
        return [str(len(request)).encode() for request in requests]

    def assemble(self, rows: Sequence[bytes | None]) -> Any:
        return rows


@dataclass(frozen=True)
class Value(Work):
    """Work of a task, in much memory."""

    title: ClassVar[str] = "value"  # type: ignore[assignment]
    size: ClassVar[int] = 1  # type: ignore[assignment]
    memory: ClassVar[int] = 32 * 1024  # type: ignore[assignment]

    def perform(self, worker: Worker) -> Any:  # noqa: ARG002
        return [b"4"]


@dataclass
class Stage:
    """An executor on a cluster that is acted."""

    monkeypatch: pytest.MonkeyPatch
    models: Path

    def perform(self, ray: FakeRay, works: Sequence[Work]) -> list[Any]:
        """Return the value of each work, in their order, or why there is none."""
        outcomes: dict[int, Outcome] = {}
        self.perform_into(outcomes, ray, works)
        found = [outcomes[position] for position in range(len(works))]
        return [outcome.failure.reason if outcome.failure else outcome.value for outcome in found]

    def perform_into(self, outcomes: dict[int, Outcome], ray: FakeRay, works: Sequence[Work]) -> None:
        def sleep(seconds: float) -> None:
            ray.now += seconds
            if ray.events:
                ray.events.pop(0)()

        self.monkeypatch.setattr(ray_executor, "import_ray", lambda: ray)
        self.monkeypatch.setattr(ray_cluster, "time", SimpleNamespace(monotonic=lambda: ray.now, sleep=sleep))
        executor = RayExecutor((), load_plugins(), self.models, address=None)
        for position, outcome in executor.run(works, SilentProgress()):
            outcomes[position] = outcome
            ray.now += 1


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    return Stage(monkeypatch, tmp_path)


def batches(count: int, *, gpus: float = 0.0) -> list[Work]:
    return [BatchWork(Lengths(gpus), ["text"]) for _ in range(count)]


def test_batches_wait_for_another_gpu_when_the_only_one_is_lost_and_cpus_live(stage: Stage) -> None:
    ray = FakeRay([ONE_GPU, CPUS])
    back = dict(ONE_GPU)
    minute = [ray.nothing] * 20
    ray.events = [ray.nothing, ray.nothing, lambda: ray.lose(ONE_GPU), *minute, lambda: ray.machines.append(back)]
    assert stage.perform(ray, batches(4, gpus=1)) == [[b"4"]] * 4
    assert ray.events == []


def test_a_run_whose_gpu_does_not_come_back_stops_in_one_line_and_keeps_what_was_done(stage: Stage) -> None:
    ray = FakeRay([ONE_GPU, CPUS])
    ray.events = [ray.nothing, ray.nothing, ray.nothing, lambda: ray.lose(ONE_GPU)]
    done: dict[int, Outcome] = {}
    with pytest.raises(StoppedEarlyError) as raised:
        stage.perform_into(done, ray, batches(9, gpus=1))
    assert str(raised.value) == (
        "the cluster has lost all its machines with 1 GPUs or more; what was done is kept: start some, run again"
    )
    assert done
    assert all(outcome.failure is None for outcome in done.values())
    assert ray_cluster.EMPTY_SECONDS < ray.now < 2 * ray_cluster.EMPTY_SECONDS


def test_what_no_machine_ever_had_fails_at_once_and_alone(stage: Stage) -> None:
    ray = FakeRay([ONE_GPU])
    found = stage.perform(ray, [*batches(1, gpus=4), *batches(2, gpus=1)])
    assert found == ["Lengths(gpus=4): needs 4 GPUs on one machine, the largest of the cluster has 1", [b"4"], [b"4"]]


@pytest.mark.parametrize("works", [batches(9), [Value()] * 9], ids=["actors", "tasks"])
@pytest.mark.parametrize("moment", [0, 1, 2, 3])
def test_work_goes_to_smaller_machines_when_the_one_with_much_memory_is_lost(
    stage: Stage, works: Sequence[Work], moment: int
) -> None:
    ray = FakeRay([LARGE, CPUS])
    ray.events = [*[ray.nothing] * moment, lambda: ray.lose(LARGE)]
    assert stage.perform(ray, works) == [[b"4"]] * 9
    assert ray.events == []


def test_an_estimate_of_memory_keeps_no_work_from_the_machine_with_the_gpu(stage: Stage) -> None:
    assert stage.perform(FakeRay([ONE_GPU, LARGE]), batches(2, gpus=1)) == [[b"4"]] * 2


def test_a_task_that_waits_in_ray_for_a_lost_machine_is_sent_to_another(stage: Stage) -> None:
    ray = FakeRay([LARGE, CPUS])
    taken = Place({"memory": 64.0 * GIB}, LARGE)  # by somebody else
    ray.places.append(taken)
    ray.events = [ray.nothing, lambda: ray.lose(LARGE)]
    assert stage.perform(ray, [Value()] * 3) == [[b"4"]] * 3


def test_an_actor_that_does_not_answer_gives_its_gpu_to_another(stage: Stage) -> None:
    ray = FakeRay([ONE_GPU])
    often = [ray.nothing, lambda: ray.stop_answering(ONE_GPU)] * (ray_executor.ATTEMPTS + 1)
    ray.events = often  # more often than a crash of its own is forgiven
    assert stage.perform(ray, batches(3, gpus=1)) == [[b"4"]] * 3
    assert ray.events == []


def test_actors_that_start_on_a_machine_that_is_lost_are_not_taken_for_unable(stage: Stage) -> None:
    many = {"CPU": 2.0 * ray_pool.MOST_FAILED_STARTS, "memory": 1000.0 * GIB}
    ray = FakeRay([many, CPUS])
    ray.events = [lambda: ray.lose(many)]
    assert stage.perform(ray, batches(30)) == [[b"4"]] * 30
