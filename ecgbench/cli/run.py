"""`ecgbench run`: compute a grid and write its records and its board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.cli import options as opt
from ecgbench.cli.run_arguments import RunArguments, takes_run_arguments

if TYPE_CHECKING:
    from ecgbench.downstream_results import DownstreamRecord
    from ecgbench.grid.downstream.run import DownstreamCheck
    from ecgbench.results import CellRecord

DownstreamFlag = Annotated[
    bool,
    typer.Option(
        "--downstream", help="Then clean each task as each detector says, train again, and measure what it brought."
    ),
]
DownstreamTop = Annotated[
    str | None,
    typer.Option(
        "--downstream-top", help="Shares that are cleaned, comma-separated, such as 1%,5%; --downstream. [default: 5%]"
    ),
]
DownstreamSeeds = Annotated[
    str | None,
    typer.Option("--downstream-seeds", help="Seeds of the trainings, comma-separated; --downstream. [default: 0,1,2]"),
]


@takes_run_arguments
def run(
    arguments: RunArguments,
    *,
    downstream: DownstreamFlag = False,
    downstream_top: DownstreamTop = None,
    downstream_seeds: DownstreamSeeds = None,
) -> None:
    """Run every detector on every noise of a grid; print a table, write records and a leaderboard.

    Cells that have a record are not computed again: the same command resumes a run that was stopped.
    """
    from ecgbench.api import run_suite
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.cli.stdout import plugins_print_to_stderr
    from ecgbench.grid.runner import RunOptions
    from ecgbench.leaderboard import write_board

    rerun, execution = arguments.read_rerun(), arguments.read_execution()
    check = _read_downstream(downstream, downstream_top, downstream_seeds, quiet=arguments.quiet)
    plugins = arguments.load_plugins()
    built = arguments.grid.build(plugins)
    store = opt.open_cache(arguments.cache)
    out, as_json = arguments.out, arguments.json
    with make_reporter(quiet=arguments.quiet) as reporter, plugins_print_to_stderr():
        options = RunOptions(rerun, arguments.fail_fast, reporter, execution)
        records, cleaned = run_suite(
            built, plugins, cache=store, out=out, options=options, offline=arguments.offline, downstream=check
        )
    _print(records, as_json=as_json)  # before the board, which another results file can spoil
    _print_downstream(cleaned, as_json=as_json)
    board = write_board(out)
    if not as_json:
        typer.echo(f"board: {board}", err=True)
    if any(status != "ok" for status in [*(one.status for one in records), *(one.status for one in cleaned)]):
        raise typer.Exit(1)


def _read_downstream(wanted: bool, top: str | None, seeds: str | None, *, quiet: bool) -> DownstreamCheck | None:
    """Return the downstream check that was asked for, by the flag or by its settings; raises UsageError."""
    if not wanted and top is None and seeds is None:
        return None
    from ecgbench.cleaning.guards import parse_share
    from ecgbench.grid.downstream.plan import DEFAULT_SEEDS, DEFAULT_SHARES, Downstream
    from ecgbench.grid.downstream.run import DownstreamCheck
    from ecgbench.grid.selection import split_list

    shares = DEFAULT_SHARES if top is None else tuple(parse_share(text) for text in split_list(top))
    chosen = (
        DEFAULT_SEEDS if seeds is None else tuple(opt.read_whole(s, "--downstream-seeds") for s in split_list(seeds))
    )
    return DownstreamCheck(Downstream(shares, chosen), lambda said: None if quiet else typer.echo(said, err=True))


def _print_downstream(records: list[DownstreamRecord], *, as_json: bool) -> None:
    """Print the downstream records of a run, on stderr what failed."""
    from ecgbench.cli.tables import print_table
    from ecgbench.leaderboard.downstream import HEADING, build_downstream_tables, render_cells

    for table in [] if as_json else build_downstream_tables(records):
        typer.echo(f"\ndownstream: {table.title}")
        print_table(HEADING, [render_cells(row) for row in table.rows])
    for record in records:
        if record.status != "ok":
            typer.echo(f"downstream, {record.action} by {record.cleaner}: {record.reason}", err=True)


def _print(records: list[CellRecord], *, as_json: bool) -> None:
    if as_json:
        lines = ",\n".join(record.to_json_line().strip() for record in records)
        # Half a character, as in a name of a file, is an escape as in the records.
        typer.echo(f"[{lines}]".encode("utf-8", "backslashreplace").decode())
        return
    from rich.console import Console

    from ecgbench.cli.printable import to_printable
    from ecgbench.leaderboard.terminal import render_table

    Console().print(render_table(records))
    for record in records:
        if record.status != "ok":
            where = f"{record.detector} on {record.noise} rate {record.rate:g} seed {record.seed}"
            typer.echo(to_printable(f"{where}: {record.reason}"))
    if any(record.status != "ok" for record in records):
        typer.echo("Once the cause is mended, `--rerun failed` computes these cells again.", err=True)
