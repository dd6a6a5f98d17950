"""Scan a file: rank all rows, then explain those of the budget."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ecgbench.artifacts.classifier import OutOfFoldProbs, TrainingDynamics
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.errors import INTERRUPTS, EcgbenchError, StoreError, UsageError
from ecgbench.grid.evaluate import validate_scores
from ecgbench.grid.executors.local import LocalExecutor
from ecgbench.grid.jobs import Job, JobRunner
from ecgbench.grid.plan import Plan, plan_jobs
from ecgbench.grid.prepare import DetectorColumn, prepare_columns
from ecgbench.grid.random_states import guard_random_states
from ecgbench.grid.standing import read_ease, read_outlier
from ecgbench.grid.statuses import FailedInputError, describe_failure
from ecgbench.grid.values import TaskValues
from ecgbench.plugins import Plugins
from ecgbench.profiles import Profile
from ecgbench.progress import Reporter
from ecgbench.scanning.evidence import (
    NEEDS,
    Evidence,
    explaining_models,
    explanation_jobs,
    read_evidence,
    take_items,
)
from ecgbench.scanning.options import FULL_ROWS, Depth, ScanOptions, count_budget
from ecgbench.scanning.rows import Neighbour, Scan, ScannedRow
from ecgbench.scanning.source import Source, load_source
from ecgbench.seeds import derive_rng
from ecgbench.store.cache import Cache

SEED = 0


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """A file that is read and a detector that is built; nothing is computed yet."""

    source: Source
    options: ScanOptions
    column: DetectorColumn
    profile: Profile
    cache: Cache

    @property
    def n_shown(self) -> int:
        """Count the rows of the budget."""
        return count_budget(self.options.budget, len(self.source.data))

    def open_values(self) -> TaskValues:
        """Return the artifacts of all rows: a scan has no truth, so the given labels are all there is."""
        data = self.source.data
        task = DetectionTask(data.texts, data.given_labels, data.description)
        return TaskValues(task, SEED, self.profile, self.cache)

    def build_jobs(self, values: TaskValues) -> list[Job]:
        """Return what is computed of all texts."""
        wanted = (*self.column.needs, *(NEEDS if self.options.explain else ()), *self._guarding())
        return [Job(artifact, (values,)) for artifact in values.closure(wanted)]

    def _guarding(self) -> tuple[TrainingDynamics, ...]:
        """Return what a cleaning's guards go by beside the ranking, where a classifier is trained anyway."""
        trains = any(isinstance(artifact, OutOfFoldProbs) for artifact in self.column.closure)
        return (TrainingDynamics(),) if trains else ()

    def plan(self) -> Plan:
        """Return what the scan would take; until there is a ranking, the first rows stand for the top ones."""
        values = self.open_values()  # of its own: planning notes in them what is missing
        jobs = self.build_jobs(values)
        if self.options.explain:
            jobs += explanation_jobs(take_items(values, self._guess_top()))
        return plan_jobs(jobs, self.profile, cache=self.cache)

    def _guess_top(self) -> IntArray:
        try:
            return _rank(self, self.open_values()).top
        except EcgbenchError:  # not computed yet, or it fails, which the scan itself will say
            return np.arange(self.n_shown)

    def describe(self) -> str:
        """Say what is scanned, by which detector, and how deep."""
        n = len(self.source.data)
        depth = self.options.find_depth(n)
        said = f"{n:,} rows, the {self.n_shown:,} most suspicious to review; detector {self.column.selection}"
        if depth is None:
            return said
        reads = "the language model's label of every text" if depth is Depth.LABELS else "an explanation of every text"
        size = f"{'up to' if depth is Depth.FULL else 'over'} {FULL_ROWS:,} rows; --depth changes it"
        return f"{said} (depth {depth}: it reads {reads}{'' if self.options.depth else f'; the default {size}'})"


def prepare_scan(path: Path, options: ScanOptions, plugins: Plugins, cache: Cache) -> PreparedScan:
    """Read the file and build the detector; raises UsageError, FailedInputError where the detector cannot be built."""
    source = load_source(path, options)
    profile, columns = prepare_columns(options.build_suite(len(source.data)), plugins)
    if not columns:
        raise UsageError(f"--detector {options.detector}: it needs the truth, which a file of one's own does not hold")
    columns[0].built()
    return PreparedScan(source, options, columns[0], profile, cache)


def compute_scan(prepared: PreparedScan, plugins: Plugins, *, reporter: Reporter) -> Scan:
    """Rank the rows and explain the top ones; what the cache holds is not computed again.

    Raises StoppedEarlyError at the first artifact that fails, FailedInputError where the detector does.
    """
    values = prepared.open_values()
    executor = LocalExecutor(plugins, prepared.cache.models, reporter)
    with contextlib.closing(executor):
        jobs = JobRunner(prepared.cache, executor, reporter, fail_fast=True)
        # The language model stays loaded while the rows are ranked.
        jobs.run(
            prepared.build_jobs(values), keep=explaining_models(values) if prepared.options.explain else frozenset()
        )
        ranking = _rank(prepared, values)
        evidence: list[Evidence] = []
        if prepared.options.explain:
            taken = take_items(values, ranking.top)
            jobs.run(explanation_jobs(taken))
            evidence = read_evidence(values, taken, ranking.top)
    return _build_scan(prepared, ranking, evidence)


@dataclass(frozen=True, eq=False)
class _Ranking:
    """All suspicions, shape (n,), the positions to show, most suspicious first, and the detector's own words."""

    suspicion: FloatArray
    top: IntArray
    findings: tuple[str, ...]
    item_findings: tuple[tuple[str, ...], ...]
    outlier: FloatArray | None
    ease: FloatArray | None


def _rank(prepared: PreparedScan, values: TaskValues) -> _Ranking:
    detector, needs = prepared.column.built()
    task, n = values.task, len(values.task)
    try:
        with guard_random_states():
            view = values.view(needs)
            scores = validate_scores(detector.score(task, view, derive_rng(SEED, "detector")), n)
            top = np.argsort(-scores, kind="stable")[: prepared.n_shown]
            findings = tuple(map(str, detector.findings(task, view)))
            of_items = tuple(tuple(map(str, found)) for found in detector.item_findings(task, view, top.tolist()))
    except (StoreError, *INTERRUPTS):
        raise
    except BaseException as error:
        raise FailedInputError(describe_failure(error, what=str(prepared.column.selection))) from error
    read = values.closure((*prepared.column.needs, *prepared._guarding()))
    return _Ranking(scores, top, findings, of_items, read_outlier(values, read), read_ease(values, read))


def _build_scan(prepared: PreparedScan, ranking: _Ranking, evidence: Sequence[Evidence]) -> Scan:
    data = prepared.source.data
    rows = tuple(
        _build_row(prepared.source, ranking, place, evidence[place] if evidence else None)
        for place in range(len(ranking.top))
    )
    return Scan(
        path=prepared.source.path,
        key=prepared.source.key,
        label_column=prepared.options.label_column,
        detector=str(prepared.column.selection),
        profile=prepared.profile.name,
        label_names=data.description.label_names,
        n_scanned=len(data),
        rows=rows,
        findings=ranking.findings,
        notes=(prepared.describe(), *prepared.source.notes),
    )


def _build_row(source: Source, ranking: _Ranking, place: int, evidence: Evidence | None) -> ScannedRow:
    item = int(ranking.top[place])
    data, names = source.data, source.data.description.label_names
    found = ranking.item_findings
    row = ScannedRow(
        rank=place + 1,
        row=int(source.rows[item]),
        suspicion=float(ranking.suspicion[item]),
        label=names[data.given_labels[item]],
        text=data.texts[item],
        outlier=None if ranking.outlier is None else float(ranking.outlier[item]),
        ease=None if ranking.ease is None else float(ranking.ease[item]),
        shortcuts=found[place] if place < len(found) else (),
    )
    if evidence is None:
        return row
    said = evidence.explanation
    return replace(
        row,
        proposed_label=names[evidence.proposed],
        confidence=evidence.confidence,
        agreement=evidence.agreement,
        evidence=() if said is None else said.evidence,
        rationale="" if said is None else said.rationale,
        neighbours=tuple(
            Neighbour(int(source.rows[i]), names[data.given_labels[i]], data.texts[i], similarity)
            for i, similarity in evidence.neighbours
        ),
    )
