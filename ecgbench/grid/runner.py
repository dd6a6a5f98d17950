"""Run a grid: artifacts first, then every cell alone, each record on disk before the next cell."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecgbench.data import FloatArray
from ecgbench.errors import StoreError
from ecgbench.grid.build import Cell, build_cells, build_jobs, build_values
from ecgbench.grid.cells import CorruptedTask
from ecgbench.grid.evaluate import digest_array, digest_ranking, evaluate, validate_scores
from ecgbench.grid.jobs import JobRunner
from ecgbench.grid.prepare import Grid
from ecgbench.grid.redundancy import Redundancy
from ecgbench.grid.rerun import Rerun, is_due
from ecgbench.grid.sanity import SANITY_ROWS
from ecgbench.grid.statuses import Failure, StoppedEarlyError, describe_failure
from ecgbench.grid.values import TaskValues, Usage
from ecgbench.plugins import Plugins
from ecgbench.progress import Reporter, SilentReporter
from ecgbench.results import CellRecord, ResultsWriter, Status, latest, read_records
from ecgbench.seeds import derive_rng
from ecgbench.store.cache import Cache

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """How a grid is run."""

    rerun: Rerun = Rerun.MISSING
    fail_fast: bool = False
    reporter: Reporter = field(default_factory=SilentReporter)


def run_grid(grid: Grid, plugins: Plugins, *, cache: Cache, results: Path, options: RunOptions) -> list[CellRecord]:
    """Compute the cells that are due, append their records, and return the record of every cell of the grid."""
    cells = build_cells(grid)
    with ResultsWriter(results) as writer:
        known = {record.cell_key: record for record in latest(read_records(results))}
        due = [cell for cell in cells if is_due(known.get(cell.blank.cell_key), options.rerun)]
        values = build_values(grid, cache)
        redundancy = Redundancy(cache.objects, known.values())
        jobs = JobRunner(
            cache,
            options.reporter,
            retry_failed=options.rerun is not Rerun.MISSING,
            fail_fast=options.fail_fast,
        )
        jobs.run(build_jobs(due, values))
        with options.reporter.job("cells", len(due)) as progress:
            for record in map(redundancy.mark, _iter_records(due, values, jobs=jobs, cache=cache, plugins=plugins)):
                writer.append(record)
                known[record.cell_key] = record
                progress.advance(1)
                if options.fail_fast and record.status is not Status.OK:
                    raise StoppedEarlyError(f"stopped at {record.detector}: {record.status}: {record.reason}")
        for record in map(redundancy.mark, _iter_measured_again(cells, known, cache=cache, plugins=plugins)):
            writer.append(record)
            known[record.cell_key] = record
    return [known[cell.blank.cell_key] for cell in cells]


def _iter_records(
    cells: Iterable[Cell], values: dict[int, TaskValues], *, jobs: JobRunner, cache: Cache, plugins: Plugins
) -> Iterable[CellRecord]:
    """Yield the record of each cell; one task's artifacts are in memory at a time."""
    for row_id, group in itertools.groupby(cells, key=lambda cell: id(cell.row)):
        for cell in group:
            yield _run_cell(cell, values.get(row_id), jobs=jobs, cache=cache, plugins=plugins)
        if row_id in values:
            values[row_id].forget()


def _run_cell(cell: Cell, values: TaskValues | None, *, jobs: JobRunner, cache: Cache, plugins: Plugins) -> CellRecord:
    try:
        if isinstance(cell.row.task, Failure):
            return _finish(cell, cell.row.task)
        assert values is not None
        scores, findings, seconds = _score(cell, cell.row.task, values, jobs)
    except (KeyboardInterrupt, StoreError):
        raise
    except BaseException as error:  # a plugin may even call sys.exit
        return _finish(cell, describe_failure(error, what=cell.blank.detector))
    usage = _sum_usage(cell, values)
    cache.objects.put(digest_array(scores), {"scores": scores}, kind="scores", seconds=seconds)
    return dataclasses.replace(
        _measured(cell.blank, cell.row.task, scores, plugins),
        status=Status.OK,
        seconds=seconds,
        artifact_seconds=usage.seconds,
        failed_attempts=usage.failed_attempts,
        findings=findings,
        created_at=_now(),
    )


def _score(
    cell: Cell, task: CorruptedTask, values: TaskValues, jobs: JobRunner
) -> tuple[FloatArray, tuple[str, ...], float]:
    """Return validated suspicions, the detector's findings and the seconds `score` took."""
    if isinstance(cell.column, str):
        return validate_scores(SANITY_ROWS[cell.column](task), len(task.task)), (), 0.0
    detector, needs = cell.column.built()
    for artifact in cell.closure:
        jobs.raise_failure(artifact, values)
    view = values.view(needs)
    values.load_all(cell.closure)  # reading the cache is the harness's time, not the detector's
    started = time.perf_counter()
    scores: Any = detector.score(task.task, view, derive_rng(cell.row.condition.seed, "detector"))
    seconds = time.perf_counter() - started
    findings = tuple(map(str, detector.findings(task.task, view)))
    return validate_scores(scores, len(task.task)), findings, seconds


def _sum_usage(cell: Cell, values: TaskValues) -> Usage:
    used = [values.usage[artifact] for artifact in cell.closure if artifact in values.usage]
    return Usage(sum(u.seconds for u in used), sum(u.failed_attempts for u in used))


def _measured(blank: CellRecord, task: CorruptedTask, scores: FloatArray, plugins: Plugins) -> CellRecord:
    evaluation = evaluate(task.is_noisy, scores, plugins)
    return dataclasses.replace(
        blank,
        metrics=evaluation.metrics,
        metric_reasons=evaluation.reasons,
        scores=digest_array(scores),
        ranking=digest_ranking(scores),
    )


def _iter_measured_again(
    cells: Sequence[Cell], known: Mapping[str, CellRecord], *, cache: Cache, plugins: Plugins
) -> Iterable[CellRecord]:
    """Measure stored scores again where a metric was installed after the cell was run."""
    for cell in cells:
        record = known[cell.blank.cell_key]
        if record.scores is None or set(plugins.metrics.names) <= set(record.metrics):
            continue
        arrays = cache.objects.get(record.scores)
        if arrays is None or not isinstance(cell.row.task, CorruptedTask):
            logger.warning("the raw scores of %s left the cache: --rerun all adds the new metric", record.detector)
            continue
        yield dataclasses.replace(_measured(record, cell.row.task, arrays["scores"], plugins), created_at=_now())


def _finish(cell: Cell, failure: Failure) -> CellRecord:
    return dataclasses.replace(cell.blank, status=failure.status, reason=failure.reason, created_at=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
