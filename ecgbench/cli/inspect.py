"""`ecgbench inspect`: what lies between the texts of a task and its scores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli import options as opt
from ecgbench.cli.run_arguments import RunArguments, takes_run_arguments

if TYPE_CHECKING:
    from ecgbench.grid.inspection import DetectorInspection, TaskInspection
    from ecgbench.grid.suite import Suite
    from ecgbench.plugins import Plugins
    from ecgbench.progress import Reporter
    from ecgbench.specs import Panel

ResultsFile = Annotated[
    Path | None,
    typer.Argument(metavar="RESULTS", help="Records of a run (.jsonl), in place of --suite or --dataset."),
]


@takes_run_arguments
def inspect(arguments: RunArguments, results: ResultsFile = None) -> None:
    """Show, for every task of a grid, what lies between the texts and each detector's scores.

    It takes every option of `run`. What the cache lacks is computed first, as in `run`; no record is written.
    Of the detectors, those are shown that have an inspection. A file of records gives the cells it is of;
    --detectors, --noise and --seeds then choose among them.
    """
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.cli.stdout import iter_with_plugins_on_stderr, plugins_print_to_stderr
    from ecgbench.grid.inspection import compute_inspection, iter_inspections, narrow_grids
    from ecgbench.grid.prepare import prepare

    choice = arguments.grid
    retry_failed = arguments.read_rerun().value != "missing"
    arguments.read_execution()
    plugins = arguments.load_plugins()
    store = opt.open_cache(arguments.cache)
    offline, detectors = arguments.offline, arguments.detectors
    with make_reporter(quiet=arguments.quiet) as reporter, plugins_print_to_stderr():
        suites, are_all_rebuilt = _choose(results, choice, plugins, store, offline=offline, reporter=reporter)
        grids = [prepare(built, plugins, store, offline=offline, reporter=reporter) for built in suites]
        are_named = detectors is not None and detectors.strip() != "all"
        grids = list(narrow_grids(grids, plugins, are_named=are_named))
        found = compute_inspection(
            grids, plugins, store, reporter=reporter, retry_failed=retry_failed, fail_fast=arguments.fail_fast
        )
    inspections = iter_with_plugins_on_stderr(iter_inspections(found))
    is_complete = _print_all(inspections, as_json=arguments.json)
    if not are_all_rebuilt or not is_complete:
        raise typer.Exit(1)


def _choose(
    results: Path | None, choice: opt.GridOptions, plugins: Plugins, store: Any, *, offline: bool, reporter: Reporter
) -> tuple[list[Suite], bool]:
    """Return the suites to inspect, and whether that is all of what was asked for; raises UsageError."""
    if results is None:
        return [choice.build(plugins)], True
    return _rebuild(results, choice, plugins, store, offline=offline, reporter=reporter)


def _print_all(inspections: Iterable[TaskInspection], *, as_json: bool) -> bool:
    """Print each task as it comes, or all as JSON; returns whether nothing failed."""
    tasks: list[dict[str, Any]] = []
    is_complete = True
    for inspected in inspections:
        is_complete = is_complete and inspected.is_complete
        if as_json:
            tasks.append(_as_json(inspected))
        else:
            _print(inspected)
    if as_json:
        typer.echo(opt.to_json(tasks))
    return is_complete


def _rebuild(
    results: Path, choice: opt.GridOptions, plugins: Plugins, store: Any, *, offline: bool, reporter: Reporter
) -> tuple[list[Suite], bool]:
    """Return the suites of a file of records, and whether all its datasets are among them; raises UsageError."""
    from ecgbench.errors import UsageError
    from ecgbench.grid.rebuild import narrow_records, rebuild_suites
    from ecgbench.results import read_records

    fixed = ("suite", "profile", "dataset", "n", "rate", "params", "dataset_params")
    if names := ", ".join(name for name in fixed if getattr(choice, name)):
        raise UsageError(
            f"{names}: the records of {results} say it; choose among them with --detectors, --noise, --seeds"
        )
    records = narrow_records(
        read_records(results), plugins, detectors=choice.detectors, noise=choice.noise, seeds=choice.seeds
    )
    suites, refused = rebuild_suites(records, plugins, store, offline=offline, reporter=reporter)
    if not suites:
        raise UsageError("; ".join(refused) or f"{results} holds no record to inspect")
    for line in refused:
        typer.echo(f"warning: {line}", err=True)
    return suites, not refused


def _print(inspected: TaskInspection) -> None:
    from ecgbench.cli.printable import to_printable

    typer.echo(to_printable(f"{inspected.condition} profile={inspected.profile}"))
    if inspected.failure is not None:
        typer.echo(to_printable(f"failed: {inspected.failure}"))
    if inspected.panel is not None:
        _print_panel(inspected.panel)
    for shown in inspected.detectors:
        typer.echo(f"\n{to_printable(shown.detector)}")
        for panel in shown.panels:
            _print_panel(panel)
        for line in _closing_lines(shown):
            typer.echo(to_printable(line))
    typer.echo()


def _closing_lines(shown: DetectorInspection) -> list[str]:
    lines = [f"failed: {reason}" for reason in shown.failures]
    if shown.auroc is not None:
        lines.append(f"AUROC of {shown.detector}: {shown.auroc:.3f}")
    elif shown.no_auroc is not None:
        lines.append(f"AUROC of {shown.detector}: none, {shown.no_auroc}")
    return lines


def _print_panel(panel: Panel) -> None:
    from ecgbench.cli.printable import to_printable
    from ecgbench.cli.tables import print_table

    typer.echo(f"\n{to_printable(panel.title)}")
    print_table(panel.columns, panel.rows)


def _as_json(inspected: TaskInspection) -> dict[str, Any]:
    from dataclasses import asdict

    condition = inspected.condition
    return {
        "dataset": str(condition.dataset),
        "n": condition.n,
        "noise": str(condition.noise),
        "rate": condition.rate,
        "seed": condition.seed,
        **{key: value for key, value in asdict(inspected).items() if key != "condition"},
    }
