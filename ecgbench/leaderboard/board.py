"""Aggregate records into tables: one a task without its seed, one row a detector, means over seeds."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ecgbench.data import FloatArray
from ecgbench.grid.selection import Selection
from ecgbench.results import CellRecord, Status, latest
from ecgbench.stats import LEVEL, Difference, Interval, adjust_holm, bootstrap_interval, compare_paired, summarize
from ecgbench.stats import Estimate as Estimate

MISSING = "missing"


class Column(NamedTuple):
    """A column of a board: its heading, the metric it shows and, for one by cut-off, the cut-off."""

    heading: str
    metric: str
    cutoff: str | None = None


AUROC = Column("AUROC", "auroc")
COLUMNS = (
    AUROC,
    Column("AUPRC", "auprc"),
    Column("P@1 %", "precision_at_k", "1%"),
    Column("P@5 %", "precision_at_k", "5%"),
    Column("P@10 %", "precision_at_k", "10%"),
    Column("R@5 %", "recall_at_k", "5%"),
)
# Recorded beside the columns above and left out of a board that must fit a page.
_RECORDED_ONLY = frozenset({"tnr_at_95", "f1_at_k", "lift_at_k"})


class Group(NamedTuple):
    """What one table is about, in the order in which tables are sorted."""

    dataset: str
    n: int
    profile: str
    data_key: str
    rate: float
    noise: str


@dataclass(frozen=True)
class Row:
    """One detector with its parameters in one group; `records` are its latest, in order of seed."""

    name: str
    seeds: tuple[int, ...]
    records: tuple[CellRecord, ...]

    @property
    def is_sanity(self) -> bool:
        """Say whether the harness itself made the row."""
        return any(record.sanity for record in self.records)

    @property
    def is_reported(self) -> bool:
        """Say whether any of its records was run elsewhere."""
        return any(record.origin is not None for record in self.records)

    @cached_property
    def missing_seeds(self) -> tuple[int, ...]:
        """Return the seeds that other rows of the table have and this one has not."""
        found = {record.seed for record in self.records}
        return tuple(seed for seed in self.seeds if seed not in found)

    @cached_property
    def is_complete(self) -> bool:
        """Say whether every seed has a record and all of them are ok."""
        return not self.missing_seeds and all(record.status is Status.OK for record in self.records)

    @property
    def status(self) -> str:
        """Render "ok", or what went wrong how often: "failed (1 of 3)"."""
        counts = Counter(record.status.value for record in self.records if record.status is not Status.OK)
        if self.missing_seeds:
            counts[MISSING] = len(self.missing_seeds)
        return ", ".join(f"{name} ({counts[name]} of {len(self.seeds)})" for name in sorted(counts)) or "ok"

    def estimate(self, column: Column) -> Estimate | None:
        """Return mean and deviation over all seeds; None where a cell is missing, not ok or undefined."""
        return summarize([_value(record, column) for record in self.records]) if self.is_complete else None

    @cached_property
    def replicates(self) -> FloatArray | None:
        """Return AUROC under resamples of the items, shape (seeds, resamples); None where a seed's are not known."""
        found = [(record.replicates or {}).get(AUROC.metric, ()) for record in self.records]
        if self.estimate(AUROC) is None or len({len(own) for own in found}) > 1 or not found[0]:
            return None
        return np.array(found, dtype=np.float64)

    @cached_property
    def interval(self) -> Interval | None:
        """Return the 95 % interval of the mean AUROC over items and seeds; None where it is not known."""
        return None if self.replicates is None else bootstrap_interval(self.replicates)

    @property
    def seconds(self) -> float | None:
        """Return the mean seconds a cell took, its artifacts included; None where one is not ok."""
        if not self.is_complete:
            return None
        return statistics.fmean(record.seconds + record.artifact_seconds for record in self.records)

    @property
    def rankings(self) -> tuple[str | None, ...] | None:
        """Return the digests of the rankings by seed; None where one is not known."""
        digests = tuple(record.ranking for record in self.records)
        return None if not self.is_complete or None in digests else digests


@dataclass(frozen=True)
class Table:
    """The rows of one group, best AUROC first, then by name; rows without one come last."""

    group: Group
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Return the usual columns and one for each further metric that is a single number."""
        known = {column.metric for column in COLUMNS} | _RECORDED_ONLY
        metrics = [item for row in self.rows for record in row.records for item in record.metrics.items()]
        others = {name for name, value in metrics if isinstance(value, (int, float)) and name not in known}
        return (*COLUMNS, *(Column(name, name) for name in sorted(others)))

    @cached_property
    def tied(self) -> frozenset[str]:
        """Return the rows whose AUROC is not significantly below the best row's; sanity rows left out.

        The best row is found by looking at all, so every pair of rows counts in the correction.
        """
        rows = [row for row in self.rows if not row.is_sanity]
        pairs = [pair for pair in itertools.combinations(rows, 2) if can_compare(*pair)]
        p_values = adjust_holm([compare_rows(*pair).p for pair in pairs])
        found = zip(pairs, p_values, strict=True)
        return frozenset(other.name for (best, other), p in found if best is rows[0] and p >= LEVEL)


def build_tables(records: Iterable[CellRecord]) -> list[Table]:
    """Aggregate the latest record of each cell; the order of the records does not matter."""
    groups: dict[Group, list[CellRecord]] = {}
    for record in latest(records):
        groups.setdefault(group_of(record), []).append(record)
    unloaded = {group for group, own in groups.items() if _never_loaded(own)}
    # Once a dataset loads again, its cells have other keys than those that say why it did not.
    mended = {group._replace(n=n, data_key="") for group in groups.keys() - unloaded for n in (group.n, 0)}
    return [_build_table(group, groups[group]) for group in sorted(groups.keys() - (unloaded & mended))]


def can_compare(one: Row, other: Row) -> bool:
    """Say whether two rows of a table hold replicates of the same resamples of each seed."""
    a, b = one.replicates, other.replicates
    return a is not None and b is not None and a.shape == b.shape


def compare_rows(one: Row, other: Row) -> Difference:
    """Return the difference of two rows' mean AUROC, paired by seed; both hold replicates."""
    assert one.replicates is not None
    assert other.replicates is not None
    first, second = (np.array([_value(record, AUROC) for record in row.records]) for row in (one, other))
    return compare_paired(first, second, (one.replicates, other.replicates))


def render_name(name: str, params: Mapping[str, Any]) -> str:
    """Render a name with its parameters, as one types it, in order of name: "ecg[k=30,weights.nli=0.0]"."""
    return str(Selection(name, params))


def descending(value: float | None) -> tuple[bool, float]:
    """Return a sort key that puts the greatest value first and None last."""
    return (value is None, -(value or 0.0))


def _build_table(group: Group, records: list[CellRecord]) -> Table:
    # A seed that was only reported would be a missing cell in every own row.
    seeds = tuple(sorted({r.seed for r in records if r.origin is None} or {r.seed for r in records}))
    by_name: dict[str, list[CellRecord]] = {}
    for record in (r for r in records if r.seed in seeds):
        by_name.setdefault(render_name(record.detector, record.detector_params), []).append(record)
    rows = [Row(name, seeds, tuple(sorted(own, key=lambda r: r.seed))) for name, own in by_name.items()]
    return Table(group, seeds, tuple(sorted(rows, key=_rank)))


def _rank(row: Row) -> tuple[tuple[bool, float], str]:
    estimate = row.estimate(AUROC)
    return (descending(None if estimate is None else estimate.mean), row.name)


def group_of(record: CellRecord) -> Group:
    """Return what table a record belongs to."""
    noise = render_name(record.noise, record.noise_params)
    return Group(record.dataset, record.n, record.profile, record.data_key, record.rate, noise)


def _never_loaded(records: Iterable[CellRecord]) -> bool:
    return all(not record.data_key and record.n_classes is None and record.reason for record in records)


def _value(record: CellRecord, column: Column) -> float | None:
    value = record.metrics.get(column.metric)
    if isinstance(value, Mapping):
        value = value.get(column.cutoff or "")
    return value
