"""`ecgbench plan`: what a run would do and cost, before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from ecgbench.grid.plan import Plan


def plan(
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
    fail_fast: opt.FailFast = False,  # noqa: ARG001  # taken, so that `plan` can stand where `run` stood
    offline: opt.Offline = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Show the cells, jobs, missing rows, LLM calls, minutes and memory of a run; compute nothing.

    It takes every option of `run`. A built-in dataset is fetched where the cache lacks it, since the plan counts
    its texts.
    """
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.grid.plan import plan_grid
    from ecgbench.grid.prepare import prepare

    if debug:
        opt.start_log(debug=True)
    columns = opt.given(
        text_column=text_column, label_column=label_column, true_label_column=true_label_column, task=task, shots=shots
    )
    choice = opt.GridOptions(suite, profile, dataset, n, noise, rate, seeds, detectors, param or (), columns)
    chosen = opt.read_rerun(rerun)
    plugins = opt.load_plugins_or_warn(plugin)
    built = choice.build(plugins)
    store = opt.open_cache(cache, create=False)
    with make_reporter(quiet=quiet) as reporter:
        grid = prepare(built, plugins, store, offline=offline, reporter=reporter)
    planned = plan_grid(grid, cache=store, results=out / "results" / f"{built.name}.jsonl", rerun=chosen)
    _print(planned, as_json=json)


def _print(planned: Plan, *, as_json: bool) -> None:
    if as_json:
        import dataclasses

        totals = {"llm_calls": planned.llm_calls, "minutes": planned.minutes, "memory": planned.memory}
        typer.echo(opt.to_json(dataclasses.asdict(planned) | totals))
        return
    from ecgbench.cli.tables import print_table

    typer.echo(f"{planned.n_tasks} tasks, {planned.n_cells} cells, {planned.n_due} of them to compute")
    rows = [
        (
            job.artifact,
            f"{job.cached} {job.unit}",
            f"{'about ' if job.is_estimate else ''}{job.missing} {job.unit}",
            str(job.llm_calls),
            f"{job.seconds / 60:.1f}",
            f"{job.memory} MiB",
        )
        for job in planned.jobs
    ]
    print_table(("artifact", "cached", "missing", "LLM calls", "minutes", "memory"), rows)
    typer.echo(
        f"LLM calls: {f'about {planned.llm_calls}' if planned.llm_calls else 'none'}; "
        f"about {planned.minutes:.0f} minutes and {planned.memory} MiB on 2 cores"
    )
