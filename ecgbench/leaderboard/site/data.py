"""What a page of HTML is told about the records: plain values for its script, numbers with their text."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ecgbench.grid.curves import PLACES
from ecgbench.leaderboard.board import AUROC, MISSING, Column, Group, Row, Table
from ecgbench.leaderboard.expected import render_mark
from ecgbench.leaderboard.notes import describe_notes
from ecgbench.results import CellRecord

Json = dict[str, Any]
_SHOWN = (
    *("seed", "reason", "realised_rate", "n_classes", "run", "seconds", "artifact_seconds", "failed_attempts"),
    *("findings", "artifact_facts", "expected", "metric_reasons", "scores", "created_at"),
)
"""Fields of a record that a page shows as they are."""


def describe_board(tables: Sequence[Table]) -> Json:
    """Return the data of a page: the tables with their rows and cells, and where curves are read."""
    records = [record for table in tables for row in table.rows for record in row.records]
    versions = sorted({_versions(record) for record in records})
    headings = dict.fromkeys(column.heading for table in tables for column in table.columns)
    names = _name_data(tables)
    return {
        "places": PLACES,
        "columns": list(headings),
        "versions": [dict(known) for known in versions],
        "tables": [_describe_table(table, names[table.group], versions) for table in tables],
        "n_records": len(records),
        "newest": max((record.created_at for record in records), default=None),
    }


def average_curves(row: Row) -> dict[str, list[float]]:
    """Return each curve's mean over all seeds; none where a cell is missing, not ok, undefined or without curves."""
    if not row.is_complete or not all(record.curves for record in row.records):
        return {}
    curves = [record.curves or {} for record in row.records]
    names = [name for name in PLACES if all(name in one for one in curves)]
    return {
        name: [round(statistics.fmean(at), 4) for at in zip(*(one[name] for one in curves), strict=True)]
        for name in names
    }


def is_auroc_defined(table: Table) -> bool:
    """Say whether there is something to compare: false where cells are ok and yet nothing is noisy."""
    complete = [row for row in table.rows if row.is_complete]
    return not complete or any(row.estimate(AUROC) for row in complete)


def _name_data(tables: Iterable[Table]) -> dict[Group, str]:
    """Name each group's data; two datasets of one name and size get their digests."""
    groups = [table.group for table in tables]
    same = Counter((dataset, n) for dataset, n, _ in {(group.dataset, group.n, group.data_key) for group in groups})
    return {
        group: f"{group.dataset}{f' (data {group.data_key[:8]})' if same[group.dataset, group.n] > 1 else ''}, "
        f"n = {group.n}, profile {group.profile}"
        for group in groups
    }


def _describe_table(table: Table, data: str, versions: Sequence[tuple[tuple[str, str], ...]]) -> Json:
    return {
        "data": data,
        "data_key": table.group.data_key,
        "rate": table.group.rate,
        "noise": table.group.noise,
        "seeds": table.seeds,
        "is_defined": is_auroc_defined(table),
        "notes": describe_notes(table),
        "rows": [_describe_row(row, table.columns, versions) for row in table.rows],
    }


def _describe_row(row: Row, columns: Sequence[Column], versions: Sequence[tuple[tuple[str, str], ...]]) -> Json:
    first = row.records[0]
    return {
        "name": row.name,
        "sanity": row.is_sanity,
        "reported": row.is_reported,
        "status": row.status,
        "values": {column.heading: _describe_value(row, column) for column in columns},
        "seconds": row.seconds if row.is_complete else None,
        "curves": average_curves(row),
        "detector_params": first.detector_params,
        "noise_params": first.noise_params,
        "cells": [
            *(_describe_cell(record, versions) for record in row.records),
            *({"seed": seed, "status": MISSING} for seed in row.missing_seeds),
        ],
    }


def _describe_value(row: Row, column: Column) -> tuple[float, str, str] | None:
    """Return a mean, its text, and its text with all that is known of it; None where there is no mean."""
    estimate = row.estimate(column)
    if estimate is None:
        return None
    return estimate.mean, f"{estimate.mean:.3f}", f"{estimate}{render_mark(row, column)}"


def _describe_cell(record: CellRecord, versions: Sequence[tuple[tuple[str, str], ...]]) -> Json:
    shown = {name: getattr(record, name) for name in _SHOWN}
    return {
        **{name: value for name, value in shown.items() if value is not None and value not in ((), {})},
        "seed": record.seed,
        "status": record.status.value,
        "metrics": _flatten(record.metrics),
        "versions": versions.index(_versions(record)),
    }


def _flatten(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Return values by metric, or by metric@cut-off."""
    found: dict[str, float | None] = {}
    for name, value in metrics.items():
        found |= {f"{name}@{at}": one for at, one in value.items()} if isinstance(value, Mapping) else {name: value}
    return found


def _versions(record: CellRecord) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(record.versions.items()))
