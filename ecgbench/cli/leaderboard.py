"""`ecgbench leaderboard`: render the board from the committed records, or check that it is fresh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Option("--out", help="Folder of results/*.jsonl and LEADERBOARD.md.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where the board is stale.")]


def leaderboard(out: Folder = Path("leaderboard"), check: Check = False) -> None:
    """Write LEADERBOARD.md from results/*.jsonl alone, or check it."""
    from ecgbench.errors import UsageError
    from ecgbench.leaderboard import check_board, write_board

    if not (out / "results").is_dir():
        raise UsageError(f"{out / 'results'} does not exist; run `ecgbench run --out {out}` first or give --out")
    if not check:
        typer.echo(str(write_board(out)))
    elif not check_board(out):
        typer.echo(f"error: {out / 'LEADERBOARD.md'} is stale; run `ecgbench leaderboard --out {out}`", err=True)
        raise typer.Exit(1)
