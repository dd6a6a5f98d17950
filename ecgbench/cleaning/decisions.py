"""Decisions of a review: a CSV of rows to keep, to relabel and to drop."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from ecgbench.cleaning.table import LabelTable
from ecgbench.datasets._tables import load_columns
from ecgbench.errors import DataError

OTHER_FILE = "are these of another file?"
COLUMNS = ("row", "decision", "label")


class Decision(StrEnum):
    """What a reviewer says of a row."""

    KEEP = "keep"
    RELABEL = "relabel"
    DROP = "drop"


def read_decisions(path: Path, table: LabelTable) -> tuple[dict[int, str | None], int]:
    """Return the changes to a table's rows and how many rows were decided to be kept; raises DataError."""
    if path.suffix.lower() != ".csv":
        raise DataError(f"{path} is no .csv; give the decisions.csv that the review page saves")
    columns = load_columns(path, COLUMNS)
    decided: dict[int, str | None] = {}
    seen: set[int] = set()
    for line, values in enumerate(zip(*(columns[name] for name in COLUMNS), strict=True), 1):
        cells = dict(zip(COLUMNS, map(str.strip, values), strict=True))
        where = f"{path}, row {line}"
        row = read_row(cells["row"], table, where=where)
        if row in seen:
            raise DataError(f"{where}: row {row} was decided before; leave one decision a row")
        seen.add(row)
        if (decision := _read_decision(cells["decision"], where)) is not Decision.KEEP:
            decided[row] = _read_label(cells, row, table, where=where) if decision is Decision.RELABEL else None
        if decision is not Decision.RELABEL and cells["label"]:
            raise DataError(f"{where}: {decision} goes with no label, but {cells['label']!r} is given; empty it")
    return decided, len(seen) - len(decided)


def read_row(value: str, table: LabelTable, *, where: str) -> int:
    """Return the number of a row that the table has; raises DataError."""
    if not value.isdecimal() or not 1 <= int(value) <= len(table):
        raise DataError(
            f"{where}: there is no row {value!r} in {table.path}, its rows are 1 to {len(table)}; {OTHER_FILE}"
        )
    return int(value)


def _read_decision(value: str, where: str) -> Decision:
    if value not in list(Decision):
        raise DataError(f"{where}: unknown decision {value!r}; choose from: {', '.join(Decision)}")
    return Decision(value)


def _read_label(cells: Mapping[str, str], row: int, table: LabelTable, *, where: str) -> str:
    label = cells["label"]
    if label not in table.cells:
        found = f"unknown label {label!r}" if label else "relabel needs a label"
        raise DataError(f"{where}: {found}; {table.path} has: {', '.join(sorted(table.cells))}")
    if label == table.labels[row - 1]:
        raise DataError(f"{where}: row {row} of {table.path} has the label {label!r} already; {OTHER_FILE}")
    return label
