"""Show what lies between texts and scores: each detector's own panels under one of the harness."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.errors import INTERRUPTS, NotApplicableError, StoreError, UsageError
from ecgbench.grid.build import build_cells, build_jobs, build_values
from ecgbench.grid.cells import Condition, CorruptedTask
from ecgbench.grid.evaluate import validate_scores
from ecgbench.grid.executors.local import LocalExecutor
from ecgbench.grid.jobs import JobRunner
from ecgbench.grid.prepare import DetectorColumn, Grid, Needs, TaskRow
from ecgbench.grid.random_states import guard_random_states
from ecgbench.grid.sanity import score_marker_probe
from ecgbench.grid.statuses import FailedInputError, Failure, describe_failure
from ecgbench.grid.values import ArtifactView, TaskValues, resolve_closure
from ecgbench.metrics.curves import Auroc
from ecgbench.plugins import Plugins
from ecgbench.progress import Reporter
from ecgbench.registry import Registered
from ecgbench.seeds import derive_rng
from ecgbench.specs import Detector, Panel
from ecgbench.store.cache import Cache

T = TypeVar("T")


@dataclass(frozen=True)
class DetectorInspection:
    """A detector's panels and the AUROC of its scores on one task, with the reason where either is missing.

    `failures` are faults; `no_auroc` says why a ranking without fault has no AUROC.
    """

    detector: str
    panels: tuple[Panel, ...] = ()
    auroc: float | None = None
    no_auroc: str | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskInspection:
    """One task: the harness's panel, which may use the truth, and what each detector shows."""

    condition: Condition
    profile: str
    panel: Panel | None
    detectors: tuple[DetectorInspection, ...] = ()
    failure: str | None = None

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing failed."""
        return self.failure is None and not any(shown.failures for shown in self.detectors)


@dataclass(frozen=True, eq=False)
class Inspection:
    """Grids whose artifacts are computed."""

    grids: tuple[Grid, ...]
    values: dict[int, TaskValues]
    jobs: JobRunner


def inspectable(plugins: Plugins) -> tuple[str, ...]:
    """Return the names of the detectors that have an inspection."""
    return tuple(entry.spec.name for entry in plugins.detectors if _has_inspection(entry))


def narrow_grids(grids: Sequence[Grid], plugins: Plugins, *, are_named: bool) -> tuple[Grid, ...]:
    """Keep the detectors that have an inspection; raises UsageError where none has, or one that was named has not."""
    known = inspectable(plugins)
    choices = f"those that have one: {', '.join(known) or 'none is installed'}"
    narrowed = []
    for grid in grids:
        # One that was named and cannot be built says why in its place.
        columns = [
            c for c in grid.columns if c.selection.name in known or (are_named and isinstance(c.detector, Failure))
        ]
        if are_named and len(columns) < len(grid.columns):
            names = ", ".join(str(column.selection) for column in grid.columns if column not in columns)
            raise UsageError(f"without an inspection: {names}; {choices}")
        if columns:
            narrowed.append(dataclasses.replace(grid, columns=tuple(columns)))
    if not narrowed:
        raise UsageError(f"no detector of the grid has an inspection; {choices}")
    return tuple(narrowed)


def compute_inspection(
    grids: Sequence[Grid],
    plugins: Plugins,
    cache: Cache,
    *,
    reporter: Reporter,
    retry_failed: bool = False,
    fail_fast: bool = False,
) -> Inspection:
    """Compute what the detectors' inspections and scores read and the cache lacks; no record is written."""
    executor = LocalExecutor(plugins, cache.models, reporter)
    jobs = JobRunner(cache, executor, reporter, retry_failed=retry_failed, fail_fast=fail_fast)
    widened = tuple(_widen(grid) for grid in grids)
    values = {row: found for grid in widened for row, found in build_values(grid, cache).items()}
    with contextlib.closing(executor):
        jobs.run(build_jobs([cell for grid in widened for cell in build_cells(grid)], values))
    return Inspection(widened, values, jobs)


def iter_inspections(inspection: Inspection) -> Iterator[TaskInspection]:
    """Yield each task in the order of the grids; one task's artifacts are in memory at a time."""
    for grid in inspection.grids:
        for row in grid.rows:
            if isinstance(row.task, Failure):
                yield TaskInspection(row.condition, grid.profile.name, None, failure=row.task.reason)
                continue
            values = inspection.values[id(row)]
            shown = tuple(_inspect(column, row, values, inspection.jobs) for column in grid.columns)
            panel = _describe_task(row.task, _classifiers(grid), values, inspection.jobs)
            yield TaskInspection(row.condition, grid.profile.name, panel, shown)
            values.forget()


def _has_inspection(entry: Registered[Any]) -> bool:
    try:
        own = getattr(entry.resolve(), "inspect", Detector.inspect)
    except INTERRUPTS:
        raise
    except BaseException:  # it is not here; whoever names it is told why
        return False
    return own is not Detector.inspect


def _widen(grid: Grid) -> Grid:
    """Add to each detector's closure what its inspection reads."""
    return dataclasses.replace(grid, columns=tuple(_widen_column(column, grid) for column in grid.columns))


def _widen_column(column: DetectorColumn, grid: Grid) -> DetectorColumn:
    if isinstance(column.detector, Failure):
        return column
    try:
        wanted = (*column.needs, *column.detector.inspection_needs())
        return dataclasses.replace(column, closure=resolve_closure(wanted, grid.profile))
    except INTERRUPTS:
        raise
    except BaseException as error:
        failure = describe_failure(error, what=f"{column.selection} inspection_needs")
        return dataclasses.replace(column, detector=failure, needs=(), closure=())


def _inspect(column: DetectorColumn, row: TaskRow, values: TaskValues, jobs: JobRunner) -> DetectorInspection:
    name = str(column.selection)
    if isinstance(column.detector, Failure):
        return DetectorInspection(name, failures=(column.detector.reason,))
    assert isinstance(row.task, CorruptedTask)
    detector, task = column.detector, row.task

    def show() -> tuple[Panel, ...]:
        view = _view(tuple(detector.inspection_needs()), values, jobs)
        return _validate_panels(detector.inspect(task.task, view))

    def measure() -> float | str:
        view = _view(column.needs, values, jobs)
        rng = derive_rng(task.condition.seed, "detector")
        scores = validate_scores(detector.score(task.task, view, rng), len(task.task))
        try:
            return Auroc().compute(task.is_noisy, scores)
        except NotApplicableError as error:
            return str(error)

    failures: list[str] = []
    panels = _attempt(show, f"{name} inspect", failures) or ()
    found = _attempt(measure, name, failures)
    auroc, no_auroc = (None, found) if isinstance(found, str) else (found, None)
    return DetectorInspection(name, panels, auroc, no_auroc, tuple(dict.fromkeys(failures)))


def _attempt(work: Callable[[], T], what: str, failures: list[str]) -> T | None:
    """Return what plugin code returns; where it fails, note why."""
    try:
        with guard_random_states():
            return work()
    except (StoreError, *INTERRUPTS):
        raise
    except BaseException as error:
        failures.append(describe_failure(error, what=what).reason)
        return None


def _view(needs: Needs, values: TaskValues, jobs: JobRunner) -> ArtifactView:
    """Return the declared artifacts; raises FailedInputError where one of them, or what it rests on, failed."""
    for artifact in resolve_closure(needs, values.profile):
        jobs.raise_failure(artifact, values)
    return values.view(needs)


def _validate_panels(panels: Any) -> tuple[Panel, ...]:
    """Return the panels; raises TypeError where they are no tables of text."""
    found = tuple(panels)
    for panel in found:
        if not isinstance(panel, Panel):
            raise TypeError(f"returned {type(panel).__name__}, not Panel")
        for row in [panel.columns, *panel.rows]:
            if len(row) != len(panel.columns) or not all(isinstance(cell, str) for cell in row):
                raise TypeError(f"panel {panel.title!r} holds the row {row!r}, not {len(panel.columns)} strings")
    return found


def _describe_task(
    task: CorruptedTask, classifiers: Sequence[OutOfFoldProbs], values: TaskValues, jobs: JobRunner
) -> Panel:
    n, n_noisy, names = len(task.task), int(task.is_noisy.sum()), task.task.description.label_names
    rows = [
        ("items", str(n)),
        ("classes", ", ".join(names)),
        ("wrong labels", f"{n_noisy} ({n_noisy / n:.1%})"),
        ("markers of the noise", ", ".join(task.markers) or "none"),
    ]
    if task.markers:
        has_marker = score_marker_probe(task) > 0
        rows.append(
            ("texts with a marker", f"{has_marker.sum()}, {(has_marker & task.is_noisy).sum()} with a wrong label")
        )
    for classifier in classifiers:
        rows += _describe_classifier(classifier, task, values, jobs)
    return Panel("the task, as the harness knows it", ("what", "value"), tuple(rows))


def _describe_classifier(
    classifier: OutOfFoldProbs, task: CorruptedTask, values: TaskValues, jobs: JobRunner
) -> list[tuple[str, str]]:
    title = f"classifier, {classifier.folds} folds"
    try:
        predicted = _view((classifier,), values, jobs)[classifier].argmax(axis=1)
    except FailedInputError as error:
        return [(title, f"failed: {error}")]
    shares = {"given": predicted == task.task.labels, "true": predicted == task.true_labels}
    return [(f"{title}: accuracy on {kind} labels", f"{hits.mean():.3f}") for kind, hits in shares.items()]


def _classifiers(grid: Grid) -> list[OutOfFoldProbs]:
    """Return the classifiers among what the grid's detectors read."""
    found = [a for column in grid.columns for a in column.closure if isinstance(a, OutOfFoldProbs)]
    return list(dict.fromkeys(found))
