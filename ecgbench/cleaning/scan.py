"""A scan of a file: its rows from the most suspicious on, with what the guards of a cleaning go by."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cleaning.decisions import OTHER_FILE, read_row
from ecgbench.cleaning.guards import Evidence
from ecgbench.cleaning.table import LabelTable
from ecgbench.data import FloatArray
from ecgbench.errors import DataError
from ecgbench.strict_json import parse_json

NEEDED = ("rank", "row", "label", "proposed_label", "confidence", "agreement", "outlier", "ease")


@dataclass(frozen=True, eq=False)
class Scan:
    """The rows of a scan by rank, the labels proposed for them, and the evidence, in the same order."""

    rows: tuple[int, ...]
    proposed: tuple[str, ...]
    evidence: Evidence

    def __len__(self) -> int:
        return len(self.rows)


def read_scan(path: Path, table: LabelTable) -> Scan:
    """Read the scan.jsonl of a table's file; raises DataError, also where it is a scan of another file."""
    lines = [_read_line(path, number, line) for number, line in enumerate(_read_lines(path), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty")
    lines.sort(key=lambda values: values["rank"])
    rows = [read_row(str(values["row"]), table, where=str(path)) for values in lines]
    if twice := [row for row, n in Counter(rows).items() if n > 1]:
        raise DataError(f"{path} holds row {twice[0]} twice; scan again")
    for row, values in zip(rows, lines, strict=True):
        if str(values["label"]) != table.labels[row - 1]:
            raise DataError(
                f"row {row} of {table.path} has the label {table.labels[row - 1]!r}, in {path} it has "
                f"{str(values['label'])!r}; {OTHER_FILE}"
            )
    _validate_texts(
        path, table, {row: values["text"] for row, values in zip(rows, lines, strict=True) if "text" in values}
    )
    proposed = tuple(str(values["proposed_label"] or "") for values in lines)  # none without a language model
    is_disputed = np.array([name != str(values["label"]) for name, values in zip(proposed, lines, strict=True)])
    signals = (_column(path, lines, name) for name in ("confidence", "agreement", "outlier", "ease"))
    return Scan(tuple(rows), proposed, Evidence(is_disputed, *signals))


def _validate_texts(path: Path, table: LabelTable, texts: Mapping[int, Any]) -> None:
    """Raise DataError where most texts of a scan stand in no cell of their row.

    A text may be read otherwise than it is written, as a number is; most of a file's are not.
    """
    cells = dict(zip(range(1, len(table) + 1), table.iter_rows(), strict=True)) if texts else {}
    strange = [row for row, text in texts.items() if _squeeze(text) not in map(_squeeze, cells[row])]
    if 2 * len(strange) > len(texts):
        raise DataError(f"row {strange[0]} of {table.path} does not hold the text that it has in {path}; {OTHER_FILE}")


def _squeeze(cell: Any) -> str:
    return " ".join(str(cell).split())


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8; give the scan.jsonl that a scan wrote") from error


def _read_line(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        values = parse_json(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number} is no JSON; give the scan.jsonl that a scan wrote") from error
    missing = [name for name in NEEDED if not isinstance(values, dict) or name not in values]
    if missing:
        raise DataError(f"{path}, line {number} has no {missing[0]!r}; give the scan.jsonl that a scan wrote")
    if not isinstance(values["rank"], int):
        raise DataError(f"{path}, line {number}: rank is {values['rank']!r}, not a whole number")
    return dict(values)


def _column(path: Path, lines: Sequence[Mapping[str, Any]], name: str) -> FloatArray:
    """Return the numbers of a key: float64, shape (n,), NaN where there is none."""
    cells = [values.get(name) for values in lines]
    for cell in cells:
        if cell not in (None, "") and (isinstance(cell, bool) or not isinstance(cell, (int, float))):
            raise DataError(f"{path}: {name} is {cell!r}, not a number")
    return np.array([math.nan if cell in (None, "") else cell for cell in cells], dtype=np.float64)
