"""Run a downstream check: train what was not trained before, measure, and append a record for each way of cleaning."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ecgbench.data import LabeledTexts
from ecgbench.downstream_results import DownstreamRecord, latest_downstream, read_downstream_records
from ecgbench.grid.build import build_cells
from ecgbench.grid.cells import CorruptedTask
from ecgbench.grid.downstream.plan import Downstream, RowPlan, RowPlanner, Variant
from ecgbench.grid.downstream.validation import load_validations
from ecgbench.grid.executors import start_executor
from ecgbench.grid.jobs import Job, JobRunner
from ecgbench.grid.prepare import Grid
from ecgbench.grid.rates import find_rate
from ecgbench.grid.rerun import Rerun
from ecgbench.grid.runner import RunOptions
from ecgbench.grid.statuses import FailedInputError
from ecgbench.plugins import Plugins
from ecgbench.results import CellRecord, ResultsWriter, Status
from ecgbench.store.cache import Cache
from ecgbench.store.calibration import CALIBRATION_FILE, Calibration

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DownstreamCheck:
    """A downstream check that is asked for; `announce` is told what is to be done."""

    downstream: Downstream = field(default_factory=Downstream)
    announce: Callable[[str], None] = logger.info

    def prepare(
        self, grid: Grid, plugins: Plugins, *, cache: Cache, options: RunOptions, offline: bool = False
    ) -> DownstreamRun:
        """Draw the validation items before anything is computed; raises UsageError where none are left."""
        validations = load_validations(grid, plugins, cache, offline=offline, reporter=options.reporter)
        self.announce(f"downstream: at most {self.downstream.count_at_most(grid)} trainings once the cells are done")
        return DownstreamRun(grid, plugins, cache, self.downstream, validations, options, self.announce)


@dataclass(frozen=True)
class DownstreamRun:
    """A downstream check of one grid: `validations` by the id of the dataset; `announce` is told what is to be done."""

    grid: Grid
    plugins: Plugins
    cache: Cache
    downstream: Downstream
    validations: Mapping[int, LabeledTexts]
    options: RunOptions
    announce: Callable[[str], None] = logger.info

    def run(self, records: Iterable[CellRecord], results: Path) -> list[DownstreamRecord]:
        """Measure every ok cell of `records` and the controls; return the record of each way of cleaning.

        A training is an artifact: one that was done, for whichever detector, is not done again. A record that is
        there is not written again, unless its cell has other scores or its guards hold back others by now.
        """
        plans = self._plan(records)
        with ResultsWriter(results) as writer:
            known = {record.identity: record for record in latest_downstream(read_downstream_records(results))}
            due = [[v for v in plan.variants if self._is_due(known, v)] for plan in plans]
            self._tell(plans, due)
            for record in self._iter_measured(plans, due):
                writer.append(record)
                known[record.identity] = record
        return [known[variant.blank.identity] for plan in plans for variant in plan.variants]

    def _plan(self, records: Iterable[CellRecord]) -> list[RowPlan]:
        found = {record.cell_key: record for record in records}
        by_row: dict[int, list[CellRecord]] = {}
        for cell in build_cells(self.grid):
            record = found.get(cell.blank.cell_key)
            if record is not None and record.status is Status.OK and not record.sanity:
                by_row.setdefault(id(cell.row), []).append(record)
        return [
            RowPlanner(
                self.grid,
                row,
                row.task,
                self.validations[id(row.dataset)],
                by_row[id(row)],
                self.downstream,
                self.cache,
            ).plan()
            for row in self.grid.rows
            if id(row) in by_row and isinstance(row.task, CorruptedTask)
        ]

    def _is_due(self, known: Mapping[tuple[str | int | float, ...], DownstreamRecord], variant: Variant) -> bool:
        record, rerun = known.get(variant.blank.identity), self.options.rerun
        if record is None or rerun is Rerun.ALL or _tell_selection(record) != _tell_selection(variant.blank):
            return True
        return rerun is Rerun.FAILED and record.status is not Status.OK

    def _tell(self, plans: Sequence[RowPlan], due: Sequence[Sequence[Variant]]) -> None:
        """Say how many trainings there are, how many of them are done, and about how long the others take."""
        if not any(due):
            self.announce("downstream: everything is measured already")
            return
        items: dict[str, int] = {}
        n_missing, seconds = 0, 0.0
        measured = Calibration(self.cache.folder / CALIBRATION_FILE).read()
        for plan, variants in zip(plans, due, strict=True):
            own = {t.key(plan.artifact): len(t.task) for variant in variants for t in variant.trainings}
            missing = [n for key, n in own.items() if not self.cache.objects.has(key)]
            n_missing += len(missing)
            seconds += sum(missing) * find_rate(plan.artifact, measured).seconds
            items |= own
        ways, seeds = sum(map(len, due)), len(self.downstream.training_seeds)
        self.announce(
            f"downstream: {len(items)} trainings ({ways} ways of cleaning, {seeds} training seeds, equal ones once), "
            f"{len(items) - n_missing} of them done; about {seconds / 60:.1f} min"
        )

    def _iter_measured(self, plans: Sequence[RowPlan], due: Sequence[Sequence[Variant]]) -> Iterable[DownstreamRecord]:
        options = self.options
        start = start_executor(options.execution, self.plugins, self.cache.models, options.reporter)
        with contextlib.closing(start) as executor:
            for plan, variants in zip(plans, due, strict=True):
                jobs = JobRunner(self.cache, executor, options.reporter, fail_fast=options.fail_fast)
                trainings = tuple(training for variant in variants for training in variant.trainings)
                jobs.run([Job(plan.artifact, trainings)] if trainings else [])
                for variant in variants:
                    yield _measure(plan, variant, jobs)


def _tell_selection(record: DownstreamRecord) -> tuple[object, ...]:
    """Return what tells whether the same items were changed."""
    return (record.scores, record.n_changed, list(record.n_hits), dict(record.held_back))


def _measure(plan: RowPlan, variant: Variant, jobs: JobRunner) -> DownstreamRecord:
    """Return the record of a way of cleaning, failed where one of its trainings did."""
    done = dataclasses.replace(variant.blank, created_at=datetime.now(UTC).isoformat(timespec="microseconds"))
    place = {text: at for at, text in enumerate(plan.artifact.texts)}
    accuracy: dict[str, list[float]] = {name: [] for name in plan.panels}
    try:
        for training in variant.trainings:
            jobs.raise_failure(plan.artifact, training)
            predicted = training.load(plan.artifact)
            for name, panel in plan.panels.items():
                right = predicted[[place[text] for text in panel.texts]] == panel.labels
                accuracy[name].append(float(right.mean()))
            training.forget()
    except FailedInputError as error:
        return dataclasses.replace(done, status=error.failure.status, reason=error.failure.reason)
    return dataclasses.replace(done, status=Status.OK, accuracy=accuracy)
