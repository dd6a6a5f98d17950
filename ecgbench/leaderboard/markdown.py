"""LEADERBOARD.md: the same records give the same bytes, in whatever order they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ecgbench.downstream_results import DOWNSTREAM_FOLDER, read_downstream_folder
from ecgbench.leaderboard.board import AUROC, Estimate, Group, Row, Table, build_tables
from ecgbench.leaderboard.cost import render_costs
from ecgbench.leaderboard.downstream import render_downstream
from ecgbench.leaderboard.expected import render_mark
from ecgbench.leaderboard.notes import render_notes
from ecgbench.leaderboard.summary import Standing, Summary, build_summaries
from ecgbench.leaderboard.text import ABSENT, escape, render_pipe_table, render_seconds
from ecgbench.results import CellRecord, read_results_folder
from ecgbench.whole_files import write_whole

BOARD_FILE = "LEADERBOARD.md"
RESULTS_FOLDER = "results"
SANITY_MARK = "†"
REPORTED_MARK = "‡"
TIE_MARK = "≈"
INTERVAL = "95 % interval"

_HEAD = f"""# Leaderboard

Made by `ecgbench leaderboard` from the records in `results/`; edits are overwritten.

How to read it:

- A detector ranks all items by how likely their given label is wrong. AUROC: 1 is perfect, 0.5 is chance, below 0.5
  is worse than chance. AUPRC: average precision. P@k %: the share of wrong labels among the k % most suspicious
  items. R@k %: the share of all wrong labels found there.
- Numbers are means ± sample standard deviations over seeds. A detector with a missing or failed cell has no mean
  ({ABSENT}): its status says how many cells are not ok. The notes under a table say why, and what else to know.
- The 95 % interval of AUROC is a bootstrap over items and seeds. {TIE_MARK} marks a tie with the table's best detector:
  the difference is not significant at 5 %, in a test paired by items and seeds, with Holm's correction for all pairs
  of the table. Both are shown where the records hold resamples.
- Worst case: the smallest mean over noise models; one that takes no rate, as that of single raters, is a case of every
  rate. Average rank: the mean of a detector's ranks by noise model, 1 is best, ties share their ranks; detectors with
  a missing mean have neither.
- *Rows in italics with †* are the harness's own: they use what no detector may see (the truth, the noise model's
  markers) or nothing at all, and show what the numbers of a table can mean.
- Seconds are the order of magnitude of a cell's time with everything it needs, computed once and shared or not.
  The records hold the exact times.
"""


_REPORTED = f"""- Rows with {REPORTED_MARK} are self-reported, all or in part: their records were made elsewhere and
  came in by `ecgbench leaderboard merge`. Nobody here has run them again.
"""


def write_board(folder: Path) -> Path:
    """Write `folder`/LEADERBOARD.md from `folder`/results/*.jsonl, whole or not at all; return its path."""
    return write_whole(folder / BOARD_FILE, _render_folder(folder))


def check_board(folder: Path) -> bool:
    """Say whether `folder`/LEADERBOARD.md is, byte for byte, what its records give."""
    path = folder / BOARD_FILE
    return path.is_file() and path.read_bytes() == _render_folder(folder)


def render_board(records: Iterable[CellRecord]) -> str:
    """Render a whole board as Markdown."""
    tables = build_tables(records)
    if not tables:
        return f"{_HEAD}\nThere are no records yet.\n"
    titles = _titles(tables)
    parts = [
        _HEAD + (_REPORTED if any(row.is_reported for table in tables for row in table.rows) else ""),
        *_render_summaries(tables, titles),
        *(_render_table(table, titles[table.group]) for table in tables),
        *render_costs(tables, titles),
    ]
    return "\n".join(parts)


def _render_folder(folder: Path) -> bytes:
    downstream = render_downstream(read_downstream_folder(folder / DOWNSTREAM_FOLDER))
    return (render_board(read_results_folder(folder / RESULTS_FOLDER)) + downstream).encode("utf-8")


def _titles(tables: list[Table]) -> dict[Group, str]:
    """Return each group's title without its noise; two datasets of one name and size get their digests."""
    sizes = {(group.dataset, group.n, group.data_key) for group in (table.group for table in tables)}
    same = Counter((dataset, n) for dataset, n, _ in sizes)
    return {table.group: _title(table.group, same[table.group.dataset, table.group.n] > 1) for table in tables}


def _title(group: Group, with_data_key: bool) -> str:
    data = f" (data {escape(group.data_key[:8])})" if with_data_key else ""
    return f"{escape(group.dataset)}{data}, n = {group.n}, profile {escape(group.profile)}, rate {group.rate:g}"


def _render_summaries(tables: list[Table], titles: dict[Group, str]) -> list[str]:
    """Render AUROC by detector and noise, a table for each dataset, size, profile and rate."""
    parts = [_render_summary(summary, titles[summary.tables[0].group]) for summary in build_summaries(tables)]
    return ["## AUROC over noise models\n", *parts] if parts else []


def _render_summary(summary: Summary, title: str) -> str:
    heading = ["detector", *(escape(table.group.noise) for table in summary.tables), "worst case", "average rank"]
    cells = [
        [_name_cell(one), *map(_number, one.estimates), _number(one.worst), _render_rank(one.rank)]
        for one in summary.standings
    ]
    return "\n".join([f"### {title}\n", *render_pipe_table(heading, cells), ""])


def _render_rank(rank: float | None) -> str:
    return ABSENT if rank is None else f"{rank:.2f}"


def _render_table(table: Table, title: str) -> str:
    seeds = f"Seed{'s' if len(table.seeds) > 1 else ''} (n = {len(table.seeds)}): {', '.join(map(str, table.seeds))}"
    heading = f"## {title}, noise {escape(table.group.noise)}\n\n{seeds}\n"
    columns = [escape(column.heading) for column in table.columns]
    names = ["detector", *_with_interval(columns, INTERVAL, table), "seconds", "status"]
    lines = render_pipe_table(names, [_cells(row, table) for row in table.rows])
    notes = [f"- {note}" for note in render_notes(table)]
    return "\n".join([heading, *lines, *(["", "Notes:", "", *notes] if notes else []), ""])


def _cells(row: Row, table: Table) -> list[str]:
    tied = {AUROC: f" {TIE_MARK}"} if row.name in table.tied else {}
    numbers = [
        _number(row.estimate(column)) + tied.get(column, "") + render_mark(row, column) for column in table.columns
    ]
    interval = str(row.interval or ABSENT)
    return [_name_cell(row), *_with_interval(numbers, interval, table), render_seconds(row.seconds), row.status]


def _with_interval(cells: list[str], own: str, table: Table) -> list[str]:
    """Return the cells with one more behind AUROC, the first, where any row has an interval."""
    return [cells[0], own, *cells[1:]] if any(row.interval for row in table.rows) else cells


def _number(value: Estimate | float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _name_cell(row: Row | Standing) -> str:
    name = f"*{escape(row.name)}* {SANITY_MARK}" if row.is_sanity else escape(row.name)
    return f"{name} {REPORTED_MARK}" if row.is_reported else name
