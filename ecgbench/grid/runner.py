"""Run a grid: artifacts first, then every cell alone, each record on disk before the next cell."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ecgbench.data import FloatArray
from ecgbench.errors import INTERRUPTS, StoreError
from ecgbench.grid.build import Cell, build_cells, build_jobs, build_values
from ecgbench.grid.cells import CorruptedTask
from ecgbench.grid.costs import CellUsage, sum_usage
from ecgbench.grid.curves import sample_curves
from ecgbench.grid.evaluate import digest_array, digest_ranking, evaluate, validate_scores
from ecgbench.grid.executors import Execution, Executor, start_executor
from ecgbench.grid.jobs import JobRunner
from ecgbench.grid.prepare import Grid
from ecgbench.grid.random_states import describe_touched, guard_random_states
from ecgbench.grid.redundancy import Redundancy
from ecgbench.grid.replicates import resample_metrics
from ecgbench.grid.rerun import Rerun, is_due
from ecgbench.grid.sanity import SANITY_ROWS
from ecgbench.grid.statuses import Failure, StoppedEarlyError, describe_failure
from ecgbench.grid.values import TaskValues
from ecgbench.grid.work import CellWork, Outcome, Scored, Work
from ecgbench.plugins import Plugins
from ecgbench.progress import Progress, Reporter, SilentReporter
from ecgbench.results import CellRecord, ResultsWriter, Status, read_known
from ecgbench.store.cache import Cache

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """How a grid is run."""

    rerun: Rerun = Rerun.MISSING
    fail_fast: bool = False
    reporter: Reporter = field(default_factory=SilentReporter)
    execution: Execution = field(default_factory=Execution)


def run_grid(grid: Grid, plugins: Plugins, *, cache: Cache, results: Path, options: RunOptions) -> list[CellRecord]:
    """Compute the cells that are due, append their records, and return the record of every cell of the grid."""
    cells = build_cells(grid)
    with (
        ResultsWriter(results) as writer,
        contextlib.closing(start_executor(options.execution, plugins, cache.models, options.reporter)) as executor,
    ):
        known = read_known(results)
        due = [cell for cell in cells if is_due(known.get(cell.blank.cell_key), options.rerun)]
        values = build_values(grid, cache)
        redundancy = Redundancy(cache.objects, known.values())

        def keep(record: CellRecord) -> None:
            marked = redundancy.mark(record)
            writer.append(marked)
            known[marked.cell_key] = marked

        jobs = JobRunner(
            cache,
            executor,
            options.reporter,
            retry_failed=options.rerun is not Rerun.MISSING,
            fail_fast=options.fail_fast,
        )
        jobs.run(build_jobs(due, values))
        with options.reporter.job("cells", len(due)) as progress:
            run = _CellRun(values, jobs, cache, plugins, progress)
            for record in run.iter_records(due, executor):
                keep(record)
                if options.fail_fast and record.status is not Status.OK:
                    raise StoppedEarlyError(f"stopped at {record.detector}: {record.status}: {record.reason}")
        for record in _iter_measured_again(cells, known, cache=cache, plugins=plugins):
            keep(record)
    return [known[cell.blank.cell_key] for cell in cells]


@dataclass
class _CellRun:
    """Turn cells into records: some here at once, the detectors' by an executor."""

    values: dict[int, TaskValues]
    jobs: JobRunner
    cache: Cache
    plugins: Plugins
    progress: Progress
    _sent: list[tuple[Cell, CellUsage]] = field(default_factory=list)
    _ready: dict[str, CellRecord] = field(default_factory=dict)
    _warned: set[str] = field(default_factory=set)

    def iter_records(self, cells: Sequence[Cell], executor: Executor) -> Iterator[CellRecord]:
        """Yield each task's records in the order of its cells, whatever the order in which they end.

        What a record says of the detectors before it then does not depend on the executor.
        """
        tasks = [list(group) for _, group in itertools.groupby(cells, key=lambda cell: id(cell.row))]
        waiting = {id(task[0].row): deque(task) for task in tasks}
        with contextlib.closing(executor.run(self._iter_work(tasks), self.progress)) as outcomes:
            for position, outcome in outcomes:
                cell, usage = self._sent[position]
                self._ready[cell.blank.cell_key] = self._record(cell, outcome, usage)
                yield from self._take_ready(waiting[id(cell.row)])
        for task in waiting.values():
            yield from self._take_ready(task)

    def _take_ready(self, waiting: deque[Cell]) -> Iterator[CellRecord]:
        while waiting and waiting[0].blank.cell_key in self._ready:
            yield self._ready.pop(waiting.popleft().blank.cell_key)

    def _iter_work(self, tasks: Iterable[Sequence[Cell]]) -> Iterator[Work]:
        """Yield the work of each cell that needs a detector; one task's artifacts are read at a time."""
        for task in tasks:
            for cell in task:
                values = self.values.get(id(cell.row))
                try:
                    with guard_random_states():
                        work = self._prepare(cell, values)
                except (StoreError, *INTERRUPTS):
                    raise
                except BaseException as error:  # a derived artifact is a plugin's code, too
                    work = describe_failure(error, what=cell.blank.detector)
                if isinstance(work, Work):
                    assert values is not None
                    self._sent.append((cell, sum_usage(cell.closure, values)))
                    yield work
                else:
                    self._ready[cell.blank.cell_key] = self._record_here(cell, work)
                    self.progress.advance(1)
            if id(task[0].row) in self.values:
                self.values[id(task[0].row)].forget()

    def _prepare(self, cell: Cell, values: TaskValues | None) -> Work | Scored | Failure:
        """Return what the executor is to do, or what can be said without it."""
        if isinstance(cell.row.task, Failure):
            return cell.row.task
        assert values is not None
        if isinstance(cell.column, str):
            return Scored(_score_sanity(cell.column, cell.row.task), (), 0.0)
        _, needs = cell.column.built()
        for artifact in cell.closure:
            self.jobs.raise_failure(artifact, values)
        values.load_all(cell.closure)  # reading the cache is the harness's time, not the detector's
        declared = {need: values.load(need) for need in (n.resolve(values.profile) for n in needs)}
        return CellWork(cell.column.selection, values.task, values.seed, values.profile, declared)

    def _record_here(self, cell: Cell, result: Scored | Failure) -> CellRecord:
        if isinstance(result, Failure):
            return _finish(cell, result)
        return self._record(cell, Outcome(result), CellUsage())

    def _warn_once(self, detector: str, touched: Sequence[str]) -> None:
        """Tell of a detector that used a global random state: not in its record, which an import would then change."""
        if touched and detector not in self._warned:
            self._warned.add(detector)
            logger.warning("%s %s", detector, describe_touched(touched))

    def _record(self, cell: Cell, outcome: Outcome, usage: CellUsage) -> CellRecord:
        if outcome.failure is not None:
            return _finish(cell, outcome.failure)
        scored: Scored = outcome.value
        self._warn_once(cell.blank.detector, outcome.touched)
        assert isinstance(cell.row.task, CorruptedTask)
        if not cell.blank.sanity:  # the oracle's scores are the truth: in no file that a detector could open
            self.cache.objects.put(
                digest_array(scored.scores), {"scores": scored.scores}, kind="scores", seconds=scored.seconds
            )
        return dataclasses.replace(
            _measured(cell.blank, cell.row.task, scored.scores, self.plugins),
            status=Status.OK,
            seconds=scored.seconds,
            artifact_seconds=usage.seconds,
            failed_attempts=usage.failed_attempts,
            findings=scored.findings,
            artifact_facts=usage.facts,
            artifacts=usage.artifacts,
            peak_memory=None if outcome.peak_memory is None else round(outcome.peak_memory, 1),
            created_at=_now(),
        )


def _score_sanity(name: str, task: CorruptedTask) -> FloatArray:
    return validate_scores(SANITY_ROWS[name](task), len(task.task))


def _measured(blank: CellRecord, task: CorruptedTask, scores: FloatArray, plugins: Plugins) -> CellRecord:
    evaluation = evaluate(task.is_noisy, scores, plugins)
    return dataclasses.replace(
        blank,
        metrics=evaluation.metrics,
        metric_reasons=evaluation.reasons,
        replicates=resample_metrics(task.is_noisy, scores),
        curves=sample_curves(task.is_noisy, scores),
        scores=digest_array(scores),
        ranking=digest_ranking(scores),
    )


def _iter_measured_again(
    cells: Sequence[Cell], known: Mapping[str, CellRecord], *, cache: Cache, plugins: Plugins
) -> Iterable[CellRecord]:
    """Measure scores again where a metric was installed, or curves and replicates came in, after the cell was run."""
    lost: dict[str, None] = {}
    for cell in cells:
        record = known[cell.blank.cell_key]
        if record.scores is None or _is_measured(record, plugins):
            continue
        if not isinstance(cell.row.task, CorruptedTask) or (scores := _find_scores(cell, record.scores, cache)) is None:
            lost[record.detector] = None
            continue
        yield dataclasses.replace(_measured(record, cell.row.task, scores, plugins), created_at=_now())
    if lost:
        logger.warning("raw scores of %s left the cache: --rerun all measures what is new there", ", ".join(lost))


def _is_measured(record: CellRecord, plugins: Plugins) -> bool:
    is_complete = record.curves is not None and record.replicates is not None
    return is_complete and set(plugins.metrics.names) <= set(record.metrics)


def _find_scores(cell: Cell, key: str, cache: Cache) -> FloatArray | None:
    """Return the kept scores of a detector, those of a sanity row anew; None where they left the cache."""
    if isinstance(cell.column, str):
        assert isinstance(cell.row.task, CorruptedTask)
        return _score_sanity(cell.column, cell.row.task)
    arrays = cache.objects.get(key)
    return None if arrays is None else arrays["scores"]


def _finish(cell: Cell, failure: Failure) -> CellRecord:
    return dataclasses.replace(cell.blank, status=failure.status, reason=failure.reason, created_at=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
