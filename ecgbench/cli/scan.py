"""`ecgbench scan`: the rows of a file of one's own whose label is most likely wrong, for review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecgbench.scanning.rows import Scan

SHOWN = 10
_LONGEST = 60

File = Annotated[Path, typer.Argument(metavar="FILE", help="Your texts and labels: .csv, .tsv, .jsonl or .parquet.")]
Budget = Annotated[
    str, typer.Option("--budget", help="How many rows to review: a share such as 5%, 100% for all, or a number.")
]
DetectorName = Annotated[
    str | None, typer.Option("--detector", help="What ranks the rows, with parameters: ecg[k=30]. [default: ecg]")
]
DepthName = Annotated[
    str | None,
    typer.Option(
        "--depth",
        help="What the default detector reads: labels (the language model's label of each text; the top rows alone are "
        "explained) or full (explanations and a classifier of all). [default: full up to 1,000 rows, else labels]",
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain/--no-explain", help="Let the language model label all rows and explain the top ones, or just rank."
    ),
]
ScanFolder = Annotated[Path, typer.Option("--out", help="Folder of scan.csv, scan.jsonl and review.html.")]


def scan(
    file: File,
    text_column: opt.TextColumn = None,
    label_column: opt.LabelColumn = None,
    task: opt.TaskNoun = None,
    shots: opt.Shots = None,
    budget: Budget = "5%",
    detector: DetectorName = None,
    depth: DepthName = None,
    explain: Explain = True,
    out: ScanFolder = Path("scan"),
    profile: opt.ProfileName = None,
    set: opt.Settings = None,
    cache: opt.CacheFolder = None,
    plugin: opt.PluginFiles = None,
    offline: opt.Offline = False,  # noqa: ARG001  # its callback acts
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Rank the rows of your file by how likely their label is wrong, and write the top ones for review.

    The page review.html takes your decisions, row by row, and saves them as decisions.csv. No noise is added, and the
    file is not changed. What is computed is kept, so the same command goes on where it was stopped.
    """
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.cli.stdout import plugins_print_to_stderr
    from ecgbench.scanning.options import ScanOptions
    from ecgbench.scanning.scan import compute_scan, prepare_scan
    from ecgbench.scanning.writing import validate_folder, write_scan

    if debug:
        opt.start_log(debug=True)
    validate_folder(file, out)
    chosen: dict[str, Any] = opt.given(
        text_column=text_column, label_column=label_column, task=task, shots=shots, detector=detector, profile=profile
    )
    settings = opt.read_settings(set)
    options = ScanOptions(**chosen, budget=budget, depth=depth, explain=explain, settings=settings)
    plugins, store = opt.load_plugins_or_warn(plugin), opt.open_cache(cache)
    with make_reporter(quiet=quiet) as reporter:
        with plugins_print_to_stderr():
            prepared = prepare_scan(file, options, plugins, store)
            planned = prepared.plan()
        _announce([prepared.describe(), *prepared.source.notes], planned, quiet=quiet)
        with plugins_print_to_stderr():
            found = compute_scan(prepared, plugins, reporter=reporter)
    _print(found, write_scan(found, out), as_json=json)


def _announce(lines: Sequence[str], planned: Any, *, quiet: bool) -> None:
    """Say on stderr what is scanned and what it will take; with --quiet the warnings alone."""
    from ecgbench.cli.plan import iter_totals
    from ecgbench.cli.printable import to_printable

    described, *notes = lines
    said = [f"warning: {note}" for note in notes]
    for line in said if quiet else [described, *said, *iter_totals(planned)]:
        typer.echo(to_printable(line), err=True)


def _print(found: Scan, files: Sequence[Path], *, as_json: bool) -> None:
    if as_json:
        named = {"csv": files[0], "jsonl": files[1], "page": files[2]}
        typer.echo(
            opt.to_json(
                {
                    "file": str(found.path),
                    "detector": found.detector,
                    "profile": found.profile,
                    "scanned": found.n_scanned,
                    "findings": list(found.findings),
                    "notes": list(found.notes),
                    "files": {kind: str(path) for kind, path in named.items()},
                    "rows": [row.as_fields() for row in found.rows],
                }
            )
        )
        return
    from ecgbench.cli.printable import to_printable
    from ecgbench.cli.tables import print_table

    print_table(
        ("rank", "row", "suspicion", "label", "proposed", "text"),
        [
            (str(r.rank), str(r.row), f"{r.suspicion:.3f}", r.label, r.proposed_label or "", r.text[:_LONGEST])
            for r in found.rows[:SHOWN]
        ],
    )
    for line in found.findings:
        typer.echo(to_printable(line))
    n = len(found.rows)
    typer.echo(f"{n:,} of {found.n_scanned:,} rows to review, in " + ", ".join(map(str, files)))
