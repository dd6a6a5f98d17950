"""Clean a file: choose the rows to change, write the file anew, and tell what was done."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecgbench.cleaning.decisions import read_decisions
from ecgbench.cleaning.guards import Action, Guard, count_top, find_held_back, find_unjudged
from ecgbench.cleaning.scan import Scan, read_scan
from ecgbench.cleaning.table import Changes, LabelTable
from ecgbench.errors import DataError, UsageError
from ecgbench.whole_files import write_whole

REPORT_SCHEMA = 1


@dataclass(frozen=True)
class Cleaning:
    """What becomes of a table's rows, and who said so.

    `top`: how many rows were looked at; `held_back`: how many of them each guard held back, a row once for each;
    `n_held_back`: how many rows that is; `unjudged`: the guards that the scan gave nothing to go by.
    """

    source: str
    changes: Changes
    top: int
    held_back: Mapping[Guard, int] = field(default_factory=dict)
    n_held_back: int = 0
    asked: int = 0
    unjudged: tuple[Guard, ...] = ()

    @property
    def n_dropped(self) -> int:
        """Count the rows that are dropped."""
        return sum(label is None for label in self.changes.values())

    @property
    def n_relabelled(self) -> int:
        """Count the rows that get another label."""
        return len(self.changes) - self.n_dropped


def decide_by_review(path: Path, table: LabelTable, *, scan: Path | None = None) -> Cleaning:
    """Return what a review decided; a scan that is given is checked to be of the same file. Raises DataError."""
    if scan is not None:
        read_scan(scan, table)
    changes, n_kept = read_decisions(path, table)
    return Cleaning("decisions", changes, len(changes) + n_kept)


def decide_by_scan(path: Path, table: LabelTable, *, share: float, action: Action) -> Cleaning:
    """Return what becomes of the most suspicious share of a table's rows, less those that a guard holds back.

    Rows held back are not made up for by less suspicious ones. Of a scan with fewer rows all are looked at; `asked`
    then tells how many there would have been. Raises DataError.
    """
    scan, asked = read_scan(path, table), count_top(share, len(table))
    top = min(asked, len(scan))
    masks = find_held_back(scan.evidence, action)
    held = [any(mask[at] for mask in masks.values()) for at in range(top)]
    changes = {
        row: _name_new(scan, at, table, path) if action is Action.RELABEL else None
        for at, row in enumerate(scan.rows[:top])
        if not held[at]
    }
    counts = {guard: int(mask[:top].sum()) for guard, mask in masks.items()}
    return Cleaning(str(action), changes, top, counts, sum(held), asked, find_unjudged(scan.evidence))


def _name_new(scan: Scan, at: int, table: LabelTable, path: Path) -> str:
    label = scan.proposed[at]
    if label not in table.cells:
        known = ", ".join(sorted(table.cells))
        raise DataError(f"{path} proposes the unknown label {label!r} for row {scan.rows[at]}; known are: {known}")
    return label


def default_out(path: Path) -> Path:
    """Return where a cleaned file goes: `reviews.csv` becomes `reviews.cleaned.csv`."""
    return path.with_name(f"{path.stem}.cleaned{path.suffix}")


def report_path(out: Path) -> Path:
    """Return where the report on a cleaned file goes: beside it."""
    return out.with_name(f"{out.stem}.report.json")


def check_out(path: Path, out: Path, *, overwrite: bool) -> None:
    """Raise UsageError where the cleaned file may not go there."""
    if out.suffix.lower() != path.suffix.lower():
        raise UsageError(
            f"--out {out} ends in {out.suffix!r}; the format stays: give a name that ends in {path.suffix}"
        )
    for file in (out, report_path(out)):
        if file.exists() and not overwrite:
            raise UsageError(f"{file} exists; give another name with --out, or --overwrite")


def apply_cleaning(table: LabelTable, cleaning: Cleaning, out: Path) -> dict[str, Any]:
    """Write the cleaned file and its report, each whole or not at all; return the report."""
    if cleaning.n_dropped == len(table):
        raise UsageError(f"nothing of {table.path} would be left: all {len(table)} rows are to be dropped")
    content, report = table.render(cleaning.changes), build_report(table, cleaning, out)
    write_whole(out, content)
    write_whole(report_path(out), (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode("utf-8"))
    return report


def build_report(table: LabelTable, cleaning: Cleaning, out: Path) -> dict[str, Any]:
    """Return what was done: counts, classes before and after, and each change by its row of the old file."""
    after = [cleaning.changes.get(row, label) for row, label in enumerate(table.labels, 1)]
    before_counts, after_counts = Counter(table.labels), Counter(after)
    return {
        "report": "ecgbench/clean",
        "schema": REPORT_SCHEMA,
        "file": table.path.name,
        "out": out.name,
        "by": cleaning.source,
        "rows": len(table),
        "looked_at": cleaning.top,
        "dropped": cleaning.n_dropped,
        "relabelled": cleaning.n_relabelled,
        "held_back": cleaning.n_held_back,
        "held_back_by": {str(guard): n for guard, n in cleaning.held_back.items()},
        "not_judged": [str(guard) for guard in cleaning.unjudged],
        "classes": {
            name: {"before": before_counts[name], "after": after_counts[name]} for name in sorted(before_counts) if name
        },
        "changes": [
            {"row": row, "label": table.labels[row - 1], "new_label": label}
            for row, label in sorted(cleaning.changes.items())
        ],
    }
