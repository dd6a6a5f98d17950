"""`ecgbench leaderboard`: render the board from the committed records, check that it is fresh, or merge records in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecgbench.leaderboard.merge import Merged

app = typer.Typer(
    help="Write LEADERBOARD.md, and more views, from results/*.jsonl alone, or check them.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Option("--out", help="Folder of results/*.jsonl and LEADERBOARD.md.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where the board or its site is stale.")]
Html = Annotated[bool, typer.Option("--html", help="Also write site/index.html: one file, no network.")]
Plots = Annotated[bool, typer.Option("--plots", help="Also write plots/*.png and *.svg (needs the extra `plots`).")]
Form = Annotated[
    str | None,
    typer.Option("--format", help="Also write results.json, results.csv or results.parquet: json, csv or parquet."),
]
Files = Annotated[list[Path], typer.Argument(help="Files of records (*.jsonl) that were made elsewhere.")]
Board = Annotated[
    Path | None, typer.Option("--out", help="Folder of results/*.jsonl and LEADERBOARD.md. [default: leaderboard]")
]


@app.callback()
def leaderboard(
    context: typer.Context,
    out: Folder = Path("leaderboard"),
    check: Check = False,
    html: Html = False,
    plots: Plots = False,
    format: Form = None,
) -> None:
    """Write LEADERBOARD.md from results/*.jsonl alone, and more views of them, or check it."""
    from ecgbench.errors import UsageError

    if context.invoked_subcommand is not None:
        if check or html or plots or format is not None:
            raise UsageError("merge writes LEADERBOARD.md alone; leave out --check, --html, --plots and --format")
        return
    if not (out / "results").is_dir():
        raise UsageError(f"{out / 'results'} does not exist; run `ecgbench run --out {out}` first or give --out")
    if check and (html or plots or format is not None):
        raise UsageError("--check writes nothing; leave out --html, --plots and --format")
    if check:
        _check(out)
        return
    for path in _write(out, html=html, plots=plots, form=format):
        typer.echo(str(path))


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


def _write(out: Path, *, html: bool, plots: bool, form: str | None) -> list[Path]:
    from ecgbench.errors import UnknownNameError
    from ecgbench.leaderboard import write_board
    from ecgbench.leaderboard.formats import Format, write_results

    if form is not None and form not in list(Format):
        raise UnknownNameError("--format", form, list(Format))
    paths = [write_board(out)]
    if html:
        from ecgbench.leaderboard.site import write_site

        paths.append(write_site(out))
    if plots:
        from ecgbench.leaderboard.plots import write_plots

        paths += write_plots(out)
    if form is not None:
        paths.append(write_results(out, Format(form)))
    return paths


def _check(out: Path) -> None:
    from ecgbench.leaderboard import check_board
    from ecgbench.leaderboard.site import SITE_FILE, check_site

    if not check_board(out):
        _fail(f"{out / 'LEADERBOARD.md'} is stale; run `ecgbench leaderboard --out {out}`")
    if not check_site(out):
        _fail(f"{out / SITE_FILE} is stale; run `ecgbench leaderboard --html --out {out}`")


def _fail(reason: str) -> None:
    typer.echo(f"error: {reason}", err=True)
    raise typer.Exit(1)


def _describe(merged: Merged) -> str:
    """Say what came in from a file and what did not."""
    from ecgbench.leaderboard.merge import Fate

    return f"{merged.path}: " + ", ".join(f"{merged.counts[fate]} {fate}" for fate in Fate if merged.counts.get(fate))
