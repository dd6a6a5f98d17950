"""Plain tables on stdout that keep every name whole when they are piped."""

from __future__ import annotations

import sys
from collections.abc import Sequence

PIPE_WIDTH = 1000
NAME_WIDTH = 16
"""Columns that the names in front keep where a terminal is narrow."""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of any text; on a terminal it folds to the width, in a pipe it is as wide as it must be."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ecgbench.cli.printable import to_printable

    head, rows = [*map(to_printable, head)], [[*map(to_printable, row)] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(head):
        widest = max(len(text) for text in (name, *(row[at] for row in rows)))
        table.add_column(name, overflow="fold", min_width=min(widest, NAME_WIDTH) if at == 0 else None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: names from outside are no markup
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
