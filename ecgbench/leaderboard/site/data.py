"""What a page of HTML is told about the records: plain values for its script, numbers with their text."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ecgbench.grid.curves import PLACES
from ecgbench.leaderboard.board import AUROC, MISSING, Column, Group, Row, Table
from ecgbench.leaderboard.cost import Costs, build_costs, render_numbers
from ecgbench.leaderboard.expected import render_mark
from ecgbench.leaderboard.markdown import INTERVAL, TIE_MARK
from ecgbench.leaderboard.notes import describe_notes
from ecgbench.leaderboard.summary import Summary, build_summaries, is_auroc_defined
from ecgbench.results import CellRecord

Json = dict[str, Any]
_SHOWN = (
    *("seed", "reason", "realised_rate", "n_classes", "run", "seconds", "artifact_seconds", "peak_memory", "origin"),
    *("failed_attempts", "findings", "artifact_facts", "expected", "metric_reasons", "scores", "created_at"),
)
"""Fields of a record that a page shows as they are."""
_SHARED = ("transition", "artifacts", "versions")
"""Fields that are alike in many records: a page holds each value once, its cells hold where."""


class _Shared:
    """Values, each once, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def find_place(self, value: Any) -> int:
        place = self._places.setdefault(json.dumps(value, sort_keys=True), len(self.values))
        if place == len(self.values):
            self.values.append(value)
        return place


def describe_board(tables: Sequence[Table]) -> Json:
    """Return the data of a page: the tables with their rows and cells, what sums them up, where curves are read."""
    records = [record for table in tables for row in table.rows for record in row.records]
    headings = dict.fromkeys(column.heading for table in tables for column in table.columns)
    names = _name_data(tables)
    shared = _Shared()
    return {
        "places": PLACES,
        "columns": list(headings),
        "interval": INTERVAL,
        "tables": [_describe_table(table, names[table.group], shared) for table in tables],
        "summaries": [_describe_summary(summary, tables) for summary in build_summaries(tables)],
        "costs": [_describe_costs(costs, names[costs.group]) for costs in build_costs(tables)],
        "shared": shared.values,
        "has_reported": any(record.origin is not None for record in records),
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


def _name_data(tables: Iterable[Table]) -> dict[Group, str]:
    """Name each group's data; two datasets of one name and size get their digests."""
    groups = [table.group for table in tables]
    same = Counter((dataset, n) for dataset, n, _ in {(group.dataset, group.n, group.data_key) for group in groups})
    return {
        group: f"{group.dataset}{f' (data {group.data_key[:8]})' if same[group.dataset, group.n] > 1 else ''}, "
        f"n = {group.n}, profile {group.profile}"
        for group in groups
    }


def _describe_summary(summary: Summary, tables: Sequence[Table]) -> Json:
    return {
        "tables": [tables.index(table) for table in summary.tables],
        "standings": {
            one.name: {"reported": one.is_reported, "worst": one.worst, "rank": one.rank} for one in summary.standings
        },
    }


def _describe_costs(costs: Costs, data: str) -> Json:
    numbered = enumerate(costs.artifacts.items(), start=1)
    return {
        "data": data,
        "detectors": [{**asdict(one), "reads": render_numbers(one.reads)} for one in costs.detectors],
        "artifacts": [{"name": name, "number": number, **cost} for number, (name, cost) in numbered],
        "total": {"name": "all", "number": None, **costs.total},
    }


def _describe_table(table: Table, data: str, shared: _Shared) -> Json:
    return {
        "data": data,
        "data_key": table.group.data_key,
        "rate": table.group.rate,
        "noise": table.group.noise,
        "seeds": table.seeds,
        "is_defined": is_auroc_defined(table),
        "notes": describe_notes(table),
        "rows": [_describe_row(row, table, shared) for row in table.rows],
    }


def _describe_row(row: Row, table: Table, shared: _Shared) -> Json:
    first = row.records[0]
    return {
        "name": row.name,
        "sanity": row.is_sanity,
        "reported": row.is_reported,
        "status": row.status,
        "values": {column.heading: _describe_value(row, column, table) for column in table.columns},
        "interval": (row.interval.lower, str(row.interval)) if row.interval else None,
        "seconds": row.seconds,
        "curves": average_curves(row),
        "detector_params": first.detector_params,
        "noise_params": first.noise_params,
        "cells": [
            *(_describe_cell(record, shared) for record in row.records),
            *({"seed": seed, "status": MISSING} for seed in row.missing_seeds),
        ],
    }


def _describe_value(row: Row, column: Column, table: Table) -> tuple[float, str, str] | None:
    """Return a mean, its text, and its text with all that is known of it; None where there is no mean."""
    estimate = row.estimate(column)
    if estimate is None:
        return None
    tie = f" {TIE_MARK}" if column == AUROC and row.name in table.tied else ""
    return estimate.mean, f"{estimate.mean:.3f}", f"{estimate}{tie}{render_mark(row, column)}"


def _describe_cell(record: CellRecord, shared: _Shared) -> Json:
    shown = {name: getattr(record, name) for name in _SHOWN}
    alike = {name: getattr(record, name) for name in _SHARED}
    return {
        **{name: value for name, value in shown.items() if value is not None and value not in ((), {})},
        **{name: shared.find_place(value) for name, value in alike.items() if value is not None},
        "seed": record.seed,
        "status": record.status.value,
        "metrics": _flatten(record.metrics),
    }


def _flatten(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Return values by metric, or by metric@cut-off."""
    found: dict[str, float | None] = {}
    for name, value in metrics.items():
        found |= {f"{name}@{at}": one for at, one in value.items()} if isinstance(value, Mapping) else {name: value}
    return found
