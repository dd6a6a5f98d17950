"""The downstream section of a board: what cleaning by each ranking brought, from downstream records alone."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ecgbench.downstream_results import NOTHING, DownstreamRecord, latest_downstream
from ecgbench.leaderboard.board import MISSING, descending, render_name
from ecgbench.leaderboard.text import escape, render_pipe_table
from ecgbench.results import Status

ABSENT = "\N{EN DASH}"
CONTROL_MARK = "†"
PANELS = ("untouched", "stripped", "swapped")
HEADING = ("cleaned by", "action", "top", "changed", "wrong among them", "repaired", *PANELS, "status")

_HEAD = """## What cleaning brings

The classifier of the profile, trained again after the top k % of each ranking were removed, or relabelled as the
language model proposes where no guard held them back, and measured on items of the dataset that the task does not
hold: accuracy, mean ± sample standard deviation over all seeds and trainings. Rows in italics with † are controls:
nothing changed, as many items drawn at random, the wrong labels alone by the truth.

- untouched: validation texts as the dataset gives them; stripped: without the noise model's markers; swapped: each
  with the marker of another class than its true one, which a classifier that learned the shortcut follows.
- changed, wrong among them, repaired: means over seeds of how many items were removed or relabelled, of how many of
  these the given label was wrong, and of how many it is right now.
"""
_ACTIONS = (NOTHING, "remove", "relabel")


class _Group(NamedTuple):
    dataset: str
    n: int
    profile: str
    data_key: str
    rate: float
    noise: str
    validation_key: str
    training_seeds: tuple[int, ...]


@dataclass(frozen=True)
class DownstreamRow:
    """One way of cleaning in one group: its records by seed, and the seeds that others of the group have.

    Of a control the harness itself chose the items.
    """

    name: str
    is_control: bool
    action: str
    share: float
    records: tuple[DownstreamRecord, ...]
    seeds: tuple[int, ...]

    @property
    def status(self) -> str:
        """Render "ok", or what went wrong how often: "failed (1 of 3)"."""
        counts = Counter(record.status.value for record in self.records if record.status is not Status.OK)
        if n_missing := len(self.seeds) - len(self.records):
            counts[MISSING] = n_missing
        return ", ".join(f"{name} ({counts[name]} of {len(self.seeds)})" for name in sorted(counts)) or "ok"

    def accuracies(self, panel: str) -> list[float]:
        """Return the accuracy of each training on a panel; none where a record is missing, failed or without it."""
        if self.status != "ok" or any(panel not in record.accuracy for record in self.records):
            return []
        return [value for record in self.records for value in record.accuracy[panel]]


@dataclass(frozen=True)
class DownstreamTable:
    """The ways of cleaning one task, over its seeds: controls first, then the best on untouched data."""

    title: str
    rows: tuple[DownstreamRow, ...]


def build_downstream_tables(records: Iterable[DownstreamRecord]) -> list[DownstreamTable]:
    """Aggregate the latest records; their order does not matter."""
    groups: dict[_Group, list[DownstreamRecord]] = {}
    for record in latest_downstream(records):
        groups.setdefault(_group(record), []).append(record)
    return [_build_table(group, groups[group]) for group in sorted(groups)]


def render_downstream(records: Iterable[DownstreamRecord]) -> str:
    """Render the section as Markdown; nothing where there are no records."""
    tables = build_downstream_tables(records)
    if not tables:
        return ""
    return "\n".join(["", _HEAD, *(_render_table(table) for table in tables)])


def render_cells(row: DownstreamRow) -> list[str]:
    """Return a row's cells, as HEADING names them, in plain text."""
    is_none = row.action == NOTHING
    counts = [ABSENT] * 3 if is_none else [_mean(values) for values in _counts(row)]
    return [
        f"{row.name} {CONTROL_MARK}" if row.is_control else row.name,
        ABSENT if is_none else row.action,
        ABSENT if is_none else f"{100 * row.share:g}%",
        *counts,
        *(_estimate(row.accuracies(panel)) for panel in PANELS),
        row.status,
    ]


def _counts(row: DownstreamRow) -> tuple[list[int], list[int], list[int]]:
    hits = [n for record in row.records for n in record.n_hits]
    repaired = [n for record in row.records for n in record.n_repaired] if row.action == "relabel" else []
    return [record.n_changed for record in row.records], hits, repaired


def _render_table(table: DownstreamTable) -> str:
    lines = [[_name_cell(row), *render_cells(row)[1:]] for row in table.rows]
    return "\n".join([f"### {escape(table.title)}\n", *render_pipe_table(HEADING, lines, n_left=2), ""])


def _name_cell(row: DownstreamRow) -> str:
    return f"*{escape(row.name)}* {CONTROL_MARK}" if row.is_control else escape(row.name)


def _build_table(group: _Group, records: Sequence[DownstreamRecord]) -> DownstreamTable:
    seeds = tuple(sorted({record.seed for record in records}))
    by_row: dict[tuple[str, bool, str, float], list[DownstreamRecord]] = {}
    for record in records:
        name = render_name(record.cleaner, record.cleaner_params)
        by_row.setdefault((name, record.control, record.action, record.share), []).append(record)
    rows = [DownstreamRow(*key, tuple(sorted(own, key=lambda r: r.seed)), seeds) for key, own in by_row.items()]
    return DownstreamTable(_title(group, records), tuple(sorted(rows, key=_rank)))


def _rank(row: DownstreamRow) -> tuple[float, int, bool, tuple[bool, float], str]:
    values = row.accuracies(PANELS[0])
    mean = statistics.fmean(values) if values else None
    return (row.share, _ACTIONS.index(row.action), not row.is_control, descending(mean), row.name)


def _title(group: _Group, records: Sequence[DownstreamRecord]) -> str:
    sizes = sorted({record.n_validation for record in records})
    seeds = ", ".join(map(str, group.training_seeds))
    return (
        f"{group.dataset}, n = {group.n}, profile {group.profile}, rate {group.rate:g}, noise {group.noise}; "
        f"{sizes[0]} validation items, training seeds {seeds}"
    )


def _group(record: DownstreamRecord) -> _Group:
    noise = render_name(record.noise, record.noise_params)
    head = (record.dataset, record.n, record.profile, record.data_key, record.rate, noise)
    return _Group(*head, record.validation_key, tuple(record.training_seeds))


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.1f}".removesuffix(".0") if values else ABSENT


def _estimate(values: Sequence[float]) -> str:
    if not values:
        return ABSENT
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean
