"""What a table's numbers do not say: why cells are not ok, which rows are one ranking, what is undefined."""

from __future__ import annotations

from collections.abc import Iterable

from ecgbench.leaderboard.board import MISSING, Row, Table
from ecgbench.leaderboard.text import escape
from ecgbench.results import Status

_LONGEST_REASON = 300


def render_notes(table: Table) -> list[str]:
    """Return one line of Markdown for each thing to know about a table."""
    return [
        *(line for row in table.rows for line in _troubles(row)),
        *_identical_rankings(table.rows),
        *_undefined_metrics(table.rows),
        *(line for row in table.rows for line in _failed_attempts(row)),
        *(line for row in table.rows for line in _findings(row)),
    ]


def _troubles(row: Row) -> list[str]:
    seeds: dict[tuple[str, str], list[int]] = {}
    for record in row.records:
        if record.status is not Status.OK:
            seeds.setdefault((record.status.value, record.reason or "no reason recorded"), []).append(record.seed)
    if row.missing_seeds:
        seeds[MISSING, "no record; run the suite again"] = list(row.missing_seeds)
    return [
        f"{escape(row.name)}: {status} ({_seeds(found)}): {escape(_shorten(reason))}"
        for (status, reason), found in sorted(seeds.items())
    ]


def _identical_rankings(rows: Iterable[Row]) -> list[str]:
    names: dict[tuple[str | None, ...], list[str]] = {}
    for row in rows:
        if row.rankings is not None:
            names.setdefault(row.rankings, []).append(escape(row.name))
    return sorted(f"{_listed(sorted(same))} rank identically in every cell" for same in names.values() if len(same) > 1)


def _undefined_metrics(rows: Iterable[Row]) -> list[str]:
    """Say each reason once, naming the detectors only where it does not hold for all of them."""
    found: dict[tuple[str, str], set[str]] = {}
    everyone = set()
    for row in rows:
        for record in row.records:
            if record.status is Status.OK:
                everyone.add(row.name)
            for metric, reason in record.metric_reasons.items():
                found.setdefault((metric, reason), set()).add(row.name)
    metrics: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (metric, reason), names in found.items():
        metrics.setdefault((tuple(sorted(names)), reason), []).append(metric)
    lines = []
    for (names_, reason), undefined in metrics.items():
        where = "" if set(names_) >= everyone else f" for {_listed([escape(name) for name in names_])}"
        lines.append(f"undefined{where}: {', '.join(map(escape, sorted(undefined)))}: {escape(_shorten(reason))}")
    return sorted(lines)


def _failed_attempts(row: Row) -> list[str]:
    count = sum(record.failed_attempts for record in row.records)
    return [f"{escape(row.name)}: {count} model replies never became valid"] if count else []


def _findings(row: Row) -> list[str]:
    found = [(record.seed, finding) for record in row.records for finding in record.findings]
    return [f"{escape(row.name)} ({_seeds([seed])}): {escape(_shorten(finding))}" for seed, finding in found]


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _shorten(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]} ..."
