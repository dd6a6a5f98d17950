"""Lay out a prepared grid: its cells, each with the identity of its record, and its artifact jobs."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ecgbench.artifacts.base import Artifact
from ecgbench.data import LabeledTexts
from ecgbench.grid.cells import CorruptedTask
from ecgbench.grid.jobs import Job
from ecgbench.grid.prepare import DetectorColumn, Grid, TaskRow
from ecgbench.grid.sanity import SANITY_ROWS
from ecgbench.grid.selection import Selection
from ecgbench.grid.values import TaskValues
from ecgbench.results import CellRecord, Status
from ecgbench.store.cache import Cache
from ecgbench.store.keys import digest, plain

VERSIONED = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "transformers",
    "sentence-transformers",
    "faiss-cpu",
    "cleanlab",
)


@dataclass(frozen=True, eq=False)
class Cell:
    """A task and a detector, or a sanity row where `column` is a name; `blank` is its record to be filled."""

    row: TaskRow
    column: DetectorColumn | str
    blank: CellRecord

    @property
    def closure(self) -> tuple[Artifact[Any], ...]:
        """Return the artifacts the cell needs, inputs first."""
        return () if isinstance(self.column, str) else self.column.closure


def build_cells(grid: Grid) -> tuple[Cell, ...]:
    """Return every cell, row by row, the sanity rows last."""
    cells: list[Cell] = []
    keys: dict[int, str] = {}
    for row in grid.rows:
        if row.dataset is not None and id(row.dataset) not in keys:  # hashing every text once a dataset, not once a row
            keys[id(row.dataset)] = dataset_key(row.dataset)
        key = keys.get(id(row.dataset), "")
        columns: list[DetectorColumn | str] = [*grid.columns, *SANITY_ROWS]
        cells.extend(Cell(row, column, _blank_record(grid, row, column, key)) for column in columns)
    return tuple(cells)


def build_values(grid: Grid, cache: Cache) -> dict[int, TaskValues]:
    """Return the artifacts of each row's task, by the row's id."""
    return {
        id(row): TaskValues(row.task.task, row.condition.seed, grid.profile, cache)
        for row in grid.rows
        if isinstance(row.task, CorruptedTask)
    }


def build_jobs(cells: Iterable[Cell], values: dict[int, TaskValues]) -> list[Job]:
    """Return each artifact that the cells need once, with its tasks, inputs before what needs them."""
    needed: dict[Artifact[Any], dict[int, TaskValues]] = {}
    for cell in cells:
        if id(cell.row) in values:
            for artifact in cell.closure:
                needed.setdefault(artifact, {})[id(cell.row)] = values[id(cell.row)]
    return [Job(artifact, tuple(tasks.values())) for artifact, tasks in needed.items()]


def dataset_key(data: LabeledTexts) -> str:
    """Return the digest of a dataset's content and description: an edited file is another dataset."""
    return digest(
        "dataset/1", [data.name, data.texts, data.labels.tolist(), data.given_labels.tolist(), data.description]
    )


@cache
def installed_versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on, importing none of it."""
    versions = {"python": platform.python_version()}
    for name in ("ecgbench", *VERSIONED):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _blank_record(grid: Grid, row: TaskRow, column: DetectorColumn | str, data_key: str) -> CellRecord:
    selection = Selection(column) if isinstance(column, str) else column.selection
    condition, task = row.condition, row.task if isinstance(row.task, CorruptedTask) else None
    # Of a plugin file the name alone: a record is published, where the file lay is not.
    plugin = {} if isinstance(column, str) else {Path(column.distribution).name: column.version}
    return CellRecord(
        run=grid.suite.name,
        dataset=str(condition.dataset) if row.dataset is None else row.dataset.name,
        data_key=data_key,
        n=condition.n,
        n_classes=None if row.dataset is None else row.dataset.description.n_classes,
        profile=grid.profile.name,
        noise=condition.noise.name,
        noise_params=plain(dict(condition.noise.params)),
        rate=condition.rate,
        realised_rate=None if task is None else float(task.is_noisy.mean()),
        transition=None if task is None else task.transition,
        seed=condition.seed,
        detector=selection.name,
        detector_params=plain(dict(selection.params)),
        sanity=isinstance(column, str),
        status=Status.FAILED,
        created_at="",
        expected=grid.suite.ranges_of(selection, condition.noise, condition.rate),
        versions=installed_versions() | plugin,
    )
