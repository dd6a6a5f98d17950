"""`ecgbench fetch`: get models and data ahead of time, for a machine that will be offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from ecgbench.registry import Registered
    from ecgbench.specs import Dataset, DatasetSpec

DatasetNames = Annotated[
    str | None, typer.Option("--dataset", help="Only these, comma-separated. [default: all but those of the hub]")
]
NoModels = Annotated[bool, typer.Option("--no-models", help="Leave the profile's models alone.")]


def fetch(
    profile: Annotated[str, typer.Option("--profile", help="Whose models to prepare.")] = "embedded",
    settings: opt.Settings = None,
    dataset: DatasetNames = None,
    no_models: NoModels = False,
    cache: opt.CacheFolder = None,
    quiet: opt.Quiet = False,
) -> None:
    """Fetch datasets and prepare the models of a profile, so that runs need no network and no conversion."""
    from ecgbench.cli.printable import to_printable
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.engines.models import loading_title, model_folder
    from ecgbench.errors import MissingPackageError
    from ecgbench.grid.prepare import load_dataset
    from ecgbench.grid.selection import split_list
    from ecgbench.grid.statuses import FailedInputError
    from ecgbench.grid.suite import DatasetChoice
    from ecgbench.profile_settings import find_profile

    chosen = find_profile(profile, opt.read_settings(settings))
    plugins = opt.load_plugins_or_warn(None)
    store = opt.open_cache(cache)
    fetchable = [e.spec.name for e in plugins.datasets if not e.missing() and _comes_unasked(e)]
    with make_reporter(quiet=quiet) as reporter:
        failures: list[str] = []
        for name in split_list(dataset) if dataset else fetchable:
            try:
                data = load_dataset(DatasetChoice(name=name, n="all"), plugins, store, reporter=reporter)
                typer.echo(f"dataset {name}: {len(data)} items")
            except FailedInputError as error:  # a broken plugin: the others are fetched all the same
                failures.append(str(error))
        for model in [] if no_models else dict.fromkeys(chosen.models):
            with reporter.job(loading_title(model, store.models), None):
                try:
                    folder = model_folder(model, store.models)
                except MissingPackageError as error:
                    raise type(error)(error.package, needed_for=f"profile {profile}", install=error.install) from error
            typer.echo(f"model {model}: {folder}")
    for failure in failures:
        typer.echo(to_printable(f"error: {failure}"), err=True)
    if failures:
        raise typer.Exit(1)


def _comes_unasked(entry: Registered[DatasetSpec]) -> bool:
    """Tell whether a dataset needs no argument and no hub, or is broken, which loading it says."""
    from ecgbench.errors import EcgbenchError

    try:
        dataset: type[Dataset] = entry.resolve()
    except EcgbenchError:
        return True
    return dataset.argument is None and not dataset.from_hub
