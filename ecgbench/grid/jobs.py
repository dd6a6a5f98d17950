"""Compute what the cache lacks: each artifact once for the whole grid, one model load, long batches."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from ecgbench.artifacts.base import Artifact, TaskArtifact, TextArtifact, artifact_title
from ecgbench.engines.llm import TokenUsage
from ecgbench.errors import INTERRUPTS, StoreError, UnstorableError
from ecgbench.grid.executors import Executor
from ecgbench.grid.measuring import count_characters, describe_usage, measure, measure_spending, name_work
from ecgbench.grid.random_states import describe_touched, guard_random_states
from ecgbench.grid.statuses import FailedInputError, Failure, StoppedEarlyError, describe_failure
from ecgbench.grid.values import TaskValues
from ecgbench.grid.work import BatchWork, Outcome, ValueWork, Work
from ecgbench.progress import Progress, Reporter
from ecgbench.registry import missing_modules, missing_package
from ecgbench.store.cache import Cache
from ecgbench.store.calibration import CALIBRATION_FILE, Calibration, Tally

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
    executor: Executor
    reporter: Reporter
    retry_failed: bool = False
    fail_fast: bool = False
    failures: dict[tuple[Artifact[Any], int], Failure] = field(default_factory=dict)
    _warned: set[Artifact[Any]] = field(default_factory=set)
    _used: TokenUsage = field(default_factory=TokenUsage)

    def run(self, jobs: Sequence[Job], *, keep: frozenset[Any] = frozenset()) -> None:
        """Compute all missing values; models are freed after the last job that loads them, but for those to `keep`."""
        for position, job in enumerate(jobs):
            with guard_random_states():  # requests, assembly and derived values are plugin code in this process
                self._run_job(job)
            later = (settings for job in jobs[position + 1 :] for settings in job.artifact.models())
            self.executor.release(keep=keep.union(later))
            for task in job.tasks:
                task.forget()

    def raise_failure(self, artifact: Artifact[Any], task: TaskValues) -> None:
        """Raise FailedInputError where the artifact failed for this task."""
        failure = self.failures.get((artifact, id(task)))
        if failure is not None:
            raise FailedInputError(failure)

    def _run_job(self, job: Job) -> None:
        self._used = TokenUsage()
        try:
            for module in missing_modules(job.artifact.requires):
                raise missing_package(module, needed_for=job.title)
            ready = [task for task in job.tasks if self._has_inputs(job, task)]
            if isinstance(job.artifact, TextArtifact):
                self._run_text_job(job, job.artifact, ready)
            elif isinstance(job.artifact, TaskArtifact) and job.artifact.stored:
                self._run_task_job(job, job.artifact, ready)
        except INTERRUPTS:
            raise
        except BaseException as error:  # also a field that cannot be part of a key
            self._fail(job, job.tasks, error)
        finally:
            if self._used != TokenUsage():
                logger.info("%s %s", job.title, describe_usage(job.artifact, self._used))

    def _has_inputs(self, job: Job, task: TaskValues) -> bool:
        """Pass an input's failure on to the artifact that needs it."""
        for source in job.artifact.inputs():
            failure = self.failures.get((source.resolve(task.profile), id(task)))
            if failure is not None:
                self.failures[job.artifact, id(task)] = failure
                return False
        return True

    def _run_task_job(self, job: Job, artifact: TaskArtifact[Any], tasks: Sequence[TaskValues]) -> None:
        sharing: dict[str, list[TaskValues]] = {}
        for task in tasks:
            sharing.setdefault(task.key(artifact), []).append(task)
            task.forget()
        # Read, not just looked for: a damaged entry is found here, where it can still be computed again.
        missing = {key: same for key, same in sharing.items() if self.cache.objects.get(key) is None}
        if not missing:
            return
        drawn: list[str] = []

        def works() -> Iterator[Work]:
            for key, (task, *_) in missing.items():
                if self.cache.objects.has(key):  # another run on this cache was faster
                    progress.advance(len(task.task))
                    continue
                try:
                    inputs = {source: task.load(source) for source in _resolved_inputs(artifact, task)}
                except INTERRUPTS:
                    raise
                except BaseException as error:
                    self._fail(job, missing[key], error)
                    continue
                drawn.append(key)
                folder = self.cache.checkpoints / key
                yield ValueWork(artifact, task.task, task.seed, task.profile, inputs, folder)
                task.forget()

        total = sum(len(same[0].task) for same in missing.values())
        with self.reporter.job(job.title, total) as progress, self._tally(artifact) as tally:
            for position, outcome in self.executor.run(works(), progress):
                key = drawn[position]
                try:
                    self._check(job, outcome)
                    tally.add(measure(artifact, outcome, items=len(missing[key][0].task)))
                    spending = measure_spending(artifact, outcome)
                    self.cache.objects.put(
                        key, outcome.value, kind=job.title, seconds=outcome.seconds, spending=spending
                    )
                except INTERRUPTS:
                    raise
                except BaseException as error:
                    self._fail(job, missing[key], error)

    def _run_text_job(self, job: Job, artifact: TextArtifact[Any], tasks: Sequence[TaskValues]) -> None:
        wanted: dict[str, Any] = {}
        keys: dict[int, set[str]] = {}
        for task in tasks:
            try:
                task_keys, requests = task.requests(artifact)
            except INTERRUPTS:
                raise
            except BaseException as error:
                self._fail(job, [task], error)
                continue
            wanted.update(zip(task_keys, requests, strict=True))
            keys[id(task)] = set(task_keys)
        # Sorted, so that the batches do not depend on who asked first.
        missing = sorted(self.cache.rows.missing(list(wanted), retry_failed=self.retry_failed))
        if not missing:
            return
        try:
            with self.reporter.job(job.title, len(missing)) as progress:
                self._compute_rows(job, artifact, {key: wanted[key] for key in missing}, progress)
        except INTERRUPTS:
            raise
        except BaseException as error:
            unanswered = set(self.cache.rows.missing(missing))
            self._fail(job, [t for t in tasks if keys.get(id(t), set()) & unanswered], error)

    def _compute_rows(
        self, job: Job, artifact: TextArtifact[Any], wanted: Mapping[str, Any], progress: Progress
    ) -> None:
        """Store the answers batch by batch as they come; the first failure ends the job."""
        keys, requests = list(wanted), list(wanted.values())
        logger.info("computing %d rows of %s", len(keys), job.title)
        batches = [list(batch) for batch in artifact.batches(requests)]
        works = (BatchWork(artifact, [requests[p] for p in batch]) for batch in batches)
        with contextlib.closing(self.executor.run(works, progress)) as outcomes, self._tally(artifact) as tally:
            for position, outcome in outcomes:
                self._check(job, outcome)
                asked = [requests[p] for p in batches[position]]
                characters = count_characters(asked)
                tally.add(measure(artifact, outcome, items=len(asked), characters=characters))
                rows = {keys[p]: answer for p, answer in zip(batches[position], outcome.value, strict=True)}
                spending = measure_spending(artifact, outcome, characters=characters)
                self.cache.rows.put_many(job.title, rows, seconds=outcome.seconds, spending=spending)

    def _tally(self, artifact: Artifact[Any]) -> AbstractContextManager[Tally]:
        """Sum up what a job takes, for later plans."""
        return Calibration(self.cache.folder / CALIBRATION_FILE).tally(name_work(artifact))

    def _check(self, job: Job, outcome: Outcome) -> None:
        """Count tokens; raise FailedInputError where the work failed; warn once where it used a global random state."""
        self._used = self._used.plus(outcome.usage)
        if outcome.failure is not None:
            raise FailedInputError(outcome.failure)
        if outcome.touched and job.artifact not in self._warned:
            self._warned.add(job.artifact)
            logger.warning("%s %s", job.title, describe_touched(outcome.touched))

    def _fail(self, job: Job, tasks: Sequence[TaskValues], error: BaseException) -> None:
        if isinstance(error, StoppedEarlyError) or _is_cache_unusable(error):
            raise error
        failure = describe_failure(error, what=job.title)
        if self.fail_fast:
            raise StoppedEarlyError(f"stopped at {failure.reason}") from error
        logger.warning("%s", failure.reason)
        for task in tasks:
            self.failures[job.artifact, id(task)] = failure


def _resolved_inputs(artifact: Artifact[Any], task: TaskValues) -> list[Artifact[Any]]:
    return [source.resolve(task.profile) for source in artifact.inputs()]


def _is_cache_unusable(error: BaseException) -> bool:
    """Tell whether nothing after this could be kept."""
    return isinstance(error, StoreError) and not isinstance(error, UnstorableError)
