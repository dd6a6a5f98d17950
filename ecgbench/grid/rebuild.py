"""From the records of a finished run back to the suites that give the same tasks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from ecgbench.errors import UnknownNameError, UsageError
from ecgbench.grid.build import dataset_key
from ecgbench.grid.prepare import load_dataset
from ecgbench.grid.selection import Selection, parse_selection, split_list
from ecgbench.grid.statuses import FailedInputError
from ecgbench.grid.suite import DatasetChoice, Suite, validate_suite
from ecgbench.plugins import Plugins
from ecgbench.progress import Reporter
from ecgbench.registry import Registry
from ecgbench.results import CellRecord, latest
from ecgbench.store.cache import Cache
from ecgbench.store.keys import canonical_json

FIX = "give the run's own --suite or --dataset in place of the file"


def narrow_records(
    records: Sequence[CellRecord],
    plugins: Plugins,
    *,
    detectors: str | None = None,
    noise: str | None = None,
    seeds: str | None = None,
) -> list[CellRecord]:
    """Return the last record of each cell that the comma-separated lists name; None and `all` name every one.

    The harness's own rows are left out. Raises UnknownNameError for what no record is of.
    """
    kept = [record for record in latest(records) if not record.sanity]
    aspects: list[tuple[str, str | None, Registry[Any] | None, Callable[[CellRecord], str]]] = [
        ("detector", detectors, plugins.detectors, lambda r: str(Selection(r.detector, r.detector_params))),
        ("noise model", noise, plugins.noise_models, lambda r: str(Selection(r.noise, r.noise_params))),
        ("seed", seeds, None, lambda r: str(r.seed)),
    ]
    for kind, wanted, registry, name_of in aspects:
        if wanted is None or wanted.strip() == "all":
            continue
        known = {name_of(record) for record in kept}
        chosen = {_recorded_name(text, registry, known) for text in split_list(wanted)}
        for name in sorted(chosen - known):
            raise UnknownNameError(f"{kind} in the records", name, known)
        kept = [record for record in kept if name_of(record) in chosen]
    return kept


def _recorded_name(text: str, registry: Registry[Any] | None, known: Collection[str]) -> str:
    """Return what was typed as a record writes it: converted (0 for a float is 0.0) and without defaults."""
    typed = parse_selection(text)
    # Without parameters there is nothing to convert, and the plugin need not be importable.
    if str(typed) in known or not typed.params or registry is None or typed.name not in registry.names:
        return str(typed)
    return str(Selection(typed.name, registry[typed.name].changed(typed.params)))


def rebuild_suites(
    records: Sequence[CellRecord], plugins: Plugins, cache: Cache, *, offline: bool, reporter: Reporter
) -> tuple[list[Suite], list[str]]:
    """Return suites of the cells that have a record, and a line for each dataset that cannot be rebuilt."""
    groups: dict[tuple[Any, ...], list[CellRecord]] = {}
    for record in records:
        groups.setdefault((record.dataset, record.n, record.profile, record.data_key), []).append(record)
    suites: list[Suite] = []
    refused: list[str] = []
    for group in groups.values():
        try:
            choice = _find_dataset(group[0], plugins, cache, offline=offline, reporter=reporter)
            suites += _rebuild(group, choice, plugins)
        except (UsageError, FailedInputError) as error:
            refused.append(str(error))
    return suites, refused


def _find_dataset(
    record: CellRecord, plugins: Plugins, cache: Cache, *, offline: bool, reporter: Reporter
) -> DatasetChoice:
    """Return the choice that loads the very items of the record; raises UsageError where none does."""
    if record.n == 0:
        raise UsageError(f"{record.dataset} could not be loaded when the records were made: {FIX}")
    selection = parse_selection(record.dataset)
    head = selection.name.partition(":")[0]
    if getattr(plugins.datasets[head].resolve(), "argument", None) is not None:
        raise UsageError(f"the records of {record.dataset} do not say where the file lies or how it was read: {FIX}")
    # All items are another order than a sample of as many: the digest tells which it was.
    for n in (record.n, "all"):
        choice = DatasetChoice(name=selection.name, n=n, params=dict(selection.params))
        data = load_dataset(choice, plugins, cache, offline=offline, reporter=reporter)
        if record.data_key in ("", dataset_key(data)):
            return choice
    raise UsageError(f"{record.dataset} n={record.n} is not what it was when the records were made: {FIX}")


def _rebuild(records: Sequence[CellRecord], dataset: DatasetChoice, plugins: Plugins) -> list[Suite]:
    """Return suites whose cells have a record: one for all conditions with the same detectors."""
    detectors: dict[str, dict[str, Any]] = {}
    noises: dict[str, dict[str, Any]] = {}
    found: dict[tuple[str, int], set[str]] = {}
    for record in records:
        if record.detector not in plugins.detectors.names:
            continue
        name = str(Selection(record.detector, record.detector_params))
        detectors[name] = {"name": record.detector, "params": dict(record.detector_params)}
        noise = {"name": record.noise, "rates": [record.rate], "params": dict(record.noise_params)}
        noises[canonical_json(noise)] = noise
        found.setdefault((canonical_json(noise), record.seed), set()).add(name)
    profile = parse_selection(records[0].profile)
    if not detectors:
        raise UsageError(f"no detector of the records of {records[0].dataset} is installed; --plugin FILE adds one")
    # A suite is a product: conditions that lack some detector's record need one of their own.
    seeds: dict[frozenset[str], dict[str, list[int]]] = {}
    for (key, seed), names in found.items():
        seeds.setdefault(frozenset(names), {}).setdefault(key, []).append(seed)
    return [
        validate_suite(
            {
                "name": "inspect",
                "profile": profile.name,
                "settings": dict(profile.params),
                "datasets": [dataset.model_dump(mode="json")],
                "noises": [{**noises[key], "seeds": of_noise} for key, of_noise in seeds_of.items()],
                "detectors": [detector for name, detector in detectors.items() if name in names],
            },
            where="the records",
        )
        for names, seeds_of in seeds.items()
    ]
