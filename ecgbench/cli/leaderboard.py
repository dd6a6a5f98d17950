"""`ecgbench leaderboard`: render the committed records, check that the board is fresh, take in others' records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecgbench.leaderboard.merge import Merged

app = typer.Typer(
    help="Write LEADERBOARD.md from results/*.jsonl alone, or check it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Option("--out", help="Folder of results/*.jsonl and LEADERBOARD.md.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where the board is stale.")]
Form = Annotated[
    str | None,
    typer.Option("--format", help="Write results.json, results.csv or results.parquet instead: json, csv or parquet."),
]
Files = Annotated[list[Path], typer.Argument(help="Files of records (*.jsonl) that were made elsewhere.")]
Board = Annotated[
    Path | None, typer.Option("--out", help="Folder of results/*.jsonl and LEADERBOARD.md. [default: leaderboard]")
]


@app.callback()
def leaderboard(
    context: typer.Context, out: Folder = Path("leaderboard"), check: Check = False, format: Form = None
) -> None:
    """Write LEADERBOARD.md from results/*.jsonl alone, or check it."""
    from ecgbench.errors import UsageError
    from ecgbench.leaderboard import check_board, write_board

    if context.invoked_subcommand is not None:
        return
    if not (out / "results").is_dir():
        raise UsageError(f"{out / 'results'} does not exist; run `ecgbench run --out {out}` first or give --out")
    if check and format is not None:
        raise UsageError("--check is about LEADERBOARD.md; leave out --format")
    if format is not None:
        typer.echo(str(_write(out, format)))
    elif not check:
        typer.echo(str(write_board(out)))
    elif not check_board(out):
        typer.echo(f"error: {out / 'LEADERBOARD.md'} is stale; run `ecgbench leaderboard --out {out}`", err=True)
        raise typer.Exit(1)


@app.command("merge")
def merge(context: typer.Context, files: Files, out: Board = None) -> None:
    """Add records that were made elsewhere, marked as self-reported, and write the board.

    Every line is checked first. Of two records of one cell the later counts, but an own one always stays.
    """
    from ecgbench.leaderboard import write_board
    from ecgbench.leaderboard.merge import merge_files

    folder: Path = out or (context.parent.params["out"] if context.parent else Path("leaderboard"))
    for merged in merge_files(files, folder):
        typer.echo(_describe(merged))
    typer.echo(str(write_board(folder)))


def _write(folder: Path, name: str) -> Path:
    from ecgbench.errors import UnknownNameError
    from ecgbench.leaderboard.formats import Format, write_results

    if name not in list(Format):
        raise UnknownNameError("--format", name, list(Format))
    return write_results(folder, Format(name))


def _describe(merged: Merged) -> str:
    """Say what came in from a file and what did not."""
    from ecgbench.leaderboard.merge import Fate

    return f"{merged.path}: " + ", ".join(f"{merged.counts[fate]} {fate}" for fate in Fate if merged.counts.get(fate))
