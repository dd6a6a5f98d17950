"""How detectors do across noise models: their mean AUROC on each, the worst of them and the average rank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ecgbench.leaderboard.board import AUROC, Estimate, Group, Row, Table, descending
from ecgbench.stats import average_ranks, find_worst


@dataclass(frozen=True)
class Standing:
    """One detector across the noises of a summary: AUROC by noise, None where it has no mean.

    `worst` and `rank` (1 is best, among detectors alone) are None where a mean is missing.
    """

    name: str
    is_sanity: bool
    is_reported: bool
    estimates: tuple[Estimate | None, ...]
    worst: float | None
    rank: float | None


@dataclass(frozen=True)
class Summary:
    """The noises of one dataset, size, profile and rate, a table each; the best worst case first, then by name."""

    tables: tuple[Table, ...]
    standings: tuple[Standing, ...]


def build_summaries(tables: Iterable[Table]) -> list[Summary]:
    """Summarise each dataset, size, profile and rate; tables without anything to compare are left out."""
    return [_summarize(_without_reported(own)) for own in group_by_setting(tables)]


def group_by_setting(tables: Iterable[Table]) -> list[list[Table]]:
    """Return the tables of each dataset, size, profile and rate that have something to compare.

    A noise model that takes no rate, as that of single raters, stands behind those of every rate: it is one of the
    cases of which the worst counts.
    """
    settings: dict[Group, list[Table]] = {}
    for table in tables:
        if is_auroc_defined(table):
            settings.setdefault(table.group._replace(noise=""), []).append(table)
    with_rate = {setting._replace(rate=0.0) for setting in settings if setting.rate}
    return [
        [*own, *(settings.get(setting._replace(rate=0.0), ()) if setting.rate else ())]
        for setting, own in settings.items()
        if setting.rate or setting not in with_rate
    ]


def is_auroc_defined(table: Table) -> bool:
    """Say whether there is something to compare: false where cells are ok and yet nothing is noisy."""
    complete = [row for row in table.rows if row.is_complete]
    return not complete or any(row.estimate(AUROC) for row in complete)


def _without_reported(tables: Sequence[Table]) -> Sequence[Table]:
    """Leave out noises of which all is self-reported beside others: own rows would miss them in their worst case."""
    return [table for table in tables if not all(row.is_reported for row in table.rows)] or tables


def _summarize(tables: Sequence[Table]) -> Summary:
    rows: dict[str, list[Row]] = {}
    for table in tables:
        for row in table.rows:
            rows.setdefault(row.name, []).append(row)
    estimates = {name: tuple(_find_auroc(name, table) for table in tables) for name in rows}
    means = {name: [one.mean if one else None for one in own] for name, own in estimates.items()}
    ranked = [name for name, own in rows.items() if not any(row.is_sanity for row in own)]
    ranks = dict(zip(ranked, average_ranks([means[name] for name in ranked]), strict=True))
    standings = [
        Standing(
            name,
            is_sanity=name not in ranks,
            is_reported=any(row.is_reported for row in own),
            estimates=estimates[name],
            worst=find_worst(means[name]),
            rank=ranks.get(name),
        )
        for name, own in rows.items()
    ]
    return Summary(tuple(tables), tuple(sorted(standings, key=lambda one: (descending(one.worst), one.name))))


def _find_auroc(name: str, table: Table) -> Estimate | None:
    return next((row.estimate(AUROC) for row in table.rows if row.name == name), None)
