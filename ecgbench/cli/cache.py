"""`ecgbench cache`: what is kept between runs."""

from __future__ import annotations

from typing import Annotated

import typer

from ecgbench.cli import options as opt

app = typer.Typer(
    help="Look at, check and clear what is kept between runs.", no_args_is_help=True, rich_markup_mode=None
)

Days = Annotated[float | None, typer.Option("--older-than", min=0, help="Only what is at least so many days old.")]
Everything = Annotated[bool, typer.Option("--all", help="Everything that was computed.")]


@app.command("info")
def info(cache: opt.CacheFolder = None, json: opt.Json = False) -> None:
    """Show where the cache is and what it holds."""
    from dataclasses import asdict

    store = opt.open_cache(cache, create=False)
    rows = {kind: asdict(count) for kind, count in store.rows.counts().items()}
    objects = {kind: asdict(count) for kind, count in store.objects.info().items()}
    if json:
        typer.echo(opt.to_json({"folder": str(store.folder), "rows": rows, "objects": objects}))
        return
    typer.echo(f"cache: {store.folder}")
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
    """Remove computed rows and objects; models and datasets stay."""
    from ecgbench.errors import UsageError

    if older_than is None and not everything:
        raise UsageError("say what to remove: --older-than DAYS or --all")
    removed = opt.open_cache(cache).prune(older_than_days=0.0 if older_than is None else older_than)
    typer.echo(f"removed {removed} entries")
