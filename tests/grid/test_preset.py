"""A preset value stands in for a computed one, and nothing that rests on it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.base import Artifact, Artifacts, TaskArtifact
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext
from ecgbench.errors import EcgbenchError
from ecgbench.grid.executors.local import LocalExecutor
from ecgbench.grid.jobs import Job, JobRunner
from ecgbench.grid.values import TaskValues
from ecgbench.plugins import load_plugins
from ecgbench.profiles import EMBEDDED
from ecgbench.progress import SilentReporter
from ecgbench.store.cache import Cache


@dataclass(frozen=True)
class Base(TaskArtifact[Any]):
    """The labels."""

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:  # noqa: ARG002
        return task.labels.astype(float)


@dataclass(frozen=True)
class Doubled(TaskArtifact[Any]):
    """Twice the labels."""

    def inputs(self) -> tuple[Artifact[Any], ...]:
        return (Base(),)

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:  # noqa: ARG002
        return inputs[Base()] * 2


@pytest.fixture
def values(tmp_path: Path) -> TaskValues:
    task = DetectionTask(("a", "b"), np.array([0, 1]), TaskDescription("topic", ("x", "y")))
    return TaskValues(task, 0, EMBEDDED, Cache.open(tmp_path))


def job_runner(values: TaskValues) -> JobRunner:
    executor = LocalExecutor(load_plugins(), values.cache.models, SilentReporter())
    return JobRunner(values.cache, executor, SilentReporter())


def test_a_preset_is_read_when_first_needed_and_outlives_forgetting(values: TaskValues) -> None:
    reads: list[int] = []
    values.preset(Base(), lambda: reads.append(1) or np.array([5.0, 6.0]))  # type: ignore[func-returns-value]
    assert reads == []
    assert values.load(Base()).tolist() == [5.0, 6.0]
    values.forget()
    assert values.view([Base()])[Base()].tolist() == [5.0, 6.0]
    assert len(reads) == 2


def test_what_rests_on_a_preset_is_derived_and_never_stored(values: TaskValues) -> None:
    values.preset(Base(), lambda: np.array([5.0, 6.0]))
    assert values.load(Doubled()).tolist() == [10.0, 12.0]
    with pytest.raises(EcgbenchError, match="Doubled rests on a preset value"):
        values.key(Doubled())
    runner = job_runner(values)
    runner.run([Job(Doubled(), (values,))])
    assert "cannot be stored" in runner.failures[Doubled(), id(values)].reason
    assert values.cache.objects.info() == {}


def test_an_ordinary_task_of_the_same_texts_reads_nothing_of_a_preset_one(values: TaskValues) -> None:
    values.preset(Base(), lambda: np.array([5.0, 6.0]))
    values.load(Doubled())
    ordinary = TaskValues(values.task, 0, EMBEDDED, values.cache)
    job_runner(values).run([Job(Base(), (ordinary,)), Job(Doubled(), (ordinary,))])
    assert ordinary.load(Doubled()).tolist() == [0.0, 2.0]
    assert values.load(Doubled()).tolist() == [10.0, 12.0]


def test_a_closure_ends_at_a_preset(values: TaskValues) -> None:
    assert values.closure([Doubled()]) == (Base(), Doubled())
    values.preset(Base(), lambda: np.zeros(2))
    assert values.closure([Doubled()]) == (Doubled(),)
