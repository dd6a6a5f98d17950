"""Jobs: what is missing is computed once for all tasks, and a failure reaches just what needs it."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from ecgbench.artifacts.base import Artifact, Artifacts, TaskArtifact, TextArtifact
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext
from ecgbench.engines.llm import TokenUsage
from ecgbench.errors import MissingPackageError, StoreError
from ecgbench.grid.executors.local import LocalExecutor
from ecgbench.grid.executors.wire import unpack_outcome
from ecgbench.grid.jobs import Job, JobRunner
from ecgbench.grid.statuses import FailedInputError, Failure
from ecgbench.grid.values import TaskValues, resolve_closure
from ecgbench.grid.work import Outcome, Work
from ecgbench.plugins import load_plugins
from ecgbench.profiles import EMBEDDED, LlmSettings, ServerSettings
from ecgbench.progress import Progress, SilentReporter
from ecgbench.results import Status
from ecgbench.store.cache import Cache

asked: list[str] = []


@dataclass(frozen=True)
class Moody(TextArtifact[Any]):
    """Answer in batches of two; no answer to "sulk", an error at "storm"."""

    uses_labels: ClassVar[bool] = False

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Any]:  # noqa: ARG002
        return task.texts

    def batches(self, requests: Sequence[Any]) -> Iterable[Sequence[int]]:
        order = sorted(range(len(requests)), key=lambda i: (requests[i] == "storm", requests[i]))
        return [order[start : start + 2] for start in range(0, len(order), 2)]

    def compute(self, requests: Sequence[Any], context: ComputeContext) -> Sequence[bytes | None]:  # noqa: ARG002
        asked.extend(requests)
        if "storm" in requests:
            raise RuntimeError("a storm")
        return [None if request == "sulk" else request.encode() for request in requests]

    def assemble(self, rows: Sequence[bytes | None]) -> Any:
        return np.array([-1 if row is None else len(row) for row in rows])


@dataclass(frozen=True)
class Total(TaskArtifact[Any]):
    """The sum of the moods."""

    def inputs(self) -> tuple[Artifact[Any], ...]:
        return (Moody(),)

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:  # noqa: ARG002
        return inputs[Moody()].sum(keepdims=True)


@dataclass(frozen=True)
class Absent(Total):
    """Need a package that nobody has."""

    requires: ClassVar[tuple[str, ...]] = ("no_such_module",)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    asked.clear()
    return Cache.open(tmp_path)


def build_values(cache: Cache, *texts: str) -> TaskValues:
    labels = np.zeros(len(texts), dtype=np.int64)
    return TaskValues(DetectionTask(texts, labels, TaskDescription("topic", ("x", "y"))), 0, EMBEDDED, cache)


def local_executor(cache: Cache) -> LocalExecutor:
    return LocalExecutor(load_plugins(), cache.models, SilentReporter())


def run(cache: Cache, need: Artifact[Any], *tasks: TaskValues, retry: bool = False) -> JobRunner:
    runner = JobRunner(cache, local_executor(cache), SilentReporter(), retry_failed=retry)
    runner.run([Job(artifact, tasks) for artifact in resolve_closure([need], EMBEDDED)])
    return runner


def test_a_text_of_two_tasks_is_asked_once_and_scattered_to_both(cache: Cache) -> None:
    one, two = build_values(cache, "a", "bb", "a"), build_values(cache, "bb", "ccc")
    run(cache, Total(), one, two)
    assert sorted(asked) == ["a", "bb", "ccc"]
    assert one.load(Moody()).tolist() == [1, 2, 1]
    assert two.load(Moody()).tolist() == [2, 3]
    assert (one.load(Total())[0], two.load(Total())[0]) == (4, 5)


def test_the_order_of_asking_does_not_depend_on_the_tasks(cache: Cache, tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(9)]
    run(cache, Moody(), build_values(cache, *texts[:5]), build_values(cache, *texts[5:]))
    first = asked.copy()
    asked.clear()
    other = Cache.open(tmp_path / "other")
    run(other, Moody(), build_values(other, *reversed(texts)))
    assert asked == first


def test_a_failed_attempt_is_counted_not_asked_again_and_asked_on_retry(cache: Cache) -> None:
    task = build_values(cache, "a", "sulk")
    run(cache, Moody(), task)
    assert task.load(Moody()).tolist() == [1, -1]
    assert task.usage[Moody()].failed_attempts == 1
    asked.clear()
    run(cache, Moody(), build_values(cache, "a", "sulk"))
    assert asked == []
    run(cache, Moody(), build_values(cache, "a", "sulk"), retry=True)
    assert asked == ["sulk"]


def test_what_rests_on_a_failed_attempt_is_computed_again_when_the_retry_gave_an_answer(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = build_values(cache, "a", "sulk")
    run(cache, Total(), task)
    assert task.load(Total())[0] == 0
    monkeypatch.setattr(Moody, "compute", lambda self, requests, context: [b"cheerful"] * len(requests))  # noqa: ARG005
    again = build_values(cache, "a", "sulk")
    run(cache, Total(), again, retry=True)
    assert again.load(Total())[0] == 1 + len("cheerful")


def test_an_error_in_mid_job_fails_the_tasks_it_left_without_answers(cache: Cache) -> None:
    calm, stormy = build_values(cache, "a", "bb"), build_values(cache, "bb", "storm")
    runner = run(cache, Total(), calm, stormy)
    assert calm.load(Total())[0] == 3
    for artifact in (Moody(), Total()):
        runner.raise_failure(artifact, calm)
        with pytest.raises(FailedInputError, match="Moody: RuntimeError: a storm") as raised:
            runner.raise_failure(artifact, stormy)
        assert raised.value.failure.status is Status.FAILED
    assert build_values(cache, "bb").load(Moody()).tolist() == [2]  # finished batches are kept


def test_a_missing_package_skips_and_is_named(cache: Cache) -> None:
    task = build_values(cache, "a")
    runner = run(cache, Absent(), task)
    assert runner.failures[Absent(), id(task)].status is Status.SKIPPED
    assert "pip install no-such-module" in runner.failures[Absent(), id(task)].reason
    assert MissingPackageError.__name__ not in runner.failures[Absent(), id(task)].reason


def test_a_cache_that_cannot_be_written_ends_the_run(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("ecgbench.store.rows.RowStore.put_many", refuse)
    with pytest.raises(StoreError, match="full"):
        run(cache, Moody(), build_values(cache, "a"))


class Distant:
    """An executor whose engines are elsewhere: all that comes of them is outcomes."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = outcomes

    def run(self, works: Iterable[Work], progress: Progress) -> Generator[tuple[int, Outcome]]:  # noqa: ARG002
        for position, (_, outcome) in enumerate(zip(works, self.outcomes, strict=True)):
            yield position, unpack_outcome(pickle.dumps(outcome))

    def release(self, *, keep: frozenset[Any]) -> None:
        """Hold nothing."""

    def close(self) -> None:
        """Hold nothing."""


@dataclass(frozen=True)
class Asked(Moody):
    """Ask a language model."""

    llm: LlmSettings = EMBEDDED.llm


PRICED = replace(EMBEDDED.llm, engine="openai", server=ServerSettings(input_price=2.0, output_price=10.0))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (PRICED, "read 3,000 tokens and wrote 500: 0.0110 USD"),
        (replace(PRICED, server=ServerSettings()), "read 3,000 tokens and wrote 500"),
        (EMBEDDED.llm, "read 3,000 tokens and wrote 500"),
    ],
    ids=["priced", "without a price", "own machine"],
)
def test_a_job_logs_what_its_outcomes_used_wherever_they_come_from(
    cache: Cache, caplog: pytest.LogCaptureFixture, settings: LlmSettings, said: str
) -> None:
    caplog.set_level(logging.INFO, logger="ecgbench.grid.jobs")
    failed = Outcome(failure=Failure(Status.FAILED, "a storm"), usage=TokenUsage(2000, 100))
    distant = Distant([Outcome([b"1", b"2"], usage=TokenUsage(1000, 400)), failed])
    job = Job(Asked(settings), (build_values(cache, "a", "b", "c"),))
    JobRunner(cache, distant, SilentReporter()).run([job])
    assert [line for line in caplog.messages if "tokens" in line] == [f"{job.title} {said}"]


def test_a_job_that_used_no_tokens_says_nothing_of_them(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ecgbench.grid.jobs")
    run(cache, Total(), build_values(cache, "a"))
    assert caplog.messages
    assert not any("tokens" in line for line in caplog.messages)
