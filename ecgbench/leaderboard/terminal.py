"""The table a run prints: the board's numbers with exact seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ecgbench.leaderboard.board import Row, Table, build_tables
from ecgbench.leaderboard.expected import render_mark
from ecgbench.leaderboard.markdown import SANITY_MARK
from ecgbench.leaderboard.notes import describe_surprises
from ecgbench.leaderboard.text import ABSENT, one_line
from ecgbench.results import CellRecord

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table as RichTable

_NAME_WIDTH = 11
"""Columns that a name keeps where a terminal is too narrow for the numbers of several seeds."""


def render_table(records: Iterable[CellRecord]) -> Group:
    """Render the records of a run for `rich`, one table a task with what was found below it.

    Seconds are exact means, artifacts included.
    """
    from rich.console import Group

    return Group(*(part for table in build_tables(records) for part in (_render_task(table), _render_surprises(table))))


def _render_surprises(table: Table) -> RichTable:
    """Render who ranks against the truth and what the detectors found, one indented paragraph each."""
    from rich.table import Table as RichTable
    from rich.text import Text

    result = RichTable.grid(padding=(0, 1, 0, 0))
    for line in describe_surprises(table):
        result.add_row("-", Text(one_line(line)))
    return result


def _render_task(table: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    # Text of one line everywhere, since a name may hold what rich would read as markup, or a terminal as a command.
    result = RichTable(title=Text(one_line(_title(table))), title_justify="left", box=box.SIMPLE_HEAD)
    result.padding = (0, 1, 0, 0)  # One seed's numbers fit 80 columns.
    result.add_column("detector", overflow="fold", min_width=_NAME_WIDTH)
    for heading in (*(column.heading for column in table.columns), "seconds"):
        result.add_column(Text(one_line(heading)), justify="right")
    result.add_column("status", overflow="fold")
    for row in table.rows:
        numbers = [str(row.estimate(column) or ABSENT) + render_mark(row, column) for column in table.columns]
        cells = [_name(row), *numbers, _seconds(row), row.status]
        style = "dim" if row.is_sanity else None if row.is_complete else "red"
        result.add_row(*(Text(one_line(cell)) for cell in cells), style=style)
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
