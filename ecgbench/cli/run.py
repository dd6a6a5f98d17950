"""`ecgbench run`: compute a grid and write its records and its board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ecgbench.cli import options as opt
from ecgbench.cli.run_arguments import RunArguments, takes_run_arguments

if TYPE_CHECKING:
    from ecgbench.results import CellRecord


@takes_run_arguments
def run(arguments: RunArguments) -> None:
    """Run every detector on every noise of a grid; print a table, write records and a leaderboard.

    Cells that have a record are not computed again: the same command resumes a run that was stopped.
    """
    from ecgbench.api import run_suite
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.cli.stdout import plugins_print_to_stderr
    from ecgbench.grid.runner import RunOptions
    from ecgbench.leaderboard import write_board

    rerun, execution = arguments.read_rerun(), arguments.read_execution()
    plugins = arguments.load_plugins()
    built = arguments.grid.build(plugins)
    store = opt.open_cache(arguments.cache)
    out, as_json = arguments.out, arguments.json
    with make_reporter(quiet=arguments.quiet) as reporter, plugins_print_to_stderr():
        options = RunOptions(rerun, arguments.fail_fast, reporter, execution)
        records = run_suite(built, plugins, cache=store, out=out, options=options, offline=arguments.offline)
    _print(records, as_json=as_json)  # before the board, which another results file can spoil
    board = write_board(out)
    if not as_json:
        typer.echo(f"board: {board}", err=True)
    if any(record.status != "ok" for record in records):
        raise typer.Exit(1)


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
