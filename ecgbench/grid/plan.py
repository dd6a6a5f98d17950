"""What a run would do: cells, artifact jobs, missing rows, model calls, time and memory; nothing is computed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgbench.artifacts.base import TaskArtifact, TextArtifact
from ecgbench.errors import EcgbenchError, StoreError
from ecgbench.grid.build import build_cells, build_jobs, build_values
from ecgbench.grid.jobs import Job
from ecgbench.grid.prepare import Grid
from ecgbench.grid.statuses import PLUGIN_ERRORS, describe_failure
from ecgbench.results import latest, read_records
from ecgbench.store.cache import Cache

logger = logging.getLogger(__name__)

BASE_MEMORY = 400
"""MiB of an interpreter with the usual libraries loaded."""


@dataclass(frozen=True)
class PlannedJob:
    """One artifact: how many of its rows (texts) or tasks the cache holds and lacks.

    `is_bound`: its requests follow from values that are themselves missing, so `missing` is at most that.
    """

    artifact: str
    unit: str
    cached: int
    missing: int
    is_bound: bool
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
        """Return how many texts a language model would be asked about."""
        return sum(job.llm_calls for job in self.jobs)

    @property
    def minutes(self) -> float:
        """Return the estimated time of all jobs."""
        return sum(job.seconds for job in self.jobs) / 60

    @property
    def memory(self) -> int:
        """Return the estimated peak in MiB."""
        return BASE_MEMORY + max((job.memory for job in self.jobs if job.missing), default=0)


def plan_grid(grid: Grid, *, cache: Cache, results: Path) -> Plan:
    """Return what running the grid would take, given the cache and the records there are."""
    cells = build_cells(grid)
    known = {record.cell_key for record in latest(read_records(results))} if results.exists() else set()
    due = [cell for cell in cells if cell.blank.cell_key not in known]
    measured = {kind: count.seconds / max(count.answers, 1) for kind, count in cache.rows.counts().items()}
    jobs = [_plan_or_warn(job, cache, measured) for job in build_jobs(due, build_values(grid, cache))]
    return Plan(len(cells), len(due), len(grid.rows), tuple(job for job in jobs if job is not None))


def _plan_or_warn(job: Job, cache: Cache, measured: dict[str, float]) -> PlannedJob | None:
    """Leave out a job whose own code fails: the run will say so in the records of its cells."""
    try:
        return _plan_job(job, cache, measured)
    except StoreError:
        raise
    except PLUGIN_ERRORS as error:
        logger.warning("%s", describe_failure(error, what=job.title).reason)
        return None


def _plan_job(job: Job, cache: Cache, measured: dict[str, float]) -> PlannedJob | None:
    artifact = job.artifact
    if isinstance(artifact, TextArtifact):
        cached, missing, is_bound = _count_rows(job, artifact, cache)
        seconds = measured.get(job.title, artifact.cost.seconds) * missing
        unit = "texts"
    elif isinstance(artifact, TaskArtifact) and artifact.stored:
        keys = {task.key(artifact): len(task.task) for task in job.tasks}
        absent = [n for key, n in keys.items() if not cache.objects.has(key)]
        cached, missing, is_bound = len(keys) - len(absent), len(absent), False
        seconds = artifact.cost.seconds * sum(absent)
        unit = "tasks"
    else:
        return None
    calls = artifact.cost.llm_calls * missing
    return PlannedJob(job.title, unit, cached, missing, is_bound, calls, seconds, artifact.cost.memory)


def _count_rows(job: Job, artifact: TextArtifact[Any], cache: Cache) -> tuple[int, int, bool]:
    """Return cached rows, missing rows, and whether the missing ones are only a bound."""
    keys: set[str] = set()
    unknown: set[str] = set()
    for task in job.tasks:
        try:
            keys.update(task.requests(artifact)[0])
        except EcgbenchError:  # what it is rendered from is not computed yet
            unknown.update(task.task.texts)
        task.forget()
    missing = len(cache.rows.missing(sorted(keys)))
    return len(keys) - missing, missing + len(unknown), bool(unknown)
