"""What a table's numbers do not say: why cells are not ok, which rows are one ranking, what is undefined or found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ecgbench.leaderboard.alike import group_alike
from ecgbench.leaderboard.board import AUROC, MISSING, Row, Table
from ecgbench.leaderboard.expected import describe_expected
from ecgbench.leaderboard.text import escape
from ecgbench.results import Status

_LONGEST_REASON = 300
_MOST_NAMES = 3
_AGAINST_THE_TRUTH = 0.4
"""A mean AUROC below this, and two standard errors of a random ranking below .5, is no chance."""


def render_notes(table: Table) -> list[str]:
    """Return one line of Markdown for each thing to know about a table."""
    return [escape(line) for line in describe_notes(table)]


def describe_notes(table: Table) -> list[str]:
    """Return one plain line for each thing to know about a table."""
    return _notes(table.rows)


def describe_surprises(table: Table) -> list[str]:
    """Return plain lines for the notes that a run shows too: expectations, who ranks against the truth, findings."""
    return [*describe_expected(table.rows), *_against_the_truth(table.rows), *_findings(table.rows)]


def _notes(rows: Sequence[Row]) -> list[str]:
    return [
        *(line for row in rows for line in _troubles(row)),
        *describe_expected(rows),
        *_against_the_truth(rows),
        *_identical_rankings(rows),
        *_redundant_rankings(rows),
        *_undefined_metrics(rows),
        *_failed_attempts(rows),
        *_findings(rows),
    ]


def _troubles(row: Row) -> list[str]:
    seeds: dict[tuple[str, str], list[int]] = {}
    for record in row.records:
        if record.status is not Status.OK:
            seeds.setdefault((record.status.value, record.reason or "no reason recorded"), []).append(record.seed)
    if row.missing_seeds:
        seeds[MISSING, "no record; run the suite again"] = list(row.missing_seeds)
    return [
        f"{row.name}: {status} ({_seeds(found)}): {_shorten(reason)}"
        for (status, reason), found in sorted(seeds.items())
    ]


def _against_the_truth(rows: Iterable[Row]) -> list[str]:
    means = [(row, row.estimate(AUROC)) for row in rows if not row.is_sanity]
    low = [(row.name, round(found.mean, 3)) for row, found in means if found and found.mean < _highest_oddity(row)]
    return [f"{name} ranks against the truth: AUROC {mean:.3f}, flipped {1 - mean:.3f}" for name, mean in low]


def _highest_oddity(row: Row) -> float:
    """Return the mean AUROC under which a row is no random ranking (variance of the rank-sum statistic)."""
    variances = []
    for record in row.records:
        noisy = (record.realised_rate or 0.0) * record.n
        variances.append((record.n + 1) / (12 * noisy * (record.n - noisy)) if 0 < noisy < record.n else 0.0)
    return min(_AGAINST_THE_TRUTH, 0.5 - 2 * math.sqrt(sum(variances)) / len(variances))


def _identical_rankings(rows: Iterable[Row]) -> list[str]:
    names: dict[tuple[str | None, ...], list[str]] = {}
    for row in rows:
        if row.rankings is not None:
            names.setdefault(row.rankings, []).append(row.name)
    return sorted(f"{_listed(sorted(same))} rank identically in every cell" for same in names.values() if len(same) > 1)


def _redundant_rankings(rows: Sequence[Row]) -> list[str]:
    lines = []
    for sign, how in ((1, "almost alike"), (-1, "almost in reverse")):
        for names, least in group_alike(rows, sign=sign):
            shown = math.floor(abs(least) * 1000) / 1000  # rounded up it would not be "at least"
            lines.append(f"{_listed(sorted(names))} rank {how}: |Spearman| at least {shown:.3f} in every cell")
    return sorted(lines)


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
        where = "" if set(names_) >= everyone else f" for {_listed(names_)}"
        lines.append(f"undefined{where}: {', '.join(sorted(undefined))}: {_shorten(reason)}")
    return sorted(lines)


def _failed_attempts(rows: Iterable[Row]) -> list[str]:
    """Say each count once; a reply that several cells read is counted in each of them."""
    names: dict[tuple[int, int], list[str]] = {}
    for row in rows:
        counts = [record.failed_attempts for record in row.records if record.failed_attempts]
        if counts:
            names.setdefault((sum(counts), len(counts)), []).append(row.name)
    return [
        f"{_shortlist(same)}: {n} model {'reply' if n == 1 else 'replies'} never became valid"
        f"{f' in {n_cells} cells' if n_cells > 1 else ''}"
        for (n, n_cells), same in names.items()
    ]


def _findings(rows: Iterable[Row]) -> list[str]:
    """Say each finding once, with all who made it and under which seeds."""
    found: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        for record in row.records:
            for finding in dict.fromkeys(record.findings):
                found.setdefault(finding, {}).setdefault(row.name, []).append(record.seed)
    return [f"{_finders(seeds)}: {_shorten(finding)}" for finding, seeds in found.items()]


def _finders(seeds: dict[str, list[int]]) -> str:
    """Render who found something: "ecg, ecg[k=30] (seeds 0, 1), ecg[k=5] (seed 0)"."""
    names: dict[tuple[int, ...], list[str]] = {}
    for name, own in seeds.items():
        names.setdefault(tuple(own), []).append(name)
    return ", ".join(f"{_shortlist(same)} ({_seeds(own)})" for own, same in names.items())


def _seeds(seeds: Iterable[int]) -> str:
    numbers = sorted(seeds)
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _shortlist(names: Sequence[str]) -> str:
    """Render the first names and how many more there are: "a, b, c and 4 more"."""
    shown, more = ", ".join(names[:_MOST_NAMES]), len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _shorten(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]} ..."
