"""`ecgbench fetch`: get models and data ahead of time, for a machine that will be offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from ecgbench.specs import Dataset

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
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.engines.models import loading_title, model_folder
    from ecgbench.errors import MissingPackageError
    from ecgbench.grid.prepare import load_dataset
    from ecgbench.grid.selection import split_list
    from ecgbench.grid.suite import DatasetChoice
    from ecgbench.profile_settings import find_profile

    chosen = find_profile(profile, opt.read_settings(settings))
    plugins = opt.load_plugins_or_warn(None)
    store = opt.open_cache(cache)
    fetchable = [e.spec.name for e in plugins.datasets if not e.missing() and _comes_unasked(e.resolve())]
    with make_reporter(quiet=quiet) as reporter:
        for name in split_list(dataset) if dataset else fetchable:
            data = load_dataset(DatasetChoice(name=name, n="all"), plugins, store, reporter=reporter)
            typer.echo(f"dataset {name}: {len(data)} items")
        for model in [] if no_models else dict.fromkeys(chosen.models):
            with reporter.job(loading_title(model, store.models), None):
                try:
                    folder = model_folder(model, store.models)
                except MissingPackageError as error:
                    raise type(error)(error.package, needed_for=f"profile {profile}", install=error.install) from error
            typer.echo(f"model {model}: {folder}")


def _comes_unasked(dataset: type[Dataset]) -> bool:
    """Tell whether a dataset needs no argument and no hub."""
    return dataset.argument is None and not dataset.from_hub
