"""Whether the means of a row lie where its suite expects them."""

from __future__ import annotations

from collections.abc import Iterable

from ecgbench.leaderboard.board import COLUMNS, Column, Row

INSIDE, OUTSIDE = "✓", "✗"
Range = tuple[float, float]


def render_mark(row: Row, column: Column) -> str:
    """Return the mark behind a mean, with a blank before it; empty where nothing is expected or there is no mean."""
    expected = find_ranges(row).get(_metric_key(column))
    estimate = row.estimate(column)
    if expected is None or estimate is None:
        return ""
    lower, upper = expected
    return f" {INSIDE}" if lower <= round(estimate.mean, 3) <= upper else f" {OUTSIDE}"  # of the mean as it is shown


def describe_expected(rows: Iterable[Row]) -> list[str]:
    """Return a line for each row of which something is expected, and before them what the marks mean."""
    lines = [f"expected of {row.name}: {', '.join(_describe(row))}" for row in rows if find_ranges(row)]
    return [f"{INSIDE} within the range that the suite expects, {OUTSIDE} outside of it", *lines] if lines else []


def find_ranges(row: Row) -> dict[str, Range]:
    """Return the expected range by metric or metric@cut-off; where records differ, that of the newest which has one."""
    found: dict[str, Range] = {}
    for record in sorted(row.records, key=lambda record: record.created_at):
        found |= {metric: (lower, upper) for metric, (lower, upper) in record.expected.items()}
    return found


def _describe(row: Row) -> Iterable[str]:
    for key, (lower, upper) in find_ranges(row).items():
        column = _find_column(key)
        yield f"{column.heading} {lower:g} to {upper:g}{render_mark(row, column) or ' (no mean)'}"


def _find_column(key: str) -> Column:
    usual = {_metric_key(column): column for column in COLUMNS}
    metric, _, cutoff = key.partition("@")
    return usual.get(key) or Column(key, metric, cutoff or None)


def _metric_key(column: Column) -> str:
    return column.metric if column.cutoff is None else f"{column.metric}@{column.cutoff}"
