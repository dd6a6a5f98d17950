"""`ecgbench run`: compute a grid and write its records and its board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from ecgbench.results import CellRecord


def run(
    suite: opt.SuiteFile = None,
    profile: opt.ProfileName = None,
    dataset: opt.DatasetNames = None,
    n: opt.Size = None,
    noise: opt.NoiseNames = None,
    rate: opt.Rates = None,
    seeds: opt.Seeds = None,
    detectors: opt.DetectorNames = None,
    param: opt.Params = None,
    text_column: opt.TextColumn = None,
    label_column: opt.LabelColumn = None,
    true_label_column: opt.TrueLabelColumn = None,
    task: opt.TaskNoun = None,
    shots: opt.Shots = None,
    out: opt.OutFolder = Path("leaderboard"),
    cache: opt.CacheFolder = None,
    plugin: opt.PluginFiles = None,
    rerun: opt.RerunChoice = "missing",
    fail_fast: opt.FailFast = False,
    offline: opt.Offline = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Run every detector on every noise of a grid; print a table, write records and a leaderboard.

    Cells that have a record are not computed again: the same command resumes a run that was stopped.
    """
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.grid.prepare import prepare
    from ecgbench.grid.runner import RunOptions, run_grid
    from ecgbench.grid.statuses import StoppedEarlyError
    from ecgbench.leaderboard import write_board

    if debug:
        opt.start_log(debug=True)
    columns = opt.given(
        text_column=text_column, label_column=label_column, true_label_column=true_label_column, task=task, shots=shots
    )
    choice = opt.GridOptions(suite, profile, dataset, n, noise, rate, seeds, detectors, param or (), columns)
    chosen = opt.read_rerun(rerun)
    plugins = opt.load_plugins_or_warn(plugin)
    built = choice.build(plugins)
    store = opt.open_cache(cache)
    results = out / "results" / f"{built.name}.jsonl"
    try:
        with make_reporter(quiet=quiet) as reporter:
            run_options = RunOptions(rerun=chosen, fail_fast=fail_fast, reporter=reporter)
            grid = prepare(built, plugins, store, offline=offline, reporter=reporter)
            records = run_grid(grid, plugins, cache=store, results=results, options=run_options)
    except StoppedEarlyError:
        write_board(out)
        raise
    _print(records, as_json=json)  # before the board, which another results file can spoil
    board = write_board(out)
    if not json:
        typer.echo(f"board: {board}", err=True)
    if any(record.status != "ok" for record in records):
        raise typer.Exit(1)


def _print(records: list[CellRecord], *, as_json: bool) -> None:
    if as_json:
        typer.echo("[" + ",\n".join(record.to_json_line().strip() for record in records) + "]")
        return
    from rich.console import Console

    from ecgbench.leaderboard.terminal import render_table

    Console().print(render_table(records))
    for record in records:
        if record.status != "ok":
            typer.echo(f"{record.detector} on {record.noise} rate {record.rate:g} seed {record.seed}: {record.reason}")
    if any(record.status != "ok" for record in records):
        typer.echo("Once the cause is mended, `--rerun failed` computes these cells again.", err=True)
