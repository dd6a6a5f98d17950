"""What a run would do: cells, artifact jobs, missing rows, model calls, time and memory; nothing is computed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgbench.artifacts.base import TaskArtifact, TextArtifact, artifact_title
from ecgbench.errors import EcgbenchError, StoreError
from ecgbench.grid.build import build_cells, build_jobs, build_values
from ecgbench.grid.jobs import Job
from ecgbench.grid.prepare import Grid
from ecgbench.grid.rerun import Rerun, is_due
from ecgbench.grid.statuses import PLUGIN_ERRORS, describe_failure
from ecgbench.grid.values import NotComputedError, TaskValues, resolve_closure
from ecgbench.results import latest, read_records
from ecgbench.store.cache import Cache

logger = logging.getLogger(__name__)

BASE_MEMORY = 400
"""MiB of an interpreter with the usual libraries loaded."""


@dataclass(frozen=True)
class PlannedJob:
    """One artifact: how many of its rows (texts) or tasks the cache holds and lacks.

    `is_estimate`: its requests follow from values that are themselves missing, so `missing` is about that.
    `llm_calls` is an estimate: a reply that breaks the form is asked for once more.
    """

    artifact: str
    unit: str
    cached: int
    missing: int
    is_estimate: bool
    llm_calls: int
    seconds: float
    memory: int


@dataclass(frozen=True)
class Plan:
    """The work of a run before it is done; memory in MiB, of the largest job with the interpreter."""

    n_cells: int
    n_due: int
    n_tasks: int
    jobs: tuple[PlannedJob, ...]

    @property
    def llm_calls(self) -> int:
        """Return about how many times a language model would be asked."""
        return sum(job.llm_calls for job in self.jobs)

    @property
    def minutes(self) -> float:
        """Return the estimated time of all jobs."""
        return sum(job.seconds for job in self.jobs) / 60

    @property
    def memory(self) -> int:
        """Return the estimated peak in MiB."""
        return BASE_MEMORY + max((job.memory for job in self.jobs if job.missing), default=0)


def plan_grid(grid: Grid, *, cache: Cache, results: Path, rerun: Rerun = Rerun.MISSING) -> Plan:
    """Return what running the grid would take, given the cache and the records there are."""
    cells = build_cells(grid)
    known = {record.cell_key: record for record in latest(read_records(results))} if results.exists() else {}
    due = [cell for cell in cells if is_due(known.get(cell.blank.cell_key), rerun)]
    measured = {kind: count.seconds / max(count.answers, 1) for kind, count in cache.rows.counts().items()}
    estimator = _Estimator(cache, measured, retry_failed=rerun is not Rerun.MISSING)
    jobs = [estimator.plan_or_warn(job) for job in build_jobs(due, build_values(grid, cache))]
    return Plan(len(cells), len(due), len(grid.rows), tuple(job for job in jobs if job is not None))


@dataclass(frozen=True)
class _Estimator:
    """Plan jobs; `measured`: seconds an answer by title, `retry_failed`: failed attempts count as missing."""

    cache: Cache
    measured: Mapping[str, float]
    retry_failed: bool

    def plan_or_warn(self, job: Job) -> PlannedJob | None:
        """Leave out a job whose own code fails: the run will say so in the records of its cells."""
        try:
            return self._plan(job)
        except StoreError:
            raise
        except PLUGIN_ERRORS as error:
            logger.warning("%s", describe_failure(error, what=job.title).reason)
            return None

    def _plan(self, job: Job) -> PlannedJob | None:
        artifact = job.artifact
        if isinstance(artifact, TextArtifact):
            cached, missing, is_estimate = self._count_rows(job, artifact)
            seconds = self.measured.get(job.title, artifact.cost.seconds) * missing
            unit = "texts"
        elif isinstance(artifact, TaskArtifact) and artifact.stored:
            keys = {_key_or_task(task, artifact): len(task.task) for task in job.tasks}
            absent = [n for key, n in keys.items() if not (isinstance(key, str) and self.cache.objects.has(key))]
            cached, missing, is_estimate = len(keys) - len(absent), len(absent), False
            seconds = artifact.cost.seconds * sum(absent)
            unit = "tasks"
        else:
            return None
        calls = artifact.cost.llm_calls * missing
        return PlannedJob(job.title, unit, cached, missing, is_estimate, calls, seconds, artifact.cost.memory)

    def _count_rows(self, job: Job, artifact: TextArtifact[Any]) -> tuple[int, int, bool]:
        """Return cached rows, missing rows, and whether the missing ones are only an estimate."""
        keys: set[str] = set()
        unknown: set[str] = set()
        likely: set[str] = set()
        for task in job.tasks:
            try:
                keys.update(task.requests(artifact)[0])
            except EcgbenchError:  # what it is rendered from is not computed yet
                unknown |= set(task.task.texts)
                likely |= self._likely_missing(task, artifact)
            task.forget()
        missing = len(self.cache.rows.missing(sorted(keys), retry_failed=self.retry_failed))
        return len(keys) - missing + len(unknown - likely), missing + len(likely), bool(unknown)

    def _likely_missing(self, task: TaskValues, artifact: TextArtifact[Any]) -> set[str]:
        """Return the texts that a row itself is missing for further up; all of them in a cache without such rows.

        The other texts were most likely computed to the end when they were first seen.
        """
        if artifact_title(artifact) not in self.measured:
            return set(task.task.texts)
        texts: set[str] = set()
        for source in resolve_closure(artifact.inputs(), task.profile):
            if not isinstance(source, TextArtifact):
                continue
            try:
                keys, _ = task.requests(source)
            except EcgbenchError:
                continue  # what it is rendered from stands in the closure too
            missing = set(self.cache.rows.missing(keys))
            texts |= {text for text, key in zip(task.task.texts, keys, strict=True) if key in missing}
        return texts


def _key_or_task(task: TaskValues, artifact: TaskArtifact[Any]) -> str | int:
    """Return the key of a value, or what stands for its task where the key follows from missing answers."""
    try:
        return task.key(artifact)
    except NotComputedError:
        return id(task)
    finally:
        task.forget()
