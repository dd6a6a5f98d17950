"""Compute what the cache lacks: each artifact once for the whole grid, one model load, long batches."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ecgbench.artifacts.base import Artifact, TaskArtifact, TextArtifact, artifact_title
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.errors import StoreError, UnstorableError
from ecgbench.grid.statuses import PLUGIN_ERRORS, FailedInputError, Failure, StoppedEarlyError, describe_failure
from ecgbench.grid.values import TaskValues
from ecgbench.progress import Reporter
from ecgbench.registry import missing_modules, missing_package
from ecgbench.store.cache import Cache

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Job:
    """One artifact and the tasks that need it."""

    artifact: Artifact[Any]
    tasks: tuple[TaskValues, ...]

    @property
    def title(self) -> str:
        """Name the artifact for people."""
        return artifact_title(self.artifact)


@dataclass
class JobRunner:
    """Run jobs in order; a failure is kept and handed to whatever needed the artifact."""

    cache: Cache
    reporter: Reporter
    retry_failed: bool = False
    fail_fast: bool = False
    failures: dict[tuple[Artifact[Any], int], Failure] = field(default_factory=dict)

    def run(self, jobs: Sequence[Job]) -> None:
        """Compute all missing values; engines are freed after the last job that names their settings."""
        pool = EnginePool(self.cache.models, self.reporter)
        for position, job in enumerate(jobs):
            self._run_job(job, pool)
            pool.release(keep=_settings(jobs[position + 1 :]))
            for task in job.tasks:
                task.forget()

    def raise_failure(self, artifact: Artifact[Any], task: TaskValues) -> None:
        """Raise FailedInputError where the artifact failed for this task."""
        failure = self.failures.get((artifact, id(task)))
        if failure is not None:
            raise FailedInputError(failure)

    def _run_job(self, job: Job, pool: EnginePool) -> None:
        try:
            for module in missing_modules(job.artifact.requires):
                raise missing_package(module, needed_for=job.title)
            ready = [task for task in job.tasks if self._has_inputs(job, task)]
            if isinstance(job.artifact, TextArtifact):
                self._run_text_job(job, job.artifact, ready, pool)
            elif isinstance(job.artifact, TaskArtifact) and job.artifact.stored:
                self._run_task_job(job, job.artifact, ready, pool)
        except PLUGIN_ERRORS as error:  # also a field that cannot be part of a key
            self._fail(job, job.tasks, error)

    def _has_inputs(self, job: Job, task: TaskValues) -> bool:
        """Pass an input's failure on to the artifact that needs it."""
        for source in job.artifact.inputs():
            failure = self.failures.get((source.resolve(task.profile), id(task)))
            if failure is not None:
                self.failures[job.artifact, id(task)] = failure
                return False
        return True

    def _run_task_job(
        self, job: Job, artifact: TaskArtifact[Any], tasks: Sequence[TaskValues], pool: EnginePool
    ) -> None:
        sharing: dict[str, list[TaskValues]] = {}
        for task in tasks:
            sharing.setdefault(task.key(artifact), []).append(task)
            task.forget()
        # Read, not just looked for: a damaged entry is found here, where it can still be computed again.
        missing = {key: same for key, same in sharing.items() if self.cache.objects.get(key) is None}
        if not missing:
            return
        with self.reporter.job(job.title, sum(len(same[0].task) for same in missing.values())) as progress:
            for key, (task, *_) in missing.items():
                if self.cache.objects.has(key):  # another run on this cache was faster
                    progress.advance(len(task.task))
                    continue
                started = time.perf_counter()
                try:
                    context = ComputeContext(pool, task.seed, progress)
                    value = artifact.compute(task.task, task.view(artifact.inputs()), context)
                    seconds = time.perf_counter() - started
                    self.cache.objects.put(key, artifact.pack(value), kind=job.title, seconds=seconds)
                except PLUGIN_ERRORS as error:
                    self._fail(job, missing[key], error)
                task.forget()

    def _run_text_job(
        self, job: Job, artifact: TextArtifact[Any], tasks: Sequence[TaskValues], pool: EnginePool
    ) -> None:
        wanted: dict[str, Any] = {}
        keys: dict[int, set[str]] = {}
        for task in tasks:
            try:
                task_keys, requests = task.requests(artifact)
            except PLUGIN_ERRORS as error:
                self._fail(job, [task], error)
                continue
            wanted.update(zip(task_keys, requests, strict=True))
            keys[id(task)] = set(task_keys)
        # Sorted, so that the batches do not depend on who asked first.
        missing = sorted(self.cache.rows.missing(list(wanted), retry_failed=self.retry_failed))
        if not missing:
            return
        try:
            self._compute_rows(job, artifact, {key: wanted[key] for key in missing}, pool)
        except PLUGIN_ERRORS as error:
            unanswered = set(self.cache.rows.missing(missing))
            self._fail(job, [t for t in tasks if keys.get(id(t), set()) & unanswered], error)

    def _compute_rows(self, job: Job, artifact: TextArtifact[Any], wanted: dict[str, Any], pool: EnginePool) -> None:
        keys = list(wanted)
        logger.info("computing %d rows of %s", len(keys), job.title)
        with self.reporter.job(job.title, len(keys)) as progress:
            started = time.perf_counter()
            for batch in artifact.compute(list(wanted.values()), ComputeContext(pool, progress=progress)):
                finished = time.perf_counter()
                rows = {keys[position]: answer for position, answer in batch.items()}
                self.cache.rows.put_many(job.title, rows, seconds=finished - started)
                started = time.perf_counter()

    def _fail(self, job: Job, tasks: Sequence[TaskValues], error: BaseException) -> None:
        if isinstance(error, StoppedEarlyError) or _is_cache_unusable(error):
            raise error
        failure = describe_failure(error, what=job.title)
        if self.fail_fast:
            raise StoppedEarlyError(f"stopped at {failure.reason}") from error
        logger.warning("%s", failure.reason)
        for task in tasks:
            self.failures[job.artifact, id(task)] = failure


def _is_cache_unusable(error: BaseException) -> bool:
    """Tell whether nothing after this could be kept."""
    return isinstance(error, StoreError) and not isinstance(error, UnstorableError)


def _settings(jobs: Sequence[Job]) -> frozenset[Any]:
    """Return the settings objects that these jobs' artifacts name in their fields."""
    return frozenset(
        value
        for job in jobs
        for value in (getattr(job.artifact, f.name) for f in dataclasses.fields(job.artifact))
        if dataclasses.is_dataclass(value) and not isinstance(value, type)
    )
