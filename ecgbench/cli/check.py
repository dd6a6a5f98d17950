"""`ecgbench check NAME`: does a detector, noise model, metric or dataset keep what its kind promises?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli import options as opt
from ecgbench.cli.printable import to_printable

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    from ecgbench.cli.stdout import plugins_print_to_stderr
    from ecgbench.errors import UsageError

    if list_checks:
        _print_checks()
        return
    if not names:
        raise UsageError("nothing to check; give names, such as `ecgbench check ecg`, or --list for the checks")
    plugins = opt.load_plugins_or_warn(plugin)
    with plugins_print_to_stderr():
        found = [one for text in names for one in _find(text, plugins)]
    endings = Counter(ending for kind, entry, params in found for ending in _check_one(kind, entry, params))
    raise typer.Exit(1 if endings["FAILED"] else 0)


def _find(text: str, plugins: Plugins) -> list[tuple[Kind, Registered[Any], Any]]:
    """Return what a selection names, of whichever kinds; raises UnknownNameError."""
    from ecgbench.errors import UnknownNameError
    from ecgbench.grid.prepare import find_dataset
    from ecgbench.grid.selection import parse_selection
    from ecgbench.grid.suite import DatasetChoice
    from ecgbench.testing.base import Kind

    chosen = parse_selection(text)
    found: list[tuple[Kind, Registered[Any], Any]] = []
    for kind in Kind:
        registry = kind.registry(plugins)
        if kind is Kind.DATASET and chosen.name.partition(":")[0] in registry.names:
            found.append((kind, *find_dataset(DatasetChoice(name=chosen.name, params=dict(chosen.params)), plugins)))
        elif chosen.name in registry.names:
            found.append((kind, registry[chosen.name], chosen.params))
    if not found:
        known = [name for kind in Kind for name in kind.registry(plugins).names]
        raise UnknownNameError("detector, noise model, metric or dataset", chosen.name, dict.fromkeys(known))
    return found


def _check_one(kind: Kind, entry: Registered[Any], params: Any) -> Iterator[str]:
    """Print a line a check and yield how each ended."""
    from ecgbench.cli.stdout import iter_with_plugins_on_stderr
    from ecgbench.grid.selection import Selection
    from ecgbench.testing.base import Ending

    typer.echo(to_printable(f"{kind} {Selection(entry.spec.name, params)} ({entry.distribution} {entry.version})"))
    endings: Counter[str] = Counter()
    for result in iter_with_plugins_on_stderr(_iter_results(kind, entry, params)):
        endings[result.ending] += 1
        yield _print_result(result)
    typer.echo("  " + ", ".join(f"{endings[ending]} {ending}" for ending in Ending if endings[ending]))


def _iter_results(kind: Kind, entry: Registered[Any], params: Any) -> Iterator[Result]:
    """Yield the result of each check; where the target is not there no other can be made."""
    from ecgbench.testing.base import Ending, Subject, make_check
    from ecgbench.testing.common import target_importable
    from ecgbench.testing.suites import iter_results

    first = make_check(target_importable, Subject(kind, None, entry), {})
    if first.ending is Ending.FAILED:
        yield first
    else:
        yield from iter_results(Subject(kind, entry.build(params), entry))


def _print_result(result: Result) -> str:
    reason = f": {to_printable(result.reason)}" if result.reason else ""
    typer.echo(f"  {result.ending:<16}  {result.check.name}{reason}")
    return str(result.ending)


def _print_checks() -> None:
    from ecgbench.cli.tables import print_table
    from ecgbench.testing.suites import CHECKS

    rows = [[str(kind), check.name, check.summary] for kind, checks in CHECKS.items() for check in checks]
    print_table(["kind", "check", "what must hold"], rows)
