"""`ecgbench plan`: what a run would do and cost, before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ecgbench.cli import options as opt
from ecgbench.cli.run_arguments import RunArguments, takes_run_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecgbench.grid.plan import Plan, PlannedJob


@takes_run_arguments
def plan(arguments: RunArguments) -> None:
    """Show the cells, jobs, missing rows, LLM calls, tokens, hours, price and memory of a run; compute nothing.

    It takes every option of `run`. A built-in dataset is fetched where the cache lacks it, since the plan counts
    its texts. Times are what runs in this cache took, else shipped figures with their source.
    """
    from ecgbench.api import results_file
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.cli.stdout import plugins_print_to_stderr
    from ecgbench.grid.plan import plan_grid
    from ecgbench.grid.prepare import prepare

    rerun = arguments.read_rerun()
    arguments.read_execution()
    plugins = arguments.load_plugins()
    built = arguments.grid.build(plugins)
    store = opt.open_cache(arguments.cache, create=False)
    results = results_file(arguments.out, built)
    with make_reporter(quiet=arguments.quiet) as reporter, plugins_print_to_stderr():
        grid = prepare(built, plugins, store, offline=arguments.offline, reporter=reporter)
        planned = plan_grid(grid, cache=store, results=results, rerun=rerun)
    _print(planned, as_json=arguments.json)


def _print(planned: Plan, *, as_json: bool) -> None:
    if as_json:
        import dataclasses

        names = ("llm_calls", "prompt_tokens", "reply_tokens", "hours", "machine_price", "server_price", "memory")
        totals = {name: getattr(planned, name) for name in names}
        typer.echo(opt.to_json(dataclasses.asdict(planned) | totals))
        return
    from ecgbench.cli.tables import print_table

    typer.echo(f"{planned.n_tasks} tasks, {planned.n_cells} cells, {planned.n_due} of them to compute")
    head = ("artifact", "cached", "missing", "LLM calls", "tokens in", "tokens out", "time", "memory", "time from")
    print_table(head, [_render_job(job) for job in planned.jobs])
    for line in iter_totals(planned):
        typer.echo(line)


def _render_job(job: PlannedJob) -> tuple[str, ...]:
    about = "about " if job.is_estimate else ""
    return (
        job.artifact,
        f"{job.cached} {job.unit}",
        f"{about}{job.missing} {job.unit}",
        f"{job.llm_calls:,}",
        f"{job.prompt_tokens:,}",
        f"{job.reply_tokens:,}",
        _render_time(job.seconds / 3600),
        "" if job.memory is None else f"{job.memory} MiB",
        job.seconds_from if job.missing else "",
    )


def iter_totals(planned: Plan) -> Iterator[str]:
    """Yield lines on time, memory, questions and prices of a plan."""
    elsewhere = " beside that of models on a GPU or a server" if any(j.memory is None for j in planned.jobs) else ""
    yield (
        f"profile {planned.profile}: about {_render_time(planned.hours)} on one worker, without the detectors' own "
        f"time; {planned.memory:,} MiB of memory{elsewhere}"
    )
    if not planned.llm_calls:
        yield "LLM calls: none"
    else:
        bases = ", ".join(sorted({job.tokens_from for job in planned.jobs if job.prompt_tokens}))
        yield (
            f"LLM calls: about {planned.llm_calls:,}; tokens: about {planned.prompt_tokens:,} read and "
            f"{planned.reply_tokens:,} written ({bases or 'no prompt is known'})"
        )
    yield from _iter_prices(planned)


def _iter_prices(planned: Plan) -> Iterator[str]:
    prices = planned.prices
    if planned.machine_price is not None:
        yield f"price of the machine: about {planned.machine_price:.2f} USD, at {prices.hour:g} USD an hour"
    elif not prices.is_served:
        yield "price of the machine: none set: --set profile.hour_price=USD"
    if planned.server_price is not None:
        yield (
            f"price of the tokens: about {planned.server_price:.2f} USD, at {prices.input:g} USD a million read "
            f"and {prices.output:g} USD a million written"
        )
    elif prices.is_served:
        yield (
            "price of the tokens: none set: --set profile.llm.server.input_price=USD "
            "--set profile.llm.server.output_price=USD, both for a million tokens"
        )


def _render_time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
