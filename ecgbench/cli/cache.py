"""`ecgbench cache`: what is kept between runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgbench.cli import options as opt

app = typer.Typer(
    help="Look at, check and clear what is kept between runs.", no_args_is_help=True, rich_markup_mode=None
)

Days = Annotated[float | None, typer.Option("--older-than", min=0, help="Only what is at least so many days old.")]
Everything = Annotated[bool, typer.Option("--all", help="Everything that was computed.")]
What = Annotated[str, typer.Argument(help="What to export: explanations, the samples among them.")]
Format = Annotated[str, typer.Option("--format", help="Format of the export: jsonl.")]
ExportFile = Annotated[Path | None, typer.Option("--out", help="File to write. [default: standard output]")]


@app.command("info")
def info(cache: opt.CacheFolder = None, json: opt.Json = False) -> None:
    """Show where the cache is and what it holds."""
    from dataclasses import asdict

    store = opt.open_cache(cache, create=False)
    rows = {kind: asdict(count) for kind, count in store.rows.counts().items()}
    objects = {kind: asdict(count) for kind, count in store.objects.info().items()}
    sizes = [path.stat().st_size for path in store.checkpoints.rglob("*") if path.is_file()]
    checkpoints = {"models": len([*store.checkpoints.glob("*/")]), "bytes": sum(sizes)}
    if json:
        found = {"folder": str(store.folder), "rows": rows, "objects": objects, "checkpoints": checkpoints}
        typer.echo(opt.to_json(found))
        return
    typer.echo(f"cache: {store.folder}")
    if sizes:
        typer.echo(f"checkpoints of {checkpoints['models']} classifiers: bytes {checkpoints['bytes']}")
    for title, kinds in (("rows", rows), ("objects", objects)):
        for kind, count in kinds.items():
            typer.echo(f"{title} of {kind}: " + ", ".join(f"{key} {value:.10g}" for key, value in count.items()))


@app.command("verify")
def verify(cache: opt.CacheFolder = None) -> None:
    """Check every row and object against its checksum; exit 1 where one is damaged."""
    faults = opt.open_cache(cache, create=False).verify()
    for fault in faults:
        typer.echo(fault)
    typer.echo(f"{len(faults)} faults", err=True)
    if faults:
        raise typer.Exit(1)


@app.command("prune")
def prune(cache: opt.CacheFolder = None, older_than: Days = None, everything: Everything = False) -> None:
    """Remove computed rows, objects and trained classifiers; models and datasets stay."""
    from ecgbench.errors import UsageError

    if older_than is None and not everything:
        raise UsageError("say what to remove: --older-than DAYS or --all")
    removed = opt.open_cache(cache).prune(older_than_days=0.0 if older_than is None else older_than)
    typer.echo(f"removed {removed} entries")


@app.command("export")
def export(
    what: What = "explanations", cache: opt.CacheFolder = None, format: Format = "jsonl", out: ExportFile = None
) -> None:
    """Write what the language model ever answered as JSON lines, in order of key; failed attempts are marked."""
    import json
    import sys
    from contextlib import nullcontext

    from ecgbench.errors import UnknownNameError, UsageError
    from ecgbench.grid.explain import iter_stored_explanations

    if what != "explanations":
        raise UnknownNameError("export", what, ["explanations"])
    if format != "jsonl":
        raise UnknownNameError("--format", format, ["jsonl"])
    store = opt.open_cache(cache, create=False)
    is_empty = True
    try:
        with nullcontext(sys.stdout) if out is None else out.open("w", encoding="utf-8") as file:
            for fields in iter_stored_explanations(store.rows):
                file.write(json.dumps(fields) + "\n")
                is_empty = False
    except OSError as error:
        if out is None:
            raise  # a closed pipe is no fault
        raise UsageError(f"cannot write {out}: {error.strerror or error}; give another --out FILE") from error
    if is_empty:
        typer.echo(f"the cache at {store.folder} holds no explanations", err=True)
