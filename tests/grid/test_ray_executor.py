"""The ray executor on a real cluster of several machines, which are processes here: same records, nothing lost."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from conftest import COMMAND, TOY, Workspace, facts
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.errors import EcgbenchError, MissingPackageError
from ecgbench.grid.executors import ray as ray_executor
from ecgbench.grid.executors import ray_cluster
from ecgbench.grid.executors.ray import RayExecutor
from ecgbench.grid.executors.ray_cluster import Cluster, Demand, connect, count_gpus
from ecgbench.grid.selection import Selection
from ecgbench.grid.statuses import StoppedEarlyError
from ecgbench.grid.work import BatchWork, CellWork, Outcome, Work
from ecgbench.plugins import load_plugins
from ecgbench.profiles import EMBEDDED, ClassifierSettings, CrossEncoderSettings, LlmSettings, VllmSettings
from ecgbench.progress import SilentProgress
from ecgbench.results import CellRecord, Status
from ecgbench.store.cache import default_cache_folder

HOSTILE = TOY.with_name("hostile.py")
GRID = ["--dataset", "toy[copies=10]", "--noise", "uniform,artifact_aligned", "--seeds", "0,1"]
TASK = DetectionTask(
    tuple(f"text {i}" for i in range(40)), np.arange(40) % 2, TaskDescription("number", ("even", "odd"))
)


class Machines:
    """A cluster with a head that computes nothing and machines of one CPU each."""

    def __init__(self, **config: Any) -> None:
        cluster_utils = pytest.importorskip("ray.cluster_utils")
        # Three seconds until a machine counts as lost, not fifteen.
        impatient = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3, **config}
        self._cluster = cluster_utils.Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": impatient},
        )
        self.address: str = self._cluster.address
        self.logs = Path(self._cluster.head_node.get_session_dir_path()) / "logs"
        self._machines: list[Any] = []

    def have(self, count: int) -> None:
        """Start machines until there are so many."""
        while len(self._machines) < count:
            self.add()

    def add(self, **resources: float) -> Any:
        """Start one more."""
        machine = self._cluster.add_node(num_cpus=1, **resources)
        self._machines.append(machine)
        return machine

    def pull_the_plug(self, machine: Any = None) -> None:
        """End a machine, the last that came if none is named, and all its processes without a word."""
        machine = machine or self._machines[-1]
        self._machines.remove(machine)
        self._cluster.remove_node(machine, allow_graceful=False)

    def shutdown(self) -> None:
        """End the cluster."""
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Machines]:
    machines = Machines()
    yield machines
    machines.shutdown()


@pytest.fixture
def machines(cluster: Machines) -> Machines:
    """Return the cluster with two machines."""
    cluster.have(2)
    return cluster


@pytest.fixture(autouse=True)
def hostile_calls(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = workspace.folder / "hostile"
    monkeypatch.setenv("ECGBENCH_HOSTILE_CALLS", str(path))
    return path


@pytest.fixture
def executor(machines: Machines, tmp_path: Path) -> Iterator[RayExecutor]:
    """Return an executor that knows the hostile plugin."""
    started = RayExecutor((HOSTILE,), load_plugins([HOSTILE]), tmp_path / "models", address=machines.address)
    yield started
    started.close()


def on(machines: Machines) -> list[str]:
    return ["--executor", "ray", "--ray-address", machines.address, "--plugin", str(HOSTILE)]


def run_locally(workspace: Workspace, *arguments: str) -> dict[str, CellRecord]:
    """Run a command with a cache and an output of its own, in this process, and return its facts."""
    folder = workspace.folder / "alone"
    options = ["--plugin", str(TOY), "--plugin", str(HOSTILE)]
    workspace.cli("run", *arguments, *options, "--cache", str(folder / "cache"), "--out", str(folder / "out"))
    return facts(folder / "out")


def cell(detector: str, **params: Any) -> CellWork:
    return CellWork(Selection(detector, params), TASK, 0, EMBEDDED, {})


def perform(executor: RayExecutor, works: Sequence[Work]) -> list[Outcome]:
    """Return the outcome of each work, in their order."""
    found = dict(executor.run(works, SilentProgress()))
    return [found[position] for position in range(len(works))]


def meanwhile(is_time: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    """Do something once it is time, while the run goes on."""

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not is_time() and time.monotonic() < deadline:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


DETECTORS = (
    "toy_lengths,toy_votes,toy_echo,toy_slow,random,toy_on_broken,toy_missing,on_hostile,"
    "toy_bad,toy_bad[fault=exit],toy_bad[fault=a_nan],toy_bad[fault=undeclared],writing,writing[what=artifact]"
)


@pytest.mark.slow
def test_a_cluster_gives_the_records_of_this_process_and_leaves_nothing_to_compute(
    workspace: Workspace, machines: Machines, hostile_calls: Path
) -> None:
    command = ["run", *GRID, "--detectors", DETECTORS, *workspace.options]
    assert workspace.cli(*command, *on(machines)).code == 1
    found, calls = facts(workspace.folder / "out"), workspace.calls
    workers = {line.split()[1] for line in hostile_calls.read_text().splitlines()}
    assert str(os.getpid()) not in workers
    assert len(found) == 4 * (14 + 3)
    assert calls["WordVotes"] == 4

    again = workspace.cli(*command, "--plugin", str(HOSTILE), "--executor", "local")
    assert "board" in again.err
    assert workspace.calls == calls

    (workspace.folder / "calls").unlink()
    assert run_locally(workspace, *command[1:-6]) == found
    assert workspace.calls == calls  # each text was asked once, there and here


@pytest.mark.slow
@pytest.mark.parametrize(
    ("detectors", "calls"),
    [("toy_lengths,toy_votes", 2), ("toy_slow,toy_slow[name=b],toy_slow[name=c]", 3)],
    ids=["texts", "cells"],
)
def test_a_machine_that_is_lost_takes_no_answer_and_no_cell_with_it(
    workspace: Workspace, machines: Machines, monkeypatch: pytest.MonkeyPatch, detectors: str, calls: int
) -> None:
    command = [*GRID, "--detectors", detectors]
    monkeypatch.setenv("ECGBENCH_TOY_SLEEP", "0.3")
    thread = meanwhile(lambda: count_lines(workspace.folder / "calls") >= calls, machines.pull_the_plug)
    done = workspace.cli("run", *command, *workspace.options, *on(machines))
    assert not thread.is_alive()
    assert done.code == 0, done.err
    monkeypatch.setenv("ECGBENCH_TOY_SLEEP", "0")
    assert run_locally(workspace, *command) == facts(workspace.folder / "out")


@pytest.mark.slow
def test_what_ends_its_process_fails_alone_and_says_why_on_a_line_of_its_own(
    workspace: Workspace, machines: Machines, hostile_calls: Path
) -> None:
    hostile = "hostile[fault=exit],hostile[fault=kill],on_hostile[kind=texts,fault=segfault],on_hostile[fault=exit]"
    command = [*COMMAND, "run", "--dataset", "toy", "--noise", "uniform", *workspace.options, *on(machines)]
    options = ["--detectors", f"{hostile},hostile[fault=print],random", "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    rows = {str(Selection(row["detector"], row["detector_params"])): row for row in json.loads(done.stdout)}
    assert [row["status"] for row in rows.values()].count("ok") == 5
    ended = "lost 3 times on the cluster: its process ended"
    reasons = {
        "hostile[fault=exit]": f"hostile: {ended}",
        "hostile[fault=kill]": f"hostile: {ended}",
        "on_hostile[fault=segfault,kind=texts]": f"CrashingTexts(fault=segfault): {ended}",
        "on_hostile[fault=exit]": f"Crashing(fault=exit): {ended}",
    }
    for name, reason in reasons.items():
        assert rows[name]["reason"].startswith(reason)
    assert "Traceback" not in done.stderr
    assert "raylet" not in done.stderr
    assert hostile_calls.read_text().count("kill ") == ray_executor.ATTEMPTS


@pytest.mark.slow
def test_ctrl_c_ends_what_is_under_way_and_the_run_goes_on_in_one_process(
    workspace: Workspace, machines: Machines
) -> None:
    command = ["run", *GRID, "--detectors", "toy_lengths,toy_slow,toy_slow[name=b]", *workspace.options]
    calls = workspace.folder / "calls"
    process = workspace.start(*command, *on(machines), ECGBENCH_TOY_SLEEP="1")
    deadline = time.monotonic() + 60
    while count_lines(calls) < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; what was done is kept" in err
    assert "Traceback" not in err
    so_far = count_lines(calls)
    time.sleep(2.5)
    assert count_lines(calls) == so_far
    assert 0 < workspace.calls["TextLengths"] < 60
    assert workspace.cli(*command, "--plugin", str(HOSTILE)).code == 0
    assert run_locally(workspace, *command[1:-6]) == facts(workspace.folder / "out")


@pytest.mark.slow
def test_a_plugin_file_travels_with_the_run_and_so_do_secrets_which_no_log_holds(
    tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "a-key-that-nobody-may-read"
    own_cache = str(os.environ.get("ECGBENCH_CACHE"))  # as the machines were started with
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    monkeypatch.setenv("ECGBENCH_CACHE", "of this machine alone")
    monkeypatch.setenv("ECGBENCH_OTHER", "for all machines")
    file = tmp_path / "travelling.py"
    file.write_text(
        "import os\n"
        "from dataclasses import dataclass\n"
        "from ecgbench.hookspecs import hookimpl\n"
        "from ecgbench.specs import Detector, DetectorSpec\n"
        "@dataclass(frozen=True)\n"
        "class Told(Detector):\n"
        "    def score(self, task, artifacts, rng):\n"
        "        return rng.random(len(task))\n"
        "    def findings(self, task, artifacts):\n"
        "        names = ('ECGBENCH_CACHE', 'ECGBENCH_OTHER', 'OMP_NUM_THREADS')\n"
        "        return [__file__, str(len(os.environ['OPENAI_API_KEY'])), *map(str, map(os.environ.get, names))]\n"
        "@hookimpl\n"
        "def ecgbench_detectors():\n"
        "    return [DetectorSpec('told', f'{__name__}:Told', 'tells')]\n"
    )
    executor = RayExecutor((file,), load_plugins([file]), tmp_path / "models", address=machines.address)
    file.unlink()
    try:
        (outcome,) = perform(executor, [cell("told")])
    finally:
        executor.close()
    assert outcome.failure is None
    path, length, *variables = outcome.value.findings
    assert Path(path).name == file.name
    assert Path(path) != file
    assert int(length) == len(secret)
    assert variables == [own_cache, "for all machines", "1"]
    holders = [log for log in machines.logs.rglob("*") if log.is_file() and secret.encode() in log.read_bytes()]
    assert holders == []


@pytest.mark.slow
def test_work_is_drawn_as_there_is_room_and_what_cannot_be_sent_fails_alone(executor: RayExecutor) -> None:
    plugins = load_plugins([HOSTILE])
    holder = sys.modules["hostile"].Unpicklable()
    works = [cell("random") for _ in range(8)]
    works[2] = dataclasses.replace(works[2], needs={holder: holder.unpack({"values": np.ones(3)})})
    assert "hostile" in plugins.detectors.names
    drawn = 0

    def draw() -> Iterator[Work]:
        nonlocal drawn
        for work in works:
            drawn += 1
            yield work

    ended: dict[int, Outcome] = {}
    for position, outcome in executor.run(draw(), SilentProgress()):
        ended[position] = outcome
        assert drawn - len(ended) <= 2 + 1  # two machines of one CPU, one work ahead
    assert sorted(ended) == list(range(8))
    assert [position for position, outcome in ended.items() if outcome.failure] == [2]
    failure = ended[2].failure
    assert failure is not None
    assert failure.reason.startswith("random: sending it to a worker: AttributeError: Can't pickle")


@pytest.mark.slow
def test_batches_get_the_gpus_that_their_model_needs_and_cells_do_not_wait_for_them(
    cluster: Machines, tmp_path: Path
) -> None:
    cluster.have(1)
    machine = cluster.add(num_gpus=1)
    executor = RayExecutor((HOSTILE,), load_plugins([HOSTILE]), tmp_path / "models", address=cluster.address)
    try:
        devices = sys.modules["hostile"].Devices
        shared = BatchWork(devices(CrossEncoderSettings("none", gpus=0.5)), ["text"])
        assert [outcome.value for outcome in perform(executor, [shared] * 3)] == [[b"0"]] * 3
        (outcome,) = perform(executor, [BatchWork(devices(CrossEncoderSettings("none", gpus=4)), ["text"])])
        assert outcome.failure is not None
        assert outcome.failure.reason.endswith("needs 4 GPUs on one machine, the largest of the cluster has 1")
        # The actors of the batches have taken both CPUs; the cells get them.
        assert all(outcome.failure is None for outcome in perform(executor, [cell("random")] * 4))
    finally:
        executor.close()
        cluster.pull_the_plug(machine)


@pytest.mark.slow
def test_batches_wait_for_a_gpu_that_is_lost_and_replaced_while_other_machines_live(
    cluster: Machines, tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray")
    cluster.have(1)
    machine = cluster.add(num_gpus=1)
    executor = RayExecutor((HOSTILE,), load_plugins([HOSTILE]), tmp_path / "models", address=cluster.address)
    try:
        devices = sys.modules["hostile"].Devices(CrossEncoderSettings("none", gpus=1))
        outcomes = executor.run([BatchWork(devices, ["text"])] * 3, SilentProgress())
        found = [next(outcomes)[1]]
        cluster.pull_the_plug(machine)
        while any(node["Alive"] and "GPU" in node["Resources"] for node in ray.nodes()):
            time.sleep(0.1)
        rest = meanwhile(lambda: True, lambda: found.extend(outcome for _, outcome in outcomes))
        rest.join(timeout=5)  # Ray starts machines in the main thread alone
        assert len(found) == 1
        machine = cluster.add(num_gpus=1)
        rest.join(timeout=60)
        assert [outcome.value for outcome in found] == [[b"0"]] * 3
    finally:
        executor.close()
        cluster.pull_the_plug(machine)


@pytest.mark.slow
def test_a_worker_of_another_version_ends_the_run_in_one_line(
    tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "comparable_versions", lambda _: {"python": "3.11", "ecgbench": "9.9.9"})
    executor = RayExecutor((), load_plugins(), tmp_path / "models", address=machines.address)
    try:
        with pytest.raises(StoppedEarlyError, match=r"has (python|ecgbench) .*, the run has .*: install the same"):
            perform(executor, [cell("random")])
    finally:
        executor.close()


@pytest.mark.slow
def test_a_cluster_without_machines_ends_the_run_and_fails_no_cell(
    workspace: Workspace, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "EMPTY_SECONDS", 1.0)
    monkeypatch.setenv("ECGBENCH_TOY_SLEEP", "0.3")

    def pull_all_plugs() -> None:
        machines.pull_the_plug()
        machines.pull_the_plug()

    thread = meanwhile(lambda: count_lines(workspace.folder / "calls") >= 3, pull_all_plugs)
    done = workspace.cli("run", *GRID, "--detectors", "toy_slow", *workspace.options, *on(machines))
    thread.join()
    assert done.code == 1
    assert "the cluster has lost all its machines; what was done is kept" in done.err
    assert {record.status for record in workspace.records} <= {Status.OK}


GLUTTON = """
import time
from dataclasses import dataclass
import numpy as np
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec
@dataclass(frozen=True)
class Glutton(Detector):
    def score(self, task, artifacts, rng):
        taken = [np.ones(2**26) for _ in range({steps})]  # half a GiB each
        time.sleep(60)
        return rng.random(len(task)) + len(taken)
@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("glutton", f"{{__name__}}:Glutton", "takes all memory there is")]
"""
GIB = 2**30


@pytest.mark.slow
def test_a_worker_that_runs_out_of_memory_fails_its_cell_alone(workspace: Workspace, cluster: Machines) -> None:
    del cluster  # two clusters at once would watch the same memory
    memory = psutil.virtual_memory()
    if memory.available < 8 * GIB:
        pytest.skip(f"needs 8 GiB of free memory, there are {memory.available / GIB:.1f}")
    plugin = workspace.folder / "glutton.py"
    plugin.write_text(GLUTTON.format(steps=12))
    # Ray's own monitor ends a worker where its machine holds 4 GiB more than now; the glutton takes 6.
    limit = (memory.total - memory.available + 4 * GIB) / memory.total
    machines = Machines(memory_usage_threshold=limit, memory_monitor_refresh_ms=100)
    machines.have(2)
    try:
        command = [
            *COMMAND,
            "run",
            "--dataset",
            "toy",
            "--noise",
            "uniform",
            "--detectors",
            "glutton,random,toy_lengths",
        ]
        command += ["--executor", "ray", "--ray-address", machines.address, "--plugin", str(plugin)]
        done = subprocess.run([*command, *workspace.options], capture_output=True, text=True, check=False)
    finally:
        machines.shutdown()
    assert done.returncode == 1, done.stderr
    found = workspace.by_detector
    assert [name for name, record in found.items() if record.status is not Status.OK] == ["glutton"]
    assert "lost 3 times on the cluster: killed for memory" in str(found["glutton"].reason)


@pytest.mark.slow
def test_real_models_on_a_cluster_give_the_bits_of_this_process(workspace: Workspace, machines: Machines) -> None:
    models = default_cache_folder() / "models"
    found = {}
    for name, options in {"alone": [], "cluster": ["--executor", "ray", "--ray-address", machines.address]}.items():
        folder = workspace.folder / name
        folder.mkdir()
        (folder / "models").symlink_to(models)
        command = ["run", "--detectors", "ecg,cleanlab,input_knn", "--noise", "artifact_aligned", "--n", "60"]
        command += ["--cache", str(folder), "--out", str(folder / "out"), "--quiet", *options]
        environment = {**os.environ, "ECGBENCH_BATCH_SIZE": "16"}
        done = subprocess.run([*COMMAND, *command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[name] = facts(folder / "out")
    assert {record.status for record in found["alone"].values()} == {Status.OK}
    assert found["cluster"] == found["alone"]


def closed_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("ray://127.0.0.1:10001", "give auto, local or HOST:PORT"),
        ("nowhere", "give auto, local or HOST:PORT"),
        ("127.0.0.1:port", "give auto, local or HOST:PORT"),
        ("127.0.0.1:99999", "no Ray cluster answers"),
        (f"127.0.0.1:{closed_port()}", "no Ray cluster answers"),
    ],
)
def test_an_address_where_no_cluster_is_is_one_line(workspace: Workspace, address: str, fault: str) -> None:
    pytest.importorskip("ray")
    done = workspace.run("toy_lengths", "--executor", "ray", "--ray-address", address)
    assert done.code in (1, 2)
    assert fault in done.error
    assert address in done.error


def test_a_missing_ray_is_one_line_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r'pip install "ecgbench\[ray\]"'):
        RayExecutor((), load_plugins(), tmp_path, address=None)


class FakeRay:
    """The two questions that are asked of Ray without any work: its machines, and a place for a value."""

    def __init__(self, *machines: dict[str, float]) -> None:
        self.machines = machines
        self.kept: list[bytes] = []

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": machine} for machine in self.machines]

    def put(self, value: bytes) -> int:
        self.kept.append(value)
        return len(self.kept) - 1


@pytest.mark.parametrize(
    ("settings", "gpus"),
    [
        ([], 0),
        ([CrossEncoderSettings("a", gpus=0.5), CrossEncoderSettings("b", gpus=0.25)], 0.75),
        ([CrossEncoderSettings("a", gpus=0.5), ClassifierSettings("b", gpus=1.0)], 1),
        ([ClassifierSettings("a", gpus=1.5)], 2),
        ([LlmSettings("a", engine="vllm", vllm=VllmSettings(tensor_parallel=4))], 4),
        ([LlmSettings("a", engine="vllm", gpus=8, vllm=VllmSettings(tensor_parallel=4))], 8),
        ([LlmSettings("a", vllm=VllmSettings(tensor_parallel=4))], 0),
        (["settings of a plugin"], 0),
    ],
)
def test_models_share_a_gpu_as_long_as_they_fit_on_it(settings: Sequence[Any], gpus: float) -> None:
    assert count_gpus(frozenset(settings)) == gpus


def test_room_is_what_all_machines_hold_of_the_scarcest_thing() -> None:
    big, small = {"CPU": 8.0, "GPU": 2.0, "memory": 16.0}, {"CPU": 2.0, "memory": 16.0}
    cluster = Cluster(FakeRay(big, small, {"memory": 64.0}))
    assert cluster.room(Demand()) == 10
    assert cluster.room(Demand(memory=4)) == 4 + 2
    assert cluster.room(Demand(gpus=0.25)) == 8
    assert cluster.room(Demand(gpus=1)) == 2
    assert cluster.find_obstacle(Demand(gpus=1)) is None
    assert cluster.find_obstacle(Demand(gpus=3)) == "needs 3 GPUs on one machine, the largest of the cluster has 2"


def test_a_work_asks_no_more_memory_than_a_machine_has_and_no_gpu_where_there_is_none() -> None:
    @dataclasses.dataclass(frozen=True)
    class Large:
        memory: int = 100
        settings: frozenset[Any] = frozenset({CrossEncoderSettings("a", gpus=1.0)})

    def ask(*machines: dict[str, float]) -> Demand:
        work: Any = Large()
        cluster = Cluster(FakeRay(*machines))
        return cluster.fit(cluster.demand(work))

    small, with_gpu = {"CPU": 1.0, "memory": 50.0 * 2**20}, {"CPU": 1.0, "GPU": 1.0, "memory": 60.0 * 2**20}
    assert ask(small) == Demand(0.0, 50 * 2**20)
    assert ask(small, with_gpu | {"memory": 2.0**40}) == Demand(1.0, 100 * 2**20)
    assert ask(with_gpu, {"CPU": 1.0, "memory": 2.0**40}) == Demand(1.0, 60 * 2**20)


def test_what_the_works_of_a_task_share_is_put_into_the_store_once() -> None:
    ray = FakeRay()
    parts = ray_executor._Parts(ray)
    task, lengths, votes, other = (object() for _ in range(4))
    fake = {id(part): name for part, name in ((task, "t"), (lengths, "l"), (votes, "v"), (other, "o"))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_executor, "pack_part", lambda part: fake[id(part)])
        assert [parts.put(shared) for shared in ([task, lengths], [task, votes], [task, lengths])] == [
            [0, 1],
            [0, 2],
            [0, 1],
        ]
        parts.put([other])  # the next task: nothing of the one before is held any more
        assert ray.kept == ["t", "l", "v", "o"]
        assert parts.put([task]) == [4]


@pytest.mark.parametrize("error", [ValueError("a\nreason"), ConnectionError("a reason"), RuntimeError("a reason")])
def test_whatever_ray_says_of_an_address_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(EcgbenchError, match="Ray at 'auto' cannot be used: a reason; start it by"):
        connect(ray, None)


def test_an_address_without_the_executor_is_a_usage_error(workspace: Workspace) -> None:
    assert "add --executor ray" in workspace.run("toy_lengths", "--ray-address", "auto").error
