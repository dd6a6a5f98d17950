"""The process executor with real children: what ends one is its work's reason, and nothing of it outlives a run."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from conftest import TOY, Workspace, facts
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.grid.executors.process import Limits, ProcessExecutor
from ecgbench.grid.jobs import Job, JobRunner
from ecgbench.grid.selection import Selection
from ecgbench.grid.values import TaskValues
from ecgbench.grid.work import CellWork, Outcome, ValueWork, Work
from ecgbench.plugins import load_plugins
from ecgbench.profiles import EMBEDDED, ServerSettings
from ecgbench.progress import SilentProgress, SilentReporter
from ecgbench.results import Status
from ecgbench.store.cache import Cache

pytestmark = pytest.mark.slow

HOSTILE = TOY.with_name("hostile.py")
TASK = DetectionTask(
    tuple(f"text {i}" for i in range(40)), np.arange(40) % 2, TaskDescription("number", ("even", "odd"))
)
Start = Callable[..., ProcessExecutor]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that gets a line `FAULT PROCESS` for each call of the hostile plugin."""
    path = tmp_path / "hostile"
    monkeypatch.setenv("ECGBENCH_HOSTILE_CALLS", str(path))
    return path


@pytest.fixture
def start(tmp_path: Path, calls: Path) -> Iterator[Start]:  # noqa: ARG001
    """Start executors that know the hostile plugin; all are closed at the end."""
    load_plugins([HOSTILE])
    started: list[ProcessExecutor] = []

    def make(seconds: float | None = None, memory: int | None = None) -> ProcessExecutor:
        started.append(ProcessExecutor((HOSTILE,), tmp_path / "models", Limits(seconds, memory)))
        return started[-1]

    yield make
    for executor in started:
        executor.close()


def cell(detector: str, needs: Any = None, **params: Any) -> CellWork:
    return CellWork(Selection(detector, params), TASK, 0, EMBEDDED, needs or {})


def value(fault: str) -> ValueWork:
    import hostile  # the plugin file, by the name under which it was loaded

    return ValueWork(hostile.Crashing(fault), TASK, 0, EMBEDDED, {})


def perform(executor: ProcessExecutor, *works: Work) -> list[Outcome]:
    return [outcome for _, outcome in executor.run(works, SilentProgress())]


def reasons(outcomes: Sequence[Outcome]) -> list[str | None]:
    return [None if outcome.failure is None else outcome.failure.reason for outcome in outcomes]


def workers(calls: Path) -> list[str]:
    return [line.split()[1] for line in calls.read_text().splitlines()]


def test_cells_have_a_child_each_and_artifacts_share_one(start: Start, calls: Path) -> None:
    executor = start()
    works = [cell("hostile"), value("none"), cell("hostile"), value("none")]
    assert reasons(perform(executor, *works)) == [None] * 4
    first, shared, second, again = workers(calls)
    assert shared == again
    assert len({first, second, shared, str(psutil.Process().pid)}) == 4


@pytest.mark.parametrize(
    ("fault", "how"), [("exit", "with exit code 3"), ("segfault", "by SIGSEGV"), ("kill", "by SIGKILL")]
)
def test_work_that_ends_its_child_fails_with_how_it_ended_and_the_next_has_a_fresh_one(
    start: Start, calls: Path, fault: str, how: str
) -> None:
    outcomes = perform(start(), value("none"), value(fault), value("none"), cell("hostile", fault=fault))
    ended = f"Crashing(fault={fault}): its process ended {how}"
    assert reasons(outcomes) == [None, ended, None, f"hostile: its process ended {how}"]
    assert all(o.failure is None or o.failure.status is Status.FAILED for o in outcomes)
    before, lost, after, _ = workers(calls)
    assert before == lost != after


def test_the_time_limit_ends_work_of_either_kind_with_all_that_it_started(start: Start) -> None:
    executor = start(seconds=8)
    works = [value("loop"), cell("hostile", fault="loop"), cell("hostile", fault="children"), cell("hostile")]
    *stopped, last = perform(executor, *works)
    assert last.failure is None
    assert [o.failure.status for o in stopped if o.failure] == [Status.TIMEOUT] * 3
    assert reasons(stopped)[:2] == ["Crashing(fault=loop): not done in 8 seconds", "hostile: not done in 8 seconds"]
    assert not [p for p in psutil.process_iter(["cmdline"]) if "time.sleep(600) #" in str(p.info["cmdline"])]


def test_the_memory_limit_ends_work_of_either_kind(start: Start) -> None:
    outcomes = perform(start(memory=350), value("hog"), cell("hostile", fault="hog"), cell("hostile"))
    assert [o.failure and o.failure.status for o in outcomes] == [Status.FAILED, Status.FAILED, None]
    for reason, name in zip(reasons(outcomes)[:2], ("Crashing(fault=hog)", "hostile"), strict=True):
        assert str(reason).startswith(f"{name}: took ")
        assert str(reason).endswith(" MiB of memory, allowed are 350")


def test_a_value_that_cannot_be_sent_fails_its_own_cell(start: Start) -> None:
    import hostile

    artifact = hostile.Unpicklable()
    needs = {artifact: artifact.unpack({"values": np.ones(3)})}
    outcomes = perform(start(), cell("on_hostile", needs, kind="unpicklable"), cell("hostile"))
    first, second = reasons(outcomes)
    assert str(first).startswith("on_hostile: sending it to a child process: ")
    assert second is None


def test_what_a_child_is_handed_cannot_be_written(start: Start) -> None:
    import hostile

    needs = {hostile.Crashing(): np.ones(len(TASK))}
    outcomes = perform(start(), cell("writing", needs), cell("writing", needs, what="artifact"))
    assert reasons(outcomes) == ["writing: ValueError: assignment destination is read-only"] * 2


def test_the_records_are_those_of_one_process(workspace: Workspace) -> None:
    detectors = "toy_lengths,toy_votes,toy_echo,random,toy_missing,toy_bad,toy_on_broken,on_hostile"
    command = ["--noise", "uniform,artifact_aligned", "--seeds", "1", "--plugin", str(HOSTILE)]
    assert workspace.run(detectors, *command, "--executor", "process").code == 1
    found, done = facts(workspace.folder / "out"), workspace.calls
    assert len(found) == 2 * (8 + 3)
    (workspace.folder / "calls").unlink()
    again = ["--cache", str(workspace.folder / "cache2"), "--out", str(workspace.folder / "out2")]
    arguments = ["run", "--dataset", "toy", "--detectors", detectors, *command, "--plugin", str(TOY), *again]
    assert workspace.cli(*arguments).code == 1
    assert facts(workspace.folder / "out2") == found
    assert workspace.calls == done


def start_slow(workspace: Workspace) -> tuple[Any, list[psutil.Process]]:
    """Start a run and wait until a child scores; return it and all its children."""
    detectors = "toy_slow,toy_slow[name=b]"
    grid = ["run", "--dataset", "toy", "--noise", "uniform", "--detectors", detectors, "--executor", "process"]
    process = workspace.start(*grid, *workspace.options, ECGBENCH_TOY_SLEEP="60")
    calls, deadline = workspace.folder / "calls", time.monotonic() + 120
    while not calls.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    return process, children


def test_ctrl_c_ends_the_children_and_says_how_to_go_on(workspace: Workspace) -> None:
    process, children = start_slow(workspace)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what was done is kept. Resume with:" in err
    assert "Traceback" not in err
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert (len(gone), alive) == (len(children), [])


def test_children_end_with_a_run_that_is_killed(workspace: Workspace) -> None:
    process, children = start_slow(workspace)
    process.kill()
    process.communicate()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert (len(gone), alive) == (len(children), [])


def test_what_a_childs_language_model_used_is_logged_here_with_its_price(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import hostile

    server = ServerSettings(input_price=1e4, output_price=1e5)
    asked = hostile.Talking(replace(EMBEDDED.llm, engine="openai", server=server))
    caplog.set_level(logging.INFO, logger="ecgbench")
    cache = Cache.open(tmp_path / "cache")
    JobRunner(cache, start(), SilentReporter()).run([Job(asked, (TaskValues(TASK, 0, EMBEDDED, cache),))])
    assert caplog.messages[-1].endswith(" read 80 tokens and wrote 40: 4.8000 USD")
