"""`ecgbench clean`: drop or relabel rows of a file, by a review or by a scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from ecgbench.cleaning.clean import Cleaning
    from ecgbench.cleaning.table import LabelTable

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file to clean: .csv, .tsv, .jsonl or .parquet.")]
Decisions = Annotated[Path | None, typer.Option("--decisions", help="decisions.csv, as the review page saves it.")]
ScanFile = Annotated[
    Path | None,
    typer.Option("--scan", help="scan.jsonl of the file; with --decisions it is checked to be of the same file."),
]
Top = Annotated[str | None, typer.Option("--top", help="How much of the file a scan changes. [default: 5%]")]
ActionName = Annotated[
    str | None, typer.Option("--action", help="remove or relabel the top rows of a scan. [default: remove]")
]
OutFile = Annotated[Path | None, typer.Option("--out", help="The cleaned file. [default: FILE.cleaned.csv beside it]")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Let the cleaned file and its report replace a file.")]


def clean(
    file: File,
    decisions: Decisions = None,
    scan: ScanFile = None,
    top: Top = None,
    action: ActionName = None,
    label_column: opt.LabelColumn = None,
    out: OutFile = None,
    overwrite: Overwrite = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write FILE anew without its wrong labels: by --decisions of a review, or the --top of a --scan.

    All columns stay, rows that are not changed stay as they are, and a report in JSON goes beside the cleaned file.
    """
    from ecgbench.cleaning.clean import apply_cleaning, check_out, default_out, report_path
    from ecgbench.cleaning.table import load_table

    if debug:
        opt.start_log(debug=True)
    _check_options(decisions, scan, top, action)
    chosen = out or default_out(file)
    table = load_table(file, label_column or "label")
    check_out(file, chosen, overwrite=overwrite)
    cleaning = _decide(table, decisions, scan, top=top, action=action)
    report = apply_cleaning(table, cleaning, chosen)
    if cleaning.asked > cleaning.top:
        said = (
            f"the scan holds {cleaning.top} rows, the top of {len(table)} rows are {cleaning.asked}: scan more of them"
        )
        typer.echo(f"warning: {said}", err=True)
    if cleaning.unjudged:
        said = f"the scan has no values for these guards, which held nothing back: {', '.join(cleaning.unjudged)}"
        typer.echo(f"warning: {said}; `ecgbench scan --depth full` gives them", err=True)
    if json:
        typer.echo(opt.to_json(report))
        return
    _print(report, cleaning)
    typer.echo(f"cleaned file: {chosen}; report: {report_path(chosen)}", err=True)


def _check_options(decisions: Path | None, scan: Path | None, top: str | None, action: str | None) -> None:
    from ecgbench.errors import UsageError

    if decisions is None and scan is None:
        raise UsageError("nothing says what to change: give --decisions decisions.csv, or --scan scan.jsonl")
    if decisions is not None and (top or action):
        raise UsageError("--top and --action are for a scan; the decisions say themselves what to do: leave them out")


def _decide(
    table: LabelTable, decisions: Path | None, scan: Path | None, *, top: str | None, action: str | None
) -> Cleaning:
    from ecgbench.cleaning.clean import decide_by_review, decide_by_scan
    from ecgbench.cleaning.guards import Action, parse_share

    if decisions is not None:
        return decide_by_review(decisions, table, scan=scan)
    assert scan is not None
    return decide_by_scan(scan, table, share=parse_share(top or "5%"), action=Action(action or "remove"))


def _print(report: dict[str, Any], cleaning: Cleaning) -> None:
    from ecgbench.cli.printable import to_printable

    untouched = report["rows"] - report["dropped"] - report["relabelled"]
    typer.echo(
        f"{report['rows']} rows: {report['dropped']} dropped, {report['relabelled']} relabelled, "
        f"{untouched} as they were"
    )
    if cleaning.held_back:
        typer.echo(f"of the top {cleaning.top} rows {cleaning.n_held_back} were held back:")
        for guard, n in cleaning.held_back.items():
            typer.echo(f"  {n}: {guard.reason}")
    for name, counts in report["classes"].items():
        typer.echo(to_printable(f"label {name}: {counts['before']} before, {counts['after']} after"))
