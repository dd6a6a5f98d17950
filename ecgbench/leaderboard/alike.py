"""Which rows of a table rank almost alike under every seed, from what their records say of each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ecgbench.leaderboard.board import Row, render_name
from ecgbench.results import CellRecord

Pairs = dict[tuple[int, int], float]


def group_alike(rows: Sequence[Row], *, sign: int = 1) -> list[tuple[tuple[str, ...], float]]:
    """Return groups of rows any two of which rank almost alike (sign = -1: in reverse), with their least |Spearman|.

    Every such pair is in a group, but for pairs that rank identically: alone they are none.
    """
    pairs = {
        (i, j): rho
        for (i, one), (j, other) in itertools.combinations(enumerate(rows), 2)
        if (rho := _least_correlation(one, other, sign)) is not None
    }
    groups: list[tuple[tuple[str, ...], float]] = []
    covered: set[tuple[int, int]] = set()
    for i, j in pairs:
        if (i, j) not in covered and rows[i].rankings != rows[j].rankings:
            inside = list(itertools.combinations(_grow([i, j], len(rows), pairs), 2))
            covered.update(inside)
            members = sorted({k for pair in inside for k in pair})
            groups.append((tuple(rows[k].name for k in members), min(pairs[pair] for pair in inside)))
    return groups


def _grow(group: list[int], n_rows: int, pairs: Pairs) -> list[int]:
    """Return the group, in order, with each further row that is alike to all in it."""
    for k in range(n_rows):
        if k not in group and all((min(k, one), max(k, one)) in pairs for one in group):
            group.append(k)
    return sorted(group)


def _least_correlation(one: Row, other: Row, sign: int) -> float | None:
    """Return the least of sign * Spearman over all seeds; None where a seed's is not known to be near 1."""
    if one.is_sanity or other.is_sanity or not (one.is_complete and other.is_complete):
        return None
    found = [_correlation(a, b) for a, b in zip(one.records, other.records, strict=True)]
    signed = [sign * rho for rho in found if rho is not None]
    return min(signed) if len(signed) == len(found) and min(signed) > 0 else None


def _correlation(a: CellRecord, b: CellRecord) -> float | None:
    """Return what the later of two records says of the other; None where it says nothing."""
    if a.ranking is not None and a.ranking == b.ranking:
        return 1.0
    older, newer = sorted((a, b), key=lambda record: (record.created_at, _name(record)))
    return newer.redundant.get(_name(older))


def _name(record: CellRecord) -> str:
    return render_name(record.detector, record.detector_params)
