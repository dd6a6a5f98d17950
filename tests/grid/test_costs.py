"""What a record says of cost: each artifact that the cell read, as it was when it was computed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from test_jobs import Asked, Distant, Moody, Total, build_values

from conftest import Workspace
from ecgbench.engines.llm import TokenUsage
from ecgbench.grid import memory
from ecgbench.grid.costs import sum_usage
from ecgbench.grid.executors.local import LocalExecutor
from ecgbench.grid.jobs import Job, JobRunner
from ecgbench.grid.memory import measure_memory
from ecgbench.grid.values import TaskValues
from ecgbench.grid.work import Outcome
from ecgbench.plugins import load_plugins
from ecgbench.progress import SilentReporter
from ecgbench.results import ArtifactCost, CellRecord
from ecgbench.store.cache import Cache

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")


def cost_of(artifact: Any, task: TaskValues) -> ArtifactCost:
    task.forget()
    task.load(artifact)
    (cost,) = sum_usage([artifact], task).artifacts.values()
    return cost


def run(cache: Cache, artifact: Any, task: TaskValues, *outcomes: Outcome) -> None:
    JobRunner(cache, Distant(outcomes), SilentReporter()).run([Job(artifact, (task,))])


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache.open(tmp_path)


def test_calls_and_tokens_are_those_that_were_spent_also_when_they_are_read_from_the_cache(cache: Cache) -> None:
    task = build_values(cache, "a", "b", "c")
    first = Outcome([b"1", b"2"], seconds=3.0, usage=TokenUsage(1000, 40, 3), peak_memory=100.0)
    second = Outcome([b"3"], seconds=1.0, usage=TokenUsage(500, 20, 1), peak_memory=20.0)
    run(cache, Asked(), task, first, second)
    expected = {"seconds": 4.0, "llm_calls": 4, "prompt_tokens": 1500, "reply_tokens": 60, "peak_memory": 100.0}
    assert cost_of(Asked(), task) == expected
    assert cost_of(Asked(), build_values(Cache.open(cache.folder), "c", "b", "a", "a")) == expected


@dataclass(frozen=True)
class AskedByCalls(Asked):
    """Say that it asks a language model."""

    cost = replace(Moody.cost, llm_calls=1)


def test_a_model_that_counts_nothing_is_unknown_and_what_asks_none_is_zero(cache: Cache) -> None:
    task = build_values(cache, "a", "b")
    run(cache, Moody(), task, Outcome([b"1", b"2"]))
    assert [cost_of(Moody(), task)[count] for count in ("llm_calls", "prompt_tokens", "reply_tokens")] == [0, 0, 0]
    cache.rows.prune()
    cache.rows.put_many("Moody", dict.fromkeys(task.requests(Moody())[0], b"1"), seconds=1.0)  # as an older version
    assert cost_of(Moody(), task)["llm_calls"] == 0
    cache.rows.put_many("Asked", dict.fromkeys(task.requests(AskedByCalls())[0], b"1"), seconds=1.0)
    unknown = {"seconds": 1.0, "llm_calls": None, "prompt_tokens": None, "reply_tokens": None, "peak_memory": None}
    assert cost_of(AskedByCalls(), task) == unknown


@dataclass
class Words:
    """A language model that counts its words."""

    usage: TokenUsage = field(default_factory=TokenUsage)


@dataclass(frozen=True)
class Spoken(AskedByCalls):
    """Let the model read each text."""

    counting: bool = True

    def compute(self, requests: Sequence[Any], context: Any) -> Sequence[bytes | None]:
        usage = context.load(lambda *_: Words(), self.llm).usage
        usage.prompt += 10 * len(requests) * self.counting
        usage.calls += len(requests) * self.counting
        return [request.encode() for request in requests]


def test_what_an_engine_counts_reaches_the_cost_through_an_executor(cache: Cache) -> None:
    task = build_values(cache, "a", "b", "c")
    executor = LocalExecutor(load_plugins(), cache.models, SilentReporter())
    JobRunner(cache, executor, SilentReporter()).run([Job(Spoken(), (task,)), Job(Total(), ())])
    assert cost_of(Spoken(), task)["prompt_tokens"] == 30
    assert cost_of(Spoken(), task)["llm_calls"] == 3


def test_the_seconds_of_the_artifacts_are_what_the_record_sums_up(workspace: Workspace) -> None:
    workspace.run("toy_lengths,toy_votes")
    votes = workspace.by_detector["toy_votes"]
    assert set(votes.artifacts or ()) == {"TextLengths", "WordVotes"}
    assert sum_of(votes, "seconds") == pytest.approx(votes.artifact_seconds, abs=0.001)
    assert sum_of(votes, "llm_calls") == 0
    assert (workspace.by_detector["oracle"].artifacts, workspace.by_detector["oracle"].peak_memory) == ({}, None)


def sum_of(record: CellRecord, name: str) -> float:
    return sum(cost[name] or 0.0 for cost in (record.artifacts or {}).values())


@needs_linux
@pytest.mark.slow
def test_the_peak_is_that_of_the_process_that_scores(workspace: Workspace, tmp_path: Path) -> None:
    plugin = tmp_path / "hungry.py"
    plugin.write_text(HUNGRY, encoding="utf-8")
    workspace.run("hungry,toy_lengths", "--plugin", str(plugin), "--executor", "process")
    hungry, modest = (workspace.by_detector[name].peak_memory for name in ("hungry", "toy_lengths"))
    assert hungry is not None
    assert modest is not None
    assert 150 < hungry < 300
    assert modest < 100


@needs_linux
def test_scoring_in_this_process_is_measured_too(workspace: Workspace) -> None:
    workspace.run("toy_lengths")
    assert workspace.by_detector["toy_lengths"].peak_memory is not None


HUNGRY = """
from dataclasses import dataclass
import numpy as np
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec

@dataclass(frozen=True)
class Hungry(Detector):
    def score(self, task, artifacts, rng):
        np.ones(200 * 2**17).sum()  # 200 MiB
        return np.arange(len(task), dtype=float)

@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("hungry", f"{__name__}:Hungry", "takes memory")]
"""


PEAKS = """
import numpy as np
from ecgbench.grid.memory import measure_memory

np.ones(100 * 2**17).sum()  # 100 MiB, given back at once
for mebibytes in (1, 50):
    with measure_memory() as meter:
        np.ones(mebibytes * 2**17).sum()
    print(meter.peak)
"""


@needs_linux
def test_the_peak_forgets_what_was_taken_and_given_back_before() -> None:
    # In a process of its own: from one that holds gigabytes the system may take pages back while it is measured.
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    small, large = map(float, done.stdout.split())
    assert small < 10 < 40 < large < 80


def test_a_system_that_does_not_tell_gives_no_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_RESET", tmp_path / "absent" / "clear_refs")
    with measure_memory() as meter:
        pass
    assert meter.peak is None
