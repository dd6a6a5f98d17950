"""`ecgbench leaderboard`: render the board from the committed records, or check that it is fresh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Option("--out", help="Folder of results/*.jsonl and LEADERBOARD.md.")]
Check = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where the board or its site is stale.")]
Html = Annotated[bool, typer.Option("--html", help="Also write site/index.html: one file, no network.")]
Plots = Annotated[bool, typer.Option("--plots", help="Also write plots/*.png and *.svg (needs the extra `plots`).")]


def leaderboard(
    out: Folder = Path("leaderboard"), check: Check = False, html: Html = False, plots: Plots = False
) -> None:
    """Write LEADERBOARD.md from results/*.jsonl alone, and more views of them, or check it."""
    from ecgbench.errors import UsageError

    if not (out / "results").is_dir():
        raise UsageError(f"{out / 'results'} does not exist; run `ecgbench run --out {out}` first or give --out")
    if check:
        _check(out)
        return
    for path in _write(out, html=html, plots=plots):
        typer.echo(str(path))


def _write(out: Path, *, html: bool, plots: bool) -> list[Path]:
    from ecgbench.leaderboard import write_board

    paths = [write_board(out)]
    if html:
        from ecgbench.leaderboard.site import write_site

        paths.append(write_site(out))
    if plots:
        from ecgbench.leaderboard.plots import write_plots

        paths += write_plots(out)
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
