"""What Python calls: the same grids, caches and boards as the command line's."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from ecgbench.downstream_results import DOWNSTREAM_FOLDER, DownstreamRecord
from ecgbench.errors import UnknownNameError, UsageError
from ecgbench.grid.choices import GridChoices, parse_selections
from ecgbench.grid.downstream.run import DownstreamCheck
from ecgbench.grid.executors import Execution, ExecutorKind
from ecgbench.grid.plan import Plan, plan_grid
from ecgbench.grid.prepare import prepare
from ecgbench.grid.rerun import Rerun
from ecgbench.grid.runner import RunOptions, run_grid
from ecgbench.grid.selection import Selection
from ecgbench.grid.statuses import StoppedEarlyError
from ecgbench.grid.suite import Suite, load_suite, validate_suite
from ecgbench.leaderboard import write_board
from ecgbench.params import nest
from ecgbench.plugins import Plugins, load_plugins
from ecgbench.progress import SilentReporter
from ecgbench.results import CellRecord
from ecgbench.scanning.options import ScanArguments, ScanOptions
from ecgbench.scanning.rows import Scan
from ecgbench.scanning.scan import compute_scan, prepare_scan
from ecgbench.scanning.writing import validate_folder, write_scan
from ecgbench.store.cache import Cache, default_cache_folder

logger = logging.getLogger(__name__)

Names = str | Selection | Iterable[str | Selection]
"""Names with parameters as on the command line, `ecg[k=30],loss`, or as selections, or several of either."""
PluginFiles = Sequence[str | Path] | Plugins
"""Plugin files to load beside what is installed, or plugins that are loaded."""


class GridArguments(TypedDict, total=False):
    """What is said of a grid by keyword: each replaces what the suite says, or the default.

    `n`: items drawn from each dataset, or "all"; `rates` and `seeds`: one or several, of each noise model;
    `settings` of the profile, nested or by dotted names: {"classifier.epochs": 5}.
    """

    dataset: Names
    n: int | Literal["all"]
    noise: Names
    rates: float | Iterable[float]
    seeds: int | Iterable[int]
    detectors: Names
    profile: str
    settings: Mapping[str, Any]


def run(
    suite: Suite | str | Path | None = None,
    *,
    out: str | Path = "leaderboard",
    cache: str | Path | None = None,
    plugins: PluginFiles = (),
    rerun: Rerun | Literal["missing", "failed", "all"] = Rerun.MISSING,
    execution: Execution | ExecutorKind | Literal["local", "process", "ray"] | None = None,
    **grid: Unpack[GridArguments],
) -> list[CellRecord]:
    """Run a grid, append its records to `out`/results, write `out`/LEADERBOARD.md, and return every cell's record.

    Cells that have a record are not computed again unless `rerun` says so. A cell that is not ok has a record with
    its reason; whatever keeps the grid from being run raises an EcgbenchError. A script that gives an execution
    of kind `process` or `ray` calls this under `if __name__ == "__main__":`, since its workers import it.
    """
    loaded = _load(plugins)
    built = _build_suite(suite, grid)
    chosen = execution if isinstance(execution, Execution) else Execution(ExecutorKind(execution or "local"))
    chosen = dataclasses.replace(chosen, plugin_files=loaded.files)
    options = RunOptions(Rerun(rerun), execution=chosen)
    records, _ = run_suite(built, loaded, cache=_open(cache), out=Path(out), options=options)
    write_board(Path(out))
    return records


def plan(
    suite: Suite | str | Path | None = None,
    *,
    out: str | Path = "leaderboard",
    cache: str | Path | None = None,
    plugins: PluginFiles = (),
    rerun: Rerun | Literal["missing", "failed", "all"] = Rerun.MISSING,
    **grid: Unpack[GridArguments],
) -> Plan:
    """Return what `run` with the same arguments would compute and cost, computing nothing; raises EcgbenchError."""
    loaded = _load(plugins)
    built = _build_suite(suite, grid)
    store = _open(cache, create=False)
    prepared = prepare(built, loaded, store)
    return plan_grid(prepared, cache=store, results=results_file(Path(out), built), rerun=Rerun(rerun))


def scan(
    file: str | Path,
    *,
    out: str | Path = "scan",
    cache: str | Path | None = None,
    plugins: PluginFiles = (),
    **options: Unpack[ScanArguments],
) -> Scan:
    """Rank the rows of a file by how likely their label is wrong, explain the top ones, write and return them.

    `out` gets scan.csv, scan.jsonl and review.html. Raises an EcgbenchError where the file cannot be scanned, a
    detector or one of its artifacts fails.
    """
    for unknown in options.keys() - ScanArguments.__annotations__.keys():
        raise UnknownNameError("argument", unknown, ScanArguments.__annotations__)
    validate_folder(Path(file), Path(out))
    loaded, chosen = _load(plugins), ScanOptions(**options)
    found = compute_scan(prepare_scan(Path(file), chosen, loaded, _open(cache)), loaded, reporter=SilentReporter())
    write_scan(found, Path(out))
    return found


def run_suite(
    suite: Suite,
    plugins: Plugins,
    *,
    cache: Cache,
    out: Path,
    options: RunOptions,
    offline: bool = False,
    downstream: DownstreamCheck | None = None,
) -> tuple[list[CellRecord], list[DownstreamRecord]]:
    """Prepare and run a suite and its downstream check, and return the records of both.

    Where the run is told to stop early, what there is reaches the board first.
    """
    grid = prepare(suite, plugins, cache, offline=offline, reporter=options.reporter)
    check = None
    if downstream is not None:
        check = downstream.prepare(grid, plugins, cache=cache, options=options, offline=offline)
    try:
        records = run_grid(grid, plugins, cache=cache, results=results_file(out, suite), options=options)
        return records, [] if check is None else check.run(records, downstream_file(out, suite))
    except StoppedEarlyError:
        write_board(out)
        raise


def results_file(out: Path, suite: Suite) -> Path:
    """Return where a suite's records are."""
    return out / "results" / f"{suite.name}.jsonl"


def downstream_file(out: Path, suite: Suite) -> Path:
    """Return where the records of a suite's downstream check are."""
    return out / DOWNSTREAM_FOLDER / f"{suite.name}.jsonl"


def _load(plugins: PluginFiles) -> Plugins:
    if isinstance(plugins, Plugins):
        return plugins
    if isinstance(plugins, (str, Path)):  # a string is a sequence of strings, too
        raise UsageError(f"plugins is {str(plugins)!r}; give a list of files, such as [{str(plugins)!r}]")
    loaded = load_plugins([Path(file) for file in plugins])
    for plugin in loaded.failed:
        logger.warning("plugin %s (%s) did not load: %s", plugin.name, plugin.distribution, plugin.reason)
    return loaded


def _open(folder: str | Path | None, *, create: bool = True) -> Cache:
    return Cache.open(Path(folder) if folder else default_cache_folder(), create=create)


def _build_suite(suite: Suite | str | Path | None, grid: GridArguments) -> Suite:
    """Return the suite, read from its file where it has one, with the arguments in it; raises UsageError."""
    if not isinstance(suite, (Suite, str, Path, type(None))):
        raise UsageError(f"suite is of type {type(suite).__name__}; give a Suite or the path of a suite file")
    choices = _read_arguments(grid)
    base = load_suite(Path(suite)) if isinstance(suite, (str, Path)) else suite
    return validate_suite(choices.change(base), where="the arguments")


def _read_arguments(grid: GridArguments) -> GridChoices:
    for unknown in grid.keys() - GridArguments.__annotations__.keys():
        raise UnknownNameError("argument", unknown, GridArguments.__annotations__)
    settings = grid.get("settings", {})
    if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
        raise UsageError(f"settings is {settings!r}; give a mapping, such as {{'classifier.epochs': 5}}")
    return GridChoices(
        profile=grid.get("profile"),
        settings=nest(settings.items()),
        datasets=_read_names("dataset", grid.get("dataset")),
        n=grid.get("n"),
        noises=_read_names("noise", grid.get("noise")),
        rates=_list(grid.get("rates")),
        seeds=_list(grid.get("seeds")),
        detectors=_read_names("detectors", grid.get("detectors")),
    )


def _read_names(argument: str, names: Names | None) -> list[Selection] | None:
    if names is None:
        return None
    selections: list[Selection] = []
    for name in _list(names) or ():
        if not isinstance(name, (str, Selection)):
            raise UsageError(f"{argument}: {name!r} is no name; give one such as 'ecg' or 'ecg[k=30]', or a Selection")
        selections += [name] if isinstance(name, Selection) else parse_selections(name)
    return selections


def _list(values: Any) -> list[Any] | None:
    """Return one value or several as a list."""
    if values is None:
        return None
    try:
        return [values] if isinstance(values, str) else list(values)
    except TypeError:  # one number, also in an array without dimensions
        return [values]
