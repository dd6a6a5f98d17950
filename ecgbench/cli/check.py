"""`ecgbench check NAME`: does a detector, noise model, metric or dataset keep what its kind promises?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli import options as opt
from ecgbench.cli.printable import to_printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecgbench.grid.selection import Selection
    from ecgbench.plugins import Plugins
    from ecgbench.registry import Registered
    from ecgbench.testing.base import Kind, Result

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Detectors, noise models, metrics or datasets: ecg, 'ecg[k=30]', file:reviews.csv."),
]
ListChecks = Annotated[bool, typer.Option("--list", help="Show every check with what must hold, and leave.")]


def check(names: Names = None, plugin: opt.PluginFiles = None, list_checks: ListChecks = False) -> None:
    """Make the checks of the conformance kit, on made-up data and without a model; exit 1 where one fails."""
    from ecgbench.errors import UsageError

    if list_checks:
        _print_checks()
        return
    if not names:
        raise UsageError("nothing to check; give names, such as `ecgbench check ecg`, or --list for the checks")
    plugins = opt.load_plugins_or_warn(plugin)
    raise typer.Exit(max([_check_name(text, plugins) for text in names]))


def _check_name(text: str, plugins: Plugins) -> int:
    """Check whatever has this name and return its exit code; wrong usage is a line on stderr."""
    from ecgbench.errors import UsageError

    try:
        chosen, found = _find(text, plugins)
        return max([_check_one(kind, entry, chosen, plugins) for kind, entry in found])
    except UsageError as error:
        typer.echo(to_printable(f"error: {error}"), err=True)
        return error.exit_code


def _find(text: str, plugins: Plugins) -> tuple[Selection, list[tuple[Kind, Registered[Any]]]]:
    """Return what a selection names, of whichever kinds; raises UnknownNameError."""
    from ecgbench.errors import UnknownNameError
    from ecgbench.grid.selection import parse_selection
    from ecgbench.testing.base import ANYTHING, Kind

    chosen = parse_selection(text)
    found: list[tuple[Kind, Registered[Any]]] = []
    for kind in Kind:
        registry = kind.registry(plugins)
        name = chosen.name.partition(":")[0] if kind is Kind.DATASET else chosen.name
        if name in registry.names:
            found.append((kind, registry[name]))
    if not found:
        known = [name for kind in Kind for name in kind.registry(plugins).names]
        raise UnknownNameError(ANYTHING, chosen.name, dict.fromkeys(known))
    return chosen, found


def _check_one(kind: Kind, entry: Registered[Any], chosen: Selection, plugins: Plugins) -> int:
    """Print a line a check; the exit code is 1 where one failed or none could be made. Raises UsageError."""
    from ecgbench.cli.stdout import iter_with_plugins_on_stderr
    from ecgbench.errors import MissingPackageError, UsageError
    from ecgbench.testing.base import Ending, describe_error

    typer.echo(to_printable(f"{kind} {chosen} ({entry.distribution} {entry.version})"))
    endings: Counter[str] = Counter()

    def note(ending: Ending, said: str) -> None:
        endings[ending] += 1
        typer.echo(f"  {ending:<16}  {to_printable(said)}")

    try:
        for result in iter_with_plugins_on_stderr(_iter_results(kind, entry, chosen, plugins)):
            note(result.ending, ": ".join(filter(None, [result.check.name, result.reason])))
    except (KeyboardInterrupt, UsageError):
        raise
    except MissingPackageError as error:
        note(Ending.SKIPPED, str(error))
    except BaseException as error:  # a plugin may even call sys.exit
        note(Ending.FAILED, describe_error(error))
    typer.echo("  " + ", ".join(f"{endings[ending]} {ending}" for ending in Ending if endings[ending]))
    return 1 if endings[Ending.FAILED] or not endings[Ending.OK] + endings[Ending.EXPECTED] else 0


def _iter_results(kind: Kind, entry: Registered[Any], chosen: Selection, plugins: Plugins) -> Iterator[Result]:
    """Yield the result of each check; where the target is not there no other can be made."""
    from ecgbench.grid.prepare import find_dataset
    from ecgbench.grid.suite import DatasetChoice
    from ecgbench.registry import missing_package
    from ecgbench.testing.base import Ending, Kind, Subject, make_check
    from ecgbench.testing.common import target_importable
    from ecgbench.testing.suites import iter_results

    for module in entry.missing():
        raise missing_package(module, needed_for=entry.spec.name)
    first = make_check(target_importable, Subject(kind, None, entry), {})
    if first.ending is Ending.FAILED:
        yield first
        return
    params = chosen.params
    if kind is Kind.DATASET:
        _, params = find_dataset(DatasetChoice(name=chosen.name, params=dict(params)), plugins)
    yield from iter_results(Subject(kind, entry.build(params), entry))


def _print_checks() -> None:
    from ecgbench.cli.tables import print_table
    from ecgbench.testing.suites import CHECKS

    rows = [[str(kind), check.name, check.summary] for kind, checks in CHECKS.items() for check in checks]
    print_table(["kind", "check", "what must hold"], rows)
