"""The table a run prints: the board's numbers with exact seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ecgbench.leaderboard.board import Row, Table, build_tables
from ecgbench.leaderboard.markdown import ABSENT, SANITY_MARK
from ecgbench.results import CellRecord

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text


def render_table(records: Iterable[CellRecord]) -> Group:
    """Render the records of a run for `rich`, one table a task with the findings below it.

    Seconds are exact means, artifacts included.
    """
    from rich.console import Group

    parts: list[RichTable | Text] = []
    for table in build_tables(records):
        parts += [_render_task(table), *_findings(table)]
    return Group(*parts)


def _findings(table: Table) -> list[Text]:
    """Return what the detectors found, in words."""
    from rich.text import Text

    return [
        Text(f"{row.name} (seed {record.seed}): {finding}")
        for row in table.rows
        for record in row.records
        for finding in record.findings
    ]


def _render_task(table: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    # Text everywhere, since a name may hold what rich would read as markup.
    result = RichTable(title=Text(_title(table)), title_justify="left", box=box.SIMPLE_HEAD)
    result.padding = (0, 1, 0, 0)  # One seed's numbers fit 80 columns.
    result.add_column("detector", overflow="fold")
    for heading in (*(column.heading for column in table.columns), "seconds"):
        result.add_column(Text(heading), justify="right")
    result.add_column("status", overflow="fold")
    for row in table.rows:
        numbers = [str(row.estimate(column) or ABSENT) for column in table.columns]
        cells = [_name(row), *numbers, _seconds(row), row.status]
        style = "dim" if row.is_sanity else None if row.is_complete else "red"
        result.add_row(*map(Text, cells), style=style)
    if any(row.is_sanity for row in table.rows):
        result.caption = f"{SANITY_MARK} the harness's own rows, not detectors"
        result.caption_justify = "left"
    return result


def _title(table: Table) -> str:
    group = table.group
    seeds = ",".join(map(str, table.seeds))
    return f"{group.dataset} n={group.n} noise={group.noise} rate={group.rate:g} profile={group.profile} seeds={seeds}"


def _name(row: Row) -> str:
    return f"{row.name} {SANITY_MARK}" if row.is_sanity else row.name


def _seconds(row: Row) -> str:
    return ABSENT if row.seconds is None else f"{row.seconds:.2f}"
