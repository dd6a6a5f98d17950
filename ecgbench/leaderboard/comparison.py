"""Compare two detectors, or two sets of records, over the cells that both have: pure functions of records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ecgbench.errors import UnknownNameError, UsageError
from ecgbench.grid.selection import Selection
from ecgbench.leaderboard.board import AUROC, Group, Row, can_compare, compare_rows, group_of, render_name
from ecgbench.results import CellRecord, latest
from ecgbench.stats import FEWEST_TASKS, LEVEL, Interval, adjust_holm, compare_over_tasks, summarize

Key = tuple[Group, str]
"""A task without its seed and, of two sets, the detector that is compared with itself."""
Side = Mapping[Key, Mapping[int, CellRecord]]
"""The records of one side by what is compared, then by seed."""


class Verdict(StrEnum):
    """What the first is, compared with the second."""

    BETTER = "better"
    WORSE = "worse"
    TIE = "tie"


@dataclass(frozen=True)
class TaskComparison:
    """Both means of one task over the seeds that both sides have; None where a cell is not ok or has no value.

    `p` is Holm's over all tasks of the comparison; `interval`, `p` and `verdict` are None without replicates.
    """

    group: Group
    detector: str
    seeds: tuple[int, ...]
    first: float | None
    second: float | None
    trouble: str = ""
    interval: Interval | None = None
    p: float | None = None

    @property
    def difference(self) -> float | None:
        """Return first - second."""
        return None if self.first is None or self.second is None else self.first - self.second

    @property
    def verdict(self) -> Verdict | None:
        """Say whether the first is significantly better or worse."""
        return _judge(self.difference, self.p)


@dataclass(frozen=True)
class Comparison:
    """Every task, what had no partner, and both over all tasks: None as soon as one of them has no mean."""

    names: tuple[str, str]
    tasks: tuple[TaskComparison, ...]
    unpaired: tuple[str, ...]
    first: float | None
    second: float | None
    p: float | None

    @property
    def difference(self) -> float | None:
        """Return first - second over all tasks."""
        return None if self.first is None or self.second is None else self.first - self.second

    @property
    def verdict(self) -> Verdict | None:
        """Say whether the first is significantly better or worse over tasks."""
        return _judge(self.difference, self.p)

    @property
    def is_too_small(self) -> bool:
        """Say whether there are too few tasks for any outcome to be significant over them."""
        return len(self.tasks) < FEWEST_TASKS


def compare_detectors(records: Iterable[CellRecord], first: Selection, second: Selection) -> Comparison:
    """Compare two detectors of one set of records; raises UsageError where they have no cell in common."""
    known = latest(records)
    names = {render_name(r.detector, r.detector_params) for r in known}
    sides = [_find(known, wanted, names) for wanted in (first, second)]
    if first == second:
        raise UsageError(f"{first} is given twice; name two, or one with two choices of parameters")
    return _compare((str(first), str(second)), *sides)


def compare_sets(first: Iterable[CellRecord], second: Iterable[CellRecord], names: tuple[str, str]) -> Comparison:
    """Compare each detector of one set of records with itself in another; raises UsageError without a common cell."""
    both = [latest(records) for records in (first, second)]
    if both[0] == both[1]:
        raise UsageError(f"{names[0]} and {names[1]} hold the same records: there is nothing to compare")
    sides = [_by_key((r, render_name(r.detector, r.detector_params)) for r in side if not r.sanity) for side in both]
    return _compare(names, *sides)


def _find(records: Sequence[CellRecord], wanted: Selection, names: Iterable[str]) -> Side:
    """Return the records of a detector; parameters are compared as values, so that 0 is 0.0."""
    found = [r for r in records if Selection(r.detector, r.detector_params) == wanted]
    if not found:
        raise UnknownNameError("detector", str(wanted), names)
    return _by_key((record, "") for record in found)


def _by_key(records: Iterable[tuple[CellRecord, str]]) -> Side:
    found: dict[Key, dict[int, CellRecord]] = {}
    for record, detector in records:
        found.setdefault((group_of(record), detector), {})[record.seed] = record
    return found


def _compare(names: tuple[str, str], first: Side, second: Side) -> Comparison:
    pairs = {key: _pair(names, first[key], second[key]) for key in sorted(first.keys() & second.keys())}
    pairs = {key: rows for key, rows in pairs.items() if rows[0].records}
    if not pairs:
        raise UsageError(
            f"{names[0]} and {names[1]} have no cell in common: of the same data, n, profile, noise, rate and seed; "
            "run the one where the other was run"
        )
    undefined = [key for key, (one, other) in pairs.items() if _is_undefined(one) and _is_undefined(other)]
    if len(undefined) == len(pairs):
        raise UsageError(f"{names[0]} and {names[1]} have no AUROC in any common cell: there is nothing to compare")
    tasks = _correct([_compare_task(*key, *rows) for key, rows in pairs.items() if key not in undefined])
    unpaired = (*_describe_unpaired(names, first, second), *(f"AUROC undefined: {describe(*key)}" for key in undefined))
    differences = [task.difference for task in tasks if task.difference is not None]
    p = compare_over_tasks(differences) if len(differences) == len(tasks) else None
    means = (_mean([task.first for task in tasks]), _mean([task.second for task in tasks]))
    return Comparison(names, tasks, unpaired, *means, p)


def _mean(values: Sequence[float | None]) -> float | None:
    estimate = summarize(values)
    return None if estimate is None else estimate.mean


def _is_undefined(row: Row) -> bool:
    return row.is_complete and row.estimate(AUROC) is None


def _pair(names: tuple[str, str], *sides: Mapping[int, CellRecord]) -> tuple[Row, Row]:
    """Return a row of each side with the seeds that both have."""
    seeds = tuple(sorted(sides[0].keys() & sides[1].keys()))
    first, second = (Row(name, seeds, tuple(side[s] for s in seeds)) for name, side in zip(names, sides, strict=True))
    return first, second


def _compare_task(group: Group, detector: str, one: Row, other: Row) -> TaskComparison:
    first, second = (found.mean if found else None for found in (one.estimate(AUROC), other.estimate(AUROC)))
    trouble = "; ".join(f"{row.name}: {row.status}" for row in (one, other) if not row.is_complete)
    result = TaskComparison(group, detector, one.seeds, first, second, trouble)
    if not can_compare(one, other):
        return result
    found = compare_rows(one, other)
    return dataclasses.replace(result, interval=found.interval, p=found.p)


def _correct(tasks: Sequence[TaskComparison]) -> tuple[TaskComparison, ...]:
    """Return the tasks with Holm's p-values."""
    adjusted = iter(adjust_holm([task.p for task in tasks if task.p is not None]))
    return tuple(task if task.p is None else dataclasses.replace(task, p=next(adjusted)) for task in tasks)


def _describe_unpaired(names: tuple[str, str], first: Side, second: Side) -> Iterable[str]:
    """Say which cells only one side has, a line for each task."""
    for name, own, others in ((names[0], first, second), (names[1], second, first)):
        for key in sorted(own):
            if seeds := sorted(own[key].keys() - others.get(key, {}).keys()):
                yield f"only in {name}: {describe(*key)} seeds={','.join(map(str, seeds))}"


def describe(group: Group, detector: str = "") -> str:
    """Name a task, and the detector where it is one of several, on one line."""
    task = f"{group.dataset} n={group.n} noise={group.noise} rate={group.rate:g} profile={group.profile}"
    return f"{detector} on {task}" if detector else task


def _judge(difference: float | None, p: float | None) -> Verdict | None:
    if difference is None or p is None:
        return None
    if p >= LEVEL:
        return Verdict.TIE
    return Verdict.BETTER if difference > 0 else Verdict.WORSE
